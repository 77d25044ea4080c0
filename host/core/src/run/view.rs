//! A run as people and tools see it.

use super::documents::{Attempt, Awaited, Callback, NodeState, Progress, Run, Scope, Wait};
use crate::{Digest, Failure, FlowName, Millis, NodePath, ResponseHead, RunId, ScopePath, Status};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A run with all its nodes, without payloads.
#[derive(Debug, Clone, Serialize)]
pub struct RunView {
    /// The request id.
    pub request_id: RunId,
    /// The flow's name.
    pub flow: FlowName,
    /// The module's digest.
    pub digest: Digest,
    /// Its status.
    pub status: Status,
    /// When it started, in milliseconds since the Unix epoch.
    pub started: Millis,
    /// When it ended.
    pub ended: Option<Millis>,
    /// The size of its result, in bytes.
    pub result_size: Option<u64>,
    /// The status and headers of the answer, if the run has ended and the flow has set them. Of the headers only the names are
    /// written, since their values are data of the flow.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_values")]
    pub response: Option<ResponseHead>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Its callback, and the delivery of it so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// Its nodes, scope by scope, in the order of the definition.
    pub nodes: Vec<NodeView>,
}

/// One node of a run.
#[derive(Debug, Clone, Serialize)]
pub struct NodeView {
    /// `C[c1]/n1`.
    pub path: NodePath,
    /// Its progress.
    pub progress: Progress,
    /// When it was claimed for the first time.
    pub started: Option<Millis>,
    /// When its progress last changed.
    pub since: Option<Millis>,
    /// When its wait between two tries ends, or its wait for an answer is given up, if it is waiting until a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Millis>,
    /// Whose answer it is waiting for, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitView>,
    /// The size of all its inputs before any aggregator, in bytes.
    pub input_size: u64,
    /// The size of its output, in bytes.
    pub output_size: Option<u64>,
    /// All its attempts: those that failed, and the one that ended it.
    pub attempts: Vec<Attempt>,
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitView {
    /// Who answers.
    #[serde(flatten)]
    pub of: Awaited,
    /// When the question was asked, in milliseconds since the Unix epoch.
    pub since: Millis,
}

impl RunView {
    /// Puts the documents of a run together. Branches that were replaced are left out.
    pub fn new<'a>(run: &Run, scopes: impl IntoIterator<Item = &'a Scope>) -> Self {
        let scopes: BTreeMap<&ScopePath, &Scope> = scopes.into_iter().map(|scope| (&scope.path, scope)).collect();
        let current = |scope: &&Scope| {
            let mut child = *scope;
            while let Some((parent, _)) = child.path.parent() {
                match scopes.get(&parent.scope) {
                    Some(scope) if scope.started(child) => child = scope,
                    Some(_) => return false,
                    None => break,
                }
            }
            true
        };
        let scopes = scopes.values().copied().filter(current);
        let nodes = scopes.flat_map(|scope| scope.nodes.iter().map(|node| NodeView::new(&scope.path, node)));
        Self {
            request_id: run.id.clone(),
            flow: run.flow.clone(),
            digest: run.digest.clone(),
            status: run.status(),
            started: run.started,
            ended: run.ended,
            result_size: run.result.as_ref().map(crate::Payload::size),
            response: run.response_head().filter(|_| run.status().is_final()).cloned(),
            failure: run.failure.clone(),
            callback: run.callback.clone().map(Callback::redacted),
            nodes: nodes.chain(run.hooks.iter().map(|hook| NodeView::new(&ScopePath::root(), hook))).collect(),
        }
    }
}

impl NodeView {
    fn new(scope: &ScopePath, node: &NodeState) -> Self {
        Self {
            path: scope.node(&node.id),
            progress: node.progress,
            started: node.started,
            waits_until: match node.asked() {
                Some(wait) => wait.limit,
                None => node.waits().map(|suspended| suspended.until),
            },
            waits_for: node.asked().map(|Wait { of, since, .. }| WaitView { of: of.clone(), since: *since }),
            since: (node.since > 0).then_some(node.since),
            input_size: node.input_size,
            output_size: node.output.as_ref().map(crate::Payload::size),
            attempts: node.attempts.clone(),
        }
    }
}

fn without_values<S: Serializer>(response: &Option<ResponseHead>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        status: u16,
        headers: Vec<&'a str>,
    }
    let shown = response.as_ref().map(|ResponseHead { status, headers }| Shown {
        status: *status,
        headers: headers.iter().map(|(name, _)| name.as_str()).collect(),
    });
    shown.serialize(serializer)
}

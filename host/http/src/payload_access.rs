//! Who sees the inputs and outputs of nodes, of which runs, and what is hidden in them.

use super::error::Error;
use faas_flow_core::redact::{Rules, Unreadable};
use faas_flow_core::run::{Hidden, OperationData, OperationsPart, Preview, Side};
use faas_flow_core::text::printable;
use faas_flow_core::{Code, Content, NodePath, Payload, RunId, Status};
use faas_flow_replica::{Host, NodeData};

/// Of which runs operators may read the inputs and outputs of nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShowPayloads {
    /// Of none.
    Never,
    /// Of runs that have failed.
    Failed,
    /// Of all.
    #[default]
    Always,
}

impl ShowPayloads {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            ShowPayloads::Never => "never",
            ShowPayloads::Failed => "failed",
            ShowPayloads::Always => "always",
        }
    }

    /// How to see what is not shown.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            ShowPayloads::Failed => "this run has not failed: set it to always to see those of all runs",
            _ => "set it to failed to see those of failed runs, or to always",
        }
    }
}

/// Why the input or output of a node is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PayloadFault {
    /// The configuration does not show the inputs and outputs of nodes.
    #[error("inputs and outputs of nodes are not shown here (show_payloads is {}); {}", show.as_str(), show.remedy())]
    Hidden {
        /// What the key says.
        show: ShowPayloads,
    },
    /// Parts of the data are to be hidden, and cannot be found.
    #[error("the {side} of node {} is not shown here: {source}", printable(node))]
    NotRedacted {
        /// The node.
        node: NodePath,
        /// `input` or `output`.
        side: &'static str,
        /// Why not.
        source: Unreadable,
    },
    /// A run has no such node.
    #[error("run {run} has no node {}; `requests show` lists its nodes", printable(node))]
    NoNode {
        /// The run.
        run: RunId,
        /// The node.
        node: NodePath,
    },
    /// A node has no such data, or not yet.
    #[error("node {} has no {side} to show: {why}", printable(node))]
    None {
        /// The node.
        node: NodePath,
        /// `input` or `output`.
        side: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The input of a node has several parts, of which one answer has one.
    #[error("the input of node {} has several parts: choose one with `from`: {}", printable(node), printable(&from.join(", ")))]
    Several {
        /// The node.
        node: NodePath,
        /// The nodes that they come from.
        from: Vec<String>,
    },
}

impl PayloadFault {
    /// The error's code.
    pub(super) fn code(&self) -> Code {
        match self {
            PayloadFault::Hidden { .. } | PayloadFault::NotRedacted { .. } => Code::PAYLOADS_HIDDEN,
            PayloadFault::NoNode { .. } | PayloadFault::None { .. } => Code::PAYLOAD_UNKNOWN,
            PayloadFault::Several { .. } => Code::BAD_REQUEST,
        }
    }
}

/// Of which runs operators may read the inputs and outputs of nodes, and what is hidden in them.
#[derive(Debug, Clone, Default)]
pub struct PayloadAccess {
    /// Of which runs.
    pub show: ShowPayloads,
    /// What is hidden.
    pub redact: Rules,
}

impl PayloadAccess {
    /// The only place that decides whether somebody sees inputs and outputs of a run: `caller` says whether that is an operator, and
    /// `status` asks for the status of the run. Those who may see none do not learn whether there is the run.
    pub(super) async fn admit(
        &self,
        caller: Result<(), Error>,
        status: impl Future<Output = Result<Status, Error>>,
    ) -> Result<Admitted<'_>, Error> {
        caller?;
        let hidden = || PayloadFault::Hidden { show: self.show }.into();
        if self.show == ShowPayloads::Never {
            return Err(hidden());
        }
        match (self.show, status.await?) {
            (ShowPayloads::Always, _) | (ShowPayloads::Failed, Status::Failed) => Ok(Admitted { redact: &self.redact }),
            _ => Err(hidden()),
        }
    }
}

/// Somebody who may see inputs and outputs of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted<'a> {
    redact: &'a Rules,
}

/// What the operations of a node got and yielded, as it is shown.
pub(super) struct ShownOperations {
    pub list: Vec<ShownOperation>,
    /// How many pieces of data were dropped, since they did not fit.
    pub dropped: u64,
}

/// A piece of it.
pub(super) struct ShownOperation {
    pub data: OperationData,
    pub preview: ShownPreview,
}

/// The beginning of data as it is shown.
#[derive(Clone)]
pub(super) struct ShownPreview {
    pub content: Content,
    /// The size of all of it, in bytes.
    pub size: u64,
    /// Whether something in it is hidden.
    pub is_redacted: bool,
    /// Why nothing of it is shown.
    pub withheld: Option<&'static str>,
}

/// Why nothing is shown of what is kept of an operation.
const UNREADABLE: &str =
    "it should be JSON, but it could not be read as such, so that the rules of `redact` could not be applied";
const RULES_CHANGED: &str =
    "only its beginning is kept, and the rules of `redact` have changed since they were applied to all of it";

/// Data as it is shown.
pub(super) struct ShownPayload {
    pub content: Content,
    /// Whether something in it is hidden.
    pub is_redacted: bool,
}

impl Admitted<'_> {
    /// What there is of a node's input or output.
    pub async fn parts(&self, host: &Host, run: &RunId, node: &NodePath, side: Side) -> Result<Vec<NodeData>, Error> {
        let parts = host.node_data(run, node, side).await?;
        Ok(parts.ok_or_else(|| PayloadFault::NoNode { run: run.clone(), node: node.clone() })?)
    }

    /// What is kept of what the operations of a node got and yielded, without what is hidden in it now.
    pub async fn operations(&self, host: &Host, run: &RunId, node: &NodePath) -> Result<ShownOperations, Error> {
        let kept = host.operations_of(run, node).await?;
        let kept = kept.ok_or_else(|| PayloadFault::NoNode { run: run.clone(), node: node.clone() })?;
        let rules = self.redact.clone();
        let shown = move || kept.parts.into_iter().flat_map(|part| shown_part(&rules, part)).collect();
        let list = tokio::task::spawn_blocking(shown).await.map_err(interrupted)?;
        Ok(ShownOperations { list, dropped: kept.dropped })
    }

    /// A payload without what is hidden in it. This is done with all of it, whatever part of it is shown.
    pub async fn payload(
        &self,
        host: &Host,
        run: &RunId,
        (node, side): (&NodePath, Side),
        payload: &Payload,
    ) -> Result<ShownPayload, Error> {
        let content = host.fetch(run, payload).await?;
        if self.redact.is_empty() {
            return Ok(ShownPayload { content, is_redacted: false });
        }
        let rules = self.redact.clone();
        let hidden = tokio::task::spawn_blocking(move || rules.hide(content)).await;
        let hidden = hidden.map_err(interrupted)?;
        let (content, is_redacted) =
            hidden.map_err(|source| PayloadFault::NotRedacted { node: node.clone(), side: side.as_str(), source })?;
        Ok(ShownPayload { content, is_redacted })
    }
}

fn interrupted(source: tokio::task::JoinError) -> faas_flow_versions::Error {
    faas_flow_versions::Error::Interrupted { task: "hiding parts of a payload", source }
}

/// What is kept under one claim, as it is shown.
fn shown_part(rules: &Rules, OperationsPart { redact, data, previews, .. }: OperationsPart) -> Vec<ShownOperation> {
    let were_applied = rules.texts().iter().all(|rule| redact.contains(rule));
    let previews: Vec<_> = previews.into_iter().map(|preview| shown_preview(rules, preview, were_applied)).collect();
    let shown = |data: OperationData| {
        let preview = previews.get(data.preview as usize)?.clone();
        Some(ShownOperation { data, preview })
    };
    data.into_iter().filter_map(shown).collect()
}

/// A preview without what is hidden in it now. Rules that were applied to all of the data need not be applied to its beginning, to
/// which others cannot be applied if it is JSON.
fn shown_preview(rules: &Rules, preview: Preview, were_applied: bool) -> ShownPreview {
    let is_cut = preview.is_cut();
    let Preview { media_type, size, bytes, hidden } = preview;
    let withheld = |withheld| ShownPreview {
        content: Content::new(bytes::Bytes::new(), media_type.clone()),
        size,
        is_redacted: true,
        withheld: Some(withheld),
    };
    let is_redacted = hidden != Hidden::Nothing;
    let content = Content::new(bytes, media_type.clone());
    match hidden {
        Hidden::All => withheld(UNREADABLE),
        _ if were_applied => ShownPreview { content, size, is_redacted, withheld: None },
        _ => match rules.hide(content) {
            Ok((content, hides)) => {
                let size = if is_cut { size } else { content.bytes.len() as u64 };
                ShownPreview { content, size, is_redacted: is_redacted || hides, withheld: None }
            }
            Err(Unreadable) => withheld(if is_cut { RULES_CHANGED } else { UNREADABLE }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenFault;
    use faas_flow_core::MediaType;
    use std::future::{pending, ready};

    async fn admitted(
        show: ShowPayloads,
        caller: Result<(), Error>,
        status: impl Future<Output = Result<Status, Error>>,
    ) -> Option<Code> {
        let access = PayloadAccess { show, ..PayloadAccess::default() };
        access.admit(caller, status).await.err().map(|error| error.code())
    }

    #[tokio::test]
    async fn the_run_is_looked_for_only_if_somebody_may_see_something_of_it() {
        let stranger = || Err(Error::TokenNeeded(TokenFault::Bearer));
        assert_eq!(admitted(ShowPayloads::Always, stranger(), pending()).await, Some(Code::TOKEN_NEEDED));
        assert_eq!(admitted(ShowPayloads::Never, Ok(()), pending()).await, Some(Code::PAYLOADS_HIDDEN));
    }

    fn shown(rule: &str, applied: &[&str], text: &'static str, size: u64) -> (String, bool, Option<&'static str>) {
        let mut rules = Rules::default();
        rules.add(rule).unwrap();
        let preview = Preview { media_type: MediaType::JSON, size, bytes: text.into(), hidden: Hidden::Nothing };
        let data = serde_json::json!({ "at": 1, "attempt": 1, "kind": "modify", "side": "input", "preview": 0 });
        let part = OperationsPart {
            path: NodePath::parse("n").unwrap(),
            redact: applied.iter().map(|&rule| rule.to_owned()).collect(),
            data: vec![serde_json::from_value(data).unwrap()],
            previews: vec![preview],
        };
        let ShownPreview { content, is_redacted, withheld, .. } = shown_part(&rules, part).remove(0).preview;
        (String::from_utf8(content.bytes.into()).unwrap(), is_redacted, withheld)
    }

    /// HIST-13.
    #[test]
    fn rules_of_today_hide_what_was_kept_before_and_what_they_cannot_be_applied_to_is_not_shown() {
        let card = "{\"card\":1}";
        assert_eq!(shown("/card", &[], card, 10), ("{\"card\":\"***\"}".to_owned(), true, None));
        assert_eq!(shown("/card", &[], "{\"card\":1,", 99), (String::new(), true, Some(RULES_CHANGED)));
        assert_eq!(shown("/card", &["/card", "/b"], "{\"card\":\"***\",", 99).0, "{\"card\":\"***\",");
        assert_eq!(shown("/card", &["/b"], "{\"card\":1", 9), (String::new(), true, Some(UNREADABLE)));
    }

    #[tokio::test]
    async fn payloads_are_those_of_the_runs_that_the_key_names() {
        for status in Status::ALL {
            assert_eq!(admitted(ShowPayloads::Always, Ok(()), ready(Ok(status))).await, None);
            let shown = admitted(ShowPayloads::Failed, Ok(()), ready(Ok(status))).await.is_none();
            assert_eq!(shown, status == Status::Failed, "{status:?}");
        }
    }
}

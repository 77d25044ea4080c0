//! Runs of flows on a server: a flow, a gateway with flows behind it, or a server of several flows.

use super::super::client::{Client, part};
use super::super::output::Output;
use super::data::{Asked, Shown};
use super::{Listed, Nodes};
use crate::Error;
use faas_flow_core::{Code, FlowName, NodePath, RunId, Status};
use faas_flow_http::remote::{Action, Asking, flow_at};
use faas_flow_http::{ListedRun, ListedRuns, NodeOperations};
use faas_flow_store::Cursor;
use faas_flow_versions::logs::RunLogLine;
use serde_json::Value;

/// How many nodes are asked for at a time.
const PAGE: &str = "1000";

/// What to ask, and as whom.
pub(crate) struct Servers {
    /// The address that the user gave.
    to: String,
    /// The flow, if the address does not say which one it is.
    pub(super) flow: Option<FlowName>,
    asking: Asking,
}

impl Servers {
    pub(crate) fn new(to: String, flow: Option<FlowName>, asking: Asking) -> Self {
        Self { to, flow, asking }
    }

    /// Whether it is known which flow to ask.
    pub(super) fn name_the_flow(&self) -> bool {
        self.flow.is_some() || is_flow(&self.to)
    }

    /// The flows that may have the runs. A server that is not told which flow is meant is asked for all that it serves.
    pub(super) async fn flows(&self) -> Result<Vec<Client>, Error> {
        if is_flow(&self.to) {
            return Ok(vec![self.client(self.to.clone())?]);
        }
        if let Some(flow) = &self.flow {
            return Ok(vec![self.client(flow_at(&self.to, flow))?]);
        }
        let server = self.client(self.to.clone())?;
        let names = server.get("_/flows", &[]).await.and_then(|names| {
            serde_json::from_value::<Vec<FlowName>>(names).map_err(|_| Error::NotAFlow { url: server.place() })
        });
        let names = names.map_err(|error| match error.code() {
            Code::CALL_STATUS | Code::FLOW_UNKNOWN | Code::ROUTE_UNKNOWN => Error::NoFlowNamed { url: server.place() },
            _ => error,
        })?;
        names.iter().map(|name| self.client(flow_at(&self.to, name))).collect()
    }

    fn client(&self, url: String) -> Result<Client, Error> {
        Client::to(url, self.asking.clone(), Output::Text)
    }

    /// The latest runs of all flows together.
    pub(crate) async fn list(&self, Listed { filter, after, limit, .. }: &Listed) -> Result<ListedRuns, Error> {
        let mut query = filter.pairs();
        query.push(("limit", limit.to_string()));
        query.extend(after.as_ref().map(|after| ("after", after.to_string())));
        let mut runs: Vec<ListedRun> = Vec::new();
        let mut next: Option<Cursor> = None;
        for flow in self.flows().await? {
            let page = serde_json::from_value::<ListedRuns>(flow.get("flow", &query).await?);
            let page = page.map_err(|_| Error::NotAFlow { url: flow.place() })?;
            runs.extend(page.runs);
            // Behind the earliest place where a flow has more, the list would have gaps.
            let more = page.next.as_deref().and_then(Cursor::parse);
            next = next.into_iter().chain(more).max_by(|a, b| (a.started, &a.run).cmp(&(b.started, &b.run)));
        }
        runs.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.request_id.cmp(&a.request_id)));
        if let Some(next) = &next {
            runs.retain(|run| (run.started, &run.request_id) >= (next.started, &next.run));
        }
        if runs.len() > *limit {
            runs.truncate(*limit);
            next = runs.last().map(|run| Cursor { started: run.started, run: run.request_id.clone() });
        }
        Ok(ListedRuns { runs, next: next.map(|next| next.to_string()), counts: None })
    }

    /// A run with its nodes, as JSON: all pages in one.
    pub(crate) async fn show(&self, run: &RunId, nodes: Nodes) -> Result<Value, Error> {
        let (flow, mut shown) = self.of_a_flow(run, async |flow| page(flow, run, nodes, "0").await).await?;
        while let Some(next) = shown.as_object_mut().and_then(|run| run.remove("next")) {
            let mut more = page(&flow, run, nodes, &next.to_string()).await?;
            let further = more.get_mut("nodes").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
            if let Some(nodes) = shown.get_mut("nodes").and_then(Value::as_array_mut) {
                nodes.extend(further);
            }
            if let (Some(run), Some(next)) = (shown.as_object_mut(), more.get_mut("next").map(Value::take)) {
                run.insert("next".to_owned(), next);
            }
        }
        if let Some(run) = shown.as_object_mut() {
            run.remove("node_count");
        }
        Ok(shown)
    }

    /// Deletes a run that has ended.
    pub(super) async fn delete(&self, run: &RunId) -> Result<(), Error> {
        self.of_a_flow(run, async |flow| flow.delete(&format!("flow/{}", part(run.as_str()))).await).await.map(drop)
    }

    /// What a node got or yielded.
    pub(super) async fn data(&self, run: &RunId, asked: &Asked) -> Result<Shown, Error> {
        let path = format!("flow/{}/{}", part(run.as_str()), asked.side());
        let (flow, answer) = self.of_a_flow(run, async |flow| flow.fetch(&path, &asked.query()).await).await?;
        Shown::of(answer).ok_or_else(|| Error::NotAFlow { url: flow.place() })
    }

    /// What the operations of a node got and yielded.
    pub(super) async fn operations(&self, run: &RunId, node: &NodePath) -> Result<NodeOperations, Error> {
        let path = format!("flow/{}/operations", part(run.as_str()));
        let query = [("node", node.to_string())];
        let (flow, shown) = self.of_a_flow(run, async |flow| flow.get(&path, &query).await).await?;
        serde_json::from_value(shown).map_err(|_| Error::NotAFlow { url: flow.place() })
    }

    /// What a run has logged, and its status.
    pub(crate) async fn logs(&self, run: &RunId, node: Option<&NodePath>) -> Result<(Vec<RunLogLine>, Status), Error> {
        let path = format!("flow/{}", part(run.as_str()));
        // The status comes first: when it says that the run has ended, the lines that follow are all.
        let (flow, head) =
            self.of_a_flow(run, async |flow| flow.get(&path, &[("limit", "1".to_owned())]).await).await?;
        let malformed = || Error::NotAFlow { url: flow.place() };
        let status = head.get("status").and_then(Value::as_str).and_then(Status::parse).ok_or_else(malformed)?;
        let query: Vec<_> = node.map(|node| ("node", node.to_string())).into_iter().collect();
        let text = flow.text(&format!("{path}/logs"), &query).await?;
        let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((lines.map_err(|_| malformed())?, status))
    }

    /// Changes a run, and returns what the server said.
    pub(crate) async fn control(&self, run: &RunId, action: &Action) -> Result<String, Error> {
        Ok(self.of_a_flow(run, async |flow| flow.control(run, action).await).await?.1)
    }

    /// Asks one flow after the other until one has the run.
    async fn of_a_flow<T>(
        &self,
        run: &RunId,
        ask: impl AsyncFn(&Client) -> Result<T, Error>,
    ) -> Result<(Client, T), Error> {
        for flow in self.flows().await? {
            match ask(&flow).await {
                Ok(said) => return Ok((flow, said)),
                Err(error) if error.code() == Code::RUN_UNKNOWN => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::UnknownRun { run: run.clone(), place: self.client(self.to.clone())?.place() })
    }
}

async fn page(flow: &Client, run: &RunId, nodes: Nodes, offset: &str) -> Result<Value, Error> {
    let mut query = vec![("limit", PAGE.to_owned()), ("offset", offset.to_owned())];
    if nodes == Nodes::Failed {
        query.push(("failed", "true".to_owned()));
    }
    flow.get(&format!("flow/{}", part(run.as_str())), &query).await
}

/// Whether an address is that of a flow: its name, or a URL of one behind a gateway or on a server.
fn is_flow(to: &str) -> bool {
    !to.contains("://") || to.contains("/function/") || to.contains("/async-function/")
}

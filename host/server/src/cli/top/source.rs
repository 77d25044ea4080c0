//! Where what is shown comes from.

use super::super::requests::{Listed, Nodes, Place, stored_list, stored_show};
use crate::Error;
use faas_flow_core::run::{Progress, RunView};
use faas_flow_core::text::printable;
use faas_flow_core::{Code, FlowName, RunId, Status};
use faas_flow_http::remote::Action;
use faas_flow_http::{ListedRun, RunFilter};
use std::collections::{BTreeMap, HashMap};

/// How many runs are listed.
const LATEST: usize = 500;
/// Of how many runs it is looked up what they are doing.
const LOOKED_UP: usize = 16;

/// A server or a state store.
pub(super) struct Source {
    place: Place,
    flow: Option<FlowName>,
}

/// What is to be found.
pub(super) struct Wanted {
    /// The run that is open.
    pub(super) open: Option<RunId>,
    /// The runs that are on the screen and have not ended.
    pub(super) seen: Vec<RunId>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// The latest runs, and the latest of those that have not ended, by their start.
    pub(super) runs: Vec<ListedRun>,
    /// What runs are doing.
    pub(super) doing: HashMap<RunId, String>,
    /// The run that is open; `None` if there is no such run.
    pub(super) open: Option<RunView>,
}

impl Source {
    pub(super) fn new(place: Place, flow: Option<FlowName>) -> Self {
        Self { place, flow }
    }

    pub(super) async fn find(&self, wanted: &Wanted) -> Result<Found, Error> {
        let mut runs = BTreeMap::new();
        // Runs that have not ended are shown, however many have begun and ended since.
        for status in [None, Some(Status::Running), Some(Status::Paused)] {
            let filter = RunFilter { status, ..RunFilter::default() };
            let listed = Listed { flow: self.flow.clone(), filter, after: None, limit: LATEST };
            let some = match &self.place {
                Place::Servers(servers) => servers.list(&listed).await?,
                Place::Store(stores) => stored_list(stores, listed).await?,
            };
            runs.extend(some.runs.into_iter().map(|run| (run.request_id.clone(), run)));
        }
        let mut runs: Vec<ListedRun> = runs.into_values().collect();
        runs.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.request_id.cmp(&a.request_id)));
        let mut doing = HashMap::new();
        for run in wanted.seen.iter().take(LOOKED_UP) {
            if let Some(view) = self.run(run).await? {
                doing.insert(run.clone(), what_it_does(&view));
            }
        }
        let open = match &wanted.open {
            Some(run) => self.run(run).await?,
            None => None,
        };
        Ok(Found { runs, doing, open })
    }

    /// A run with its nodes; `None` if there is no such run, or no longer.
    async fn run(&self, run: &RunId) -> Result<Option<RunView>, Error> {
        let shown = match &self.place {
            Place::Servers(servers) => servers.show(run, Nodes::All).await,
            Place::Store(stores) => stored_show(stores, run, Nodes::All).await,
        };
        match shown {
            Ok(shown) => {
                let view = serde_json::from_value(shown);
                Ok(Some(view.map_err(|error| Error::System { what: "read a run", source: error.into() })?))
            }
            Err(error) if error.code() == Code::RUN_UNKNOWN => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes a run, and returns what the server said.
    pub(super) async fn change(&self, run: &RunId, action: &Action) -> Result<String, Error> {
        match &self.place {
            Place::Servers(servers) => servers.control(run, action).await,
            Place::Store(_) => Ok("a state store cannot change runs: name a server with --to".to_owned()),
        }
    }
}

/// What a run is doing: the node that it executes or that keeps it waiting, and how many more there are.
pub(super) fn what_it_does(view: &RunView) -> String {
    let is = |wanted: Progress| view.nodes.iter().filter(move |node| node.progress == wanted);
    // A node with branches is only shown if none of the branches is known to do something.
    let (mut nodes, count) = match (is(Progress::Running).count(), is(Progress::Ready).count()) {
        (0, 0) => (is(Progress::Branching), is(Progress::Branching).count()),
        (0, ready) => (is(Progress::Ready), ready),
        (running, _) => (is(Progress::Running), running),
    };
    let Some(node) = nodes.next() else { return String::new() };
    let waits = node.waits_for.as_ref().map_or(String::new(), |wait| format!(" waits for {wait}"));
    let more = if count > 1 { format!(" +{}", count - 1) } else { String::new() };
    printable(&format_args!("{}{waits}{more}", node.path)).to_string()
}

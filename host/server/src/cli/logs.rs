//! `faas-flow logs`: what the code of a run has logged, from a server or a state store.

use super::existing::StoreKeys;
use super::output::{Output, print};
use super::requests::{Place, place, stored_logs};
use super::token::AdminToken;
use crate::Error;
use crate::config::Options;
use clap::Args;
use faas_flow_core::{FlowName, NodePath, RunId, Status};
use faas_flow_versions::logs::RunLogLine;
use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

/// How often somebody who follows a run asks for new lines.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Logs {
    /// Request id of the run
    id: String,
    /// Only print lines of this node, for example C[c1]/n1
    #[arg(long, value_name = "PATH")]
    node: Option<String>,
    /// Keep printing new lines until the run has ended
    #[arg(long, short)]
    follow: bool,
    /// Print each line as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: Options<StoreKeys>,
    /// URL of the flow, for example http://gateway:8080/function/greet, or its name on the gateway at $OPENFAAS_URL; or URL of a gateway or server [default: the state store is read]
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO", hide_env_values = true)]
    to: Option<String>,
    /// Name of the flow; needed if the gateway does not list its flows
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    #[command(flatten)]
    admin: AdminToken,
}

impl Logs {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let Self { id, node, follow, json, keys, to, flow, admin } = self;
        let output = Output::of_flag(json);
        let run = RunId::new(&id)?;
        let node = node.as_deref().map(NodePath::parse).transpose()?;
        let flow = flow.map(FlowName::new).transpose()?;
        let place = place(keys.read()?, (to, flow), admin.asking())?;
        let mut new = NewLines::default();
        loop {
            let (lines, status) = read(&place, &run, node.as_ref()).await?;
            print(new.of(lines, output));
            if !follow || has_ended(status) {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(PERIOD).await;
        }
    }
}

async fn read(place: &Place, run: &RunId, node: Option<&NodePath>) -> Result<(Vec<RunLogLine>, Status), Error> {
    match place {
        Place::Servers(servers) => servers.logs(run, node).await,
        Place::Store(stores) => stored_logs(stores, run, node).await,
    }
}

fn has_ended(status: Status) -> bool {
    status.is_final()
}

/// The lines that were not printed before.
#[derive(Default)]
struct NewLines(HashSet<String>);

impl NewLines {
    /// Those of them as they are printed.
    fn of(&mut self, lines: Vec<RunLogLine>, output: Output) -> String {
        let new = lines.into_iter().filter(|line| self.0.insert(line.id.clone()));
        match output {
            Output::Json => new.map(|line| line.json() + "\n").collect(),
            Output::Text => new.map(|line| format!("{line}\n")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(id: &str, at: u64, message: &str) -> RunLogLine {
        let line = json!({
            "id": id, "at": at, "run": "r", "path": "F[1]/n", "attempt": 2, "digest": "0".repeat(64), "level": "warn",
            "message": message,
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn who_follows_a_run_sees_each_line_once() {
        let mut new = NewLines::default();
        let first = line("1/0", 1000, "low on paper\u{1b}[2J");
        let printed = "1970-01-01T00:00:01Z WARN  F[1]/n (attempt 2): low on paper\\u{1b}[2J\n";
        assert_eq!(new.of(vec![first.clone()], Output::Text), printed);
        assert_eq!(new.of(vec![line("2/0", 900, "late"), first], Output::Json), line("2/0", 900, "late").json() + "\n");
    }
}

//! `faas-flow run`

use super::common;
use super::progress;
use crate::config::{Defaults, Group, Options, Takes, resolve_stores};
use crate::{Error, Submission, Waits};
use clap::Args;
use faas_flow_core::run::Request;
use faas_flow_core::{Code, RunId, Status};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A run may take as long as it likes.
const LOOK: Duration = Duration::from_secs(3600);

/// The keys of a host that listens nowhere.
struct RunKeys;

impl Takes for RunKeys {
    const GROUPS: &'static [Group] = &[Group::Calls, Group::Stores, Group::Limits, Group::Guest, Group::Modules];
    const DEFAULTS: Defaults = Defaults::Local;
}

#[derive(Args)]
pub(super) struct Run {
    /// The flow's module
    flow: PathBuf,
    /// The input: text, @FILE, or @- for stdin
    #[arg(long, short, default_value = "")]
    data: String,
    /// A query parameter of the request, as in name=value
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// A header of the request, as in name=value
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// The request id; made up when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Print one JSON object with the result and the history
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    keys: Options<RunKeys>,
}

impl Run {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let body = common::read_data(&self.data)?.into();
        let id = self.request_id.map(RunId::new).transpose()?;
        let request = Request { query: pairs(&self.query)?, headers: pairs(&self.header)? };
        let mut values = self.keys.read()?;
        resolve_stores(&mut values, true)?;
        let (host, flows) = common::local_host(&values, &[self.flow], None).await?;
        let Some((flow, _)) = flows.first() else { return Ok(ExitCode::SUCCESS) };
        let shown = (!self.quiet).then(|| progress::show(host.watch(), progress::Stdout::Nothing));
        tokio::spawn(host.clone().sweep());
        let submitted = host.submit(&flow.name, Submission { id, body, request, callback: None }, Waits::No).await?;
        let ended = loop {
            tokio::select! {
                ended = submitted.end(LOOK) => if let Some(ended) = ended? { break ended },
                failure = submitted.given_up() => {
                    let id = &submitted.id;
                    let message = format!("{}: `faas-flow serve` goes on with run {id} in this store", failure.message);
                    return Err(Error::new(failure.code, message));
                }
            }
        };
        if let Some(shown) = shown {
            shown.finish().await;
        }
        if self.json {
            let result = ended.result.as_ref().map(|result| String::from_utf8_lossy(result));
            let view = host.view(&submitted.id).await?;
            common::print_json(
                &json!({ "status": ended.status, "result": result, "failure": ended.failure, "run": view }),
            )?;
        } else if let Some(result) = &ended.result {
            common::print(result);
        }
        match (ended.status, &ended.failure) {
            (Status::Succeeded, None) => Ok(ExitCode::SUCCESS),
            (Status::Paused, _) => {
                eprintln!("the run {} paused", submitted.id);
                Ok(ExitCode::FAILURE)
            }
            (_, Some(failure)) => {
                eprintln!("error {failure}\nsee: faas-flow explain {}", failure.code);
                Ok(ExitCode::FAILURE)
            }
            _ => Ok(ExitCode::FAILURE),
        }
    }
}

fn pairs(options: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |option: &String| match option.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::new(Code::BAD_REQUEST, format!("`{option}` is not of the form name=value"))),
    };
    options.iter().map(pair).collect()
}

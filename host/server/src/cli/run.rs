//! `faas-flow run`

use super::host::{ProgramOutput, local_host};
use super::output::{complain, print, print_json};
use super::progress;
use super::stop::{RELEASE, Signals};
use crate::Error;
use crate::config::{Defaults, Group, Options, Takes, Unspecified, resolve_stores};
use clap::Args;
use faas_flow_core::run::Request;
use faas_flow_core::text::indented;
use faas_flow_core::{Content, MediaType, RunId, Status};
use faas_flow_replica::{Submission, Waits};
use serde_json::json;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long to wait for the end of the run before looking again.
const LOOK: Duration = Duration::from_secs(3600);

/// The keys of a host that does not listen.
struct RunKeys;

impl Takes for RunKeys {
    const GROUPS: &'static [Group] = &[Group::Calls, Group::Stores, Group::Limits, Group::Guest, Group::Modules];
    const DEFAULTS: Defaults = Defaults::Local;
}

#[derive(Args)]
pub(super) struct Run {
    /// Module of the flow
    flow: PathBuf,
    /// Input of the run: text, @FILE, or @- for stdin [default: empty]
    #[arg(long, short, default_value = "", hide_default_value = true)]
    data: String,
    /// Query parameter of the request; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// Header of the request; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Request id [default: a generated one]
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Print JSON with the result and the history instead of the result alone
    #[arg(long)]
    json: bool,
    /// Do not show the progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    keys: Options<RunKeys>,
}

impl Run {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let id = self.request_id.map(RunId::new).transpose()?;
        let request = Request { query: pairs(&self.query)?, headers: pairs(&self.header)? };
        let body = Content::new(read_data(&self.data)?, MediaType::of_message(&request.headers));
        let mut values = self.keys.read()?;
        let stores = resolve_stores(&mut values, Unspecified::Memory)?;
        let output = if self.quiet { ProgramOutput::Hidden } else { ProgramOutput::Shown };
        let mut signals = Signals::new()?;
        let (host, flows) = local_host(&values, &stores, &[self.flow], None, output).await?;
        let Some((flow, _)) = flows.first() else { return Ok(ExitCode::SUCCESS) };
        let shown = (!self.quiet).then(|| progress::show(host.watch(), progress::Stdout::Nothing));
        tokio::spawn(host.clone().sweep());
        let submission = Submission { id, body, request, ..Submission::default() };
        let submitted = host.submit(&flow.name, submission, Waits::No).await?;
        let ended = loop {
            tokio::select! {
                ended = submitted.end(LOOK) => if let Some(ended) = ended? { break ended },
                failure = submitted.abandoned() => {
                    return Err(Error::Abandoned { run: submitted.id.clone(), failure });
                }
                signal = signals.any() => {
                    complain(format_args!("run {} is not finished: it was interrupted", submitted.id));
                    signals.end_at_once();
                    // What is stored goes on in another process.
                    host.drain(Duration::ZERO, RELEASE).await;
                    return Ok(signal.exit_code());
                }
            }
        };
        if let Some(shown) = shown {
            shown.finish().await;
        }
        if self.json {
            let result = ended.result.as_ref().map(|result| String::from_utf8_lossy(&result.bytes));
            let view = host.view(&submitted.id).await?;
            print_json(
                &json!({ "status": ended.status, "result": result, "response": ended.response, "failure": ended.failure, "run": view }),
            )?;
        } else if let Some(result) = &ended.result {
            print(&result.bytes);
        }
        match (ended.status, &ended.failure) {
            (Status::Succeeded, None) => Ok(ExitCode::SUCCESS),
            (Status::Paused, _) => {
                eprintln!("run {} is paused", submitted.id);
                Ok(ExitCode::FAILURE)
            }
            (_, Some(failure)) => {
                complain(format_args!("error {}\nsee: faas-flow explain {}", indented(failure, 2), failure.code));
                Ok(ExitCode::FAILURE)
            }
            _ => Ok(ExitCode::FAILURE),
        }
    }
}

fn pairs(options: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |option: &String| match option.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::NoPair { option: option.clone() }),
    };
    options.iter().map(pair).collect()
}

/// Reads `@FILE`, `@-` for stdin, or takes the text itself.
pub(super) fn read_data(data: &str) -> Result<Vec<u8>, Error> {
    let Some(file) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().read_to_end(&mut bytes).map(|_| bytes),
        file => std::fs::read(file),
    };
    read.map_err(|source| Error::InputUnreadable { path: file.into(), source })
}

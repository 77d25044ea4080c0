//! `faas-flow requests bulk`: one action for many runs.

use super::super::client::Client;
use super::super::output::{Output, complain, print_json, print_text};
use super::super::schedules::agreed;
use super::Servers;
use crate::Error;
use faas_flow_core::text::printable;
use faas_flow_http::{BulkAction, BulkDone, RunFilter};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

/// How many failures are told one by one.
const TOLD: usize = 20;

/// What to do, with which runs.
pub(super) struct Bulk {
    pub(super) action: BulkAction,
    pub(super) filter: RunFilter,
    pub(super) all: bool,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
}

impl Bulk {
    /// Counts the runs, asks, and changes them flow by flow. Returns whether all went well.
    pub(super) async fn run(self, servers: &Servers, output: Output) -> Result<bool, Error> {
        let flows = servers.flows().await?;
        let (mut matching, mut complete) = (0, true);
        for flow in &flows {
            let counted = self.ask(flow, &[("dry-run", "true".to_owned())]).await?;
            matching += counted.matching.unwrap_or_default();
            complete &= counted.complete.unwrap_or(true);
        }
        let more = if complete { "" } else { "more than " };
        let plan = format!("{} {more}{matching} {}", self.action.as_str(), if matching == 1 { "run" } else { "runs" });
        if self.dry_run {
            let counted = BulkDone { matching: Some(matching), complete: Some(complete), ..BulkDone::default() };
            match output {
                Output::Json => print_json(&counted)?,
                Output::Text => print_text(format_args!("would {plan}\n")),
            }
            return Ok(true);
        }
        if !self.yes && matching > 0 && !agreed(&format!("{plan}?"))? {
            return Err(Error::NotConfirmed { what: plan });
        }
        let mut done = BulkDone::default();
        for flow in &flows {
            let mut after: Option<String> = None;
            loop {
                let query: Vec<_> = after.iter().map(|after| ("after", after.clone())).collect();
                let next = self.ask(flow, &query).await?;
                done.changed.extend(next.changed);
                done.failed.extend(next.failed);
                show_progress(done.changed.len() + done.failed.len(), (more, matching), output);
                after = next.next;
                if after.is_none() {
                    break;
                }
            }
        }
        end_progress(output);
        match output {
            Output::Json => print_json(&done)?,
            Output::Text => print_text(self.report(&done)),
        }
        Ok(done.failed.is_empty())
    }

    async fn ask(&self, flow: &Client, further: &[(&'static str, String)]) -> Result<BulkDone, Error> {
        let mut query = self.filter.pairs();
        query.push(("action", self.action.as_str().to_owned()));
        if self.all {
            query.push(("all", "true".to_owned()));
        }
        query.extend(further.iter().cloned());
        let done = flow.post("flow", &query).await?;
        serde_json::from_value(done).map_err(|_| Error::NotAFlow { url: flow.place() })
    }

    fn report(&self, done: &BulkDone) -> String {
        let (changed, failed) = (done.changed.len(), done.failed.len());
        let mut report = format!("{changed} {} {}", if changed == 1 { "run" } else { "runs" }, self.action.done());
        // Writing to a string cannot fail.
        if failed > 0 {
            let _ = write!(report, ", {failed} unchanged");
        }
        report.push('\n');
        for failure in done.failed.iter().take(TOLD) {
            let _ = writeln!(report, "  {}  {} {}", failure.request_id, failure.code, printable(&failure.message));
        }
        if failed > TOLD {
            let _ = writeln!(report, "  … and {} more", failed - TOLD);
        }
        report
    }
}

/// A bar on a terminal, and a line now and then elsewhere.
fn show_progress(handled: usize, (more, matching): (&str, u64), output: Output) {
    const WIDTH: u64 = 30;
    if output == Output::Json {
        return;
    }
    if std::io::stderr().is_terminal() {
        let total = matching.max(handled as u64).max(1);
        let filled = handled as u64 * WIDTH / total;
        let bar: String = (0..WIDTH).map(|at| if at < filled { '█' } else { '░' }).collect();
        // There is nobody to tell if stderr is closed.
        let _ = write!(std::io::stderr(), "\r{bar} {handled} of {more}{matching}\x1b[K");
    } else if handled.is_multiple_of(1000) && handled > 0 {
        complain(format_args!("{handled} of {more}{matching} runs handled"));
    }
}

fn end_progress(output: Output) {
    if output == Output::Text && std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::{Code, RunId};
    use faas_flow_http::BulkFailure;

    #[test]
    fn a_report_says_what_was_done_and_what_was_not() {
        let bulk =
            Bulk { action: BulkAction::Rerun, filter: RunFilter::default(), all: true, dry_run: false, yes: true };
        let run = |n: usize| RunId::new(format!("r{n}")).unwrap();
        let failed = |n| BulkFailure { request_id: run(n), code: Code::RUN_STATE, message: "no\nway".into() };
        let done = BulkDone { changed: vec![run(0)], ..BulkDone::default() };
        assert_eq!(bulk.report(&done), "1 run run again\n");
        let done = BulkDone { failed: (0..22).map(failed).collect(), ..BulkDone::default() };
        let report = bulk.report(&done);
        assert!(report.starts_with("0 runs run again, 22 unchanged\n  r0  FF0222 no\\nway\n"), "{report}");
        assert!(report.ends_with("  r19  FF0222 no\\nway\n  … and 2 more\n"), "{report}");
    }
}

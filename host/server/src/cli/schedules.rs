//! `faas-flow schedules …`: looks at the schedules of a flow on a server, and changes them.

use super::client::{Client, Target, part};
use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, moment, parse_moment};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A backfill of at most this many moments begins without a question.
const UNASKED: u64 = 10;
/// How often a backfill reports its progress.
const SAYS: Duration = Duration::from_secs(1);
/// How long a backfill waits if too many of its runs go on.
const FULL: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(super) struct Schedules {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the schedules of a flow with their next and last moments
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Pause a schedule: it begins no runs until it is resumed
    Pause(Of),
    /// Resume a paused schedule; the moments that it missed meanwhile get no runs
    Resume(Of),
    /// Begin a run of a schedule now, also if it is paused
    Trigger(Of),
    /// Begin a run for each past moment of a schedule that has none
    ///
    /// The id of each run is made from the schedule and the moment, so you can repeat a backfill: it skips moments whose run is still stored. Backfills ignore the schedule's overlap policy, but no more than --at-once of their runs are in progress at once. For more than 10 moments, the command asks before it begins. Stop it with Ctrl-C, and run the same command to continue.
    Backfill {
        #[command(flatten)]
        of: Of,
        /// First moment, which is included, for example 2026-01-01T00:00:00Z
        #[arg(id = "first", value_name = "FROM", value_parser = read_moment)]
        from: Millis,
        /// End, which is not included, for example 2026-01-02T00:00:00Z; moments in the future begin no runs
        #[arg(id = "end", value_name = "TO", value_parser = read_moment)]
        to: Millis,
        /// How many runs of the schedule's backfills may be in progress at once, from 1 to 100
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
        at_once: u64,
        /// Only show how many moments there are, and the first and last of them
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation before beginning more than 10 runs
        #[arg(long, short, conflicts_with = "dry_run")]
        yes: bool,
    },
}

/// Selects a schedule.
#[derive(Args)]
struct Of {
    /// Name of the schedule
    #[arg(value_name = "SCHEDULE")]
    name: String,
    #[command(flatten)]
    target: Target,
}

fn read_moment(text: &str) -> Result<Millis, String> {
    parse_moment(text).map_err(|bad| bad.to_string())
}

impl Schedules {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        match self.what {
            What::List { target } => {
                let client = Client::new(target)?;
                let listed = client.get("schedules", &[]).await?;
                client.done(&listed, || list(&listed))
            }
            What::Pause(of) => change(of, "pause", "paused").await,
            What::Resume(of) => change(of, "resume", "resumed").await,
            What::Trigger(Of { name, target }) => {
                let client = Client::new(target)?;
                let run = client.post(&format!("schedules/{}/trigger", part(&name)), &[]).await?;
                client.done(&run, || format!("{}\n", printable(text(&run, "run"))))
            }
            What::Backfill { of: Of { name, target }, from, to, at_once, dry_run, yes } => {
                let go = match (dry_run, yes) {
                    (true, _) => Go::DryRun,
                    (false, true) => Go::Yes,
                    (false, false) => Go::Ask,
                };
                Backfill { name, range: (from, to), at_once, go }.run(target).await
            }
        }
    }
}

async fn change(Of { name, target }: Of, action: &str, now: &str) -> Result<ExitCode, Error> {
    let client = Client::new(target)?;
    let schedule = client.post(&format!("schedules/{}/{action}", part(&name)), &[]).await?;
    client.done(&schedule, || {
        let next = schedule.pointer("/next/0").and_then(Value::as_u64).filter(|_| action == "resume");
        let next = next.map_or(String::new(), |next| format!("; its next moment is {}", moment(next)));
        format!("schedule {} {now}{next}\n", printable(&name))
    })
}

/// A backfill, as the command line asks for it.
struct Backfill {
    name: String,
    range: (Millis, Millis),
    at_once: u64,
    go: Go,
}

/// Whether a backfill begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    /// It only says what it would do.
    DryRun,
    /// It begins without a question.
    Yes,
    /// It asks if it is large.
    Ask,
}

impl Backfill {
    async fn run(self, target: Target) -> Result<ExitCode, Error> {
        let client = Client::new(target)?;
        let path = format!("schedules/{}/backfill", part(&self.name));
        let (from, to) = self.range;
        let plan = client.get(&path, &[("from", from.to_string()), ("to", to.to_string())]).await?;
        let moments = plan.get("moments").and_then(Value::as_u64).unwrap_or_default();
        let has_more = plan.get("more").and_then(Value::as_bool) == Some(true);
        if self.go == Go::DryRun {
            return client.done(&plan, || planned(&plan) + "\n");
        }
        if self.go == Go::Ask && (has_more || moments > UNASKED) && !agreed(&question(&plan))? {
            return Err(Error::NotConfirmed { what: planned(&plan) });
        }
        let total = if has_more { format!("more than {moments}") } else { moments.to_string() };
        let (mut next, mut started, mut existed) = (Some(from), Vec::new(), 0);
        let mut said = Instant::now();
        while let Some(at) = next {
            let query = [("from", at.to_string()), ("to", to.to_string()), ("at-once", self.at_once.to_string())];
            let done = client.post(&path, &query).await?;
            let begun = done.get("started").and_then(Value::as_array).cloned().unwrap_or_default();
            let passed = done.get("existed").and_then(Value::as_u64).unwrap_or_default();
            let is_full = begun.is_empty() && passed == 0;
            started.extend(begun);
            existed += passed;
            next = done.get("next").and_then(Value::as_u64);
            if next.is_some() && said.elapsed() >= SAYS {
                said = Instant::now();
                let handled = started.len() as u64 + existed;
                let running = done.get("running").and_then(Value::as_u64).unwrap_or_default();
                client.say(format!("{handled} of {total} moments handled, {running} runs in progress"));
            }
            if next.is_some() && is_full {
                tokio::time::sleep(FULL).await;
            }
        }
        client.done(&json!({ "started": started, "existed": existed }), || {
            format!("{} runs have begun, {existed} existed\n", started.len())
        })
    }
}

/// `7 moments, from 2026-11-01T01:30:00Z to 2026-11-07T01:30:00Z`
fn planned(plan: &Value) -> String {
    let number = |name: &str| plan.get(name).and_then(Value::as_u64);
    let moments = number("moments").unwrap_or_default();
    let more = if plan.get("more").and_then(Value::as_bool) == Some(true) { "more than " } else { "" };
    match (number("first"), number("last")) {
        (Some(first), Some(last)) if more.is_empty() => {
            let s = if moments == 1 { "" } else { "s" };
            format!("{moments} moment{s}, from {} to {}", moment(first), moment(last))
        }
        (Some(first), _) => format!("{more}{moments} moments, from {} on", moment(first)),
        _ => "no moments".to_owned(),
    }
}

fn question(plan: &Value) -> String {
    format!("{}: begin a run for each that has none?", planned(plan))
}

/// Asks a question on the terminal. If there is nobody to ask, the answer is no.
pub(super) fn agreed(question: &str) -> Result<bool, Error> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Ok(false);
    }
    let failed = |source| Error::System { what: "ask on the terminal", source };
    write!(stderr, "{question} [y/N] ").map_err(failed)?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(failed)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The schedules of a flow as a table.
fn list(listed: &Value) -> String {
    let schedules = listed.get("schedules").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if schedules.is_empty() {
        return "no schedules\n".to_owned();
    }
    let rows = schedules.iter().map(|schedule| {
        let zone = schedule.get("time-zone").and_then(Value::as_str).map_or(String::new(), |zone| format!(" {zone}"));
        let next = schedule.pointer("/next/0").and_then(Value::as_u64);
        let is_paused = schedule.get("paused").and_then(Value::as_bool) == Some(true);
        let next = if is_paused { "paused".to_owned() } else { next.map_or_else(|| "never".to_owned(), moment) };
        let last = schedule.pointer("/past/0").map_or_else(String::new, |past| {
            let at = past.get("moment").and_then(Value::as_u64).unwrap_or_default();
            let said = [text(past, "fate"), text(past, "code"), text(past, "run")].map(str::to_owned);
            let said: Vec<String> = said.into_iter().filter(|word| !word.is_empty()).collect();
            format!("{} {}", moment(at), said.join(" "))
        });
        let policies = format!("{}, {}", text(schedule, "missed"), text(schedule, "overlap"));
        let when = format!("{}{zone}", text(schedule, "when"));
        [text(schedule, "name").to_owned(), when, policies, next, last].map(|cell| printable(&cell).to_string())
    });
    let head = ["NAME", "WHEN", "MISSED, OVERLAP", "NEXT", "LAST"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or_default()).collect();
    let mut table = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(table, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_listed_as_a_table() {
        let listed = json!({ "schedules": [
            { "name": "nightly", "when": "0 30 2 * * *", "time-zone": "Europe/Berlin", "missed": "one", "overlap": "skip",
              "paused": false, "next": [1_790_000_000_000_u64],
              "past": [{ "moment": 1_789_913_600_000_u64, "fate": "started", "run": "nightly-1" }] },
            { "name": "poll", "when": "every 10m", "missed": "skip", "overlap": "allow", "paused": true, "next": [],
              "past": [] },
        ] });
        let expected = "\
            NAME     WHEN                        MISSED, OVERLAP  NEXT                  LAST\n\
            nightly  0 30 2 * * * Europe/Berlin  one, skip        2026-09-21T14:13:20Z  2026-09-20T14:13:20Z started nightly-1\n\
            poll     every 10m                   skip, allow      paused\n";
        assert_eq!(list(&listed), expected);
        assert_eq!(list(&json!({ "schedules": [] })), "no schedules\n");
    }
}

//! `faas-flow schedules …`: looks at the schedules of a flow on a server, and changes them.

use super::client::{Client, Target, part};
use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, moment, parse_moment};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

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
    /// Resume a paused schedule; what it would have begun in the meantime is not made up for
    Resume(Of),
    /// Begin a run of a schedule now, also if it is paused
    Trigger(Of),
    /// Begin a run for each past moment of a schedule that has none
    ///
    /// A run has an id that is made of the schedule and the moment, so a backfill can be repeated: moments whose run is still stored are passed over. The runs begin at once, whatever the schedule says about overlap. Stop with Ctrl-C; the same command goes on later.
    Backfill {
        #[command(flatten)]
        of: Of,
        /// First moment, which is included, for example 2026-01-01T00:00:00Z
        #[arg(id = "first", value_name = "FROM", value_parser = read_moment)]
        from: Millis,
        /// End, which is not included, for example 2026-01-02T00:00:00Z; moments in the future begin no runs
        #[arg(id = "end", value_name = "TO", value_parser = read_moment)]
        to: Millis,
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
            What::Resume(of) => change(of, "resume", "goes on").await,
            What::Trigger(Of { name, target }) => {
                let client = Client::new(target)?;
                let run = client.post(&format!("schedules/{}/trigger", part(&name)), &[]).await?;
                client.done(&run, || format!("{}\n", printable(text(&run, "run"))))
            }
            What::Backfill { of: Of { name, target }, from, to } => backfill(target, &name, from, to).await,
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

/// Asks for one part after the other, until no moment is left.
async fn backfill(target: Target, name: &str, from: Millis, to: Millis) -> Result<ExitCode, Error> {
    let client = Client::new(target)?;
    let path = format!("schedules/{}/backfill", part(name));
    let (mut from, mut started, mut existed) = (Some(from), Vec::new(), 0);
    while let Some(at) = from {
        let done = client.post(&path, &[("from", at.to_string()), ("to", to.to_string())]).await?;
        started.extend(done.get("started").and_then(Value::as_array).cloned().unwrap_or_default());
        existed += done.get("existed").and_then(Value::as_u64).unwrap_or_default();
        from = done.get("next").and_then(Value::as_u64).filter(|next| *next > at);
        if let Some(next) = from {
            client.say(format!("{} runs have begun, {existed} existed; going on at {}", started.len(), moment(next)));
        }
    }
    client.done(&json!({ "started": started, "existed": existed }), || {
        format!("{} runs have begun, {existed} existed\n", started.len())
    })
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

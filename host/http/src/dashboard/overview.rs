//! What the first page says besides the flows: rates, who is waited for, what comes next, and limits. It is gathered once in a
//! while for all who look.

use super::Dashboard;
use super::node::{encoded, page_of};
use super::page::time;
use crate::Error;
use faas_flow_core::run::{Awaited, WaitView};
use faas_flow_core::{FlowName, Millis, NodePath, RunId, Status};
use faas_flow_graph::escaped;
use faas_flow_replica::{NamedLimits, limits_set};
use faas_flow_store::RunQuery;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long it is good for.
const GOOD_FOR: Duration = Duration::from_secs(5);
const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// How many of the latest runs are counted at most.
const COUNTED: usize = 1000;
/// How many of the runs in flight that started last are asked whom they wait for.
const ASKED: usize = 20;
/// How many of a kind are listed.
const LISTED: usize = 20;

/// How often a flow has run.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    hour: u32,
    hour_failed: u32,
    day: u32,
    day_failed: u32,
}

/// A node that waits for a signal.
struct Waiting {
    flow: FlowName,
    run: RunId,
    node: NodePath,
    signal: String,
    since: Millis,
}

/// What was gathered.
pub(super) struct Overview {
    rates: BTreeMap<FlowName, Rate>,
    /// The moment from which runs were counted, if those of the whole day were too many.
    counted_since: Option<Millis>,
    waiting: Vec<Waiting>,
    /// The next moments of schedules.
    next: Vec<(Millis, FlowName, String)>,
    limits: NamedLimits,
    now: Millis,
}

/// The latest overview.
#[derive(Default)]
pub(super) struct Latest(Mutex<Option<(Instant, Arc<Overview>)>>);

impl Dashboard {
    /// The overview, which may be some seconds old.
    pub(super) async fn overview(&self, flows: &BTreeSet<FlowName>) -> Result<Arc<Overview>, Error> {
        let mut latest = self.latest.0.lock().await;
        if let Some((at, overview)) = &*latest
            && at.elapsed() < GOOD_FOR
        {
            return Ok(overview.clone());
        }
        let overview = Arc::new(self.gather(flows).await?);
        *latest = Some((Instant::now(), overview.clone()));
        Ok(overview)
    }

    async fn gather(&self, flows: &BTreeSet<FlowName>) -> Result<Overview, Error> {
        let now = self.host.now();
        let day = RunQuery { since: Some(now.saturating_sub(DAY)), ..RunQuery::latest(COUNTED) };
        let runs = self.host.list(&day).await?;
        let counted_since = runs.next.as_ref().and_then(|_| runs.runs.last()).map(|run| run.started);
        let mut rates: BTreeMap<FlowName, Rate> = BTreeMap::new();
        for run in runs.runs.iter().filter(|run| run.started <= now) {
            let rate = rates.entry(run.flow.clone()).or_default();
            let failed = u32::from(run.status == Status::Failed);
            rate.day += 1;
            rate.day_failed += failed;
            if run.started + HOUR > now {
                rate.hour += 1;
                rate.hour_failed += failed;
            }
        }
        let mut waiting = Vec::new();
        let in_flight = RunQuery { status: Some(Status::Running), ..RunQuery::latest(ASKED) };
        for entry in self.host.list(&in_flight).await?.runs {
            let Some(view) = self.host.outline(&entry.run).await? else { continue };
            let nodes = view.nodes.into_iter().filter_map(|node| match node.waits_for {
                Some(WaitView { of: Awaited::Signal { signal }, since }) => {
                    Some((node.path, signal.to_string(), since))
                }
                _ => None,
            });
            waiting.extend(nodes.map(|(node, signal, since)| Waiting {
                flow: entry.flow.clone(),
                run: entry.run.clone(),
                node,
                signal,
                since,
            }));
        }
        let mut next = Vec::new();
        for flow in flows {
            let schedules = self.host.stored_schedules(flow).await?;
            let moments = schedules.into_iter().filter(|(_, kept)| !kept.paused);
            next.extend(moments.filter_map(|(name, kept)| Some((kept.next?, flow.clone(), name))));
        }
        next.sort();
        next.truncate(LISTED);
        waiting.sort_by_key(|waiting| waiting.since);
        waiting.truncate(LISTED);
        let limits = limits_set(self.host.state()).await?;
        Ok(Overview { rates, counted_since, waiting, next, limits, now })
    }
}

impl Overview {
    /// How often a flow has run, in words.
    pub fn rate(&self, flow: &FlowName) -> String {
        let Some(Rate { hour, hour_failed, day, day_failed }) = self.rates.get(flow) else { return String::new() };
        let words = |count: &u32, failed: &u32, since: Millis, word: &str| {
            let least = self.counted_since.is_some_and(|counted| counted > since);
            let failed = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
            format!("{}{count} in the last {word}{failed}", if least { "at least " } else { "" })
        };
        let hour = words(hour, hour_failed, self.now.saturating_sub(HOUR), "hour");
        let day = words(day, day_failed, self.now.saturating_sub(DAY), "day");
        format!("<p class=\"quiet rate\">{hour} · {day}</p>")
    }

    /// The rate as JSON.
    pub fn rate_json(&self, flow: &FlowName) -> Value {
        let Rate { hour, hour_failed, day, day_failed } = self.rates.get(flow).copied().unwrap_or_default();
        json!({ "hour": hour, "hour-failed": hour_failed, "day": day, "day-failed": day_failed })
    }

    /// The parts of the page that are about all flows; its links begin with `up`.
    pub fn html(&self, up: &str) -> String {
        let mut html = String::new();
        if !self.waiting.is_empty() {
            html.push_str("<h2>Waiting for a signal</h2>\n<ul class=\"waiting\">\n");
            for Waiting { flow, run, node, signal, since } in &self.waiting {
                let link = format!("{up}runs/{}", escaped(&page_of(run, node)));
                // Writing to a string cannot fail.
                let _ = writeln!(
                    html,
                    "<li id=\"waits:{link}\"><a href=\"{link}\"><code>{}</code> of {}</a> waits for signal <code>{}</code> since {} (<a href=\"{up}runs/{run}\">run</a>)</li>",
                    escaped(&node.to_string()),
                    escaped(flow.as_str()),
                    escaped(signal),
                    time(*since)
                );
            }
            html.push_str("</ul>\n");
        }
        if !self.next.is_empty() {
            html.push_str("<h2>Next by schedule</h2>\n<ul class=\"next\">\n");
            for (at, flow, name) in &self.next {
                let flow = escaped(flow.as_str());
                let _ = writeln!(
                    html,
                    "<li id=\"next:{flow}:{1}\">{0} <a href=\"{up}flows/{flow}\">{flow}</a>, {1}</li>",
                    time(*at),
                    escaped(name)
                );
            }
            html.push_str("</ul>\n");
        }
        if !self.limits.is_empty() {
            html.push_str("<h2>Limits that were set</h2>\n<ul class=\"limits\">\n");
            for (name, figures) in &self.limits {
                let _ = writeln!(html, "<li><code>{}</code>: {figures}</li>", escaped(name));
            }
            html.push_str("</ul>\n");
        }
        html
    }

    /// The same as JSON.
    pub fn json(&self, flows: &[Value]) -> Value {
        let waiting = self.waiting.iter().map(|waiting| {
            let Waiting { flow, run, node, signal, since } = waiting;
            json!({ "flow": flow, "run": run, "node": node, "signal": signal, "since": since, "page": format!("runs/{run}/node?node={}", encoded(&node.to_string())) })
        });
        let next = self.next.iter().map(|(at, flow, name)| json!({ "at": at, "flow": flow, "schedule": name }));
        json!({ "flows": flows, "waiting": waiting.collect::<Vec<_>>(), "next": next.collect::<Vec<_>>(), "limits": self.limits })
    }
}

//! What Prometheus gets, as a whole.

use super::*;
use faas_flow_core::NodePath;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[test]
fn counts_are_exposed_to_prometheus() {
    let counters = Counters::default();
    counters.event_accepted();
    for why in Ignored::ALL {
        counters.event_ignored(why);
    }
    counters.event_ignored(Ignored::Stale);
    for status in [200, 202, 404, 503, 99, 700] {
        counters.request(status);
    }
    counters.callback(Ok(()));
    counters.callback(Err(()));
    counters.run_ended(Status::Stopped);
    counters.run_ended(Status::Running);
    counters.executed(Executed::Suspended);
    counters.leases(Lease::Released, 3);
    counters.schedule_moments(Fate::Missed, 57);
    counters.schedule_lag(60_000);
    counters.schedule_lag(60_001);
    let figures = Figures { runs_live: 5, malformed_entries: 6, ..Figures::default() };
    let text = counters.expose(&figures, Exposition::Text, &[]);
    for line in [
        "# TYPE faas_flow_events_accepted_total counter",
        "faas_flow_events_accepted_total 1",
        "faas_flow_events_ignored_total{reason=\"unsigned\"} 1",
        "faas_flow_events_ignored_total{reason=\"stale\"} 2",
        "faas_flow_requests_total{status=\"2xx\"} 2",
        "faas_flow_requests_total{status=\"3xx\"} 0",
        "faas_flow_requests_total{status=\"5xx\"} 1",
        "faas_flow_callbacks_total{end=\"delivered\"} 1",
        "faas_flow_callbacks_total{end=\"failed\"} 1",
        "faas_flow_runs_ended_total{end=\"succeeded\"} 0",
        "faas_flow_runs_ended_total{end=\"stopped\"} 1",
        "faas_flow_nodes_executed_total{end=\"suspended\"} 1",
        "faas_flow_leases_total{end=\"released\"} 3",
        "faas_flow_store_calls_total{call=\"commit\"} 0",
        "faas_flow_schedule_moments_total{end=\"missed\"} 57",
        "faas_flow_schedule_moments_total{end=\"started\"} 0",
        "faas_flow_schedule_late_total 1",
        "faas_flow_schedule_lag_seconds_bucket{le=\"60\"} 1",
        "faas_flow_schedule_lag_seconds_count 2",
        "faas_flow_runs_live 5",
        "faas_flow_store_malformed_entries 6",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// Dashboards and alerts of users depend on these: the lines of a scrape without their values, sorted.
#[test]
fn names_types_labels_and_help_stay_as_they_are() {
    let text = all_metrics();
    let lines: BTreeSet<&str> =
        text.lines().map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 }).collect();
    insta::assert_snapshot!(lines.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The metrics of a replica on which everything has happened once.
fn all_metrics() -> String {
    let counters = Counters::default();
    let durations = counters.durations(&FlowName::new("greet").unwrap());
    let node = durations.node(&NodePath::parse("each[photo-1]/resize").unwrap());
    durations.run(Status::Succeeded, Duration::ZERO, None);
    durations.handled(Duration::ZERO);
    node.executed(Executed::Done, Duration::ZERO, None);
    node.called(CallEnd::Answered, Duration::ZERO, None);
    let figures = Figures {
        versions: vec![("greet".to_owned(), "0123456789ab".to_owned())],
        limits_waiting: BTreeMap::from([("mail".to_owned(), 3)]),
        stored: vec![("greet".to_owned(), Status::Running, 2)],
        ..Figures::default()
    };
    counters.expose(&figures, Exposition::Text, &[])
}

/// The names of labels that the series of a metric have, without that of buckets.
fn labels_of(text: &str, metric: &str) -> BTreeSet<String> {
    let series = text.lines().filter_map(|line| line.strip_prefix(metric)?.split_once('{'));
    let series = series.filter(|(suffix, _)| ["", "_bucket", "_sum", "_count"].contains(suffix));
    let labels = series.flat_map(|(_, labels)| labels.split(',').filter_map(|label| label.split_once("=\"")));
    labels.map(|(name, _)| name.to_owned()).filter(|name| name != "le").collect()
}

/// Each metric is in the tables of docs/metrics.md with its type and its labels, and each line of them is a metric.
#[test]
fn the_documentation_has_every_metric_and_no_other() {
    let text = all_metrics();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let is: BTreeSet<_> =
        types.map(|(name, kind)| (name.to_owned(), kind.to_owned(), labels_of(&text, name))).collect();
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `faas_flow_"));
    let said: BTreeSet<_> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let labels = cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), labels)
        })
        .collect();
    let only_in = |one: &BTreeSet<_>, other: &BTreeSet<_>| format!("{:#?}", one.difference(other).collect::<Vec<_>>());
    assert_eq!(is, said, "not documented: {}\nnot there: {}", only_in(&is, &said), only_in(&said, &is));
}

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn alerts_and_the_dashboard_use_only_metrics_that_there_are() {
    let text = all_metrics();
    let there_are: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    for path in ["deploy/chart/files/alerts.yaml", "deploy/chart/files/dashboard.json", "deploy/check/alerts-test.yaml"]
    {
        let file = read(path);
        let words = file.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let used: BTreeSet<&str> = words.filter(|word| word.starts_with("faas_flow_")).collect();
        assert!(used.len() > 20, "{path} uses {used:?}");
        let unknown: Vec<_> = used.difference(&there_are).collect();
        assert!(unknown.is_empty(), "{path} uses what is not there: {unknown:?}");
    }
}

#[test]
fn the_documentation_says_what_to_do_about_each_alert() {
    let alerts = read("deploy/chart/files/alerts.yaml");
    let is: BTreeSet<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let page = read("docs/metrics.md");
    let said: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let said: BTreeSet<_> = said.into_iter().filter(|name| name.starts_with("FaasFlow")).collect();
    assert!(is.len() > 10);
    assert_eq!(is, said);
}

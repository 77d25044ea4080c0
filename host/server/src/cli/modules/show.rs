//! The responses of a server as text.

use faas_flow_core::moment;
use serde_json::Value;
use std::fmt::Write as _;

/// The versions of a flow.
pub(super) fn list(listed: &Value) -> String {
    let mut text = format!("{:<12} {:<10} {:<20} {:>9}", "VERSION", "STATE", "ADDED", "SIZE");
    let versions = array(listed, "versions");
    let counted = versions.iter().any(|version| !version["runs-in-flight"].is_null());
    if counted {
        let _ = write!(text, " {:>6}", "RUNS");
    }
    text.push_str("  BY, MESSAGE\n");
    for version in versions {
        let size = format!("{} KiB", number(version, "size").div_ceil(1024));
        let added = moment(number(version, "at"));
        let _ = write!(text, "{:<12} {:<10} {added:<20} {size:>9}", short(version), word(version, "state"));
        if counted {
            let _ = write!(text, " {:>6}", number(version, "runs-in-flight"));
        }
        let _ = writeln!(text, "  {}", said(version));
    }
    if let Some(canary) = listed.get("canary") {
        let runs = &listed["canary-runs"];
        let _ = writeln!(
            text,
            "\ncanary {} gets {} of new runs: {} ended, {} failed; withdrawn if more than {} of the latest {} fail ({} of {} so far)",
            short(canary),
            share(canary, "share"),
            number(runs, "ended"),
            number(runs, "failed"),
            share(canary, "max-failures"),
            number(canary, "over"),
            number(runs, "last-failed"),
            number(runs, "last")
        );
    }
    if let Some(withdrawn) = listed.get("withdrawn") {
        let at = moment(number(withdrawn, "at"));
        let _ = writeln!(text, "\ncanary {} was withdrawn at {at}: {}", short(withdrawn), said(withdrawn));
    }
    let history = array(listed, "history");
    if history.len() > 1 {
        let _ = writeln!(text, "\n{:<12} {:<12} {:<20}  BY, MESSAGE", "ACTIVATED", "WHY", "SINCE");
        for activation in history.iter().take(10) {
            let since = moment(number(activation, "at"));
            let _ = writeln!(
                text,
                "{:<12} {:<12} {since:<20}  {}",
                short(activation),
                word(activation, "why"),
                said(activation)
            );
        }
    }
    text
}

/// One version.
pub(super) fn version(version: &Value) -> String {
    let mut text = format!("digest     {}\nsize       {} bytes\n", word(version, "digest"), number(version, "size"));
    let _ = writeln!(text, "contract   faas-flow:flow@{}", word(version, "wit"));
    let _ = writeln!(text, "added      {}, {}", moment(number(version, "at")), word(version, "origin"));
    let _ = writeln!(text, "by         {}", said(version));
    let signed = if version["signature"].is_null() { "no" } else { "yes" };
    let _ = writeln!(text, "signed     {signed}");
    if !version["removed"].is_null() {
        let _ = writeln!(text, "removed    {}", moment(number(version, "removed")));
    }
    text
}

/// The result of a push.
pub(super) fn pushed(pushed: &Value) -> String {
    let version = short(&pushed["version"]);
    if pushed["known"] == true { format!("{version} was already stored\n") } else { format!("{version} is stored\n") }
}

/// The active version after a change.
pub(super) fn activated(active: &Value) -> String {
    let now = &active["active"];
    let mut text = format!("{} is active (revision {})\n", short(now), number(active, "revision"));
    if let Some(canary) = active.get("canary") {
        let _ = writeln!(text, "{} gets {} of new runs", short(canary), share(canary, "share"));
    }
    text
}

/// The result of a garbage collection; `removed` says what became of the versions that are not needed.
pub(super) fn collected(collected: &Value, removed: &str) -> String {
    let mut text = String::new();
    for digest in array(collected, "removed") {
        let digest = digest.as_str().and_then(|digest| digest.get(..12)).unwrap_or_default();
        let _ = writeln!(text, "{digest:<12} {removed}");
    }
    for (digest, why) in collected["kept"].as_object().into_iter().flatten() {
        let _ =
            writeln!(text, "{:<12} kept: {}", digest.get(..12).unwrap_or_default(), why.as_str().unwrap_or_default());
    }
    text
}

/// The runs in flight, by what a new version means for them.
pub(in super::super) fn runs(planned: &Value) -> String {
    let mut text = String::new();
    for (name, what) in [
        ("unaffected", "unaffected: the rest of their graph is the same"),
        ("pinned", "pinned to their version, on which they finish, although the rest of their graph has changed"),
        ("missing", "waiting for a missing version"),
        ("unloadable", "of a version that is stored but cannot be loaded"),
    ] {
        if name == "unloadable" && array(&planned["runs"], name).is_empty() {
            continue;
        }
        let runs = array(&planned["runs"], name);
        let _ = writeln!(text, "{:>5} {} {what}", runs.len(), if runs.len() == 1 { "run " } else { "runs" });
        let shown: Vec<&str> = runs.iter().take(5).filter_map(Value::as_str).collect();
        if !shown.is_empty() {
            let more = if runs.len() > shown.len() { ", …" } else { "" };
            let _ = writeln!(text, "           {}{more}", shown.join(", "));
        }
    }
    for (version, why) in planned["unloadable"].as_object().into_iter().flatten() {
        let version = version.get(..12).unwrap_or_default();
        let why = why.as_str().unwrap_or_default();
        let _ = writeln!(text, "           {version}: {why}");
    }
    match number(planned, "more-runs") {
        0 => text,
        1 => text + "    1 more run was not examined\n",
        more => text + &format!("{more:>5} more runs were not examined\n"),
    }
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

fn short(value: &Value) -> &str {
    word(value, "digest").get(..12).unwrap_or_default()
}

/// Who made a change, and why.
fn said(value: &Value) -> String {
    match word(value, "message") {
        "" => word(value, "who").to_owned(),
        message => format!("{}: {message}", word(value, "who")),
    }
}

/// A share, which is transmitted in hundredths of a percent.
fn share(value: &Value, name: &str) -> String {
    let hundredths = number(value, name);
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

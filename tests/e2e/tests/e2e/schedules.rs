//! Schedules, on real servers.

use axum::Router;
use faas_flow_core::{Millis, moment};
use faas_flow_e2e::command::run;
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server, metric};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::module;
use faas_flow_test_support::{double, servers};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::SystemTime;
use tempfile::TempDir;

fn schedules(server: &Server, arguments: &[&str], flow: &str) -> Value {
    let to = server.url(&format!("/function/{flow}"));
    run(&root(), [&["schedules"], arguments, &["--to", &to, "--json"]].concat()).json()
}

/// The ids of the runs of a flow, as the server lists them.
async fn runs(server: &Server, flow: &str) -> BTreeSet<String> {
    let request = server.client.get(server.url(&format!("/function/{flow}/flow?limit=1000")));
    let listed: Value =
        serde_json::from_str(&server.send(request.header("Accept", "application/json")).await.ok()).unwrap();
    let runs = listed["runs"].as_array().unwrap_or_else(|| panic!("{listed}"));
    runs.iter().map(|run| run["request_id"].as_str().unwrap().to_owned()).collect()
}

fn now() -> Millis {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as Millis
}

/// The seconds of moments in the ids of runs: `tick-20261130T100000Z-…`.
fn second(run: &str) -> Millis {
    let at = run.split('-').nth(1).unwrap();
    let text = format!("{}-{}-{}T{}:{}:{}Z", &at[..4], &at[4..6], &at[6..8], &at[9..11], &at[11..13], &at[13..15]);
    faas_flow_core::parse_moment(&text).unwrap() / 1000
}

/// SCHED-1, SCHED-4: two replicas share Redis; one is lost, and another one comes.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_begin_one_run_for_each_second_while_one_is_lost() {
    let redis = servers::redis(&["--appendonly", "yes"]);
    let folder = TempDir::new().unwrap();
    let replica = || {
        let serve = Serve::flows(&["greet"]).with("--state", &format!("redis://127.0.0.1:{}", redis.port()));
        let serve = serve.with("--lease", "1s");
        serve.with("--schedule", "tick=every 1s; overlap=allow; input=Ada").start_in(folder.path())
    };
    let (first, second_replica) = (replica(), replica());
    until("some runs have begun", async || runs(&first, "greet").await.len() >= 4).await;
    second_replica.kill();
    let before = runs(&first, "greet").await.len();
    let third = replica();
    until("runs begin without the lost replica", async || runs(&third, "greet").await.len() >= before + 4).await;
    first.kill();
    let before = runs(&third, "greet").await.len();
    until("the third goes on", async || runs(&third, "greet").await.len() >= before + 3).await;
    // A moment whose replica was lost comes late, but it comes.
    let complete = async || {
        let seconds: Vec<Millis> = runs(&third, "greet").await.iter().map(|run| second(run)).collect();
        let last = seconds.last().copied().unwrap();
        let until = seconds.iter().copied().filter(|second| *second <= last - 6).count() as Millis;
        until == last - 6 - seconds[0] + 1
    };
    until("no second is left out", complete).await;
    let past = schedules(&third, &["list"], "greet")["schedules"][0].clone();
    let run = past["past"].as_array().unwrap().iter().find(|past| past["fate"] == "started").unwrap()["run"].clone();
    assert_eq!(third.result_of("greet", run.as_str().unwrap()).await.ok(), "Hello, Ada!");
}

fn import(schedule: &str) -> Serve {
    let program = |name: &str| root().join("examples/nightly-import/functions").join(name).display().to_string();
    let serve = Serve::flows(&["nightly-import"]).function("fetch-day", program("fetch-day.sh"));
    let serve = serve.function("import-rows", program("import-rows.sh"));
    if schedule.is_empty() { serve } else { serve.with("--schedule", schedule) }
}

const IMPORT: &str = "nightly-import";

/// SCHED-8, SCHED-10: the flow's own schedule, and one of the configuration in its place.
#[tokio::test]
async fn a_run_of_a_schedule_finds_its_moment_in_its_request() {
    let server = import("").start();
    let listed = schedules(&server, &["list"], IMPORT)["schedules"][0].clone();
    assert_eq!(
        (&listed["name"], &listed["when"], &listed["time-zone"], &listed["missed"], &listed["overlap"]),
        (&json!("nightly"), &json!("0 30 2 * * *"), &json!("Europe/Berlin"), &json!("one"), &json!("queue"))
    );
    assert_eq!(listed["next"].as_array().unwrap().len(), 5);

    let server = import("nightly=every 1s").start();
    let fired = async || {
        let past = schedules(&server, &["list"], IMPORT)["schedules"][0]["past"].clone();
        past.as_array().unwrap().iter().find(|past| past["fate"] == "started").cloned()
    };
    until("the schedule fires", async || fired().await.is_some()).await;
    let past = fired().await.unwrap();
    let (run, at) = (past["run"].as_str().unwrap(), moment(past["moment"].as_u64().unwrap()));
    assert!(run.starts_with(&format!("nightly-{}-", at.replace(['-', ':'], ""))), "{run} at {at}");
    let day = at.split('T').next().unwrap();
    assert_eq!(server.result_of(IMPORT, run).await.ok(), format!("imported 3 rows of {day}\n"));
    let page = server.get(&format!("/dashboard/flows/{IMPORT}")).await.ok();
    assert!(page.contains("<h2>Schedules</h2>") && page.contains("every 1s"), "{page}");

    let server = import("nightly=off").start();
    assert_eq!(schedules(&server, &["list"], IMPORT)["schedules"], json!([]));
}

/// SCHED-7, SCHED-8: a pause outlives the server.
#[tokio::test]
async fn a_paused_schedule_stays_paused_until_it_is_resumed() {
    let folder = TempDir::new().unwrap();
    let server = import("nightly=every 1s").start_in(folder.path());
    assert_eq!(schedules(&server, &["pause", "nightly"], IMPORT)["paused"], true);
    until("no run is being begun", async || {
        let before = runs(&server, IMPORT).await;
        let later = now() + 2500;
        until("two moments pass", async || now() > later).await;
        runs(&server, IMPORT).await == before
    })
    .await;
    server.kill();
    let server = import("nightly=every 2s").start_in(folder.path());
    assert_eq!(schedules(&server, &["list"], IMPORT)["schedules"][0]["paused"], true);
    let before = runs(&server, IMPORT).await.len();
    assert_eq!(schedules(&server, &["resume", "nightly"], IMPORT)["paused"], false);
    until("it fires again", async || runs(&server, IMPORT).await.len() > before).await;
}

/// SCHED-11.
#[tokio::test]
async fn runs_are_begun_by_hand_and_for_past_moments_once() {
    let server = import("").start();
    schedules(&server, &["pause", "nightly"], IMPORT);
    let run = schedules(&server, &["trigger", "nightly"], IMPORT)["run"].clone();
    let today = moment(now()).split('T').next().unwrap().to_owned();
    assert_eq!(server.result_of(IMPORT, run.as_str().unwrap()).await.ok(), format!("imported 3 rows of {today}\n"));
    let range = ["backfill", "nightly", "2026-03-01T00:00:00Z", "2026-07-01T00:00:00Z"];
    let planned = schedules(&server, &[&range[..], &["--dry-run"]].concat(), IMPORT);
    let first = faas_flow_core::parse_moment("2026-03-01T01:30:00Z").unwrap();
    assert_eq!((&planned["moments"], &planned["first"], &planned["more"]), (&json!(122), &json!(first), &json!(false)));
    let text = run_text(&server, &range);
    text.failed("FF0412", &["122 moments, from 2026-03-01T01:30:00Z to 2026-06-30T00:30:00Z", "--yes"]);
    assert_eq!(runs(&server, IMPORT).await.len(), 1, "nothing has begun");
    let range = [&range[..], &["--yes"]].concat();
    let done = schedules(&server, &range, IMPORT);
    let started = done["started"].as_array().unwrap();
    assert_eq!((started.len(), &done["existed"]), (122, &json!(0)), "more than one part");
    let march = started[0].as_str().unwrap();
    assert!(march.starts_with("nightly-20260301T013000Z-"), "{march}");
    assert!(started[28].as_str().unwrap().starts_with("nightly-20260329T010000Z-"), "behind the gap: {}", started[28]);
    assert_eq!(server.result_of(IMPORT, march).await.ok(), "imported 3 rows of 2026-03-01\n");
    assert_eq!(schedules(&server, &range, IMPORT), json!({ "started": [], "existed": 122 }));
    let text = |arguments: &[&str]| run_text(&server, arguments);
    assert_eq!(text(&range).ok(), "0 runs have begun, 122 existed\n");
    let future = ["backfill", "nightly", "2999-01-01T00:00:00Z", "2999-02-01T00:00:00Z"];
    assert_eq!(text(&future).ok(), "0 runs have begun, 0 existed\n");
    let after_the_calendar = ["backfill", "nightly", "9999-12-30T00:00:00Z", "9999-12-31T00:00:00Z"];
    assert_eq!(text(&after_the_calendar).ok(), "0 runs have begun, 0 existed\n");
    text(&["backfill", "nightly", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"])
        .failed("FF0217", &["later than `from`"]);
    text(&["trigger", "nigthly"]).failed("FF0280", &["no schedule `nigthly`", "it has nightly"]);
    let table = text(&["list"]).ok();
    assert!(table.contains("nightly  0 30 2 * * * Europe/Berlin  one, queue       paused"), "{table}");
}

fn run_text(server: &Server, arguments: &[&str]) -> faas_flow_e2e::command::Done {
    let to = server.url(&format!("/function/{IMPORT}"));
    run(&root(), [&["schedules"], arguments, &["--to", &to]].concat())
}

/// SCHED-6: runs that do not end, since their function does not answer.
#[tokio::test]
async fn a_run_that_has_not_ended_is_stopped_or_stands_in_the_way_as_the_policy_says() {
    let never = Router::new().fallback(async || std::future::pending::<String>().await);
    let never = double::serve(never).await;
    let slow = |overlap: &str| {
        let serve = Serve::flows(&[IMPORT]).function("fetch-day", &never).function("import-rows", "echo");
        serve.with("--schedule", &format!("nightly=every 1s; overlap={overlap}")).with("--lease", "1s").start()
    };
    let fates = |server: &Server| {
        let schedule = schedules(server, &["list"], IMPORT)["schedules"][0].clone();
        let fates = schedule["past"].as_array().unwrap().iter().map(|past| past["fate"].as_str().unwrap().to_owned());
        (fates.collect::<Vec<_>>(), schedule)
    };
    let server = slow("skip");
    until("moments are skipped", async || fates(&server).0.iter().filter(|fate| *fate == "skipped").count() > 1).await;
    assert_eq!(runs(&server, IMPORT).await.len(), 1);

    let server = slow("queue");
    until("moments wait", async || fates(&server).1["waiting"].as_array().is_some_and(|waiting| waiting.len() > 1))
        .await;
    let first = runs(&server, IMPORT).await;
    assert_eq!(first.len(), 1);
    let first = first.into_iter().next().unwrap();
    run(&root(), ["requests", "stop", &first, "--to", &server.url("")]).ok();
    until("the next one begins", async || runs(&server, IMPORT).await.len() > 1).await;

    let server = slow("replace");
    until("runs are replaced", async || fates(&server).0.len() > 2).await;
    let oldest = runs(&server, IMPORT).await.into_iter().next().unwrap();
    assert_eq!(server.shown(&oldest)["status"], "stopped");
}

/// SCHED-11: the runs do not end, since their function does not answer.
#[tokio::test]
async fn only_so_many_runs_of_a_backfill_go_on_at_once() {
    let never = Router::new().fallback(async || std::future::pending::<String>().await);
    let never = double::serve(never).await;
    let server = Serve::flows(&[IMPORT]).function("fetch-day", &never).function("import-rows", "echo").start();
    schedules(&server, &["pause", "nightly"], IMPORT);
    let backfill = async |query: &str| {
        let range = "from=2026-03-01T00:00:00Z&to=2026-07-01T00:00:00Z";
        let path = format!("/function/{IMPORT}/schedules/nightly/backfill?{range}{query}");
        server.post(&path, "").await
    };
    let json = |answer: faas_flow_e2e::server::Answer| serde_json::from_str::<Value>(&answer.ok()).unwrap();
    let first = json(backfill("&at-once=3").await);
    assert_eq!((first["started"].as_array().unwrap().len(), &first["running"]), (3, &json!(3)), "{first}");
    let next = json(backfill("&at-once=3").await);
    assert_eq!(
        (next["started"].as_array().unwrap().len(), &next["existed"], &next["running"]),
        (0, &json!(3), &json!(3))
    );
    assert_eq!(next["next"], first["next"]);
    // Unless it says otherwise, ten.
    assert_eq!(json(backfill("").await)["running"], 10);
    let stopped = first["started"][0].as_str().unwrap();
    run(&root(), ["requests", "stop", stopped, "--to", &server.url("")]).ok();
    let again = json(backfill("").await);
    assert_eq!((again["started"].as_array().unwrap().len(), &again["running"]), (1, &json!(10)), "{again}");
    for wrong in ["&limit=0", "&limit=101", "&at-once=0", "&at-once=101", "&at-once=many"] {
        backfill(wrong).await.failed(400, "FF0217");
    }
}

/// What schedules do is a line of the log, and counted.
#[tokio::test]
async fn moments_are_logged_and_counted() {
    let server = import("nightly=every 1s").start();
    until("it fires", async || metric(&server, "faas_flow_schedule_lag_seconds_count").await > 0).await;
    assert!(metric(&server, "faas_flow_schedule_moments_total{end=\"started\"}").await > 0);
    assert_eq!(metric(&server, "faas_flow_schedule_late_total").await, 0);
    server.until_logged("schedule: fired flow=nightly-import schedule=").await;
    let log = server.log();
    let line = log.lines().find(|line| line.contains("schedule: fired")).unwrap();
    assert!(line.contains("run=nightly-20") && line.contains("moment=") && line.contains("late_ms="), "{line}");
}

#[tokio::test]
async fn a_server_warns_of_schedules_that_concern_nothing_and_names_the_flow_that_it_lacks() {
    let serve = import("imprt/nightly=@daily").with("--schedule", "nigthly=off");
    let server = serve.start();
    for says in ["warning: the schedule `imprt/nightly` is ignored", "warning: `nigthly=off` switches nothing off"] {
        server.until_logged(says).await;
    }
    let list = |to: &str| run(&root(), ["schedules", "list", "--to", &server.url(to)]);
    list("/function/other").failed("FF0214", &["no flow", "`other`"]);
    list("").failed("FF0214", &["there is no flow", "/function/greet"]);
}

/// The buttons of the dashboard do what the command does.
#[tokio::test]
async fn schedules_are_paused_resumed_and_triggered_on_the_dashboard() {
    let server = import("").start();
    let path = format!("/dashboard/flows/{IMPORT}");
    until("the schedule is stored", async || server.get(&path).await.ok().contains("Pause schedule nightly")).await;
    let page = server.get(&path).await.ok();
    let ticket = page.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let press = async |button: &str, ticket: &str| {
        let form = format!("ticket={ticket}&reason=to+{button}+it");
        server.post(&format!("{path}/schedules/nightly/{button}"), form).await
    };
    press("pause", "").await.failed(401, "FF0502");
    server.get(&format!("{path}/schedules/nightly/pause")).await.failed(405, "FF0509");
    assert!(press("pause", &ticket).await.ok().contains("Resume schedule nightly"));
    assert_eq!(schedules(&server, &["list"], IMPORT)["schedules"][0]["paused"], true);
    assert!(press("resume", &ticket).await.ok().contains("Pause schedule nightly"));
    assert_eq!(schedules(&server, &["list"], IMPORT)["schedules"][0]["paused"], false);
    let run = press("trigger", &ticket).await.ok();
    assert!(run.contains("<h2>Timeline</h2>"), "the browser is led to the run: {run}");
    assert_eq!(runs(&server, IMPORT).await.len(), 1);
    assert!(page.contains("form=\"schedules\"") && page.contains("name=\"reason\""), "{page}");
    let audit = server.get("/dashboard/audit").await.ok();
    for reason in ["to pause it", "to resume it", "to trigger it"] {
        assert!(audit.contains(reason), "{reason}: {audit}");
    }
    let unknown = server.post(&format!("{path}/schedules/none/pause"), format!("ticket={ticket}")).await;
    unknown.failed(404, "FF0280");
}

/// SCHED-13.
#[tokio::test]
async fn a_malformed_schedule_stops_the_server_and_check_lists_schedules() {
    let folder = TempDir::new().unwrap();
    let module = module("nightly-import");
    let module = module.to_str().unwrap();
    for (schedule, says) in [
        ("nightly=0 0 30 2 *", "never fires"),
        ("nightly=@daily; time-zone=Europe/Berlni", "did you mean `Europe/Berlin`?"),
        ("nightly=soon", "cron expression"),
        ("nightly", "has no `=`"),
        ("nightly=MON * * * *", "`MON` is no minute"),
        ("nightly=@daily; content-type=text/plain", "no `input`"),
    ] {
        let refused = run(folder.path(), ["serve", module, "--schedule", schedule]);
        assert!(refused.stderr.contains(says), "{schedule}: {}", refused.stderr);
    }
    let text = run(folder.path(), ["check", module]).ok();
    assert!(text.contains("schedule  nightly: 0 30 2 * * * Europe/Berlin; next 20"), "{text}");
    let json = run(folder.path(), ["check", "--json", module]).json();
    assert_eq!(json["schedules"][0]["next"].as_array().unwrap().len(), 5);
}

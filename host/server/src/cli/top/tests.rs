//! What is drawn, and what keys do.

use super::app::{App, Prompt, Wish};
use super::frame;
use super::source::{Found, what_it_does};
use faas_flow_core::RunId;
use faas_flow_core::run::RunView;
use faas_flow_http::ListedRun;
use faas_flow_http::remote::Action;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

const NOW: u64 = 1_764_011_100_000;

fn area(width: u16, height: u16) -> Rect {
    Rect { x: 0, y: 0, width, height }
}

fn listed(id: &str, flow: &str, status: &str, started: u64, ended: Option<u64>) -> ListedRun {
    let ended = ended.map(|ended| NOW - ended);
    let run = json!({
        "request_id": id, "flow": flow, "digest": "0".repeat(64), "status": status, "started": NOW - started, "ended": ended,
    });
    serde_json::from_value(run).unwrap()
}

fn view(status: &str) -> RunView {
    let failure = json!({ "code": "FF0207", "message": "out of\n\u{1b}[2Jpaper", "retry": true });
    let node = |path: &str, progress: &str, since: u64, attempts: Value| {
        json!({ "path": path, "progress": progress, "started": NOW - 5_000, "since": NOW - since, "input_size": 3,
            "output_size": null, "attempts": attempts })
    };
    let failed = json!([{ "started": NOW - 5_000, "ended": NOW - 4_000, "failure": failure, "next": NOW - 3_000 }]);
    let nodes = [
        node("count", "done", 4_750, json!([])),
        node("F", "branching", 4_000, json!([])),
        node("F[1]/print", "running", 3_000, failed),
        node("F[2]/print", "running", 3_000, json!([])),
    ];
    let run = json!({
        "request_id": "order-7", "flow": "shop", "digest": "0".repeat(64), "status": status, "labels": { "order": "7" },
        "started": NOW - 5_000, "ended": null, "result_size": null, "failure": null, "nodes": nodes,
    });
    serde_json::from_value(run).unwrap()
}

fn app() -> App {
    let mut app = App::new(Some("http://user:secret@127.0.0.1:8080".to_owned()), Duration::from_secs(2), None);
    let runs = vec![
        listed("order-7", "shop", "running", 5_000, None),
        listed("1jark0m8odc2tv7qjueqtcohnsp50k3r8", "greet", "succeeded", 20_000, Some(19_750)),
        listed("order-6", "shop", "failed", 30_000, Some(10_000)),
        listed("order-5", "shop", "paused", 4_000_000, None),
    ];
    let doing = HashMap::from([(RunId::new("order-7").unwrap(), what_it_does(&view("running")))]);
    app.found_at(Found { runs, doing, open: None }, NOW);
    app
}

fn press(app: &mut App, key: KeyCode) -> Option<Wish> {
    app.key(KeyEvent::new(key, KeyModifiers::NONE))
}

fn opened() -> App {
    let mut app = app();
    assert!(matches!(press(&mut app, KeyCode::Enter), Some(Wish::Look)));
    assert_eq!(app.wanted().open, RunId::new("order-7").ok());
    app.found_at(Found { open: Some(view("running")), ..Found::default() }, NOW);
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Down);
    app
}

#[test]
fn flows_and_their_runs_are_drawn() {
    insta::assert_snapshot!("runs-80x24", frame(&mut app(), area(80, 24)));
    insta::assert_snapshot!("runs-40x12", frame(&mut app(), area(40, 12)));
}

#[test]
fn a_run_is_drawn_with_its_nodes_and_what_has_happened_to_the_selected_one() {
    insta::assert_snapshot!("run-80x24", frame(&mut opened(), area(80, 24)));
    insta::assert_snapshot!("run-40x12", frame(&mut opened(), area(40, 12)));
}

#[test]
fn any_size_can_be_drawn_and_nothing_controls_the_terminal() {
    for (width, height) in [(0, 0), (1, 1), (5, 3), (40, 2), (200, 60)] {
        for mut app in [app(), opened(), App::new(None, Duration::from_secs(2), None)] {
            let drawn = frame(&mut app, area(width, height));
            assert!(!drawn.contains(|c: char| c != '\n' && faas_flow_core::text::is_control(c)), "{drawn:?}");
            assert!(!drawn.contains("secret"), "{drawn}");
        }
    }
}

#[test]
fn a_filter_leaves_the_runs_with_all_of_its_words() {
    let mut app = app();
    press(&mut app, KeyCode::Char('/'));
    "SHOP fail".chars().for_each(|typed| drop(press(&mut app, KeyCode::Char(typed))));
    let shown = |app: &App| app.listed().iter().map(|run| run.request_id.to_string()).collect::<Vec<_>>();
    assert_eq!((shown(&app), &app.prompt), (vec!["order-6".to_owned()], &Prompt::Filter));
    press(&mut app, KeyCode::Enter);
    assert_eq!((shown(&app).len(), &app.prompt), (1, &Prompt::Keys));
    press(&mut app, KeyCode::Esc);
    assert_eq!(shown(&app).len(), 4);
}

#[test]
fn the_selected_run_stays_selected_when_others_come() {
    let mut app = app();
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Down);
    let mut runs: Vec<ListedRun> = app.listed().into_iter().cloned().collect();
    runs.insert(0, listed("order-8", "shop", "running", 0, None));
    app.found_at(Found { runs, ..Found::default() }, NOW + 1);
    assert_eq!(app.position(), 3);
    match press(&mut app, KeyCode::Char('p')) {
        Some(Wish::Change(run, Action::Pause)) => assert_eq!(run.as_str(), "order-6"),
        _ => panic!("it is paused"),
    }
}

#[test]
fn a_run_is_stopped_only_by_those_who_say_so_twice() {
    let mut app = app();
    assert!(press(&mut app, KeyCode::Char('s')).is_none());
    assert!(frame(&mut app, area(80, 24)).ends_with("stop run order-7 for good? y or n\n"));
    assert!(press(&mut app, KeyCode::Enter).is_none());
    assert!(press(&mut app, KeyCode::Char('y')).is_none(), "nobody is asked any more");
    press(&mut app, KeyCode::Char('s'));
    assert!(matches!(press(&mut app, KeyCode::Char('y')), Some(Wish::Change(_, Action::Stop))));
}

#[test]
fn what_runs_are_doing_is_looked_up_for_those_on_the_screen() {
    let mut app = app();
    assert!(app.wanted().seen.is_empty(), "nothing has been drawn");
    frame(&mut app, area(80, 24));
    let seen: Vec<String> = app.wanted().seen.iter().map(ToString::to_string).collect();
    assert_eq!(seen, ["order-7", "order-5"]);
}

#[test]
fn control_c_and_q_quit() {
    assert!(matches!(press(&mut app(), KeyCode::Char('q')), Some(Wish::Quit)));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(matches!(opened().key(interrupt), Some(Wish::Quit)));
}

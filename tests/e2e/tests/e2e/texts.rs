//! Texts of flows and callers: how much of them is kept, and that none forges a line or controls a terminal.

use faas_flow_e2e::command::run;
use faas_flow_e2e::server::Serve;
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::module;
use tempfile::TempDir;

/// Clears the screen, begins a line, and turns the direction of writing round.
const NASTY: &str = "bad\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{9b}31m\u{7f}\u{202e}end";

fn controls(text: &str) -> bool {
    text.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}')
}

#[tokio::test]
async fn a_failure_text_of_30_mib_is_cut_off_and_says_how_long_it_was() {
    let server = Serve::flows(&["fixture"]).start();
    let text = "é".repeat(15 << 20);
    let answer = server.result("fixture?case=reject-with-input", text).await;
    let id = answer.id.clone().unwrap();
    let body = answer.failed(422, "FF0012");
    assert!(body.len() < 9000 && body.contains("(cut off; it has 31457280 bytes)"), "{}", body.len());
    let page = server.get(&format!("/dashboard/runs/{id}")).await.ok();
    assert!(page.len() < 60_000, "the page has {} bytes", page.len());
    assert!(server.log().len() < 60_000);
}

#[tokio::test]
async fn a_failure_text_controls_neither_terminal_nor_log_nor_page() {
    let server = Serve::flows(&["fixture"]).flag("--watch").start();
    let answer = server.result("fixture?case=reject-with-input", NASTY).await;
    let id = answer.id.clone().unwrap();
    let body = answer.failed(422, "FF0012");
    assert!(!controls(&body) && body.contains(r"\u{1b}[2J"), "{body:?}");
    let page = server.get(&format!("/dashboard/runs/{id}")).await.ok();
    assert!(!controls(&page) && page.contains(r"\u{202e}end"), "{page}");
    let shown = run(server.folder(), ["requests", "show", &id]).ok();
    assert!(!controls(&shown) && shown.contains("bad\n            2026"), "{shown:?}");
    until("it is logged", async || server.log().contains("forged")).await;
    let log = server.log();
    assert!(!controls(&log) && !log.lines().any(|line| line.starts_with("2026-01-01")), "{log:?}");
}

#[test]
fn the_command_line_shows_no_control_characters_of_a_flow() {
    let folder = TempDir::new().unwrap();
    let module = module("fixture");
    for case in ["case=reject-with-input", "case=log-input"] {
        let arguments = ["run", module.to_str().unwrap(), "--query", case, "--data", NASTY];
        let done = run(folder.path(), arguments);
        assert!(done.stderr.contains("forged") && !controls(&done.stderr), "{:?}", done.stderr);
        assert!(!done.stderr.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR")), "{}", done.stderr);
    }
}

#[tokio::test]
async fn a_flow_that_logs_without_end_is_limited_and_the_log_says_how_much_was_dropped() {
    let server = Serve::flows(&["fixture"]).with("--flow-log-lines", "1000000").start();
    let line = "x".repeat(4000);
    server.result("fixture?case=log-input", line.clone()).await.ok();
    // 1 MiB has room for 262 lines. What was dropped is told once a second, and at the end.
    let dropped = |log: String| {
        log.lines().filter_map(|line| line.split_once("dropped=")?.1.parse::<usize>().ok()).sum::<usize>()
    };
    until("it says what was dropped", async || dropped(server.log()) == 5000_usize - 262).await;
    assert_eq!(server.log().matches(&line).count(), 262);
}

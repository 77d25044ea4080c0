use super::board::{Board, Screen};
use super::*;
use faas_flow_core::{Code, Failure, NodePath, RunId, Status};

const WIDE: Screen = Screen { width: 100, height: 40, colours: false };

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

fn of(run: &str, step: Step) -> Progress {
    Progress { run: RunId::new(run).unwrap(), step }
}

fn running(node: &str) -> Progress {
    of("one", Step::Running(path(node)))
}

fn done(node: &str) -> Progress {
    of("one", Step::Done { path: path(node), micros: 1500, size: 7 })
}

fn failed(node: &str, message: &str) -> Progress {
    of("one", Step::Failed { path: path(node), failure: Failure::reject(Code::GUEST_REJECTED, message) })
}

fn board(events: &[Progress], screen: Screen) -> (Board, String) {
    let (mut board, mut said) = (Board::default(), String::new());
    for event in events {
        board.note(event, screen, &mut said);
    }
    (board, said)
}

#[test]
fn a_node_lights_up_in_its_own_row() {
    let (board, said) = board(&[of("one", Step::Started), running("a"), running("C[x]/b"), done("a")], WIDE);
    assert_eq!(said, "one\n");
    let rows = board.rows(WIDE);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].starts_with("  a ") && rows[0].ends_with("● done   1.5 ms  7 bytes"), "{rows:?}");
    assert!(rows[1].starts_with("  C[x]/b ") && rows[1].ends_with("● running"), "{rows:?}");
}

#[test]
fn the_end_leaves_the_rows_and_makes_room_for_the_next_run() {
    let (mut board, mut said) = board(&[running("a"), done("a"), of("one", Step::Ended(Status::Succeeded))], WIDE);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.ends_with("\n  succeeded\n") && board.rows(WIDE).is_empty(), "{said}");
    board.note(&of("two", Step::Started), WIDE, &mut said);
    assert!(said.ends_with("two\n"), "{said}");
}

#[test]
fn other_runs_go_by_as_lines() {
    let (board, said) = board(&[running("a"), of("two", Step::Running(path("b")))], WIDE);
    assert_eq!(said, "one\ntwo b running\n");
    assert_eq!(board.rows(WIDE).len(), 1);
}

#[test]
fn rows_fit_any_screen() {
    let long = format!("{}/n", ["C[a-long-key-of-a-branch]"; 12].join("/"));
    let events: Vec<Progress> = (0..30)
        .map(|n| running(&format!("n{n}")))
        .chain([running(&long), failed(&long, &"漢字 are wide, and this goes on ".repeat(9))])
        .collect();
    for width in 0..120 {
        for height in [0, 1, 2, 3, 10, 17, 18, 40] {
            let screen = Screen { width, height, colours: false };
            let (board, _) = board(&events, screen);
            let rows = board.rows(screen);
            assert!(rows.len() <= height.saturating_sub(1), "{} rows at {screen:?}", rows.len());
            for row in &rows {
                let columns = unicode_width::UnicodeWidthStr::width(row.as_str());
                assert!(columns <= width, "{columns} columns at {screen:?}: {row}");
            }
            if height >= 3 && width >= 20 {
                assert!(rows[0].starts_with("  … ") && rows[0].ends_with(" more"), "{rows:?}");
                assert!(rows[rows.len() - 1].contains("/n "), "the end of a path says which node it is: {rows:?}");
            }
        }
    }
}

#[test]
fn what_is_drawn_over_is_cleared_line_by_line() {
    assert_eq!(over(0, "a\nb\n"), "a\nb\n");
    assert_eq!(over(2, "a\nb\nc\n"), "\x1b[2Aa\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J");
}

#[test]
fn all_rows_are_shown_where_they_fit() {
    let events: Vec<Progress> = (0..16).map(|n| running(&format!("n{n}"))).collect();
    let (board, _) = board(&events, WIDE);
    assert_eq!(board.rows(WIDE).len(), 16);
    assert_eq!(board.rows(Screen { height: 17, ..WIDE }).len(), 16);
    let rows = board.rows(Screen { height: 16, ..WIDE });
    assert_eq!((rows.len(), rows[0].as_str()), (15, "  … 2 more"));
}

#[test]
fn a_terminal_gets_nothing_to_obey() {
    let nasty = failed("a", "\x1b[2J\r\nred\u{7}\u{202e}live");
    // A failure keeps its lines, but none of them begins one of the terminal's.
    let shown = line(&nasty).replace("\n  ", "");
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert!(!line(&nasty).contains('\u{202e}'));
    let (board, _) = board(&[nasty], WIDE);
    let rows = board.rows(WIDE).concat();
    assert!(rows.contains("red") && !rows.contains(char::is_control), "{rows:?}");
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let events = [running("a"), failed("a", "no"), of("one", Step::Ended(Status::Failed))];
    let (_, plain) = board(&events, WIDE);
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let (_, coloured) = board(&events, Screen { colours: true, ..WIDE });
    assert!(coloured.contains("\x1b[31m●\x1b[0m") && coloured.contains("\x1b[31;1mfailed\x1b[0m"), "{coloured:?}");
}

#[test]
fn steps_that_went_by_unseen_do_not_hold_up_the_next_run() {
    let mut display = Display::Board(Board::default());
    let mut said = String::new();
    display.note(&running("a"), &mut said);
    display.lost(5000, &mut said);
    // The end of the first run was among those that were lost.
    display.note(&of("two", Step::Running(path("b"))), &mut said);
    let Display::Board(board) = display else { panic!("it is a board") };
    let rows = board.rows(WIDE).concat();
    assert!(rows.contains("b ") && !rows.contains("a "), "{rows}");
    assert!(said.contains("… skipped 5000 steps"), "{said}");
}

#[tokio::test]
async fn a_slow_display_shows_what_comes_after_what_it_missed() {
    let (events, receiver) = broadcast::channel(2);
    for node in ["a", "b", "c", "d"] {
        events.send(running(node)).unwrap();
    }
    let (_stop, stopped) = oneshot::channel();
    drop(events);
    let mut shown = String::new();
    let write = |drawn: Drawn| {
        assert_eq!(drawn.json.lines().count(), 2);
        assert!(drawn.json.starts_with(r#"{"path":"c","request_id":"one","step":"running"}"#), "{}", drawn.json);
        shown += &drawn.text;
    };
    follow(receiver, stopped, Display::Lines, write).await;
    assert_eq!(shown, "… skipped 2 steps that came too fast to be shown\none c running\none d running\n");
}

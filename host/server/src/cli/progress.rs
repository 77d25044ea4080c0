//! Shows runs as they go: nodes that light up on a terminal, plain lines elsewhere.

mod board;

use super::common::print;
use crate::{Progress, Step};
use board::{Board, Screen};
use faas_flow_core::{ShownDuration, moment};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

/// What is shown at a time, however much happens meanwhile.
const TOGETHER: usize = 256;

/// How many lines of a board stand above the cursor. Whoever writes to stderr while there are any takes them away first.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// Where log lines go: to stderr, above the board that is there, which its next change draws again below them.
pub(super) struct AboveBoard;

impl Write for AboveBoard {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        write_over(&String::from_utf8_lossy(line), 0)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Writes in place of the board; the last `rows` lines of the text are the new one.
fn write_over(text: &str, rows: usize) -> std::io::Result<()> {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = over(*drawn, text);
    *drawn = rows;
    std::io::stderr().write_all(text.as_bytes())
}

/// The text in place of so many lines above the cursor: each line clears what it does not fill, and the last what is below.
/// Cleared at once, a board as high as the terminal would be kept among the lines that have scrolled away.
fn over(drawn: usize, text: &str) -> String {
    match drawn {
        0 => text.to_owned(),
        _ => format!("\x1b[{drawn}A{}\x1b[J", text.replace('\n', "\x1b[K\n")),
    }
}

/// Writes lines to stderr, above the board if there is one.
pub(super) fn say(text: &str) {
    // Whoever closed stderr does not want to know.
    let _ = write_over(&format!("{text}\n"), 0);
}

/// A display that is under way.
pub(super) struct Shown {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Shown {
    /// Shows what is left, and ends.
    pub(super) async fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// What stdout gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdout {
    Nothing,
    /// Each step as a line of JSON, once it is shown.
    Json,
}

/// Begins to show what a host does on stderr.
pub(super) fn show(events: broadcast::Receiver<Progress>, stdout: Stdout) -> Shown {
    let (stop, stopped) = oneshot::channel();
    // A terminal that cannot move its cursor gets plain lines.
    let moves = std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
    let display = match std::io::stderr().is_terminal() && moves {
        true => Display::Board(Board::default()),
        false => Display::Lines,
    };
    let write = move |drawn: Drawn| {
        // Whoever closed stderr does not want to know.
        let _ = write_over(&drawn.text, drawn.rows);
        if stdout == Stdout::Json {
            print(drawn.json);
        }
    };
    Shown { stop, task: tokio::spawn(follow(events, stopped, display, write)) }
}

/// How steps are shown.
enum Display {
    /// The nodes of one run, redrawn in place; runs beside it go by as plain lines.
    Board(Board),
    Lines,
}

impl Display {
    /// What happened; `said` takes lines that stay.
    fn note(&mut self, event: &Progress, said: &mut String) {
        match self {
            Display::Board(board) => board.note(event, Screen::of_stderr(), said),
            Display::Lines => *said += &(line(event) + "\n"),
        }
    }

    /// So many steps went by unseen, the end of the run that is shown perhaps among them.
    fn lost(&mut self, steps: u64, said: &mut String) {
        if let Display::Board(board) = self {
            board.let_go(Screen::of_stderr(), said);
        }
        *said += &format!("… {steps} steps went by too fast to be shown\n");
    }

    /// What has been said, with the board below it.
    fn draw(&self, said: String, json: String) -> Drawn {
        let rows = match self {
            Display::Board(board) => board.rows(Screen::of_stderr()),
            Display::Lines => Vec::new(),
        };
        Drawn { text: rows.iter().fold(said, |text, row| text + row + "\n"), rows: rows.len(), json }
    }
}

/// What several steps look like.
struct Drawn {
    text: String,
    /// How many lines at the end of the text are the board.
    rows: usize,
    /// The same steps as lines of JSON.
    json: String,
}

async fn follow(
    mut events: broadcast::Receiver<Progress>,
    mut stopped: oneshot::Receiver<()>,
    mut display: Display,
    mut write: impl FnMut(Drawn),
) {
    loop {
        let mut heard = tokio::select! {
            biased;
            heard = events.recv() => heard,
            _ = &mut stopped => return,
        };
        let (mut said, mut json) = (String::new(), String::new());
        for seen in 1.. {
            match heard {
                Ok(event) => {
                    display.note(&event, &mut said);
                    json += &format!("{}\n", value(&event));
                }
                Err(RecvError::Lagged(missed)) => display.lost(missed, &mut said),
                Err(RecvError::Closed) => return,
            }
            if seen == TOGETHER || events.is_empty() {
                break;
            }
            heard = events.recv().await;
        }
        write(display.draw(said, json));
    }
}

/// One event as a plain line.
fn line(event: &Progress) -> String {
    let run = &event.run;
    printable(&match &event.step {
        Step::Started => format!("{run} started"),
        Step::Running(path) => format!("{run} {path} running"),
        Step::Done { path, micros, size } => format!("{run} {path} done in {}, {size} bytes", took(*micros)),
        Step::Branching { path, branches } => format!("{run} {path} began {branches} branches"),
        Step::Suspended { path, until } => format!("{run} {path} waits until {}", moment(*until)),
        Step::Failed { path, failure } => format!("{run} {path} failed: {failure}"),
        Step::Ended(status) => format!("{run} {status}"),
    })
}

/// One event as JSON.
fn value(event: &Progress) -> Value {
    let (step, rest) = match &event.step {
        Step::Started => ("started", json!({})),
        Step::Running(path) => ("running", json!({ "path": path })),
        Step::Done { path, micros, size } => ("done", json!({ "path": path, "micros": micros, "size": size })),
        Step::Branching { path, branches } => ("branching", json!({ "path": path, "branches": branches })),
        Step::Suspended { path, until } => ("suspended", json!({ "path": path, "until": until })),
        Step::Failed { path, failure } => ("failed", json!({ "path": path, "failure": failure })),
        Step::Ended(status) => ("ended", json!({ "status": status })),
    };
    let mut value = json!({ "request_id": event.run, "step": step });
    if let (Some(value), Value::Object(rest)) = (value.as_object_mut(), rest) {
        value.extend(rest);
    }
    value
}

fn took(micros: u64) -> ShownDuration {
    ShownDuration(Duration::from_micros(micros))
}

/// The text on one line, without what a terminal would obey: control characters, and marks that turn the direction of
/// writing.
fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;

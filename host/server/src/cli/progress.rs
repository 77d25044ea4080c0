//! Shows the progress of runs: as a board of nodes on a terminal, as plain lines elsewhere.

mod board;

use super::output::print;
use board::{Board, Screen};
use faas_flow_core::text::indented;
use faas_flow_core::{ShownDuration, moment};
use faas_flow_replica::{Progress, Step};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

/// The maximum number of steps that are shown with one write.
const TOGETHER: usize = 256;

/// The number of lines of the board above the cursor. Other output to stderr replaces them.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// The writer of log lines: to stderr, in place of the board, which is drawn again below them when it next changes.
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

/// Writes text in place of the board. The last `rows` lines of the text are the new board.
fn write_over(text: &str, rows: usize) -> std::io::Result<()> {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = over(*drawn, text);
    *drawn = rows;
    std::io::stderr().write_all(text.as_bytes())
}

/// The text, preceded and interspersed with what makes a terminal write it over the `drawn` lines above the cursor.
///
/// Each line is cleared by itself: if all were cleared at once, terminals would keep a board of their full height among the
/// lines that have scrolled away.
fn over(drawn: usize, text: &str) -> String {
    if drawn == 0 {
        return text.to_owned();
    }
    format!("\x1b[{drawn}A{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

/// Writes lines to stderr, above the board.
pub(super) fn say(text: &str) {
    // There is nobody to tell if stderr is closed.
    let _ = write_over(&format!("{text}\n"), 0);
}

/// A running display.
pub(super) struct Shown {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Shown {
    /// Shows the remaining steps, and ends.
    pub(super) async fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// What is printed to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdout {
    Nothing,
    /// Each step as a line of JSON, after it is shown.
    Json,
}

/// Begins to show the progress of a host's runs on stderr.
pub(super) fn show(events: broadcast::Receiver<Progress>, stdout: Stdout) -> Shown {
    let (stop, stopped) = oneshot::channel();
    // The board needs a terminal that can move its cursor.
    let moves = std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
    let board = std::io::stderr().is_terminal() && moves;
    let display = if board { Display::Board(Board::default()) } else { Display::Lines };
    let write = move |drawn: Drawn| {
        // There is nobody to tell if stderr is closed.
        let _ = write_over(&drawn.text, drawn.rows);
        if stdout == Stdout::Json {
            print(drawn.json);
        }
    };
    Shown { stop, task: tokio::spawn(follow(events, stopped, display, write)) }
}

/// How steps are shown.
enum Display {
    /// The nodes of one run, redrawn in place. Other runs are shown as plain lines above it.
    Board(Board),
    Lines,
}

impl Display {
    /// Takes a step; lines that stay are appended to `said`.
    fn note(&mut self, event: &Progress, said: &mut String) {
        match self {
            Display::Board(board) => board.note(event, Screen::of_stderr(), said),
            Display::Lines => *said += &(line(event) + "\n"),
        }
    }

    /// Takes note that steps were missed, perhaps with the end of the run that is shown.
    fn lost(&mut self, steps: u64, said: &mut String) {
        if let Display::Board(board) = self {
            board.let_go(Screen::of_stderr(), said);
        }
        *said += &format!("… skipped {steps} steps that came too fast to be shown\n");
    }

    /// The lines that stay, with the board below them.
    fn draw(&self, said: String, json: String) -> Drawn {
        let rows = match self {
            Display::Board(board) => board.rows(Screen::of_stderr()),
            Display::Lines => Vec::new(),
        };
        Drawn { text: rows.iter().fold(said, |text, row| text + row + "\n"), rows: rows.len(), json }
    }
}

/// Several steps, ready to be written.
struct Drawn {
    text: String,
    /// The number of lines at the end of the text that are the board.
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
        let mut said = String::new();
        let mut json = String::new();
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

/// A step as a plain line.
fn line(event: &Progress) -> String {
    let run = &event.run;
    let text = match &event.step {
        Step::Started => format!("{run} started"),
        Step::Running(path) => format!("{run} {path} running"),
        Step::Done { path, micros, size } => format!("{run} {path} done in {}, {size} bytes", took(*micros)),
        Step::Branching { path, branches } => format!("{run} {path} started {branches} branches"),
        Step::Suspended { path, until, sleeps } => {
            format!("{run} {path} {} until {}", if *sleeps { "sleeps" } else { "waits" }, moment(*until))
        }
        Step::Failed { path, failure } => format!("{run} {path} failed: {failure}"),
        Step::Ended(status) => format!("{run} {status}"),
    };
    indented(&text, 2)
}

/// A step as JSON.
fn value(event: &Progress) -> Value {
    let (step, rest) = match &event.step {
        Step::Started => ("started", json!({})),
        Step::Running(path) => ("running", json!({ "path": path })),
        Step::Done { path, micros, size } => ("done", json!({ "path": path, "micros": micros, "size": size })),
        Step::Branching { path, branches } => ("branching", json!({ "path": path, "branches": branches })),
        Step::Suspended { path, until, sleeps } => {
            ("suspended", json!({ "path": path, "until": until, "sleeps": sleeps }))
        }
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

#[cfg(test)]
mod tests;

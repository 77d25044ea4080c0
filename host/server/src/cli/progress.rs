//! Shows runs as they go: nodes that light up on a terminal, plain lines elsewhere.

use crate::{Progress, Step};
use faas_flow_core::{RunId, Status};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

/// Lines of one run that a terminal shows at a time.
const ROWS: usize = 16;

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
    let up = if *drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
    *drawn = rows;
    std::io::stderr().write_all(format!("{up}{text}").as_bytes())
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

/// Begins to show what a host does on stderr.
pub(super) fn show(events: broadcast::Receiver<Progress>) -> Shown {
    let (stop, stopped) = oneshot::channel();
    let terminal = std::io::stderr().is_terminal();
    Shown { stop, task: tokio::spawn(display(events, stopped, terminal)) }
}

async fn display(mut events: broadcast::Receiver<Progress>, mut stopped: oneshot::Receiver<()>, terminal: bool) {
    let mut board = Board::default();
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) if terminal => board.note(&event),
                Ok(event) => eprintln!("{}", line(&event)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = &mut stopped => return,
        }
    }
}

/// One event as a plain line.
fn line(event: &Progress) -> String {
    let run = &event.run;
    match &event.step {
        Step::Started => format!("{run} started"),
        Step::Running(path) => format!("{run} {path} running"),
        Step::Done { path, micros, size } => format!("{run} {path} done in {}, {size} bytes", took(*micros)),
        Step::Branching { path, branches } => format!("{run} {path} began {branches} branches"),
        Step::Suspended { path, until } => format!("{run} {path} waits until {}", super::common::moment(*until)),
        Step::Failed { path, failure } => format!("{run} {path} failed: {failure}"),
        Step::Ended(status) => format!("{run} {status}"),
    }
}

fn took(micros: u64) -> String {
    let took = Duration::from_micros(micros);
    if micros < 10_000 { format!("{micros} µs") } else { format!("{} ms", took.as_millis()) }
}

/// The nodes of one run, redrawn in place; runs beside it go by as plain lines.
#[derive(Default)]
struct Board {
    run: Option<RunId>,
    rows: BTreeMap<String, String>,
    order: Vec<String>,
}

impl Board {
    fn note(&mut self, event: &Progress) {
        match &self.run {
            Some(run) if *run == event.run => {}
            Some(_) => {
                let _ = write_over(&format!("{}\n", line(event)), 0);
                return self.draw();
            }
            None => {
                let _ = write_over(&format!("\x1b[1m{}\x1b[0m\n", event.run), 0);
                *self = Board { run: Some(event.run.clone()), ..Board::default() };
            }
        }
        let (path, text) = match &event.step {
            Step::Started => return,
            Step::Running(path) => (path, "\x1b[33m●\x1b[0m running".to_owned()),
            Step::Done { path, micros, size } => {
                (path, format!("\x1b[32m●\x1b[0m done      {:>10}  {size} bytes", took(*micros)))
            }
            Step::Branching { path, branches } => (path, format!("\x1b[36m◆\x1b[0m branches  {branches:>10}")),
            Step::Suspended { path, until } => {
                (path, format!("\x1b[33m○\x1b[0m waits until {}", super::common::moment(*until)))
            }
            Step::Failed { path, failure } => (path, format!("\x1b[31m●\x1b[0m failed    {failure}")),
            Step::Ended(status) => return self.ended(*status),
        };
        let path = path.to_string();
        if self.rows.insert(path.clone(), text).is_none() {
            self.order.push(path);
        }
        self.draw();
    }

    /// Draws the latest rows over those that were drawn before.
    fn draw(&mut self) {
        let mut out = String::new();
        let hidden = self.order.len().saturating_sub(ROWS);
        if hidden > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  … {hidden} more");
        }
        for path in self.order.iter().skip(hidden) {
            let row = self.rows.get(path).map_or("", String::as_str);
            let short: String = path.chars().take(40).collect();
            let _ = writeln!(out, "  {short:<40} {row}");
        }
        let rows = out.lines().count();
        let _ = write_over(&out, rows);
    }

    fn ended(&mut self, status: Status) {
        let colour = if status == Status::Succeeded { 32 } else { 31 };
        self.draw();
        self.run = None;
        // What was drawn stays.
        *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        let _ = write_over(&format!("  \x1b[{colour};1m{status}\x1b[0m\n"), 0);
    }
}

//! Shows runs as they go: nodes that light up on a terminal, plain lines elsewhere.

use crate::{Progress, Step};
use faas_flow_core::Status;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

/// Lines of one run that a terminal shows at a time.
const ROWS: usize = 16;

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
        Step::Failed { path, failure } => format!("{run} {path} failed: {failure}"),
        Step::Ended(status) => format!("{run} {status}"),
    }
}

fn took(micros: u64) -> String {
    let took = Duration::from_micros(micros);
    if micros < 10_000 { format!("{micros} µs") } else { format!("{} ms", took.as_millis()) }
}

/// The nodes of the run at hand, redrawn in place.
#[derive(Default)]
struct Board {
    rows: BTreeMap<String, String>,
    order: Vec<String>,
    drawn: usize,
}

impl Board {
    fn note(&mut self, event: &Progress) {
        let (path, text) = match &event.step {
            Step::Started => {
                *self = Board::default();
                eprintln!("\x1b[1m{}\x1b[0m", event.run);
                return;
            }
            Step::Running(path) => (path, "\x1b[33m●\x1b[0m running".to_owned()),
            Step::Done { path, micros, size } => {
                (path, format!("\x1b[32m●\x1b[0m done      {:>10}  {size} bytes", took(*micros)))
            }
            Step::Branching { path, branches } => (path, format!("\x1b[36m◆\x1b[0m branches  {branches:>10}")),
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
        if self.drawn > 0 {
            // Writing to a string cannot fail.
            let _ = write!(out, "\x1b[{}A", self.drawn);
        }
        let hidden = self.order.len().saturating_sub(ROWS);
        let mut drawn = 0;
        if hidden > 0 {
            let _ = writeln!(out, "\x1b[2K  … {hidden} more");
            drawn += 1;
        }
        for path in self.order.iter().skip(hidden) {
            let row = self.rows.get(path).map_or("", String::as_str);
            let short: String = path.chars().take(40).collect();
            let _ = writeln!(out, "\x1b[2K  {short:<40} {row}");
            drawn += 1;
        }
        self.drawn = drawn;
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(out.as_bytes());
    }

    fn ended(&mut self, status: Status) {
        let colour = if status == Status::Succeeded { 32 } else { 31 };
        eprintln!("  \x1b[{colour};1m{status}\x1b[0m");
        self.drawn = 0;
    }
}

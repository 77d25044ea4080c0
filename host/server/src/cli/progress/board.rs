//! The nodes of one run, as rows that are redrawn in place on a terminal.

use super::{line, took};
use crate::cli::output::wants_colours;
use faas_flow_core::text::printable;
use faas_flow_core::{NodePath, RunId, Status, moment};
use faas_flow_replica::{Progress, Step};
use std::collections::BTreeMap;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The maximum number of rows that are shown.
const ROWS: usize = 16;
/// The maximum number of columns of a node's path.
const PATH: usize = 40;

/// The size and colours of a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) colours: bool,
}

/// The latest state of a node.
struct Row {
    mark: char,
    colour: u8,
    text: String,
}

#[derive(Default)]
pub(super) struct Board {
    run: Option<RunId>,
    rows: BTreeMap<String, Row>,
    order: Vec<String>,
}

impl Screen {
    /// The terminal that stderr is connected to, with its current size.
    pub(super) fn of_stderr() -> Self {
        let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
        // Some terminals report a size of 0.
        let or = |known: Option<u16>, usual: u16| known.filter(|cells| *cells > 0).unwrap_or(usual).into();
        Self {
            width: or(size.map(|size| size.ws_col), 80),
            height: or(size.map(|size| size.ws_row), 24),
            colours: wants_colours(),
        }
    }

    fn paint(&self, text: &str, colour: impl std::fmt::Display) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Board {
    /// Takes a step of a run. Lines that stay are appended to `said`: the run's id, its end, and steps of other runs.
    pub(super) fn note(&mut self, event: &Progress, screen: Screen, said: &mut String) {
        match &self.run {
            Some(run) if *run == event.run => {}
            Some(_) => {
                *said += &(line(event) + "\n");
                return;
            }
            None => {
                *said += &(screen.paint(event.run.as_str(), 1) + "\n");
                *self = Board { run: Some(event.run.clone()), ..Board::default() };
            }
        }
        match &event.step {
            Step::Started => {}
            Step::Running(path) => self.row(path, '●', 33, "running".to_owned()),
            Step::Done { path, micros, size } => {
                self.row(path, '●', 32, format!("done {:>8}  {size} bytes", took(*micros).to_string()));
            }
            Step::Branching { path, branches } => self.row(path, '◆', 36, format!("{branches} branches")),
            Step::Suspended { path, until, sleeps } => {
                let what = if *sleeps { "sleeps" } else { "waits" };
                self.row(path, '○', 33, format!("{what} until {}", moment(*until)));
            }
            Step::Failed { path, failure } => self.row(path, '●', 31, format!("failed: {failure}")),
            Step::Ended(status) => {
                self.let_go(screen, said);
                let colour = if *status == Status::Succeeded { "32;1" } else { "31;1" };
                *said += &format!("  {}\n", screen.paint(&status.to_string(), colour));
            }
        }
    }

    fn row(&mut self, path: &NodePath, mark: char, colour: u8, text: String) {
        let path = printable(path).to_string();
        if self.rows.insert(path.clone(), Row { mark, colour, text: printable(&text).to_string() }).is_none() {
            self.order.push(path);
        }
    }

    /// Leaves the run as it is shown. The run of the next step is shown after it.
    pub(super) fn let_go(&mut self, screen: Screen, said: &mut String) {
        *said = self.rows(screen).iter().fold(std::mem::take(said), |said, row| said + row + "\n");
        *self = Board::default();
    }

    /// The latest rows, each at most one line of the screen, and at least one line fewer than it has, for the cursor.
    pub(super) fn rows(&self, screen: Screen) -> Vec<String> {
        let room = screen.height.saturating_sub(1).min(ROWS + 1);
        let all_fit = self.order.len() <= room.min(ROWS);
        let hidden = if all_fit { 0 } else { self.order.len().saturating_sub(room.saturating_sub(1)) };
        let more = (hidden > 0 && room > 0).then(|| clip(&format!("  … {hidden} more"), screen.width));
        let shown = self.order.iter().skip(hidden).filter_map(|path| Some((path, self.rows.get(path)?)));
        more.into_iter().chain(shown.map(|(path, row)| row.draw(path, screen))).collect()
    }
}

impl Row {
    fn draw(&self, path: &str, screen: Screen) -> String {
        let column = PATH.min(screen.width / 2);
        let path = clip_start(path, column);
        // Two columns are before the path, the mark has one, and one is on each side of it.
        let Some(rest) = screen.width.checked_sub(column + 5).filter(|rest| *rest > 0) else {
            return clip(&path, screen.width);
        };
        let gap = " ".repeat(column.saturating_sub(path.width()));
        let mark = screen.paint(&self.mark.to_string(), self.colour);
        format!("  {path}{gap} {mark} {}", clip(&self.text, rest))
    }
}

/// The beginning of the text, as far as it fits into these columns.
fn clip(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    fitting(text.chars(), columns.saturating_sub(1)).chain(['…'].into_iter().take(columns)).collect()
}

/// The end of the text, as far as it fits: the end of a path is its node.
fn clip_start(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let end: Vec<char> = fitting(text.chars().rev(), columns.saturating_sub(1)).collect();
    ['…'].into_iter().take(columns).chain(end.into_iter().rev()).collect()
}

fn fitting(text: impl Iterator<Item = char>, columns: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    text.take_while(move |c| {
        used += c.width().unwrap_or_default();
        used <= columns
    })
}

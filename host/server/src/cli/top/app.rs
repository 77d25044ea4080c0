//! What the view shows, and what keys do to it.

use super::source::{Found, Wanted};
use crate::Error;
use faas_flow_core::run::RunView;
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, RunId, redact};
use faas_flow_http::ListedRun;
use faas_flow_http::remote::Action;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Over which time rates count.
pub(super) const MINUTE: Millis = 60_000;
/// How far the keys for pages move.
const PAGE: isize = 10;

/// What somebody wants who has pressed a key.
pub(super) enum Wish {
    Quit,
    /// To see what has changed.
    Look,
    Change(RunId, Action),
}

/// What the last line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    /// It says what keys there are.
    Keys,
    /// The filter is being typed.
    Filter,
    /// Whether this run is to be stopped.
    Stop(RunId),
}

/// A flow, as far as its latest runs show it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FlowRow {
    pub(super) running: usize,
    pub(super) paused: usize,
    /// How many runs have started in the last minute.
    pub(super) started: usize,
    /// How many runs have failed in the last minute.
    pub(super) failed: usize,
}

pub(super) struct App {
    /// What is looked at, as people see it.
    pub(super) place: String,
    every: Duration,
    /// When it was looked at last; 0 before.
    pub(super) now: Millis,
    runs: Vec<ListedRun>,
    pub(super) doing: HashMap<RunId, String>,
    pub(super) open: Option<RunId>,
    pub(super) view: Option<RunView>,
    pub(super) filter: String,
    pub(super) prompt: Prompt,
    /// What has last gone wrong, or what a server has said.
    pub(super) message: Option<String>,
    /// The run that is selected. It stays selected when others come.
    selected: Option<RunId>,
    /// The node of the open run that is selected, by its position.
    pub(super) node: usize,
    /// The rows of the list that are on the screen, as they were last drawn.
    pub(super) on_screen: (usize, usize),
}

impl App {
    pub(super) fn new(to: Option<String>, every: Duration, open: Option<RunId>) -> Self {
        Self {
            place: to.map_or("the state store".to_owned(), |to| redact::text(&to)),
            every,
            now: 0,
            runs: Vec::new(),
            doing: HashMap::new(),
            open,
            view: None,
            filter: String::new(),
            prompt: Prompt::Keys,
            message: None,
            selected: None,
            node: 0,
            on_screen: (0, 0),
        }
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// What is to be looked at next.
    pub(super) fn wanted(&self) -> Wanted {
        let (first, count) = self.on_screen;
        let seen = match self.open {
            Some(_) => Vec::new(),
            None => {
                let seen = self.listed().into_iter().skip(first).take(count);
                seen.filter(|run| !run.status.is_final()).map(|run| run.request_id.clone()).collect()
            }
        };
        Wanted { open: self.open.clone(), seen }
    }

    pub(super) fn found(&mut self, found: Found) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.found_at(found, now.as_millis() as Millis);
    }

    pub(super) fn found_at(&mut self, found: Found, now: Millis) {
        let Found { runs, doing, open } = found;
        if self.now == 0 || self.message.as_ref().is_some_and(|message| message.starts_with("error ")) {
            self.message = None;
        }
        (self.runs, self.now) = (runs, now);
        if self.open.is_none() {
            self.doing = doing;
        }
        match (&self.open, open) {
            (Some(wanted), Some(view)) if view.request_id == *wanted => self.view = Some(view),
            (Some(wanted), None) if self.view.is_none() => {
                self.message = Some(format!("there is no run {wanted}"));
                self.open = None;
            }
            _ => {}
        }
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.message = Some(printable(&format_args!("error {}: {error}", error.code())).to_string());
    }

    pub(super) fn said(&mut self, said: Result<String, Error>) {
        match said {
            Ok(said) => self.message = Some(printable(&said).to_string()),
            Err(error) => self.failed(&error),
        }
    }

    /// The runs that the filter lets through.
    pub(super) fn listed(&self) -> Vec<&ListedRun> {
        let filter = self.filter.to_lowercase();
        let has = |run: &&ListedRun| {
            let doing = self.doing.get(&run.request_id).map_or("", String::as_str);
            let text = format!("{} {} {} {} {doing}", run.request_id, run.flow, run.status.as_str(), run.labels);
            filter.split_whitespace().all(|word| text.to_lowercase().contains(word))
        };
        self.runs.iter().filter(has).collect()
    }

    /// The position of the run that is selected: the first one unless somebody has selected another.
    pub(super) fn position(&self) -> usize {
        let selected = self.selected.as_ref();
        selected.and_then(|selected| self.listed().iter().position(|run| run.request_id == *selected)).unwrap_or(0)
    }

    /// The flows of the runs that are listed.
    pub(super) fn flows(&self) -> BTreeMap<&str, FlowRow> {
        let since = self.now.saturating_sub(MINUTE);
        let mut flows: BTreeMap<&str, FlowRow> = BTreeMap::new();
        for run in &self.runs {
            let row = flows.entry(run.flow.as_str()).or_default();
            match run.status {
                faas_flow_core::Status::Running => row.running += 1,
                faas_flow_core::Status::Paused => row.paused += 1,
                faas_flow_core::Status::Failed => {
                    row.failed += usize::from(run.ended.is_some_and(|ended| ended >= since));
                }
                _ => {}
            }
            row.started += usize::from(run.started >= since);
        }
        flows
    }

    /// The run that a key is about.
    fn target(&self) -> Option<RunId> {
        let selected = || self.listed().get(self.position()).map(|run| run.request_id.clone());
        self.open.clone().or_else(selected)
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return matches!(key.code, KeyCode::Char('c')).then_some(Wish::Quit);
        }
        match std::mem::replace(&mut self.prompt, Prompt::Keys) {
            Prompt::Keys => self.command(key.code),
            Prompt::Filter => {
                self.edit(key.code);
                None
            }
            Prompt::Stop(run) => match key.code {
                KeyCode::Char('y' | 'Y') => Some(Wish::Change(run, Action::Stop)),
                _ => {
                    self.message = Some(format!("run {run} was not stopped"));
                    None
                }
            },
        }
    }

    fn command(&mut self, key: KeyCode) -> Option<Wish> {
        self.message = None;
        match key {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Esc | KeyCode::Left | KeyCode::Backspace if self.open.is_some() => {
                (self.open, self.view, self.node) = (None, None, 0);
                return Some(Wish::Look);
            }
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Enter | KeyCode::Right if self.open.is_none() => {
                self.open = self.target();
                (self.view, self.node) = (None, 0);
                return Some(Wish::Look);
            }
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::PageUp => self.go(-PAGE),
            KeyCode::PageDown => self.go(PAGE),
            KeyCode::Home => self.go(isize::MIN),
            KeyCode::End => self.go(isize::MAX),
            KeyCode::Char('/') if self.open.is_none() => self.prompt = Prompt::Filter,
            KeyCode::Char('p') => return self.target().map(|run| Wish::Change(run, Action::Pause)),
            KeyCode::Char('r') => return self.target().map(|run| Wish::Change(run, Action::Resume)),
            KeyCode::Char('s') => self.prompt = self.target().map_or(Prompt::Keys, Prompt::Stop),
            _ => {}
        }
        None
    }

    /// Changes the filter as it is typed. Enter keeps it, Esc removes it.
    fn edit(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => return,
            KeyCode::Esc => return self.filter.clear(),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(typed) => self.filter.push(typed),
            _ => {}
        }
        self.prompt = Prompt::Filter;
    }

    fn go(&mut self, by: isize) {
        if self.open.is_some() {
            let last = self.view.as_ref().map_or(0, |view| view.nodes.len().saturating_sub(1));
            self.node = self.node.saturating_add_signed(by).min(last);
            return;
        }
        let position = self.position().saturating_add_signed(by);
        let listed = self.listed();
        let run = listed.get(position).or(listed.last());
        self.selected = run.map(|run| run.request_id.clone());
    }
}

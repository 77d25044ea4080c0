//! Which runs to list, page by page, and how many there are.

use crate::{RunEntry, StoreError};
use faas_flow_core::{Code, Failure, FlowName, Labels, Millis, RunId, Status};
use std::cmp::Reverse;
use std::fmt;

/// How many entries a backend looks at for one page besides those that the page has. A query for which it would have to read
/// more ends its page there.
pub(crate) const LOOKED_AT: usize = 2000;

/// How many digits of a version's digest an index has, as [`Digest::short`](faas_flow_core::Digest::short) has.
const SHORT: usize = 12;

/// The most bytes of a failure's message that are kept in the list of runs.
const MESSAGE: usize = 256;

/// How a run has failed, in the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// The code of its failure.
    pub code: Code,
    /// The message, of which at most the first 256 bytes are kept.
    pub message: String,
}

impl RunFailure {
    /// What is kept of a failure.
    pub fn of(failure: &Failure) -> Self {
        Self::new(failure.code, &failure.message)
    }

    /// What is kept of a message.
    pub fn new(code: Code, message: &str) -> Self {
        let end = message.floor_char_boundary(MESSAGE);
        Self { code, message: message.get(..end).unwrap_or_default().to_owned() }
    }
}

/// Which runs to list. All conditions that are given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// Only runs of this flow.
    pub flow: Option<FlowName>,
    /// Only runs with this status.
    pub status: Option<Status>,
    /// Only runs that have all these labels.
    pub labels: Labels,
    /// Only runs that are pinned to a version whose digest begins so.
    pub digest: Option<String>,
    /// Only runs that started at this time or later.
    pub since: Option<Millis>,
    /// Only runs that started before this time.
    pub until: Option<Millis>,
    /// Only runs that have failed with this code.
    pub code: Option<Code>,
    /// Only runs whose id begins so.
    pub id: Option<String>,
    /// Only runs that have failed with a message that contains this, in any case. Of a message, the list of runs has the
    /// first 256 bytes.
    pub text: Option<String>,
    /// Only runs that come after this place.
    pub after: Option<Cursor>,
    /// The maximum number of runs to list.
    pub limit: usize,
}

impl RunQuery {
    /// The runs that started last.
    pub const fn latest(limit: usize) -> Self {
        Self {
            flow: None,
            status: None,
            labels: Labels::new(),
            digest: None,
            since: None,
            until: None,
            code: None,
            id: None,
            text: None,
            after: None,
            limit,
        }
    }

    /// Whether a run with this entry matches the query and comes after its place.
    pub fn admits(&self, entry: &RunEntry) -> bool {
        self.flow.as_ref().is_none_or(|flow| *flow == entry.flow)
            && self.status.is_none_or(|status| status == entry.status)
            && self.labels.admit(&entry.labels)
            && self.digest.as_ref().is_none_or(|digest| entry.digest.as_str().starts_with(digest))
            && self.since.is_none_or(|since| entry.started >= since)
            && self.until.is_none_or(|until| entry.started < until)
            && self.id.as_ref().is_none_or(|id| entry.run.as_str().starts_with(id))
            && self.after.as_ref().is_none_or(|after| after.is_before(entry.started, &entry.run))
            && self.admits_failure(entry.failure.as_ref())
    }

    /// Whether a run with this failure may match the query.
    pub(crate) fn admits_failure(&self, failure: Option<&RunFailure>) -> bool {
        if self.code.is_none() && self.text.is_none() {
            return true;
        }
        let Some(failure) = failure else { return false };
        let contains = |text: &String| failure.message.to_lowercase().contains(&text.to_lowercase());
        self.code.is_none_or(|code| code == failure.code) && self.text.as_ref().is_none_or(contains)
    }

    /// What an index is best asked for.
    pub(crate) fn key(&self) -> Key<'_> {
        // Only runs that have failed have a failure.
        let status = self.status.or(self.text.as_ref().map(|_| Status::Failed));
        if let Some((key, value)) = self.labels.iter().next() {
            Key::Label(key, value)
        } else if let Some(code) = self.code {
            Key::Code(code)
        } else if let Some(short) = self.digest.as_ref().and_then(|digest| digest.get(..SHORT)) {
            Key::Version(short)
        } else if let Some(flow) = &self.flow {
            Key::Flow(flow, status)
        } else if let Some(status) = status {
            Key::Status(status)
        } else {
            Key::Any
        }
    }

    /// The latest start that a run on the page may have.
    pub(crate) fn latest_start(&self) -> Millis {
        let after = self.after.as_ref().map_or(Millis::MAX, |after| after.started);
        self.until.map_or(after, |until| after.min(until.saturating_sub(1)))
    }
}

/// What to look up in an index of runs. The other conditions of a query are compared with the entries that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// Runs with a label.
    Label(&'a str, &'a str),
    /// Runs that have failed with a code.
    Code(Code),
    /// Runs of versions whose digests begin with these [`SHORT`] digits.
    Version(&'a str),
    /// Runs of a flow, with one status or any.
    Flow(&'a FlowName, Option<Status>),
    /// Runs with a status.
    Status(Status),
    /// All runs.
    Any,
}

/// A place in the list of runs: behind the run with this start and id. It stays valid when the run is deleted. As text:
/// `1790000000000.ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When the run started.
    pub started: Millis,
    /// The run.
    pub run: RunId,
}

impl Cursor {
    /// The place behind a run.
    pub fn behind(entry: &RunEntry) -> Self {
        Self { started: entry.started, run: entry.run.clone() }
    }

    /// Parses the text form.
    pub fn parse(text: &str) -> Option<Self> {
        let (started, run) = text.split_once('.')?;
        Some(Self { started: started.parse().ok()?, run: RunId::new(run).ok()? })
    }

    /// Whether a run with this start and id comes after the place.
    pub(crate) fn is_before(&self, started: Millis, run: &RunId) -> bool {
        (started, run) < (self.started, &self.run)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.started, self.run)
    }
}

/// Runs that match a query, the one that started last first; runs that started at the same time by descending id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunEntry>,
    /// Where the next page begins; `None` if there is none. A page may have fewer runs than its limit, even none, and be
    /// followed by another one: then the store has looked at some thousand entries, and few of them match.
    pub next: Option<Cursor>,
}

/// Collects a page out of entries in the order of the list.
pub(crate) struct Collector<'a> {
    query: &'a RunQuery,
    runs: Vec<RunEntry>,
    looked_at: usize,
    next: Option<Cursor>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(query: &'a RunQuery) -> Self {
        Self { query, runs: Vec::new(), looked_at: 0, next: None }
    }

    /// How many more entries are needed if all of them match: one more than the page has room for, which shows that another page
    /// follows.
    pub(crate) fn wanted(&self) -> usize {
        self.query.limit.saturating_sub(self.runs.len()).saturating_add(1)
    }

    /// Takes the next entry, and returns whether the page is complete.
    pub(crate) fn take(&mut self, entry: RunEntry) -> bool {
        if self.next.is_some() {
            return true;
        }
        let place = Cursor::behind(&entry);
        if self.query.admits(&entry) {
            if self.runs.len() >= self.query.limit {
                self.next = self.runs.last().map(Cursor::behind);
                return true;
            }
            self.runs.push(entry);
        }
        self.pass(place)
    }

    /// Goes behind the next entry, which does not match or was taken, and returns whether the page is complete.
    pub(crate) fn pass(&mut self, place: Cursor) -> bool {
        if self.query.after.as_ref().is_some_and(|after| !after.is_before(place.started, &place.run)) {
            return false;
        }
        self.looked_at += 1;
        if self.looked_at >= self.query.limit.saturating_add(LOOKED_AT) {
            self.next = Some(place);
        }
        self.next.is_some()
    }

    /// Completes the page if it is full, whether there is another one or not.
    pub(crate) fn goes_on_if_full(&mut self) -> bool {
        if self.runs.len() >= self.query.limit {
            self.next = self.runs.last().map(Cursor::behind);
        }
        self.next.is_some()
    }

    /// The page, once it is complete or there are no more entries.
    pub(crate) fn page(self) -> RunPage {
        RunPage { runs: self.runs, next: self.next }
    }
}

/// A page out of entries in any order, of which there are no more.
pub(crate) fn page_of(query: &RunQuery, mut entries: Vec<RunEntry>) -> RunPage {
    entries.sort_unstable_by(|one, other| Reverse((one.started, &one.run)).cmp(&Reverse((other.started, &other.run))));
    let mut page = Collector::new(query);
    for entry in entries {
        if page.take(entry) {
            break;
        }
    }
    page.page()
}

/// How many runs there are with each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunCounts {
    counts: [u64; Status::ALL.len()],
    /// Whether all runs are counted. A backend without an index counts the latest ones only.
    pub complete: bool,
}

impl Default for RunCounts {
    fn default() -> Self {
        Self { counts: Default::default(), complete: true }
    }
}

impl RunCounts {
    /// How many have this status.
    pub fn of(&self, status: Status) -> u64 {
        self.each().find_map(|(each, count)| (each == status).then_some(count)).unwrap_or_default()
    }

    /// Each status, and how many runs have it.
    pub fn each(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().zip(self.counts)
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts further runs with a status.
    pub fn add(&mut self, status: Status, runs: u64) {
        let at = Status::ALL.iter().position(|each| *each == status);
        if let Some(count) = at.and_then(|at| self.counts.get_mut(at)) {
            *count += runs;
        }
    }
}

/// Reads all runs that match a query, whatever its limit, page by page.
pub async fn every_run(
    store: &(impl crate::StateStore + ?Sized),
    mut query: RunQuery,
) -> Result<Vec<RunEntry>, StoreError> {
    /// How many runs are asked for at a time.
    const PAGE: usize = 1000;
    query.limit = PAGE;
    let mut runs = Vec::new();
    loop {
        let page = store.runs(&query).await?;
        runs.extend(page.runs);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(runs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Digest;

    fn entry(started: Millis, id: &str) -> RunEntry {
        RunEntry {
            run: RunId::new(id).unwrap(),
            flow: FlowName::new("f").unwrap(),
            digest: Digest::of(b"f"),
            status: Status::Running,
            labels: Labels::new(),
            failure: None,
            started,
            ended: None,
            due: None,
        }
    }

    #[test]
    fn pages_follow_each_other_until_there_are_no_more() {
        let entries: Vec<RunEntry> = (0..7).map(|n| entry(n / 2, &format!("r{n}"))).collect();
        let mut query = RunQuery::latest(3);
        let mut seen = Vec::new();
        for more in [true, true, false] {
            let page = page_of(&query, entries.clone());
            seen.extend(page.runs.iter().map(|entry| entry.run.to_string()));
            assert_eq!(page.next.is_some(), more, "{seen:?}");
            query.after = page.next;
        }
        assert_eq!(seen, ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]);
        assert_eq!(page_of(&RunQuery::latest(7), entries).next, None, "nothing follows the last run");
    }

    #[test]
    fn a_page_for_which_too_much_would_be_read_ends_early() {
        let entries: Vec<RunEntry> = (0..5000).map(|n| entry(n, &format!("r{n}"))).collect();
        let mut query = RunQuery { id: Some("r1".to_owned()), ..RunQuery::latest(2000) };
        let mut found = 0;
        let mut pages = 0;
        loop {
            let page = page_of(&query, entries.clone());
            found += page.runs.len();
            pages += 1;
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (1111, 2));
    }

    #[test]
    fn pages_get_on_also_if_their_store_passes_over_all_entries_of_one_moment() {
        let places: Vec<Cursor> = (0..5000).rev().map(|n| Cursor::behind(&entry(1, &format!("r{n:04}")))).collect();
        let mut query = RunQuery::latest(1);
        let mut pages = 0;
        loop {
            let mut page = Collector::new(&query);
            let _ = places.iter().any(|place| page.pass(place.clone()));
            pages += 1;
            query.after = page.page().next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(pages, 5000 / (LOOKED_AT + 1) + 1);
    }

    #[test]
    fn a_cursor_is_text_in_between() {
        let cursor = Cursor { started: 5, run: RunId::new("a.b").unwrap_or_else(|_| RunId::new("ab").unwrap()) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for bad in ["", "5", "5.", "x.r", "-1.r", "5.a b"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn failures_are_found_by_text_in_any_case() {
        let failed = |message: &str| RunEntry {
            status: Status::Failed,
            failure: Some(RunFailure::new(Code::CALL_STATUS, message)),
            ..entry(1, "r")
        };
        let of = |text: &str| RunQuery { text: Some(text.to_owned()), ..RunQuery::latest(1) };
        assert!(of("ÄRGER").admits(&failed("viel Ärger")));
        assert!(!of("other").admits(&failed("viel Ärger")));
        assert!(!of("").admits(&entry(1, "r")), "a run that has not failed has no message");
        let long = "é".repeat(300);
        assert_eq!(failed(&long).failure.unwrap().message.len(), 256);
    }
}

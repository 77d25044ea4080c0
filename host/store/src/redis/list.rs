//! The lists of runs and of due runs, which are read from all parts of the index at once, and their numbers.

use super::entry::{code_word, encode, flow_word, indexed, label_word, status_word, version_word};
use super::link::{Arguments, Link, Repeat};
use super::state::RedisState;
use crate::query::{Collector, Key, LOOKED_AT, page_of};
use crate::{RunCounts, RunEntry, RunPage, RunQuery, StoreError};
use ::redis::{Cmd, cmd};
use faas_flow_core::{FlowName, Millis, Partition, RunId, Status};
use futures_util::future::{join_all, try_join_all};
use percent_encoding::percent_decode_str;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// How many ids are read from a part of the index at a time.
const PAGE: usize = 1000;
/// After how many runs of an older release the log says how many are indexed.
const LOGGED: usize = 100_000;

/// An entry of an index: a time and the id of a run, which may be malformed.
type Place = (Millis, Vec<u8>);

/// A piece of a sorted set: the cursor of the next one, and ids with their scores.
type Scanned = (u64, Vec<(Vec<u8>, f64)>);

/// Where runs are looked up.
enum Index {
    /// In the list of all runs.
    Runs,
    /// In the index of words: the runs that have one of these.
    Words(Vec<String>),
}

impl Index {
    fn of(query: &RunQuery) -> Self {
        Self::Words(match query.key() {
            Key::Label(key, value) => vec![label_word(key, value)],
            Key::Code(code) => vec![code_word(code)],
            Key::Version(short) => vec![version_word(short)],
            Key::Flow(flow, Some(status)) => vec![flow_word(flow, status)],
            Key::Flow(flow, None) => Status::ALL.map(|status| flow_word(flow, status)).into(),
            Key::Status(status) => vec![status_word(status)],
            Key::Any => return Self::Runs,
        })
    }

    /// Whether a run with this entry is there where it was found.
    fn has(&self, entry: &RunEntry) -> bool {
        match self {
            Self::Runs => true,
            Self::Words(words) => indexed(entry).split([' ', ',']).any(|word| words.iter().any(|known| known == word)),
        }
    }
}

impl RedisState {
    /// Lists runs, latest start first. All parts of the index are read page by page. Of the runs that were read, the order is final
    /// down to the *cut*: the latest of the last runs of full pages, since further pages may have runs that come after it.
    pub(super) async fn list(&self, query: &RunQuery) -> Result<RunPage, StoreError> {
        let mut found = Collector::new(query);
        if query.limit == 0 {
            return Ok(found.page());
        }
        let index = Index::of(query);
        if let Some(beginning) = &query.id
            && let Some(entries) = self.with_ids(beginning).await?
        {
            return Ok(page_of(query, entries));
        }
        if matches!(index, Index::Words(_)) {
            self.index_all().await?;
        }
        let page = found.wanted().min(PAGE);
        // Runs that were read, but come after the cut.
        let mut waiting = BTreeSet::new();
        let mut offset = 0;
        // The last cut, down to which all runs were taken.
        let mut done: Option<Reverse<Place>> = None;
        loop {
            let pages = self.places(&index, query, (offset, page)).await?;
            let cut = pages.iter().filter(|ids| ids.len() == page).filter_map(|ids| ids.last().cloned()).max();
            waiting.extend(pages.into_iter().flatten().map(Reverse));
            if let Some(done) = &done {
                // Runs that start in the meantime move others to the next page, where they are read twice.
                waiting = split_after(&mut waiting, done);
            }
            let below = cut.as_ref().map_or_else(BTreeSet::new, |cut| split_after(&mut waiting, &Reverse(cut.clone())));
            if self.take(&index, waiting, &mut found).await? || cut.is_none() {
                return Ok(found.page());
            }
            waiting = below;
            done = cut.map(Reverse);
            offset += page;
        }
    }

    /// Reads the entries of runs in order, and returns whether the page is complete.
    async fn take(
        &self,
        index: &Index,
        ids: BTreeSet<Reverse<Place>>,
        found: &mut Collector<'_>,
    ) -> Result<bool, StoreError> {
        let ids = ids.into_iter().filter_map(|Reverse((_, id))| self.run(id).transpose());
        let ids: Vec<RunId> = ids.collect::<Result<_, _>>()?;
        let mut rest = ids.as_slice();
        // If all match, no more are read than are wanted. If few do, more and more are read at a time.
        let mut step = found.wanted().clamp(1, PAGE);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(step.min(rest.len()));
            let entries = try_join_all(now.iter().map(|run| self.entry_or_forget(run))).await?;
            for entry in entries.into_iter().flatten() {
                if !index.has(&entry) {
                    self.index(&entry).await?;
                }
                if found.take(entry) {
                    return Ok(true);
                }
            }
            rest = later;
            step = (2 * step).min(PAGE);
        }
        Ok(false)
    }

    /// How many runs of a flow, or of all, have each status. No entry is read.
    pub(super) async fn count(&self, flow: Option<&FlowName>) -> Result<RunCounts, StoreError> {
        self.index_all().await?;
        let mut asked = Vec::new();
        for status in Status::ALL {
            let word = flow.map_or_else(|| status_word(status), |flow| flow_word(flow, status));
            for part in 0..self.parts {
                let mut count = cmd("ZLEXCOUNT");
                count.arg(format!("{}labels", self.part(part))).arg(format!("[{word} ")).arg(format!("({word}!"));
                asked.push(async move {
                    Ok::<_, StoreError>((status, self.link.ask::<u64>(&count, Repeat::Harmless).await?))
                });
            }
        }
        let mut counts = RunCounts::default();
        try_join_all(asked).await?.into_iter().for_each(|(status, runs)| counts.add(status, runs));
        Ok(counts)
    }

    /// The flows that have runs: in each part, the first flow, and then the first one behind it, until there are no more.
    pub(super) async fn list_flows(&self) -> Result<Vec<FlowName>, StoreError> {
        self.index_all().await?;
        let of_part = |part: u64| async move {
            let mut flows = Vec::new();
            let mut from = "[:f=".to_owned();
            loop {
                let mut first = cmd("ZRANGE");
                // `>` follows the `=` behind a flow.
                first.arg(format!("{}labels", self.part(part))).arg(&from).arg("(:f>").arg("BYLEX");
                first.arg("LIMIT").arg(0).arg(1);
                let found: Vec<String> = self.link.ask(&first, Repeat::Harmless).await?;
                let word = found.first().and_then(|member| member.strip_prefix(":f=")?.split('=').next());
                let Some(word) = word else { return Ok::<_, StoreError>(flows) };
                from = format!("[:f={word}>");
                let flow = percent_decode_str(word).decode_utf8().ok().and_then(|flow| FlowName::new(flow).ok());
                flows.extend(flow);
            }
        };
        let flows: Vec<Vec<FlowName>> = try_join_all((0..self.parts).map(of_part)).await?;
        let flows: BTreeSet<FlowName> = flows.into_iter().flatten().collect();
        Ok(flows.into_iter().collect())
    }

    /// The entries of all runs whose ids begin so, in no order; `None` if there are very many of them.
    async fn with_ids(&self, beginning: &str) -> Result<Option<Vec<RunEntry>>, StoreError> {
        self.index_all().await?;
        let words = [":i".to_owned()];
        let pages = self.words(&words, |word, command| {
            // No id has a byte that is larger.
            command.arg(format!("[{word} {beginning}")).arg(format!("({word} {beginning}\u{7f}")).arg("BYLEX");
            command.arg("LIMIT").arg(0).arg(LOOKED_AT + 1);
        });
        let ids: Vec<Vec<u8>> = pages.await?.into_iter().flatten().collect();
        if ids.len() > LOOKED_AT {
            return Ok(None);
        }
        let ids = ids.into_iter().filter_map(|id| self.run(id.get(3..).unwrap_or_default().to_vec()).transpose());
        let ids: Vec<RunId> = ids.collect::<Result<_, _>>()?;
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(PAGE) {
            found.extend(try_join_all(ids.iter().map(|run| self.entry_or_forget(run))).await?.into_iter().flatten());
        }
        Ok(Some(found))
    }

    /// Puts all runs into the index of words that were stored by a release without it, and marks the store once that is done.
    async fn index_all(&self) -> Result<(), StoreError> {
        let all = async {
            let mut marked = cmd("EXISTS");
            marked.arg(indexed_mark(&self.link));
            if self.link.ask::<bool>(&marked, Repeat::Harmless).await? {
                return Ok(());
            }
            let mut runs = 0;
            for part in 0..self.parts {
                self.index_part(part, &mut runs).await?;
            }
            if runs > 0 {
                tracing::info!(store = %self.link.target, runs, "index of runs complete");
            }
            mark_indexed(&self.link).await
        };
        self.indexed.get_or_try_init(|| all).await.copied()
    }

    /// Indexes the runs of one part, and adds their number. Many of them take a while, so the log says how far it is.
    async fn index_part(&self, part: u64, runs: &mut usize) -> Result<(), StoreError> {
        let key = format!("{}runs", self.part(part));
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("ZSCAN");
            scan.arg(&key).arg(cursor).arg("COUNT").arg(PAGE);
            let scanned = self.link.ask::<Scanned>(&scan, Repeat::Harmless).await;
            let Some((next, ids)) = self.malformed.skip(scanned)? else { return Ok(()) };
            let ids = ids.into_iter().filter_map(|(id, _)| self.run(id).transpose());
            let ids: Vec<RunId> = ids.collect::<Result<_, _>>()?;
            let entries = try_join_all(ids.iter().map(|run| self.entry_or_forget(run))).await?;
            let indexed = join_all(entries.iter().flatten().map(|entry| self.index(entry))).await;
            indexed.into_iter().collect::<Result<(), _>>()?;
            let before = *runs;
            *runs += ids.len();
            if before == 0 && *runs > 0 || before / LOGGED < *runs / LOGGED {
                tracing::info!(store = %self.link.target, runs, "indexing the runs of an older release");
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Puts into the index of words what it should have of a run, which is counted if it had something else.
    async fn index(&self, entry: &RunEntry) -> Result<(), StoreError> {
        let mut arguments = Arguments::default();
        arguments.bytes(entry.run.as_str().as_bytes()).text(encode(entry)).text(indexed(entry));
        let keys = self.keys(&Partition::of_run(&entry.run));
        let repaired: u64 = self.link.run(&self.index, &keys, &arguments, Repeat::Harmless).await?;
        self.repaired.fetch_add(repaired, Ordering::Relaxed);
        Ok(())
    }

    async fn entry_or_forget(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        let fields = self.link.ask(&self.read_entry(run), Repeat::Harmless).await;
        let Some(fields) = self.skip_malformed(run, fields)? else { return Ok(None) };
        match self.malformed.skip(self.decode(run, fields))? {
            Some(Some(entry)) => Ok(Some(entry)),
            Some(None) => self.drop_from_index(run).await.map(|()| None),
            None => Ok(None),
        }
    }

    /// What was read of a run, or `None` if its key is malformed.
    fn skip_malformed<T>(&self, run: &RunId, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        self.malformed.skip(read.map_err(|error| match error {
            StoreError::Corrupt { reason, .. } => self.link.target.corrupt(format!("in run {run}: {reason}")),
            error => error,
        }))
    }

    async fn drop_from_index(&self, run: &RunId) -> Result<(), StoreError> {
        let mut arguments = Arguments::default();
        arguments.bytes(run.as_str().as_bytes());
        let forgotten =
            self.link.run(&self.forget, &self.keys(&Partition::of_run(run)), &arguments, Repeat::Harmless).await;
        let gone: Option<u64> = self.skip_malformed(run, forgotten)?;
        self.repaired.fetch_add(gone.unwrap_or_default(), Ordering::Relaxed);
        Ok(())
    }

    /// Lists due runs, earliest first.
    pub(super) async fn list_due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let at_most = self.malformed.with_skipped(limit).min(i64::MAX as usize);
        let pages = self.pages("due", |command| {
            command.arg("-inf").arg(now).arg("BYSCORE").arg("LIMIT").arg(0).arg(at_most).arg("WITHSCORES");
        });
        let mut due: Vec<Place> = pages.await?.into_iter().flatten().collect();
        due.sort_unstable();
        due.truncate(at_most);
        let due = due.into_iter().filter_map(|(_, id)| self.run(id).transpose()).collect::<Result<Vec<_>, _>>()?;
        let still = try_join_all(due.into_iter().map(|run| async move {
            let mut there = cmd("HEXISTS");
            there.arg(self.key(&Partition::of_run(&run))).arg("e");
            match self.skip_malformed(&run, self.link.ask(&there, Repeat::Harmless).await)? {
                Some(true) => Ok(Some(run)),
                Some(false) => self.drop_from_index(&run).await.map(|()| None),
                None => Ok(None),
            }
        }));
        Ok(still.await?.into_iter().flatten().take(limit).collect())
    }

    /// A page of places in every part of an index, latest start first.
    async fn places(
        &self,
        index: &Index,
        query: &RunQuery,
        (offset, page): (usize, usize),
    ) -> Result<Vec<Vec<Place>>, StoreError> {
        let (latest, since) = (query.latest_start(), query.since.unwrap_or_default());
        match index {
            Index::Runs => {
                let pages = self.pages("runs", |command| {
                    command.arg(latest.min(LATEST)).arg(since).arg("BYSCORE").arg("REV");
                    command.arg("LIMIT").arg(offset).arg(page).arg("WITHSCORES");
                });
                pages.await
            }
            Index::Words(words) => {
                let pages = self.words(words, |word, command| {
                    match latest.checked_add(1) {
                        Some(end) => command.arg(format!("({word} {end:020}")),
                        // `!` follows the space behind the word.
                        None => command.arg(format!("({word}!")),
                    };
                    command.arg(format!("[{word} {since:020}")).arg("BYLEX").arg("REV");
                    command.arg("LIMIT").arg(offset).arg(page);
                });
                // A malformed member stays in the page, which is full or not, and is skipped as the id of a run.
                let place = |member: Vec<u8>| worded_place(&member).unwrap_or((0, member));
                Ok(pages.await?.into_iter().map(|page| page.into_iter().map(place).collect()).collect())
            }
        }
    }

    /// Reads a range of the index of words for each word from every part of the index. The commands are pipelined.
    async fn words(&self, words: &[String], range: impl Fn(&str, &mut Cmd)) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let asked = (0..self.parts).flat_map(|part| words.iter().map(move |word| (part, word))).map(|(part, word)| {
            let mut command = cmd("ZRANGE");
            let key = format!("{}labels", self.part(part));
            command.arg(&key);
            range(word, &mut command);
            async move {
                let page = self.link.ask(&command, Repeat::Harmless).await.map_err(|error| match error {
                    StoreError::Corrupt { .. } => self.link.target.corrupt(format!("the key {key} is not an index")),
                    error => error,
                });
                let page: Option<Vec<Vec<u8>>> = self.malformed.skip(page)?;
                Ok(page.unwrap_or_default())
            }
        });
        try_join_all(asked).await
    }

    /// Reads a range of every part of the index. The commands are pipelined.
    async fn pages(&self, index: &str, range: impl Fn(&mut Cmd)) -> Result<Vec<Vec<Place>>, StoreError> {
        let asked = (0..self.parts).map(|part| {
            let mut command = cmd("ZRANGE");
            let key = format!("{}{index}", self.part(part));
            command.arg(&key);
            range(&mut command);
            async move {
                let page = self.link.ask(&command, Repeat::Harmless).await.map_err(|error| match error {
                    StoreError::Corrupt { .. } => self.link.target.corrupt(format!("the key {key} is not an index")),
                    error => error,
                });
                let page: Option<Vec<(Vec<u8>, f64)>> = self.malformed.skip(page)?;
                Ok(page.into_iter().flatten().map(|(id, time)| (moment(time), id)).collect())
            }
        });
        try_join_all(asked).await
    }

    /// The run with an id from an index, or `None` if the id is malformed.
    fn run(&self, id: Vec<u8>) -> Result<Option<RunId>, StoreError> {
        let shown = id.escape_ascii().to_string();
        let run = String::from_utf8(id).ok().and_then(|id| RunId::new(id).ok());
        self.malformed
            .skip(run.ok_or_else(|| self.link.target.corrupt(format!("the index has `{shown}`, which is not a run"))))
    }
}

/// The key that exists once all runs of a store are in the index of words.
fn indexed_mark(link: &Link) -> String {
    format!("{}indexed", link.target.prefix)
}

/// Marks a store all of whose runs are in the index of words.
pub(super) async fn mark_indexed(link: &Link) -> Result<(), StoreError> {
    let mut set = cmd("SET");
    set.arg(indexed_mark(link)).arg(1);
    link.ask(&set, Repeat::Harmless).await
}

/// The latest start for which a score is exact.
const LATEST: Millis = 1 << 53;

/// Start and id of a run in the index of words: `order=42 00000001790000000000 run-1`.
fn worded_place(member: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(member).ok()?;
    let mut words = text.split(' ').skip(1);
    let (started, id) = (words.next()?.parse().ok()?, words.next()?);
    Some((started, id.as_bytes().to_vec()))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and times are whole")]
fn moment(score: f64) -> Millis {
    score as Millis
}

/// Removes what comes after the cut from the set, and returns it.
fn split_after<T: Ord>(set: &mut BTreeSet<T>, cut: &T) -> BTreeSet<T> {
    let mut after = set.split_off(cut);
    if let Some(cut) = after.take(cut) {
        set.insert(cut);
    }
    after
}

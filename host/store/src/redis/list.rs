//! The lists of runs and of due runs, which are read from all parts of the index at once.

use super::link::{Arguments, Repeat};
use super::state::{RedisState, label_word};
use crate::{RunEntry, RunQuery, StoreError};
use ::redis::{Cmd, cmd};
use faas_flow_core::{Millis, Partition, RunId};
use futures_util::future::try_join_all;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How many ids are read from a part of the index at a time.
const PAGE: usize = 1000;

/// An entry of an index: a time and the id of a run, which may be malformed.
type Place = (Millis, Vec<u8>);

impl RedisState {
    /// Lists runs, latest start first. All parts of the index are read page by page. Of the runs that were read, the order is final
    /// down to the *cut*: the latest of the last runs of full pages, since further pages may have runs that come after it.
    pub(super) async fn list(&self, query: &RunQuery) -> Result<Vec<RunEntry>, StoreError> {
        let page = query.limit.min(PAGE);
        let mut found = Vec::new();
        // Runs that were read, but come after the cut.
        let mut waiting = BTreeSet::new();
        let mut offset = 0;
        // The last cut, down to which all runs were taken.
        let mut done: Option<Reverse<Place>> = None;
        while found.len() < query.limit {
            let pages = match query.labels.iter().next() {
                // The other labels are looked at in the entries.
                Some(label) => self.labeled(label, offset, page).await?,
                None => {
                    let pages = self.pages("runs", |command| {
                        command.arg(offset).arg(offset + page - 1).arg("REV").arg("WITHSCORES");
                    });
                    pages.await?
                }
            };
            let cut = pages.iter().filter(|ids| ids.len() == page).filter_map(|ids| ids.last().cloned()).max();
            waiting.extend(pages.into_iter().flatten().map(Reverse));
            if let Some(done) = &done {
                // Runs that start in the meantime move others to the next page, where they are read twice.
                waiting = split_after(&mut waiting, done);
            }
            let below = cut.as_ref().map_or_else(BTreeSet::new, |cut| split_after(&mut waiting, &Reverse(cut.clone())));
            self.take(query, waiting, &mut found).await?;
            if cut.is_none() {
                break;
            }
            waiting = below;
            done = cut.map(Reverse);
            offset += page;
        }
        Ok(found)
    }

    /// Reads the entries of runs in order, and adds those that match the query, up to its limit.
    async fn take(
        &self,
        query: &RunQuery,
        ids: BTreeSet<Reverse<Place>>,
        found: &mut Vec<RunEntry>,
    ) -> Result<(), StoreError> {
        let ids = ids.into_iter().filter_map(|Reverse((_, id))| self.run(id).transpose());
        let ids: Vec<RunId> = ids.collect::<Result<_, _>>()?;
        for ids in ids.chunks(PAGE) {
            let wanted = query.limit - found.len();
            if wanted == 0 {
                break;
            }
            // Without a filter, nearly every entry matches, so no more need to be read than are wanted.
            let is_filtered = query.flow.is_some() || query.status.is_some() || query.labels.len() > 1;
            let step = if !is_filtered { wanted.clamp(1, PAGE) } else { PAGE };
            for ids in ids.chunks(step) {
                let entries = try_join_all(ids.iter().map(|run| self.entry_or_forget(run))).await?;
                let entries = entries.into_iter().flatten().filter(|entry| query.admits(entry));
                found.extend(entries.take(query.limit - found.len()));
            }
        }
        Ok(())
    }

    async fn entry_or_forget(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        let mut read = cmd("HGET");
        read.arg(self.key(&Partition::of_run(run))).arg("e");
        let found: Option<Option<Vec<u8>>> = self.skip_malformed(run, self.link.ask(&read, Repeat::Harmless).await)?;
        match found {
            Some(Some(bytes)) => self.malformed.skip(self.decode(run, &bytes)),
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
        self.skip_malformed(run, forgotten).map(|_: Option<()>| ())
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

    /// A page of the runs with a label, of every part of the index, latest start first.
    async fn labeled(
        &self,
        (key, value): (&str, &str),
        offset: usize,
        page: usize,
    ) -> Result<Vec<Vec<Place>>, StoreError> {
        let word = label_word(key, value);
        let asked = (0..self.parts).map(|part| {
            let mut command = cmd("ZRANGE");
            let key = format!("{}labels", self.part(part));
            // `!` follows the space behind the label.
            command.arg(&key).arg(format!("({word}!")).arg(format!("[{word} ")).arg("BYLEX").arg("REV");
            command.arg("LIMIT").arg(offset).arg(page);
            async move {
                let page = self.link.ask(&command, Repeat::Harmless).await.map_err(|error| match error {
                    StoreError::Corrupt { .. } => self.link.target.corrupt(format!("the key {key} is not an index")),
                    error => error,
                });
                let page: Option<Vec<Vec<u8>>> = self.malformed.skip(page)?;
                // A malformed member stays in the page, which is full or not, and is skipped as the id of a run.
                let place = |member: Vec<u8>| labeled_place(&member).unwrap_or((0, member));
                Ok(page.into_iter().flatten().map(place).collect())
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

/// Start and id of a run in the index of labels: `order=42 00000001790000000000 run-1`.
fn labeled_place(member: &[u8]) -> Option<Place> {
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

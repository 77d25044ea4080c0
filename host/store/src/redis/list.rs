//! The list of runs and of those that are due, asked of all partitions at once.

use super::link::{Arguments, Repeat};
use super::state::RedisState;
use crate::{RunEntry, RunQuery, StoreError};
use ::redis::{Cmd, cmd};
use faas_flow_core::{Millis, RunId};
use futures_util::future::try_join_all;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The most ids that a partition is asked for at a time.
const PAGE: usize = 1000;

/// What an index says of a run: a time, and its id, unless that is garbage.
type Place = (Millis, Vec<u8>);

impl RedisState {
    /// Newest first. Each partition is read page by page: what has been read of all of them is in order down to the
    /// last run of the page that ends soonest.
    pub(super) async fn list(&self, query: &RunQuery) -> Result<Vec<RunEntry>, StoreError> {
        let page = query.limit.min(PAGE);
        let (mut found, mut waiting, mut offset) = (Vec::new(), BTreeSet::new(), 0);
        let mut done: Option<Reverse<Place>> = None;
        while found.len() < query.limit {
            let pages = self.pages("runs", |command| {
                command.arg(offset).arg(offset + page - 1).arg("REV").arg("WITHSCORES");
            });
            let pages = pages.await?;
            let cut = pages.iter().filter(|ids| ids.len() == page).filter_map(|ids| ids.last().cloned()).max();
            waiting.extend(pages.into_iter().flatten().map(Reverse));
            if let Some(done) = &done {
                // Runs that begin meanwhile push others from one page to the next.
                waiting = split_after(&mut waiting, done);
            }
            let below = cut.as_ref().map_or_else(BTreeSet::new, |cut| split_after(&mut waiting, &Reverse(cut.clone())));
            self.take(query, waiting, &mut found).await?;
            if cut.is_none() {
                break;
            }
            (waiting, done) = (below, cut.map(Reverse));
            offset += page;
        }
        Ok(found)
    }

    /// Reads the entries of runs in order, and keeps those that are asked for, up to the limit.
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
            // Without a filter, what is wanted is all that needs to be read, save those that are gone.
            let step = if query.flow.is_none() && query.status.is_none() { wanted.clamp(1, PAGE) } else { PAGE };
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
        read.arg(self.run_key(run)).arg("e");
        let found: Option<Option<Vec<u8>>> = self.sift(run, self.link.ask(&read, Repeat::Harmless).await)?;
        match found {
            Some(Some(bytes)) => self.garbage.sift(self.decode(run, &bytes)),
            Some(None) => self.drop_from_index(run).await.map(|()| None),
            None => Ok(None),
        }
    }

    /// What was read of a run, unless its key is garbage.
    fn sift<T>(&self, run: &RunId, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        self.garbage.sift(read.map_err(|error| match error {
            StoreError::Corrupt { reason, .. } => self.link.target.corrupt(format!("of run {run}: {reason}")),
            error => error,
        }))
    }

    async fn drop_from_index(&self, run: &RunId) -> Result<(), StoreError> {
        let mut arguments = Arguments::default();
        arguments.bytes(run.as_str().as_bytes());
        let forgotten = self.link.run(&self.forget, &self.keys(run), &arguments, Repeat::Harmless).await;
        self.sift(run, forgotten).map(|_: Option<()>| ())
    }

    /// Earliest first.
    pub(super) async fn list_due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let at_most = self.garbage.beside(limit).min(i64::MAX as usize);
        let pages = self.pages("due", |command| {
            command.arg("-inf").arg(now).arg("BYSCORE").arg("LIMIT").arg(0).arg(at_most).arg("WITHSCORES");
        });
        let mut due: Vec<Place> = pages.await?.into_iter().flatten().collect();
        due.sort_unstable();
        due.truncate(at_most);
        let due = due.into_iter().filter_map(|(_, id)| self.run(id).transpose()).collect::<Result<Vec<_>, _>>()?;
        let still = try_join_all(due.into_iter().map(|run| async move {
            let mut there = cmd("HEXISTS");
            there.arg(self.run_key(&run)).arg("e");
            match self.sift(&run, self.link.ask(&there, Repeat::Harmless).await)? {
                Some(true) => Ok(Some(run)),
                Some(false) => self.drop_from_index(&run).await.map(|()| None),
                None => Ok(None),
            }
        }));
        Ok(still.await?.into_iter().flatten().take(limit).collect())
    }

    /// Asks every partition's index for a range. The questions follow each other on the connection without waiting.
    async fn pages(&self, index: &str, range: impl Fn(&mut Cmd)) -> Result<Vec<Vec<Place>>, StoreError> {
        let asked = (0..self.partitions).map(|partition| {
            let mut command = cmd("ZRANGE");
            let key = format!("{}{index}", self.partition(partition));
            command.arg(&key);
            range(&mut command);
            async move {
                let page = self.link.ask(&command, Repeat::Harmless).await.map_err(|error| match error {
                    StoreError::Corrupt { .. } => self.link.target.corrupt(format!("the key {key} is no index")),
                    error => error,
                });
                let page: Option<Vec<(Vec<u8>, f64)>> = self.garbage.sift(page)?;
                Ok(page.into_iter().flatten().map(|(id, time)| (moment(time), id)).collect())
            }
        });
        try_join_all(asked).await
    }

    /// The run that an index names, unless that is garbage.
    fn run(&self, id: Vec<u8>) -> Result<Option<RunId>, StoreError> {
        let shown = id.escape_ascii().to_string();
        let run = String::from_utf8(id).ok().and_then(|id| RunId::new(id).ok());
        self.garbage
            .sift(run.ok_or_else(|| self.link.target.corrupt(format!("the index holds `{shown}`, which is no run"))))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and times are whole")]
fn moment(score: f64) -> Millis {
    score as Millis
}

/// Takes out what comes after the cut.
fn split_after<T: Ord>(set: &mut BTreeSet<T>, cut: &T) -> BTreeSet<T> {
    let mut after = set.split_off(cut);
    if let Some(cut) = after.take(cut) {
        set.insert(cut);
    }
    after
}

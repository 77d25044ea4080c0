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

/// What an index says of a run: a time, and its id.
type Place = (Millis, RunId);

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
        let ids: Vec<RunId> = ids.into_iter().map(|Reverse((_, run))| run).collect();
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
        let found: Option<Vec<u8>> = self.link.ask(&read, Repeat::Harmless).await?;
        match found {
            Some(bytes) => self.decode(run, &bytes).map(Some),
            None => self.drop_from_index(run).await.map(|()| None),
        }
    }

    async fn drop_from_index(&self, run: &RunId) -> Result<(), StoreError> {
        let mut arguments = Arguments::default();
        arguments.bytes(run.as_str().as_bytes());
        self.link.run(&self.forget, &self.keys(run), &arguments, Repeat::Harmless).await
    }

    /// Earliest first.
    pub(super) async fn list_due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let at_most = limit.min(i64::MAX as usize);
        let pages = self.pages("due", |command| {
            command.arg("-inf").arg(now).arg("BYSCORE").arg("LIMIT").arg(0).arg(at_most).arg("WITHSCORES");
        });
        let mut due: Vec<Place> = pages.await?.into_iter().flatten().collect();
        due.sort_unstable();
        due.truncate(limit);
        let still = try_join_all(due.into_iter().map(|(_, run)| async move {
            let mut there = cmd("HEXISTS");
            there.arg(self.run_key(&run)).arg("e");
            match self.link.ask(&there, Repeat::Harmless).await? {
                true => Ok(Some(run)),
                false => self.drop_from_index(&run).await.map(|()| None),
            }
        }));
        Ok(still.await?.into_iter().flatten().collect())
    }

    /// Asks every partition's index for a range. The questions follow each other on the connection without waiting.
    async fn pages(&self, index: &str, range: impl Fn(&mut Cmd)) -> Result<Vec<Vec<Place>>, StoreError> {
        let asked = (0..self.partitions).map(|partition| {
            let mut command = cmd("ZRANGE");
            command.arg(format!("{}{index}", self.partition(partition)));
            range(&mut command);
            async move {
                let page: Vec<(Vec<u8>, f64)> = self.link.ask(&command, Repeat::Harmless).await?;
                page.into_iter().map(|(id, time)| self.place(id, time)).collect()
            }
        });
        try_join_all(asked).await
    }

    fn place(&self, id: Vec<u8>, time: f64) -> Result<Place, StoreError> {
        let id = String::from_utf8(id).ok().and_then(|id| RunId::new(id).ok());
        let id = id.ok_or_else(|| self.link.target.corrupt("the index holds what is no run"))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and times are whole")]
        Ok((time as Millis, id))
    }
}

/// Takes out what comes after the cut.
fn split_after<T: Ord>(set: &mut BTreeSet<T>, cut: &T) -> BTreeSet<T> {
    let mut after = set.split_off(cut);
    if let Some(cut) = after.take(cut) {
        set.insert(cut);
    }
    after
}

//! Which documents of a run have changed. Each commit notes their names in the run's key, by its number: `l` is the number of the
//! latest one, `l7` has the names of the seventh. The oldest are forgotten, so that a run that lasts for months does not grow.

use super::link::{Arguments, Repeat};
use super::state::RedisState;
use crate::changes::{Changed, PIECE, Position, Seen};
use crate::state::holds_data;
use crate::{Document, Put, StoreError};
use ::redis::cmd;
use faas_flow_core::Partition;
use faas_flow_core::run::HOLD_DATA;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A run with so many fields is read in pieces: some thousand documents, which take a script some milliseconds.
const WIDE: usize = 10_000;

/// The names of the documents that a commit writes, without those that hold data: the length of each, and the name.
pub(super) fn noted(puts: &[Put]) -> String {
    let mut names = String::new();
    for put in puts.iter().filter(|put| !holds_data(&put.doc)) {
        // Writing to a string cannot fail.
        let _ = write!(names, "{}:{}", put.doc.len(), put.doc);
    }
    names
}

/// What the script answers.
struct Answer {
    /// The cursor with which to go on, or the number of the latest change that was read.
    next: u64,
    /// The number of the latest change that is noted; `None` for a run of which none are.
    latest: Option<u64>,
    documents: Vec<(String, Document)>,
}

impl RedisState {
    /// Reads what has changed. The first time, and when it is not known what has, the documents are read in the order in which the
    /// server has them.
    pub(super) async fn changed(&self, partition: &Partition, seen: &Seen) -> Result<Changed, StoreError> {
        if let Position::Change(since) = seen.position
            && let Some(Answer { next, latest, documents }) = self.changes(partition, None, since).await?
        {
            let more = latest.is_some_and(|latest| next < latest);
            return Ok(Changed { more, position: Position::Change(next), ..Changed::of_all(documents, seen) });
        }
        let (cursor, begun) = match seen.position {
            Position::Cursor(cursor, begun) => (cursor, Some(begun)),
            _ => (0, None),
        };
        let Some(Answer { next, latest, documents }) = self.changes(partition, Some(cursor), 0).await? else {
            return Ok(Changed::default());
        };
        // What changes from now on is behind the latest change of this moment.
        let begun = begun.unwrap_or(latest);
        let position = match (next, begun) {
            (0, Some(latest)) => Position::Change(latest),
            (0, None) => Position::Beginning,
            _ => Position::Cursor(next, begun),
        };
        Ok(Changed { more: next != 0, position, ..Changed::of_all(documents, seen) })
    }

    /// Reads a wide run in pieces, so that others do not wait for one long script; `None` for a run that is not wide, or whose
    /// changes are not noted. All documents that have changed since the first piece are read again, the last of them by one
    /// script. As they were at that moment, all documents are in one view.
    pub(super) async fn wide_progress(
        &self,
        partition: &Partition,
    ) -> Result<Option<Vec<(String, Document)>>, StoreError> {
        let mut count = cmd("HLEN");
        count.arg(self.key(partition));
        let fields: usize = self.link.ask(&count, Repeat::Harmless).await?;
        if fields < WIDE {
            return Ok(None);
        }
        let (mut seen, mut known) = (Seen::default(), BTreeMap::new());
        let mut is_scanned = false;
        loop {
            let changed = self.changed(partition, &seen).await?;
            seen.note(&changed);
            known.extend(changed.documents);
            let is_noted = matches!(seen.position, Position::Change(_));
            match (changed.more, is_scanned) {
                // The run was deleted, or so much has changed that it is not known what.
                (_, true) | (false, _) if !is_noted => return Ok(None),
                (false, true) => return Ok(Some(known.into_iter().collect())),
                (false, false) => is_scanned = true,
                (true, _) => {}
            }
        }
    }

    async fn changes(
        &self,
        partition: &Partition,
        cursor: Option<u64>,
        since: u64,
    ) -> Result<Option<Answer>, StoreError> {
        let mut arguments = Arguments::default();
        arguments.text(cursor.map_or_else(String::new, |cursor| cursor.to_string())).text(since).text(PIECE);
        for beginning in HOLD_DATA {
            arguments.bytes(beginning.as_bytes());
        }
        let found: Option<Vec<Option<Vec<u8>>>> =
            self.link.run(&self.changed, &[self.key(partition)], &arguments, Repeat::Harmless).await?;
        let Some(found) = found else { return Ok(None) };
        let mut found = found.into_iter();
        let number = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let next = number(found.next().flatten()).and_then(|text| text.parse().ok());
        let next = next.ok_or_else(|| self.link.target.corrupt("a cursor is not a number"))?;
        // -1 stands for none.
        let latest = number(found.next().flatten()).and_then(|text| text.parse().ok());
        Ok(Some(Answer { next, latest, documents: self.documents(found)? }))
    }
}

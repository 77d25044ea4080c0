//! Which documents of a run have changed. Each commit notes their names in the run's key, by its number: `l` is the number of the
//! latest one, `l7` has the names of the seventh. The oldest are forgotten, so that a run that lasts for months does not grow. `c` is
//! the number of documents that hold no data, since a scan may miss some: its cursor means nothing to the server that takes over after
//! a failover.

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
    /// How many documents there are; `None` if they are not counted.
    count: Option<usize>,
    documents: Vec<(String, Document)>,
}

/// What to read.
enum What {
    /// What has changed since the change of this number.
    Since(u64),
    /// Some documents, from this cursor on.
    Scanned(u64),
    /// All documents, by one script.
    All,
}

impl RedisState {
    /// Reads what has changed. The first time, and when it is not known what has, the documents are read in the order in which the
    /// server has them, and then what has changed meanwhile. If some were missed nevertheless, all are read at once.
    ///
    /// The last piece is of one view with everything that was read before.
    pub(super) async fn changed(&self, partition: &Partition, seen: &Seen) -> Result<Changed, StoreError> {
        if let Position::Change(since) = seen.position
            && let Some(Answer { next, latest, count, documents }) = self.changes(partition, What::Since(since)).await?
        {
            let more = latest.is_some_and(|latest| next < latest);
            let misses = !more && count.is_some_and(|count| seen.count_with(&documents) < count);
            let position = if misses { Position::Whole } else { Position::Change(next) };
            return Ok(Changed { more: more || misses, position, ..Changed::of_all(documents, seen) });
        }
        let (what, begun) = match seen.position {
            Position::Cursor(cursor, begun) => (What::Scanned(cursor), Some(begun)),
            Position::Whole => (What::All, None),
            _ => (What::Scanned(0), None),
        };
        let Some(Answer { next, latest, documents, .. }) = self.changes(partition, what).await? else {
            return Ok(Changed::default());
        };
        let (more, position) = match (next, begun, latest) {
            // All in one piece.
            (0, None, Some(latest)) => (false, Position::Change(latest)),
            // What has changed since the first piece follows.
            (0, Some(Some(begun)), _) => (true, Position::Change(begun)),
            (0, ..) => (false, Position::Beginning),
            (next, begun, latest) => (true, Position::Cursor(next, begun.unwrap_or(latest))),
        };
        Ok(Changed { more, position, ..Changed::of_all(documents, seen) })
    }

    /// Reads a wide run in pieces, so that others do not wait for one long script; `None` for a run that is not wide, or whose
    /// changes are not noted. All documents are in one view.
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
        loop {
            let changed = self.changed(partition, &seen).await?;
            seen.note(&changed);
            known.extend(changed.documents);
            match (changed.more, &seen.position) {
                (true, _) => {}
                (false, Position::Change(_)) => return Ok(Some(known.into_iter().collect())),
                // The run was deleted, or its changes are not noted.
                (false, _) => return Ok(None),
            }
        }
    }

    async fn changes(&self, partition: &Partition, what: What) -> Result<Option<Answer>, StoreError> {
        let (cursor, since) = match what {
            What::Since(since) => (String::new(), since),
            What::Scanned(cursor) => (cursor.to_string(), 0),
            What::All => ("all".to_owned(), 0),
        };
        let mut arguments = Arguments::default();
        arguments.text(cursor).text(since).text(PIECE);
        for beginning in HOLD_DATA {
            arguments.bytes(beginning.as_bytes());
        }
        let found: Option<Vec<Option<Vec<u8>>>> =
            self.link.run(&self.changed, &[self.key(partition)], &arguments, Repeat::Harmless).await?;
        let Some(found) = found else { return Ok(None) };
        let mut found = found.into_iter();
        // -1 stands for none.
        let mut number = || found.next().flatten().and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<u64>().ok());
        let next = number().ok_or_else(|| self.link.target.corrupt("a cursor is not a number"))?;
        let (latest, count) = (number(), number().and_then(|count| usize::try_from(count).ok()));
        Ok(Some(Answer { next, latest, count, documents: self.documents(found)? }))
    }
}

#[cfg(test)]
mod tests {
    use crate::changes::{Position, Seen};
    use crate::{Change, Expect, Put, open_state};
    use faas_flow_core::{Partition, RunId};
    use faas_flow_test_support::servers::redis;
    use std::sync::Arc;

    /// After a failover the cursor is one of another server, which may say that nothing is left.
    #[tokio::test]
    async fn what_a_scan_has_missed_is_read_nevertheless() {
        let server = redis(&[]);
        let store = open_state(&format!("redis://127.0.0.1:{}", server.port())).await.unwrap();
        let partition = Partition::of_run(&RunId::new("wide").unwrap());
        for chunk in 0..100 {
            let names = (0..50).map(|item| format!("scope:F[{chunk}-{item}]")).chain([format!("data:{chunk}")]);
            let puts = names.map(|doc| Put { doc, expect: Expect::Absent, bytes: "x".into() }).collect();
            store.commit(&partition, Change { puts, ..Change::default() }).await.unwrap();
        }
        let mut pieces = Vec::new();
        let mut seen = Arc::new(Seen::default());
        loop {
            let changed = store.read_changed(&partition, &seen).await.unwrap();
            Arc::make_mut(&mut seen).note(&changed);
            if !changed.more {
                break;
            }
            pieces.push(changed);
        }
        let cursor = |changed: &crate::Changed| matches!(changed.position, Position::Cursor(..));
        let last = pieces.iter().rfind(|changed| cursor(changed)).unwrap();
        assert_ne!(last.position, pieces[0].position, "it is scanned in several pieces");
        // Somebody who has read the first piece goes on with the last one.
        let mut jumped = Seen::default();
        jumped.note(&pieces[0]);
        jumped.position = last.position.clone();
        let mut jumped = Arc::new(jumped);
        while {
            let changed = store.read_changed(&partition, &jumped).await.unwrap();
            Arc::make_mut(&mut jumped).note(&changed);
            changed.more
        } {}
        assert_eq!(jumped, seen);
        assert_eq!(jumped.count_with(&[]), 5000);
    }
}

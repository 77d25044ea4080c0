//! Which documents of a partition have changed. etcd knows for each key the revision of its latest change, so that a reader names the
//! revision that it has read.

use super::connect::Trouble;
use super::keys::after;
use super::{Etcd, document};
use crate::StoreError;
use crate::changes::{Changed, PIECE, Position, Seen};
use faas_flow_core::Partition;

impl Etcd {
    /// Reads the next documents that were written since the reader read to the end, in the order of their names.
    pub(super) async fn changed(&self, partition: &Partition, seen: &Seen) -> Result<Changed, StoreError> {
        loop {
            match self.changed_once(partition, seen).await {
                // Each try reads a newer revision.
                Err(Trouble::Compacted) => {}
                changed => return Ok(changed?),
            }
        }
    }

    async fn changed_once(&self, partition: &Partition, seen: &Seen) -> Result<Changed, Trouble> {
        let (name, since, begun) = match &seen.position {
            Position::Written { name, since, begun } => (name.as_str(), *since, Some(*begun)),
            Position::Change(since) => ("", *since, None),
            _ => ("", 0, None),
        };
        let prefix = self.keys.doc(partition, "");
        let start = self.keys.doc(partition, name);
        let (mut found, mut revision) = (Vec::new(), 0);
        let mut goes_on = None;
        for (from, end) in self.without_data(partition).into_iter().filter(|(_, end)| *end > start) {
            let wanted = PIECE - found.len();
            let since = i64::try_from(since).unwrap_or(i64::MAX);
            let (page, at) =
                self.servers.written_page((&from.max(start.clone()), &end), wanted, revision, since).await?;
            revision = at;
            let is_full = page.len() == wanted;
            found.extend(page);
            if is_full {
                goes_on = found.last().map(|last| after(last.key()));
                break;
            }
        }
        let revision = u64::try_from(revision).unwrap_or_default();
        if revision < since {
            // The servers were set back to an earlier state.
            return Ok(Changed { more: true, ..Changed::default() });
        }
        let begun = begun.unwrap_or(revision);
        let position = match &goes_on {
            Some(key) => Position::Written { name: self.name(key, &prefix).map_err(Trouble::Store)?, since, begun },
            None => Position::Change(begun),
        };
        let named = |pair: etcd_client::KeyValue| Ok((self.name(pair.key(), &prefix)?, document(pair)));
        let documents = found.into_iter().map(named).collect::<Result<Vec<_>, StoreError>>().map_err(Trouble::Store)?;
        Ok(Changed { more: goes_on.is_some(), position, ..Changed::of_all(documents, seen) })
    }
}

//! Reading again and again how a run is doing, without reading all of it each time.

use crate::Document;
use std::collections::HashMap;

/// How many documents a store looks at before it answers.
pub(crate) const PIECE: usize = 1000;

/// What a reader has seen of the documents of a partition, and how far it has read. At first it has seen nothing. It belongs to
/// one partition and one store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The versions of the documents that were read.
    versions: HashMap<String, u64>,
    pub(crate) position: Position,
}

/// Where a store goes on reading for somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Position {
    /// At the first document.
    #[default]
    Beginning,
    /// At this name, in the order of names.
    Name(String),
    /// At a cursor of the store. With it is the number of the latest change that was noted when the reader began.
    Cursor(u64, Option<u64>),
    /// Behind the change of this number.
    Change(u64),
    /// At the first document, of all that are to be read at once.
    Whole,
    /// At this name, among the documents that were written after the revision `since` of the store. Its revision was `begun` when the
    /// reader began.
    Written { name: String, since: u64, begun: u64 },
}

/// Some documents that have changed since a reader saw them, or that it has not seen yet. None of them holds data of the flow.
#[derive(Debug, Clone, Default)]
pub struct Changed {
    /// The documents with their names, in any order.
    pub documents: Vec<(String, Document)>,
    /// Whether there is more to be read before the reader has seen all that was there when it began.
    pub more: bool,
    pub(crate) position: Position,
}

impl Seen {
    /// Whether this is what the reader saw last of a document.
    pub(crate) fn has(&self, name: &str, version: u64) -> bool {
        self.versions.get(name) == Some(&version)
    }

    /// How many documents the reader will have seen once it has noted these, none of which comes twice.
    pub(crate) fn count_with(&self, documents: &[(String, Document)]) -> usize {
        self.versions.len() + documents.iter().filter(|(name, _)| !self.versions.contains_key(name)).count()
    }

    /// Where to go on, for a store that reads in the order of names.
    pub(crate) fn name(&self) -> &str {
        match &self.position {
            Position::Name(name) => name,
            _ => "",
        }
    }

    /// Begins to read again what has changed, also if the reader had not come to the end.
    pub fn begin(&mut self) {
        if !matches!(self.position, Position::Change(_)) {
            self.position = Position::Beginning;
        }
    }

    /// Notes what was read, and where to go on.
    pub fn note(&mut self, changed: &Changed) {
        for (name, document) in &changed.documents {
            match self.versions.get_mut(name) {
                Some(version) => *version = document.version,
                None => drop(self.versions.insert(name.clone(), document.version)),
            }
        }
        self.position = changed.position.clone();
    }
}

impl Changed {
    /// Notes that there is more, from this name on.
    pub(crate) fn goes_on_at(&mut self, name: String) {
        (self.more, self.position) = (true, Position::Name(name));
    }

    /// What of all documents of a partition a reader has not seen.
    pub(crate) fn of_all(mut documents: Vec<(String, Document)>, seen: &Seen) -> Self {
        documents.retain(|(name, document)| !seen.has(name, document.version));
        Self { documents, ..Self::default() }
    }
}

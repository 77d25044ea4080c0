//! The versions of one flow that a replica has loaded, and which of them a new run gets.

use super::canary::{Canary, CanaryRule};
use super::flow::Flow;
use super::tally::{Ends, RunEnd};
use faas_flow_core::{Digest, Millis, RunId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// How long a version whose bytes were intact in the store is not looked at again, in milliseconds.
const INTACT_FOR: Millis = 10_000;

/// Something that a digest identifies: a loaded version.
pub(super) trait Versioned {
    /// The digest.
    fn digest(&self) -> &Digest;
}

impl Versioned for Flow {
    fn digest(&self) -> &Digest {
        Flow::digest(self)
    }
}

/// One flow in service on this replica.
pub(super) struct Service<V = Flow> {
    /// The version that this replica came with.
    pub image: Arc<V>,
    /// The version that new runs begin with.
    pub active: Arc<V>,
    /// Why no run may begin with `active`: the store has another version as the active one, which cannot be loaded here.
    withheld: Option<String>,
    /// The canary, if it could be loaded here, with its version.
    pub canary: Option<(Canary, Arc<V>)>,
    /// The version that was pushed to this replica last. It stays loaded until it, or another one, is activated.
    ready: Option<Arc<V>>,
    /// The revision of the active pointer that is followed here; none before the store was first looked at.
    revision: Option<u64>,
    /// Runs of the canary that ended here and have not been added to the tally in the store.
    ended: Ends,
    /// Every version that is still loaded, since a run or one of the fields above holds it.
    loaded: HashMap<Digest, Weak<V>>,
    /// Versions whose bytes were intact in the store, and when that was seen.
    intact: HashMap<Digest, Millis>,
}

impl<V: Versioned> Service<V> {
    /// Serves this version, with which the replica came.
    pub fn new(image: Arc<V>) -> Self {
        Self {
            active: image.clone(),
            withheld: None,
            canary: None,
            ready: None,
            revision: None,
            ended: Ends::default(),
            loaded: HashMap::from([(image.digest().clone(), Arc::downgrade(&image))]),
            intact: HashMap::new(),
            image,
        }
    }

    /// Serves another version of its own from now on, whatever the store says, until the store is looked at again. Runs of
    /// other versions go on and keep their versions loaded.
    pub fn deploy(&mut self, image: Arc<V>) {
        self.remember(&image);
        self.active = image.clone();
        self.image = image;
        self.withheld = None;
        self.canary = None;
        self.revision = None;
    }

    /// Whether everything that the active pointer says at this revision, canary included, is served here.
    pub fn follows(&self, revision: u64, canary: Option<&Canary>) -> bool {
        self.revision == Some(revision) && self.canary_serial() == canary.map(|canary| canary.serial)
    }

    /// Serves what the active pointer says at this revision. False, and without effect, if something newer is served already;
    /// but a canary that could not be loaded at first may be added later.
    pub fn follow(&mut self, revision: u64, active: &Arc<V>, canary: Option<(Canary, Arc<V>)>) -> bool {
        let adds_canary = self.revision == Some(revision) && self.canary.is_none() && canary.is_some();
        if self.revision.is_some_and(|known| known >= revision) && !adds_canary {
            return false;
        }
        self.remember(active);
        if let Some((_, canary)) = &canary {
            self.remember(canary);
        }
        if self.canary_serial() != canary.as_ref().map(|(canary, _)| canary.serial) {
            self.ended = Ends::default();
        }
        self.revision = Some(revision);
        self.active = active.clone();
        self.withheld = None;
        self.canary = canary;
        self.ready = None;
        true
    }

    fn canary_serial(&self) -> Option<u64> {
        self.canary.as_ref().map(|(canary, _)| canary.serial)
    }

    /// Begins no runs until the active version can be loaded. Runs of other versions go on.
    pub fn withhold(&mut self, why: String) {
        self.withheld = Some(why);
    }

    /// Why no runs begin here; none if they do.
    pub fn withheld(&self) -> Option<&str> {
        self.withheld.as_deref()
    }

    /// The version that a new run begins with, or why none may begin.
    pub fn choose(&self, run: &RunId) -> Result<&Arc<V>, &str> {
        match (&self.withheld, &self.canary) {
            (Some(why), _) => Err(why),
            (None, Some((canary, version))) if canary.share.includes(run) => Ok(version),
            _ => Ok(&self.active),
        }
    }

    /// Notes a version that was loaded, so that everything here uses the same one.
    pub fn remember(&mut self, version: &Arc<V>) {
        self.loaded.retain(|_, version| version.strong_count() > 0);
        self.loaded.insert(version.digest().clone(), Arc::downgrade(version));
    }

    /// Keeps a version loaded that was just pushed, since it will probably be activated.
    pub fn keep_ready(&mut self, version: Arc<V>) {
        self.remember(&version);
        self.ready = Some(version);
    }

    /// A version, if it is loaded.
    pub fn find(&self, digest: &Digest) -> Option<Arc<V>> {
        self.loaded.get(digest).and_then(Weak::upgrade)
    }

    /// How many versions are loaded.
    pub fn loaded(&self) -> usize {
        self.loaded.values().filter(|version| version.strong_count() > 0).count()
    }

    /// Counts a run that ended, if the canary is judged by it.
    pub fn count(&mut self, digest: &Digest, end: RunEnd) {
        if self.canary.as_ref().is_some_and(|(_, version)| version.digest() == digest) {
            self.ended.add(end);
        }
    }

    /// Takes the ends that were counted for a canary; none if another canary, or no canary, is served here.
    pub fn take_ends(&mut self, serial: u64) -> Option<Ends> {
        (self.canary_serial() == Some(serial)).then(|| std::mem::take(&mut self.ended))
    }

    /// Puts ends back that could not be added to the tally, before those that were counted since.
    pub fn return_ends(&mut self, serial: u64, ends: Ends) {
        if self.canary_serial() == Some(serial) {
            self.ended = ends.followed_by(&self.ended, CanaryRule::MOST_RUNS);
        }
    }

    /// Notes that the bytes of a version are intact in the store.
    pub fn note_intact(&mut self, digest: &Digest, now: Millis) {
        self.intact.retain(|_, at| now.saturating_sub(*at) < INTACT_FOR);
        self.intact.insert(digest.clone(), now);
    }

    /// Whether the bytes of a version were intact in the store within the last 10 s.
    pub fn was_intact(&self, digest: &Digest, now: Millis) -> bool {
        self.intact.get(digest).is_some_and(|at| now.saturating_sub(*at) < INTACT_FOR)
    }
}

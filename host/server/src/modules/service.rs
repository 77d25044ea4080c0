//! The versions of one flow that a replica has at hand, and which one a new run gets.

use super::active::Canary;
use super::canary::Ends;
use crate::Flow;
use faas_flow_core::{Digest, RunId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// One flow in service on this replica.
pub(crate) struct Service {
    /// The version that this replica came with.
    pub image: Arc<Flow>,
    /// What new runs begin with.
    pub active: Arc<Flow>,
    /// What a share of them begins with instead.
    pub canary: Option<(Canary, Arc<Flow>)>,
    /// The version that was pushed here last: at hand until it is activated, or another one is.
    pub ready: Option<Arc<Flow>>,
    /// The revision of the active pointer that is followed here; none before the first look at the store.
    pub revision: Option<u64>,
    /// Runs of the canary that ended here and are not counted in the store.
    pub ended: Ends,
    /// Every version that something still holds: a run, or one of the fields above.
    loaded: HashMap<Digest, Weak<Flow>>,
    /// Versions that were whole in the store when somebody looked.
    whole: HashMap<Digest, Instant>,
}

/// How long a version that was whole in the store is not looked at again.
const WHOLE: Duration = Duration::from_secs(10);

impl Service {
    pub fn new(flow: Arc<Flow>) -> Self {
        let loaded = HashMap::from([(flow.module.digest().clone(), Arc::downgrade(&flow))]);
        let (image, active) = (flow.clone(), flow);
        let (ended, whole) = (Ends::default(), HashMap::new());
        Self { image, active, canary: None, ready: None, revision: None, ended, loaded, whole }
    }

    /// Serves this version from here on. Runs of others go on, and keep theirs at hand.
    pub fn deploy(&mut self, flow: Arc<Flow>) {
        self.remember(&flow);
        (self.image, self.active) = (flow.clone(), flow);
        (self.canary, self.revision) = (None, None);
    }

    /// Whether what the store says at this revision is followed here as a whole.
    pub fn follows(&self, revision: u64, canary: Option<&Canary>) -> bool {
        let known = self.canary.as_ref().map(|(canary, _)| canary.serial);
        self.revision == Some(revision) && known == canary.map(|canary| canary.serial)
    }

    /// Follows the store's word.
    pub fn follow(&mut self, revision: u64, active: Arc<Flow>, canary: Option<(Canary, Arc<Flow>)>) {
        self.remember(&active);
        if let Some((_, canary)) = &canary {
            self.remember(canary);
        }
        if self.canary.as_ref().map(|(canary, _)| canary.serial) != canary.as_ref().map(|(canary, _)| canary.serial) {
            self.ended = Ends::default();
        }
        (self.revision, self.active, self.canary, self.ready) = (Some(revision), active, canary, None);
    }

    /// Notes a version that was loaded, so that everybody uses the same one.
    pub fn remember(&mut self, flow: &Arc<Flow>) {
        self.loaded.retain(|_, flow| flow.strong_count() > 0);
        self.loaded.insert(flow.module.digest().clone(), Arc::downgrade(flow));
    }

    /// A version, if it is at hand.
    pub fn find(&self, digest: &Digest) -> Option<Arc<Flow>> {
        self.loaded.get(digest).and_then(Weak::upgrade)
    }

    /// Notes that a version is whole in the store.
    pub fn note_whole(&mut self, digest: &Digest) {
        self.whole.retain(|_, at| at.elapsed() < WHOLE);
        self.whole.insert(digest.clone(), Instant::now());
    }

    /// Whether a version was whole in the store a moment ago.
    pub fn was_whole(&self, digest: &Digest) -> bool {
        self.whole.get(digest).is_some_and(|at| at.elapsed() < WHOLE)
    }

    /// How many versions are at hand.
    pub fn loaded(&self) -> usize {
        self.loaded.values().filter(|flow| flow.strong_count() > 0).count()
    }

    /// The version that a new run begins with.
    pub fn choose(&self, run: &RunId) -> &Arc<Flow> {
        match &self.canary {
            Some((canary, flow)) if canary.share.has(run) => flow,
            _ => &self.active,
        }
    }
}

//! The flows in service on this replica, by name.

use super::flow::Flow;
use super::service::{Service, Versioned};
use faas_flow_core::{Digest, FlowName, RunId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

/// A table of the flows in service. Each call locks it for a moment.
pub(super) struct Table<V = Flow>(RwLock<HashMap<FlowName, Service<V>>>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<V: Versioned> Table<V> {
    /// Serves this version as the one that the replica came with.
    pub fn deploy(&self, name: FlowName, image: Arc<V>) {
        match self.0.write().unwrap_or_else(PoisonError::into_inner).entry(name) {
            Entry::Occupied(mut known) => known.get_mut().deploy(image),
            Entry::Vacant(new) => {
                new.insert(Service::new(image));
            }
        }
    }

    /// Reads how a flow is served; none if it is not.
    pub fn read<T>(&self, name: &FlowName, read: impl FnOnce(&Service<V>) -> T) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).map(read)
    }

    /// Changes how a flow is served; none if it is not.
    pub fn change<T>(&self, name: &FlowName, change: impl FnOnce(&mut Service<V>) -> T) -> Option<T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).get_mut(name).map(change)
    }

    /// The active version of a flow.
    pub fn active(&self, name: &FlowName) -> Option<Arc<V>> {
        self.read(name, |service| service.active.clone())
    }

    /// The version of a flow that a new run begins with, or why none may begin here; none if the flow is not served.
    pub fn choose(&self, name: &FlowName, run: &RunId) -> Option<Result<Arc<V>, String>> {
        self.read(name, |service| service.choose(run).cloned().map_err(str::to_owned))
    }

    /// The first flow, by name, of which no runs may begin here, and why.
    pub fn withheld(&self) -> Option<(FlowName, String)> {
        let flows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let withheld = flows.iter().filter_map(|(name, service)| Some((name, service.withheld()?)));
        withheld.min().map(|(name, why)| (name.clone(), why.to_owned()))
    }

    /// A version of a flow, if it is loaded.
    pub fn find(&self, name: &FlowName, digest: &Digest) -> Option<Arc<V>> {
        self.read(name, |service| service.find(digest)).flatten()
    }

    /// The names and active versions of all flows, sorted by name.
    pub fn all(&self) -> Vec<(FlowName, Arc<V>)> {
        let flows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = flows.iter().map(|(name, service)| (name.clone(), service.active.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::canary::{Canary, CanaryRule};
    use super::super::tally::{Ends, RunEnd};
    use super::super::version::By;
    use super::*;

    struct Fake(Digest);

    impl Versioned for Fake {
        fn digest(&self) -> &Digest {
            &self.0
        }
    }

    fn version(n: u8) -> Arc<Fake> {
        Arc::new(Fake(Digest::of(&[n])))
    }

    fn canary(serial: u64, n: u8, share: &str) -> (Canary, Arc<Fake>) {
        let by = By::new("me", "", 0).unwrap();
        let (share, rule) = (share.parse().unwrap(), CanaryRule::default());
        (Canary { serial, digest: Digest::of(&[n]), share, rule, by }, version(n))
    }

    fn run(n: u32) -> RunId {
        RunId::new(format!("run-{n}")).unwrap()
    }

    fn name() -> FlowName {
        FlowName::new("greet").unwrap()
    }

    fn table() -> Table<Fake> {
        let table = Table::default();
        table.deploy(name(), version(1));
        table
    }

    fn active(table: &Table<Fake>) -> Digest {
        table.active(&name()).unwrap().digest().clone()
    }

    #[test]
    fn a_flow_that_is_not_served_has_no_version() {
        let (table, other) = (table(), FlowName::new("other").unwrap());
        assert!(table.active(&other).is_none() && table.choose(&other, &run(1)).is_none());
        assert_eq!(table.change(&other, |service| service.loaded()), None);
        let names: Vec<FlowName> = table.all().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [name()]);
    }

    #[test]
    fn a_look_that_began_before_a_change_does_not_undo_it() {
        let table = table();
        let follow = |revision, n| table.change(&name(), |service| service.follow(revision, &version(n), None));
        assert_eq!(follow(2, 2), Some(true));
        assert_eq!(follow(1, 1), Some(false));
        assert_eq!(follow(2, 3), Some(false));
        assert_eq!(active(&table), Digest::of(&[2]));
        assert_eq!(follow(3, 3), Some(true));
        assert_eq!(active(&table), Digest::of(&[3]));
    }

    #[test]
    fn a_canary_that_could_not_be_loaded_at_first_is_added_later() {
        let table = table();
        let canary = canary(7, 2, "100%");
        let follows = || table.read(&name(), |service| service.follows(5, Some(&canary.0))).unwrap();
        table.change(&name(), |service| service.follow(5, &version(1), None));
        assert!(!follows());
        let added = table.change(&name(), |service| service.follow(5, &version(1), Some(canary.clone())));
        assert_eq!(added, Some(true));
        assert!(follows());
    }

    #[test]
    fn a_canary_gets_its_share_of_the_runs_and_the_active_version_the_rest() {
        let table = table();
        let canary = canary(1, 2, "50%");
        let share = canary.0.share;
        table.change(&name(), |service| service.follow(1, &version(1), Some(canary)));
        for run in (0..200).map(run) {
            let expected = if share.includes(&run) { 2 } else { 1 };
            assert_eq!(*table.choose(&name(), &run).unwrap().unwrap().digest(), Digest::of(&[expected]));
        }
    }

    #[test]
    fn no_run_begins_until_the_active_version_is_loaded() {
        let table = table();
        table.change(&name(), |service| service.withhold("it is gone".to_owned()));
        assert_eq!(table.choose(&name(), &run(1)).unwrap().err().as_deref(), Some("it is gone"));
        assert_eq!(table.withheld(), Some((name(), "it is gone".to_owned())));
        table.change(&name(), |service| service.follow(1, &version(2), None));
        assert_eq!(*table.choose(&name(), &run(1)).unwrap().unwrap().digest(), Digest::of(&[2]));
        assert_eq!(table.withheld(), None);
    }

    #[test]
    fn a_version_stays_loaded_as_long_as_a_run_holds_it() {
        let table = table();
        let pinned = table.choose(&name(), &run(1)).unwrap().unwrap();
        let old = pinned.digest().clone();
        table.deploy(name(), version(2));
        assert!(Arc::ptr_eq(&table.find(&name(), &old).unwrap(), &pinned));
        assert_eq!(table.read(&name(), |service| service.loaded()), Some(2));
        drop(pinned);
        assert!(table.find(&name(), &old).is_none());
        assert_eq!(table.read(&name(), |service| service.loaded()), Some(1));
    }

    #[test]
    fn a_version_that_was_pushed_stays_loaded_until_one_is_activated() {
        let table = table();
        table.change(&name(), |service| service.keep_ready(version(2)));
        assert!(table.find(&name(), &Digest::of(&[2])).is_some());
        table.change(&name(), |service| service.follow(1, &version(1), None));
        assert!(table.find(&name(), &Digest::of(&[2])).is_none());
    }

    #[test]
    fn only_runs_of_the_canary_count_for_it_and_only_while_it_is_served() {
        let table = table();
        let count = |n: u8| table.change(&name(), |service| service.count(&Digest::of(&[n]), RunEnd::Failed));
        let ended =
            |serial| table.change(&name(), |service| service.take_ends(serial)).flatten().map(|ends| ends.ended);
        count(1);
        table.change(&name(), |service| service.follow(1, &version(1), Some(canary(7, 2, "50%"))));
        count(1);
        count(2);
        assert_eq!((ended(6), ended(7), ended(7)), (None, Some(1), Some(0)));
        count(2);
        table.change(&name(), |service| service.follow(2, &version(1), Some(canary(8, 2, "50%"))));
        assert_eq!(ended(8), Some(0), "another canary of the same version begins anew");
    }

    #[test]
    fn ends_that_could_not_be_stored_are_counted_before_later_ones() {
        let table = table();
        table.change(&name(), |service| {
            service.follow(1, &version(1), Some(canary(7, 2, "50%")));
            service.count(&Digest::of(&[2]), RunEnd::Failed);
            let taken = service.take_ends(7).unwrap();
            service.count(&Digest::of(&[2]), RunEnd::Fine);
            service.return_ends(7, taken);
            let mut expected = Ends::default();
            expected.add(RunEnd::Failed);
            expected.add(RunEnd::Fine);
            assert_eq!(service.take_ends(7), Some(expected));
        });
    }

    #[test]
    fn intact_bytes_are_looked_at_again_after_ten_seconds() {
        let (table, digest) = (table(), Digest::of(&[1]));
        table.change(&name(), |service| service.note_intact(&digest, 1_000));
        let was = |now| table.read(&name(), |service| service.was_intact(&digest, now)).unwrap();
        assert_eq!([was(1_000), was(10_999), was(11_000)], [true, true, false]);
    }
}

//! What a store keeps and deletes as one.

use super::{Digest, FlowName, RunId};
use std::fmt;
use std::sync::Arc;

/// The part of a store that belongs to one run, to one flow or to one copy of a module, to a limit over all runs, to the audit log, or to the probes of replicas. A commit changes one partition, and
/// a partition is deleted as a whole.
///
/// The text of a run's partition is the id of the run. All others begin with `~`, which no request id contains. The texts are
/// part of the stored form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(Arc<str>);

impl Partition {
    /// What begins the text of a partition that is not a run's.
    const NO_RUN: char = '~';

    /// The state and data of a run. They may expire once the run has ended.
    pub fn of_run(run: &RunId) -> Self {
        Self(run.0.clone())
    }

    /// What belongs to a flow and not to one of its runs: its versions, and which of them is active. It never expires.
    pub fn of_flow(flow: &FlowName) -> Self {
        Self(format!("{}{flow}", Self::NO_RUN).into())
    }

    /// The bytes of a copy of one of a flow's modules. They never expire. The first copy has number 0; each time that a copy is
    /// removed, the next one gets the next number.
    pub fn of_module(flow: &FlowName, module: &Digest, copy: u32) -> Self {
        match copy {
            0 => Self(format!("{}{flow}.{module}", Self::NO_RUN).into()),
            copy => Self(format!("{}{flow}.{module}.{copy}", Self::NO_RUN).into()),
        }
    }

    /// What replicas write only to learn whether a store takes writes. It has nothing that anybody reads.
    pub fn of_probes() -> Self {
        Self(format!("{}.probes", Self::NO_RUN).into())
    }

    /// The permits of the limits over all runs that have this name, and who waits for one: those of flows, and that of the
    /// operator. It never expires.
    pub fn of_limit(name: &str) -> Self {
        Self(format!("{}.limit:{name}", Self::NO_RUN).into())
    }

    /// The limits that the operator has set while runs go on. They never expire.
    pub fn of_limits() -> Self {
        Self(format!("{}.limits", Self::NO_RUN).into())
    }

    /// What operators have asked for: the audit log. It never expires, but has a limited length.
    pub fn of_audit() -> Self {
        Self(format!("{}.audit", Self::NO_RUN).into())
    }

    /// The run that the partition belongs to; none if it belongs to something else, so that it must not expire.
    pub fn run(&self) -> Option<RunId> {
        (!self.0.starts_with(Self::NO_RUN)).then(|| RunId(self.0.clone()))
    }

    /// The text under which stores keep the partition.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_partition_of_a_run_belongs_to_a_run() {
        let run = RunId::new("r1").unwrap();
        let flow = FlowName::new("r1").unwrap();
        assert_eq!(Partition::of_run(&run).run(), Some(run));
        for copy in [0, 1] {
            assert_eq!(Partition::of_module(&flow, &Digest::of(b"module"), copy).run(), None);
        }
        assert_eq!(Partition::of_flow(&flow).run(), None);
        assert_eq!(Partition::of_probes().run(), None);
        assert_eq!(Partition::of_limit("r1").run(), None);
        assert_eq!(Partition::of_limits().run(), None);
        assert_eq!(Partition::of_audit().run(), None);
        assert!(FlowName::new(".probes").is_err(), "it is no flow's partition");
        assert!(RunId::new(Partition::of_flow(&flow).as_str()).is_err());
    }

    #[test]
    fn the_texts_of_partitions_are_part_of_the_stored_form() {
        let flow = FlowName::new("greet").unwrap();
        let module = Digest::new("a".repeat(64)).unwrap();
        assert_eq!(Partition::of_run(&RunId::new("r1").unwrap()).as_str(), "r1");
        assert_eq!(Partition::of_flow(&flow).as_str(), "~greet");
        assert_eq!(Partition::of_module(&flow, &module, 0).as_str(), format!("~greet.{module}"));
        assert_eq!(Partition::of_module(&flow, &module, 3).as_str(), format!("~greet.{module}.3"));
        assert_eq!(Partition::of_probes().as_str(), "~.probes");
        assert_eq!(Partition::of_limit("payments").as_str(), "~.limit:payments");
        assert_eq!(Partition::of_limits().as_str(), "~.limits");
        assert_eq!(Partition::of_audit().as_str(), "~.audit");
    }
}

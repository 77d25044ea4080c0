//! How much of a run is stored, and what this replica is to it.

use faas_flow_core::Millis;

/// How much of a run the store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the run has a single node, and its caller waits for the result and asks again if it gets none. Its history
    /// is written when it has ended. [`Input::Store`](crate::Input::Store) makes it durable before that.
    Memory,
    /// Nothing yet: the beginning of the run waits to be committed with what follows. Nobody but its caller knows of it.
    Delayed,
    /// Perhaps: the first commit has not been answered. When it fails, so does the request that began the run.
    Beginning,
    /// Everything, but for what waits to be committed.
    Stored,
    /// The copy in memory has diverged from the store and must not be written. The session refuses everything.
    Diverged,
}

/// What this replica is to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It began the run or recovered it: it stays with the run to the end, and looks regularly whether anything was lost.
    Owner(Watch),
    /// It executes nodes that it was told of, and leaves the run when they are done.
    Helper,
    /// It has left the run: nothing more may be claimed here.
    Left,
}

/// What an owner remembers between two looks at its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// When it last loaded the whole run; 0 if it is to do so at the next look.
    pub(crate) looked: Millis,
    /// Until when nothing in the whole run can be done, if that is further away than a lease: the run needs no owner until
    /// then.
    pub(crate) sleeps: Option<Millis>,
}

impl Role {
    /// An owner that loaded the whole run at this moment.
    pub fn owner(looked: Millis) -> Self {
        Role::Owner(Watch { looked, sleeps: None })
    }
}

//! How much of a run is stored, and the role of this replica in it.

use faas_flow_core::Millis;

/// How much of a run is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the run has a single node, and its caller waits for the result and asks again if it gets none. The history
    /// is stored when the run has ended. [`Input::Store`](crate::Input::Store) stores the run earlier.
    Memory,
    /// Nothing yet: the start of the run waits to be committed with what follows. Only the caller knows of the run.
    Delayed,
    /// Unknown: the first commit has not been answered. If it fails, so does the request that started the run.
    Beginning,
    /// Everything except what waits for the next commit.
    Stored,
    /// The copy in memory has diverged from the store and must not be written. The session refuses everything.
    Diverged,
}

/// The role of this replica in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It started or recovered the run. It stays with the run to the end, and checks regularly whether anything was lost.
    Owner(Watch),
    /// It executes nodes for which it received events and what follows them, and then leaves the run.
    Helper,
    /// It has left the run and must claim nothing more.
    Left,
}

/// What an owner remembers between two checks of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// When it last loaded the whole run; 0 makes the next check load it.
    pub(crate) checked: Millis,
    /// Until when there is nothing to do in the whole run, if that is longer than a lease. The run needs no owner until
    /// then.
    pub(crate) sleeps: Option<Millis>,
    /// The version of the document of answers when it last loaded the whole run.
    pub(crate) answers: u64,
}

impl Role {
    /// An owner that loaded the whole run at the time `checked`.
    pub fn owner(checked: Millis) -> Self {
        Role::Owner(Watch { checked, sleeps: None, answers: 0 })
    }
}

//! A whole cluster in one thread and under virtual time: replicas of the real host, with a gateway, a queue and stores in
//! memory, and with faults.
//!
//! A replica dies by being cut off: nothing that it does has an effect any more. Its successor has its own memory only.

mod agenda;
mod chance;
mod cluster;
mod outside;
mod power;
mod stores;
mod wires;

pub use agenda::Agenda;
pub use chance::{Answer, EventFault, Fault, Faults, Weather, World};
pub use cluster::{Cluster, Looks, QueueCalls, Setup};
pub use outside::{Modules, Outside};
pub use power::Power;
pub use stores::{Data, Ledger, State};
pub use wires::{GATEWAY, header, headers, no_answer};

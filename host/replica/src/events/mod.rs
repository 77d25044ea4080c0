//! Events between replicas: what they say, and how they are signed.

mod event;
mod gateway;
mod sender;
mod sign;

pub use event::Event;
pub use gateway::GatewayEvents;
pub use sender::Events;
pub use sign::{Keys, SIGNATURE, Signed, TIME, Window};

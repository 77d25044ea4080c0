//! Events between replicas: their form, their signatures, and how they are sent.

mod error;
mod event;
mod gateway;
mod secret;
mod sender;
mod sign;

pub use error::Error;
pub use event::Event;
pub use gateway::GatewayEvents;
pub use sender::Events;
pub use sign::{Keys, OldSignatures, SIGNATURE, SIGNATURE_PARAMETER, Signed, SignedSend, TIME, Window};

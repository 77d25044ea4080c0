//! Pages in a browser. A browser sends requests for any page that is open in it, also to a server that only its own machine
//! can reach. Such a server answers its own pages, and programs, but not the pages of others; and what functions answer
//! never becomes a page of the server's. docs/security.md says what is promised.

mod inert;
mod rules;
mod visit;

pub(crate) use faas_flow_gateway::{Fault, Visit};
pub(crate) use inert::{RESOURCE_POLICY, make_inert};
pub use rules::BrowserRules;
pub(crate) use visit::{Controls, OwnPages};

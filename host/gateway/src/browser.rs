//! Pages in a browser. A browser sends requests for any page that is open in it, also to a server that only its own machine
//! can reach. Such a server answers its own pages, and programs, but not the pages of others. All servers of the project share
//! these rules; docs/security.md says what is promised.

mod fault;
mod rules;
mod visit;

pub use fault::Fault;
pub use rules::BrowserRules;
pub use visit::Visit;

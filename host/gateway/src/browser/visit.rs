//! Requests that pages of others sent and that are answered nevertheless, and what they may do.

use super::Fault;
use http::Extensions;

/// What another page may do here. It is kept with the request; requests of the server's own pages and of programs have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// A browser opens the address, perhaps since a link of another site leads to it: to read.
    Link,
    /// A page of a listed origin: to start runs, and to read their states and results.
    Listed,
}

impl Visit {
    /// Admits a request that begins a run or calls a function.
    pub fn may_begin(extensions: &Extensions) -> Result<(), Fault> {
        match extensions.get() {
            Some(Visit::Link) => Err(Fault::Link),
            Some(Visit::Listed) | None => Ok(()),
        }
    }

    /// Admits a request for a page of the dashboard.
    pub fn may_look(extensions: &Extensions) -> Result<(), Fault> {
        match extensions.get() {
            Some(Visit::Listed) => Err(Fault::Listed),
            Some(Visit::Link) | None => Ok(()),
        }
    }
}

//! How large the body of a request may be, so that what is accepted can be processed.

use super::host::Host;
use faas_flow_guest::Memory;
use faas_flow_versions::Flow;
use std::fmt;

/// The most that the body of a request may have, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit {
    /// The number of bytes.
    pub bytes: usize,
    /// The key that it follows from.
    pub of: LimitedBy,
}

/// The keys that limit the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// `body_limit`.
    Body,
    /// `memory_limit`: new requests may use half of it, so that a larger body would never be accepted.
    Memory,
    /// `guest_memory`: the flow's code gets the body, and has to hold it together with what it makes of it. An answer of the
    /// same size that grows while it is written takes three times as much for a moment, so larger bodies than a quarter are
    /// refused. Those just below it may still be too large for the code, which needs memory of its own too.
    Guest,
}

impl BodyLimit {
    /// The least of the limits. `guest` is the memory of an instance, for requests to a flow with code of its own.
    fn of(body: usize, memory: usize, guest: Option<usize>) -> Self {
        let limits = [
            Some((body, LimitedBy::Body)),
            Some((memory / 2, LimitedBy::Memory)),
            guest.map(|guest| (guest / 4, LimitedBy::Guest)),
        ];
        let least = limits.into_iter().flatten().min_by_key(|(bytes, _)| *bytes);
        let (bytes, of) = least.unwrap_or((body, LimitedBy::Body));
        Self { bytes, of }
    }
}

impl fmt::Display for BodyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.of {
            LimitedBy::Body => "body_limit",
            LimitedBy::Memory => "half of memory_limit",
            LimitedBy::Guest => "a quarter of guest_memory",
        };
        write!(f, "{} bytes ({key})", self.bytes)
    }
}

impl Host {
    /// The most that the body of a request to this flow may have; without a flow, that of any other request.
    pub fn body_limit(&self, flow: Option<&Flow>) -> BodyLimit {
        let with_code = flow.filter(|flow| !flow.definition.handlers.is_empty());
        let guest = with_code.map(|flow| flow.module.limits().memory_bytes);
        BodyLimit::of(self.settings().body_limit, Memory::of_process().limit(), guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_counts_and_is_named() {
        let limit = |body, memory, guest| BodyLimit::of(body, memory, guest).to_string();
        assert_eq!(limit(10, 100, Some(40)), "10 bytes (body_limit)");
        assert_eq!(limit(10, usize::MAX, None), "10 bytes (body_limit)");
        assert_eq!(limit(100, 100, Some(400)), "50 bytes (half of memory_limit)");
        assert_eq!(limit(100, 1000, Some(200)), "50 bytes (a quarter of guest_memory)");
    }
}

//! The documents of a run, as they are read from a state store.

use faas_flow_core::run::{Run, Scope, decode, encode};

/// Tries an input.
pub fn stored_form(bytes: &[u8]) {
    if let Ok(run) = decode::<Run>(bytes) {
        assert_eq!(decode::<Run>(&encode(&run)).as_ref(), Ok(&run), "a run is written as it was read");
    }
    if let Ok(scope) = decode::<Scope>(bytes) {
        assert_eq!(decode::<Scope>(&encode(&scope)).as_ref(), Ok(&scope), "a scope is written as it was read");
    }
}

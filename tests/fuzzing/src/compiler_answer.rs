//! What the process that reads and compiles modules answers to the host. A module may have taken that process over.

use faas_flow_guest::fuzzing;

/// The largest code allowed, in bytes.
const CODE: u64 = 64;

/// Tries an input.
pub fn compiler_answer(bytes: &[u8]) {
    if let Some(written) = fuzzing::compiler_answer(bytes, CODE) {
        assert!(written.len() <= bytes.len(), "an answer holds no more than was sent");
        assert!(bytes.starts_with(&written), "an answer is written as it was read");
    }
}

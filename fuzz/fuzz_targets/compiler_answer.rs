//! What the process that reads and compiles modules answers to the host. A module may have taken that process over.
#![no_main]

use faas_flow_guest::fuzzing::compiler_answer;
use libfuzzer_sys::fuzz_target;

/// The largest code allowed, in bytes.
const CODE: u64 = 64;

fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = compiler_answer(bytes, CODE) {
        assert!(written.len() <= bytes.len(), "an answer holds no more than was sent");
        assert!(bytes.starts_with(&written), "an answer is written as it was read");
    }
});

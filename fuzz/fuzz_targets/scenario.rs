//! The text of a scenario file.
#![no_main]

use faas_flow_scenario::{Error, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match fuzzing::scenario(text) {
        Ok(()) => {}
        Err(Error::Bad { line, what, .. }) => {
            // In YAML, a carriage return ends a line, too.
            let lines = text.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64 + 1;
            assert!(line <= lines, "the line is one of the file");
            assert!(what.len() < 64 << 10, "a message can be read");
        }
        Err(error) => panic!("{error}"),
    }
});

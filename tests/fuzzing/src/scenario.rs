//! The text of a scenario file.

use faas_flow_scenario::{Error, fuzzing};

/// Tries an input.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
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
}

//! A `flow.yml` beside a module, and with it the text of every configuration key.

/// Tries an input.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Err(error) = faas_flow_host::fuzzing::configuration(text) {
        assert!(error.code().number() > 0, "a refused file has a code");
        assert!(error.to_string().len() < 64 << 10, "a message can be read");
    }
}

//! A `flow.yml` beside a module, and with it the text of every configuration key.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = faas_flow_host::fuzzing::configuration(text) {
        assert!(error.code().number() > 0, "a refused file has a code");
        assert!(error.to_string().len() < 64 << 10, "a message can be read");
    }
});

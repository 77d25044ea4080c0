#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faas_flow_fuzzing::compiler_answer(bytes));

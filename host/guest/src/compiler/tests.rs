use super::*;
use faas_flow_core::Digest;

const MINUTE: Duration = Duration::from_secs(60);
const CODE_BYTES: u64 = 1 << 20;

/// A shell script in the place of a compiler.
fn script(script: &str, at_most: Duration) -> Compiler {
    let arguments = vec!["-c".to_owned(), script.to_owned()];
    Compiler { program: "/bin/sh".into(), arguments, at_most, memory: 1 << 40, functions: None }
}

fn run(compiler: &Compiler, module: &[u8]) -> Result<Vec<u8>, GuestError> {
    let (_waiting, waited) = waiting();
    compiler.run(module, CODE_BYTES, &waited)
}

/// How a compiler died.
fn death(text: &str) -> String {
    match run(&script(text, MINUTE), b"module") {
        Err(GuestError::CompilerDied { how }) => how,
        other => panic!("{text}: {other:?}"),
    }
}

/// The answer `code` with the bytes that the script writes, `length` of them.
fn answers(length: usize, digest_of: &[u8], write: &str) -> String {
    let length = length.to_le_bytes().map(|byte| format!("\\{byte:03o}")).concat();
    format!("printf 'c{length}{}'; {write}", Digest::of(digest_of))
}

#[test]
fn a_compiler_is_told_its_share_and_nothing_else_of_the_environment() {
    let script = script("env | cut -d= -f1 | sort | tr '\\n' ' ' >&2; exit 1", MINUTE);
    let Err(GuestError::CompilerDied { how }) = run(&script, b"") else { panic!() };
    let share = "FAAS_FLOW_COMPILE_CODE FAAS_FLOW_COMPILE_MEMORY FAAS_FLOW_COMPILE_SECONDS";
    assert!(how.contains(share) && how.contains("RAYON_NUM_THREADS"), "{how}");
    assert!(!how.contains("HOME"), "{how}");
}

#[test]
fn what_a_compiler_answers_is_the_code() {
    let echo = answers(6, b"module", "exec /bin/cat");
    assert_eq!(run(&script(&echo, MINUTE), b"module").unwrap(), b"module");
}

#[test]
fn code_that_is_not_what_was_announced_is_not_used() {
    let how = death(&answers(6, b"other", "exec /bin/cat"));
    assert!(how.starts_with("it ended without an answer"), "{how}");
    let too_large = script(&answers(2 << 20, b"", "exec /bin/cat /dev/zero"), MINUTE);
    assert_eq!(run(&too_large, b"").unwrap_err(), GuestError::CodeTooLarge { limit: CODE_BYTES });
}

#[test]
fn the_death_of_a_compiler_is_an_error_that_says_how_it_died() {
    assert_eq!(death("exit 0"), "it ended without an answer");
    assert_eq!(death("echo no luck >&2; exit 1"), "it ended without an answer: no luck");
    assert_eq!(death("echo \"thread 'main' has overflowed its stack\" >&2; kill -ABRT $$"), "its stack overflowed");
    assert_eq!(death("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$"), "it ran out of memory");
    assert_eq!(death("kill -SEGV $$"), "signal 11 ended it");
    assert_eq!(death("kill -KILL $$"), "it was killed, perhaps because the system is out of memory");
    let at_most = MINUTE;
    assert_eq!(run(&script("kill -XCPU $$", at_most), b"").unwrap_err(), GuestError::CompileTimedOut { at_most });
}

#[test]
fn last_words_are_cut_and_have_no_control_characters() {
    let how = death("head -c 100000 /dev/zero | tr '\\0' x >&2; printf '\\033[31m' >&2");
    assert!(how.len() < 400 && !how.contains('\u{1b}'), "{how}");
}

#[test]
fn a_compilation_that_takes_too_long_is_cancelled() {
    let at_most = Duration::from_millis(50);
    let error = run(&script("exec /bin/sleep 600", at_most), b"module").unwrap_err();
    assert_eq!(error, GuestError::CompileTimedOut { at_most });
}

#[test]
fn a_compilation_for_which_nobody_waits_is_cancelled() {
    let (waiting, waited) = waiting();
    let sleeping = script("exec /bin/sleep 600", MINUTE * 10);
    let compiled = thread::spawn(move || sleeping.run(b"module", CODE_BYTES, &waited));
    drop(waiting);
    assert!(compiled.join().unwrap().is_err());
}

//! Files that are not flows are rejected with the reason, and code is compiled only once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use faas_flow_core::{Code, Content};
use faas_flow_guest::{GuestError, Guests, Limits, NoContext};
use faas_flow_test_support::hostile::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn guests(cache: Option<&Path>) -> Guests {
    let limits = Limits { instances: 4, module_bytes: 1 << 20, ..Limits::default() };
    Guests::new(limits, cache.map(Path::to_path_buf)).unwrap()
}

fn refusal(bytes: &[u8]) -> GuestError {
    guests(None).load(bytes).unwrap_err()
}

#[test]
fn other_files_are_not_components() {
    let core = refusal(b"\0asm\x01\0\0\0");
    assert_eq!(core.code(), Code::NOT_A_COMPONENT);
    assert!(core.to_string().contains("core wasm module"), "{core}");
    assert!(refusal(b"#!/bin/sh").to_string().contains("#!/bin/sh"));
    assert!(refusal(b"").to_string().contains("empty"));
    assert!(refusal(b"\x7fELF\xff").to_string().contains("7f, 45"));
    assert_eq!(refusal(&vec![0; 2 << 20]).code(), Code::MODULE_TOO_LARGE);
    assert_eq!(refusal(b"\0asm\x0d\0\x01\0garbage").code(), Code::COMPILE_FAILED);
}

#[test]
fn a_component_of_another_world_is_rejected_with_the_missing_export() {
    let other = component("package a:b; world w { export f: func(); }", "w", r#"(module (func (export "f")))"#);
    let error = refusal(&other);
    assert_eq!(error.code(), Code::WRONG_WORLD);
    assert!(error.to_string().contains("faas-flow:flow/definition"), "{error}");
}

#[test]
fn a_core_module_is_wrapped_if_it_names_its_world() {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("w.wit", "package a:b; world w { export f: func(); }").unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let mut core = wat::parse_str(r#"(module (func (export "f")))"#).unwrap();
    assert_eq!(refusal(&core).code(), Code::NOT_A_COMPONENT);
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false).unwrap();
    // It is loaded as a component; it is not a flow only because of its world.
    assert_eq!(refusal(&core).code(), Code::WRONG_WORLD);
}

#[test]
fn a_flow_may_be_a_core_module() {
    assert_eq!(guests(None).load(&core_flow(ONE_NODE, ECHO)).unwrap().wit_version(), VERSION);
}

#[test]
fn a_function_of_another_type_is_refused() {
    let wit = WIT.replace("body: list<u8>", "text: list<u8>");
    let error = refusal(&flow_of(&wit, VERSION, "", ONE_NODE, ECHO));
    assert_eq!(error.code(), Code::WRONG_WORLD);
    assert!(error.to_string().contains("expected record field named body, found text"), "{error}");
}

#[test]
fn code_that_is_too_large_is_refused() {
    let error = refusal(&much_code());
    assert_eq!(error, GuestError::CodeTooLarge { limit: 256 << 20 });
    assert_eq!(error.code(), Code::CODE_TOO_LARGE);
}

#[test]
fn a_component_with_too_many_memories_is_refused() {
    let error = refusal(&many_memories());
    assert_eq!(error.code(), Code::MODULE_TOO_COMPLEX);
    assert!(error.to_string().contains("5 memories, more than the 4 allowed"), "{error}");
}

#[test]
fn a_newer_version_is_rejected_with_its_own_and_those_of_the_host() {
    let wit = WIT.replace("faas-flow:flow@0.2.0", "faas-flow:flow@0.3.0");
    let error = refusal(&flow_of(&wit, "0.3.0", "", ONE_NODE, ECHO));
    assert_eq!(error.code(), Code::WRONG_VERSION);
    assert!(error.to_string().contains("@0.3.0") && error.to_string().contains("0.1.0 and 0.2.0"), "{error}");
}

/// VAL-5: there is neither a clock nor a die.
#[test]
fn unknown_imports_are_all_named() {
    let wit = WIT.replace(
        "    import context;",
        "    import context;\n    import clock: interface { now: func(); }\n    import dice: func();",
    );
    let imports = r#"(import "clock" "now" (func)) (import "$root" "dice" (func))"#;
    let error = refusal(&flow_of(&wit, VERSION, imports, ONE_NODE, ECHO));
    assert_eq!(error, GuestError::UnknownImport { names: vec!["clock".into(), "dice".into()] });
}

/// The only code in the folder, and its checksum.
fn cached(folder: &Path) -> (PathBuf, PathBuf) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let [code, sum] = &files[..] else { panic!("{files:?}") };
    assert!(code.extension().unwrap() == "code" && *sum == code.with_extension("sum"), "{files:?}");
    (code.clone(), sum.clone())
}

#[tokio::test]
async fn code_is_cached_and_damaged_code_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("code");
    let bytes = flow(ONE_NODE, ECHO);
    let module = guests(Some(&cache)).load(&bytes).unwrap();
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0, "code is not cached before the module is accepted");
    module.keep_code();
    let (code, sum) = cached(&cache);
    let (good, checked) = (fs::read(&code).unwrap(), fs::read(&sum).unwrap());
    let written = || fs::metadata(&code).unwrap().modified().unwrap();

    let before = written();
    guests(Some(&cache)).load(&bytes).unwrap();
    assert_eq!(written(), before, "a cached module is not compiled");

    let zeros = [good[..100].to_vec(), vec![0; good.len() - 100]].concat();
    let damages = [(&code, &good[..good.len() / 2]), (&code, &good[..10]), (&code, &zeros), (&sum, &checked[..10])];
    for (file, damaged) in damages {
        fs::write(file, damaged).unwrap();
        let module = guests(Some(&cache)).load(&bytes).unwrap();
        module.keep_code();
        assert_eq!(cached(&cache), (code.clone(), sum.clone()));
        assert!(
            fs::read(&code).unwrap() == good && fs::read(&sum).unwrap().len() == checked.len(),
            "it is written again"
        );
        let mut instance = module.instantiate(Arc::new(NoContext::new("test")), Arc::default()).await.unwrap();
        assert_eq!(instance.modify("n", Content::from("x")).await.unwrap().bytes, "x");
    }
}

#[test]
fn code_that_was_moved_is_hashed_but_not_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, moved) = (folder.path().join("code"), folder.path().join("moved"));
    let bytes = flow(ONE_NODE, ECHO);
    guests(Some(&cache)).load(&bytes).unwrap().keep_code();
    let (code, sum) = cached(&cache);
    guests(Some(&moved)).load(&bytes).unwrap();
    let there = |file: &Path| moved.join(file.file_name().unwrap());
    for file in [&code, &sum] {
        fs::copy(file, there(file)).unwrap();
    }
    let written = || fs::metadata(there(&code)).unwrap().modified().unwrap();
    let before = written();
    let module = guests(Some(&moved)).load(&bytes).unwrap();
    module.keep_code();
    assert_eq!(written(), before, "it was not compiled");
    assert_ne!(fs::read(there(&sum)).unwrap(), fs::read(&sum).unwrap(), "the next time it is not hashed");
}

#[test]
fn code_that_another_user_may_have_written_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("code");
    let bytes = flow(ONE_NODE, ECHO);
    let open_to_all = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let remove = || {
        let (code, sum) = cached(&cache);
        fs::remove_file(code).and_then(|()| fs::remove_file(sum)).unwrap();
    };
    // Whether loading compiles the module: then there is code to cache, although the file was removed.
    let compiles = || {
        let module = guests(Some(&cache)).load(&bytes).unwrap();
        remove();
        module.keep_code();
        fs::read_dir(&cache).unwrap().count() == 2
    };
    let keep = || guests(Some(&cache)).load(&bytes).unwrap().keep_code();
    keep();
    assert!(!compiles());
    keep();
    open_to_all(&cached(&cache).0, 0o666);
    assert!(compiles(), "other users may write to the code");
    open_to_all(&cached(&cache).1, 0o666);
    assert!(compiles(), "other users may write to its checksum");
    open_to_all(&cache, 0o777);
    let module = guests(Some(&cache)).load(&bytes).unwrap();
    remove();
    module.keep_code();
    assert_eq!(
        fs::read_dir(&cache).unwrap().count(),
        0,
        "nothing is cached in a folder to which other users may write"
    );
}

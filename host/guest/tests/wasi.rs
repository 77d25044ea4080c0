//! What a flow's code sees of WASI: a virtual system that follows from the run and the node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Code, Content, Failure, Millis};
use faas_flow_guest::{CallContext, ContextError, Guests, Instance, Level, Limits, NoContext, RunContext};
use faas_flow_test_support::hostile::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When the runs of these tests began: 2026-12-24T18:00:00Z.
const BEGAN: Millis = 1_798_135_200_000;
const HOUR: u64 = 3_600_000_000_000;

/// A run that keeps what its code logs.
struct Run {
    id: &'static str,
    lines: Mutex<Vec<(Level, String)>>,
}

impl Run {
    fn new(id: &'static str) -> Arc<Self> {
        Arc::new(Self { id, lines: Mutex::default() })
    }

    fn logged(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

#[async_trait]
impl RunContext for Run {
    fn request_id(&self) -> &str {
        self.id
    }
    fn flow_name(&self) -> &str {
        "test"
    }
    fn clock(&self) -> Millis {
        BEGAN
    }
    fn secret(&self) -> Vec<u8> {
        b"secret".to_vec()
    }
    fn query(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn header(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    async fn get(&self, _: &str) -> Result<Option<Bytes>, ContextError> {
        Ok(None)
    }
    fn signal_url(&self, _: &CallContext, _: &str, _: Option<u64>) -> Result<String, ContextError> {
        Err("no signals".into())
    }
    fn log(&self, _: &CallContext, level: Level, message: &str) {
        self.lines.lock().unwrap().push((level, message.to_owned()));
    }
}

fn guests() -> Guests {
    Guests::new(Limits { instances: 4, call_timeout: Duration::from_secs(60), ..Limits::default() }, None).unwrap()
}

fn node(path: &str) -> Arc<CallContext> {
    Arc::new(CallContext { node: path.to_owned(), ..CallContext::default() })
}

async fn instance(module: &[u8], run: &Arc<Run>, path: &str) -> Instance {
    let module = guests().load(module).unwrap();
    let mut instance = module.instantiate(run.clone(), node(path)).await.unwrap();
    instance.enter(node(path), Vec::new());
    instance
}

async fn answer(instance: &mut Instance, handler: &str) -> Vec<u8> {
    instance.modify(handler, Content::from("x")).await.unwrap().bytes.to_vec()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(number).collect()
}

/// The end of a handler that returns what is at 2048, so many bytes.
fn returning(length: u32) -> String {
    format!(
        "(i32.store (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1028) (i32.const 2048))
        (i32.store (i32.const 1032) (i32.const {length})) (i32.const 1024)"
    )
}

const PREVIEW_1: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))"#;

/// A core module that imports WASI preview 1 and does not name its world, as Go makes it.
fn preview_1(modify: &str) -> Vec<u8> {
    nameless_flow(VERSION, PREVIEW_1, modify)
}

/// Writes the time of day and the monotonic clock to these addresses.
fn clocks(time: u32, monotonic: u32) -> String {
    format!(
        "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const {time})))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const {monotonic})))"
    )
}

/// Sleeps: until the first of several moments. Each is a clock, a time and 1 if it is absolute.
fn sleep(moments: &[(u32, u64, u32)]) -> String {
    let subscription = |(at, (clock, time, flags)): (usize, &(u32, u64, u32))| {
        let start = 4096 + 48 * at;
        format!(
            "(i64.store offset={start} (i32.const 0) (i64.const {at}))
            (i32.store8 offset={start} (i32.const 8) (i32.const 0))
            (i32.store offset={start} (i32.const 16) (i32.const {clock}))
            (i64.store offset={start} (i32.const 24) (i64.const {time}))
            (i32.store16 offset={start} (i32.const 40) (i32.const {flags}))"
        )
    };
    let subscriptions: String = moments.iter().enumerate().map(subscription).collect();
    format!(
        "{subscriptions} (drop (call $poll_oneoff (i32.const 4096) (i32.const 8192) (i32.const {}) (i32.const 3000)))",
        moments.len()
    )
}

/// Writes text to stdout (1) or stderr (2).
fn write(file: u32, text: &str) -> String {
    let bytes: String = text
        .bytes()
        .enumerate()
        .map(|(at, byte)| format!("(i32.store8 offset={} (i32.const 0) (i32.const {byte}))", 16384 + at))
        .collect();
    format!(
        "{bytes} (i32.store (i32.const 3000) (i32.const 16384)) (i32.store (i32.const 3004) (i32.const {}))
        (drop (call $fd_write (i32.const {file}) (i32.const 3000) (i32.const 1) (i32.const 3008)))",
        text.len()
    )
}

#[tokio::test]
async fn the_clock_stands_at_the_start_of_the_run_and_is_moved_by_sleeping() {
    let body = format!(
        "{}{}{}{}",
        clocks(2048, 2056),
        sleep(&[(1, 2 * HOUR, 0), (0, HOUR, 0)]),
        clocks(2064, 2072),
        returning(32)
    );
    let run = Run::new("r");
    let mut instance = instance(&preview_1(&body), &run, "n").await;
    let began = BEGAN * 1_000_000;
    let first = numbers(&answer(&mut instance, "n").await);
    assert_eq!(first, [began, first[1], began + HOUR, first[1] + HOUR]);
    let second = numbers(&answer(&mut instance, "n").await);
    assert_eq!(second, [began, first[3], began + HOUR, first[3] + HOUR], "each call begins when the run began");
}

#[tokio::test]
async fn a_sleep_ends_at_the_first_moment_and_says_which_one() {
    // Until an hour after the start of the run, or for two hours, or until a moment in the past.
    let began = BEGAN * 1_000_000;
    let count_and_first = "
        (i64.store (i32.const 2048) (i64.extend_i32_u (i32.load (i32.const 3000))))
        (i64.store (i32.const 2056) (i64.load (i32.const 8192)))";
    let sleeps = |moments: &[(u32, u64, u32)]| {
        let body = format!("{}{count_and_first}{}{}", sleep(moments), clocks(2064, 2072), returning(24));
        async move { numbers(&answer(&mut instance(&preview_1(&body), &Run::new("r"), "n").await, "n").await) }
    };
    assert_eq!(sleeps(&[(1, 2 * HOUR, 0), (0, began + HOUR, 1)]).await, [1, 1, began + HOUR]);
    assert_eq!(sleeps(&[(0, HOUR, 0), (1, HOUR, 0), (1, 2 * HOUR, 0)]).await, [2, 0, began + HOUR]);
    assert_eq!(sleeps(&[(0, HOUR, 0), (0, began - HOUR, 1)]).await, [1, 1, began], "it is over already");
    let centuries = sleeps(&[(1, u64::MAX, 0)]).await;
    assert!(centuries[2] > began + 70 * 365 * 24 * HOUR, "{centuries:?}");
}

#[tokio::test]
async fn random_numbers_follow_from_run_node_and_handler() {
    let body = format!("(drop (call $random_get (i32.const 2048) (i32.const 21))){}", returning(21));
    let module = preview_1(&body);
    let draw = async |run, path, handler| answer(&mut instance(&module, &Run::new(run), path).await, handler).await;
    let drawn = draw("r", "n", "n/0").await;
    assert!(drawn[16..].iter().any(|byte| *byte != 0), "{drawn:?}");
    assert_eq!(drawn, draw("r", "n", "n/0").await, "another instance");
    let mut used = instance(&module, &Run::new("r"), "n").await;
    answer(&mut used, "n/1").await;
    assert_eq!(drawn, answer(&mut used, "n/0").await, "an instance that was called before");
    for (run, path, handler) in [("other", "n", "n/0"), ("r", "m", "n/0"), ("r", "n", "n/1")] {
        assert_ne!(drawn, draw(run, path, handler).await, "{run} {path} {handler}");
    }
}

#[tokio::test]
async fn what_is_written_is_logged_by_lines() {
    let parts = [write(1, "to "), write(2, "an err"), write(1, "stdout\nand\n"), write(2, "or\nno end"), returning(0)];
    let run = Run::new("r");
    let mut instance = instance(&preview_1(&parts.concat()), &run, "n").await;
    answer(&mut instance, "n").await;
    let line = |level, text: &str| (level, text.to_owned());
    assert_eq!(
        run.logged(),
        [
            line(Level::Info, "to stdout"),
            line(Level::Info, "and"),
            line(Level::Warn, "an error"),
            line(Level::Warn, "no end")
        ]
    );
}

/// The failure of a handler with this body.
async fn failure(module: &[u8]) -> Failure {
    let mut instance = instance(module, &Run::new("r"), "n").await;
    let failure = instance.modify("n", Content::from("x")).await.unwrap_err();
    assert!(!instance.usable());
    failure
}

#[tokio::test]
async fn a_crash_shows_the_last_lines_on_stderr() {
    let said = [write(2, "panic: "), write(1, "hidden\n"), write(2, "boom\n\nin main\n")].concat();
    let exits = failure(&preview_1(&format!("{said}(call $proc_exit (i32.const 2)) unreachable"))).await;
    assert_eq!(exits.code, Code::GUEST_TRAPPED);
    assert_eq!(
        exits.message,
        "the flow's code crashed: it exited with status 2; it wrote to stderr:\npanic: boom\n\nin main"
    );
    let traps = failure(&preview_1(&format!("{said} unreachable"))).await;
    assert_eq!(traps.code, Code::GUEST_TRAPPED);
    assert_eq!(traps.message, "the flow's code crashed; it wrote to stderr:\npanic: boom\n\nin main");
    let much = format!("(loop $more {} (br $more)) unreachable", write(2, &"x".repeat(100)));
    let limits = Limits { call_timeout: Duration::from_millis(300), ..Limits::default() };
    let module = Guests::new(limits, None).unwrap().load(&preview_1(&much)).unwrap();
    let mut instance = module.instantiate(Arc::new(NoContext::new("test")), node("n")).await.unwrap();
    let late = instance.modify("n", Content::from("x")).await.unwrap_err();
    assert_eq!(late.code, Code::GUEST_OUT_OF_TIME);
    assert!((6 << 10..8 << 10).contains(&late.message.len()), "{}", late.message.len());
}

#[tokio::test]
async fn exiting_with_status_zero_is_a_failure_too() {
    let failure = failure(&preview_1("(call $proc_exit (i32.const 0)) unreachable")).await;
    assert_eq!(failure.message, "the flow's code crashed: it exited with status 0");
}

#[tokio::test]
async fn there_is_one_empty_directory_and_opening_a_file_is_an_error_that_is_logged() {
    let open = |how: u32| {
        format!(
            "(call $path_open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 2) (i32.const {how}) (i64.const 0)
            (i64.const 0) (i32.const 0) (i32.const 3000))"
        )
    };
    let body = format!(
        "(i64.store (i32.const 2048) (i64.extend_i32_u {}))
        (i64.store (i32.const 2056) (i64.extend_i32_u {}))
        (i64.store (i32.const 2064) (i64.extend_i32_u (call $fd_prestat_get (i32.const 3) (i32.const 3000))))
        (i64.store (i32.const 2072) (i64.extend_i32_u (call $fd_prestat_get (i32.const 4) (i32.const 3000)))) {}",
        open(0),
        open(1),
        returning(32)
    );
    let run = Run::new("r");
    let mut instance = instance(&preview_1(&body), &run, "n").await;
    let (no_such_file, read_only, bad_file) = (44, 69, 8);
    assert_eq!(numbers(&answer(&mut instance, "n").await), [no_such_file, read_only, 0, bad_file]);
    let logged = run.logged();
    assert_eq!(logged.len(), 1, "once: {logged:?}");
    assert!(logged[0].1.contains("wasi_snapshot_preview1.path_open"), "{logged:?}");
}

#[tokio::test]
async fn a_core_module_without_a_world_is_wrapped_for_the_version_that_it_exports() {
    for version in ["0.1.0", "0.2.0"] {
        let module = guests().load(&nameless_flow(version, "", ECHO)).unwrap();
        assert_eq!(module.wit_version(), version);
        assert_eq!(module.wasi(), &Default::default(), "it imports nothing of WASI");
        let mut instance = module.instantiate(Run::new("r"), node("n")).await.unwrap();
        assert_eq!(instance.modify("n", Content::from("hi")).await.unwrap().bytes, "hi");
    }
    let error = guests().load(&nameless_flow("0.3.0", "", ECHO)).unwrap_err();
    assert_eq!(error.code(), Code::NOT_A_COMPONENT);
    assert!(error.to_string().contains("@0.3.0") && error.to_string().contains("0.1.0 and 0.2.0"), "{error}");
}

#[tokio::test]
async fn what_a_module_uses_of_wasi_is_named() {
    let module = guests().load(&preview_1(ECHO)).unwrap();
    let has: Vec<&str> = module.wasi().has.iter().copied().collect();
    assert_eq!(has, ["clock", "exit", "random numbers", "stdout and stderr"]);
    assert_eq!(module.wasi().lacks.iter().collect::<Vec<_>>(), ["files"]);
    assert!(module.imports().contains(&"wasi_snapshot_preview1"), "{:?}", module.imports());
    assert!(module.imports().iter().chain(&module.exports()).all(|name| !name.contains("adapter")));
}

/// Part of WASI 0.2.
const PREVIEW_2: &str = "
    package wasi:io@0.2.3 {
        interface error { resource error; }
        interface poll {
            resource pollable { ready: func() -> bool; block: func(); }
            poll: func(in: list<borrow<pollable>>) -> list<u32>;
        }
        interface streams {
            use error.{error};
            use poll.{pollable};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                check-write: func() -> result<u64, stream-error>;
                write: func(contents: list<u8>) -> result<_, stream-error>;
                subscribe: func() -> pollable;
            }
        }
    }
    package wasi:cli@0.2.3 {
        interface stdout { use wasi:io/streams@0.2.3.{output-stream}; get-stdout: func() -> output-stream; }
        interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
        interface exit { exit: func(status: result); }
    }
    package wasi:clocks@0.2.3 {
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
        interface monotonic-clock {
            use wasi:io/poll@0.2.3.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
    }
    package wasi:random@0.2.3 { interface random { get-random-u64: func() -> u64; } }
    package wasi:sockets@0.2.3 {
        interface network { enum error-code { unknown, access-denied, not-supported } resource network; }
        interface instance-network { use network.{network}; instance-network: func() -> network; }
        interface tcp-create-socket {
            use network.{error-code};
            create-tcp-socket: func(family: u8) -> result<u32, error-code>;
        }
    }";

const PREVIEW_2_IMPORTS: &str = r#"
    (import "wasi:clocks/wall-clock@0.2.3" "now" (func $wall (param i32)))
    (import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $monotonic (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.3" "subscribe-duration" (func $after (param i64) (result i32)))
    (import "wasi:io/poll@0.2.3" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@0.2.3" "[resource-drop]pollable" (func $drop (param i32)))
    (import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
    (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
    (import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))
    (import "wasi:random/random@0.2.3" "get-random-u64" (func $random (result i64)))
    (import "wasi:sockets/instance-network@0.2.3" "instance-network" (func $network (result i32)))
    (import "wasi:sockets/tcp-create-socket@0.2.3" "create-tcp-socket" (func $socket (param i32 i32)))"#;

/// A component that imports WASI 0.2.
fn preview_2(modify: &str) -> Vec<u8> {
    let interfaces = [
        "cli/stdout",
        "cli/stderr",
        "cli/exit",
        "io/poll",
        "io/streams",
        "clocks/wall-clock",
        "clocks/monotonic-clock",
        "random/random",
        "sockets/instance-network",
        "sockets/tcp-create-socket",
    ];
    let imports = interfaces.map(|interface| format!("    import wasi:{interface}@0.2.3;\n")).concat();
    let wit = WIT.replace("    import context;\n", &format!("    import context;\n{imports}")) + PREVIEW_2;
    flow_of(&wit, VERSION, PREVIEW_2_IMPORTS, ONE_NODE, modify)
}

#[tokio::test]
async fn wasi_0_2_has_the_same_clock_and_the_same_random_numbers() {
    let body = format!(
        "(local $timer i32)
        (local.set $timer (call $after (i64.const {HOUR})))
        (call $block (local.get $timer)) (call $drop (local.get $timer))
        (call $wall (i32.const 2048))
        (i64.store (i32.const 2064) (call $monotonic))
        (i64.store (i32.const 2072) (call $random)) {}",
        returning(32)
    );
    let mut second = instance(&preview_2(&body), &Run::new("r"), "n").await;
    let [seconds, nanoseconds, monotonic, random] = numbers(&answer(&mut second, "n").await)[..] else { panic!() };
    assert_eq!((seconds, nanoseconds), (BEGAN / 1000 + 3600, 0));
    let body = format!(
        "{}{}(drop (call $random_get (i32.const 2056) (i32.const 8))){}",
        sleep(&[(1, HOUR, 0)]),
        clocks(2040, 2048),
        returning(16)
    );
    let mut first = instance(&preview_1(&body), &Run::new("r"), "n").await;
    assert_eq!(numbers(&answer(&mut first, "n").await), [monotonic, random]);
}

#[tokio::test]
async fn wasi_0_2_writes_to_the_log_and_exits_with_the_last_words() {
    let write = |stream: &str, text: &str| {
        let bytes = text.bytes().enumerate();
        let bytes = bytes.map(|(at, byte)| format!("(i32.store8 offset={at} (i32.const 4096) (i32.const {byte}))"));
        let bytes: String = bytes.collect();
        format!("{bytes} (call $write (call ${stream}) (i32.const 4096) (i32.const {}) (i32.const 3000))", text.len())
    };
    let body = format!("{}{}(call $exit (i32.const 1)) unreachable", write("stdout", "out"), write("stderr", "err\n"));
    let run = Run::new("r");
    let mut instance = instance(&preview_2(&body), &run, "n").await;
    let failure = instance.modify("n", Content::from("x")).await.unwrap_err();
    assert_eq!(failure.message, "the flow's code crashed: it exited with status 1; it wrote to stderr:\nerr");
    assert_eq!(run.logged(), [(Level::Warn, "err".to_owned()), (Level::Info, "out".to_owned())]);
}

#[tokio::test]
async fn what_wasi_0_2_has_and_flows_do_not_fails_with_its_name() {
    let failure = failure(&preview_2("(drop (call $network)) unreachable")).await;
    assert_eq!(failure.code, Code::GUEST_TRAPPED);
    let name = "wasi:sockets/instance-network@0.2.3#instance-network";
    assert!(failure.message.contains(name), "{}", failure.message);

    // It has an error for that.
    let body = format!("(call $socket (i32.const 0) (i32.const 2048)){}", returning(8));
    let run = Run::new("r");
    let module = preview_2(&body);
    let mut instance = instance(&module, &run, "n").await;
    let [is_error, _, _, _, code, ..] = answer(&mut instance, "n").await[..] else { panic!() };
    assert_eq!((is_error, code), (1, 2), "not-supported");
    assert!(run.logged()[0].1.contains("create-tcp-socket"));
    let loaded = guests().load(&module).unwrap();
    assert_eq!(loaded.wasi().lacks.iter().collect::<Vec<_>>(), ["sockets"]);
}

#[tokio::test]
async fn an_instance_holds_only_so_many_handles() {
    for body in [
        "(loop $more (drop (call $stdout)) (br $more)) unreachable",
        "(loop $more (drop (call $after (i64.const 1))) (br $more)) unreachable",
    ] {
        let failure = failure(&preview_2(body)).await;
        assert_eq!(failure.code, Code::GUEST_TRAPPED);
        assert!(failure.message.contains("more than 10000 streams and timers"), "{}", failure.message);
    }
    let many = format!(
        "(local $left i32) (local.set $left (i32.const 50000))
        (loop $more (call $drop (call $after (i64.const 1)))
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) {}",
        returning(0)
    );
    answer(&mut instance(&preview_2(&many), &Run::new("r"), "n").await, "n").await;
}

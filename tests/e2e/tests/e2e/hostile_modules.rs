//! Modules that are made to harm the programs that read or compile them: each ends in an error with a code, and the server goes on.

use faas_flow_core::Digest;
use faas_flow_e2e::command::run;
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::versions::{FLOW, slow_to_compile, tell};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::hostile::{self, ECHO, ONE_NODE};
use faas_flow_test_support::modules::module;
use reqwest::Response;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A folder with modules of each kind that harms its readers, and the codes of their errors.
fn folder() -> (TempDir, [(&'static str, &'static str); 4]) {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("two-versions.wasm", hostile::two_versions());
    write("many-memories.wasm", hostile::many_memories());
    write("long-name.wasm", hostile::flow(hostile::LONG_NAME, ECHO));
    write("endless.wasm", hostile::flow(hostile::ENDLESS_NODE, ECHO));
    let codes = [
        ("two-versions.wasm", "FF0029"),
        ("many-memories.wasm", "FF0034"),
        ("long-name.wasm", "FF0121"),
        ("endless.wasm", "FF0112"),
    ];
    (folder, codes)
}

fn server() -> Server {
    Serve::file("versions", &module("greet")).with("--state", "memory").with("--data-store", "memory").start()
}

async fn greets(server: &Server) {
    assert_eq!(server.post(FLOW, "Ada").await.ok(), "Hello, Ada!");
}

#[test]
fn commands_refuse_hostile_modules_with_an_error() {
    let (folder, codes) = folder();
    let folder = folder.path();
    for (module, code) in codes {
        run(folder, ["check", module]).failed(code, &[]);
    }
    run(folder, ["keygen", "release"]).ok();
    let crashes = |words: &[&str]| run(folder, words).failed("FF0029", &["its stack overflowed"]);
    crashes(&["graph", "two-versions.wasm"]);
    crashes(&["run", "two-versions.wasm"]);
    crashes(&["serve", "--listen", "127.0.0.1:0", "two-versions.wasm"]);
    crashes(&["sign", "two-versions.wasm", "--key", "release.key", "--flow", "f"]);
    run(folder, ["check", "--compiled-limit", "1KiB", "long-name.wasm"]).failed("FF0033", &["1024 bytes"]);
    run(folder, ["check", "--flow-nodes", "1", "long-name.wasm"]).failed("FF0121", &[]);
}

#[tokio::test]
async fn a_server_refuses_hostile_modules_and_lives() {
    let (folder, codes) = folder();
    let server = server();
    for (module, code) in codes {
        tell(&server, &["push"], &[&folder.path().join(module)]).await.failed(code, &["422"]);
        tell(&server, &["plan"], &[&folder.path().join(module)]).await.failed(code, &[]);
        greets(&server).await;
    }
}

#[tokio::test]
async fn where_modules_must_be_signed_nothing_reads_one_whose_signature_is_made_up() {
    let folder = TempDir::new().unwrap();
    let hostile = folder.path().join("two-versions.wasm");
    fs::write(&hostile, hostile::two_versions()).unwrap();
    let greet = folder.path().join("greet.wasm");
    fs::copy(module("greet"), &greet).unwrap();
    run(folder.path(), ["keygen", "release"]).ok();
    run(folder.path(), ["keygen", "stranger"]).ok();
    let sign = |key: &str, flow: &str| {
        run(folder.path(), ["sign", "greet.wasm", "--key", key, "--flow", flow]).ok().trim().to_owned()
    };
    let made_up = [sign("stranger.key", "versions"), sign("release.key", "versions")];
    let server = Serve::file("versions", &greet).with("--module-key", "release.pub").start_in(folder.path());
    for line in made_up {
        fs::write(folder.path().join("two-versions.wasm.sig"), line).unwrap();
        // The compiler would have crashed: FF0029.
        tell(&server, &["push"], &[&hostile]).await.failed("FF0031", &["403"]);
        greets(&server).await;
    }
    let verify = ["verify", "two-versions.wasm", "--keys", "release.pub", "--flow", "greet"];
    run(folder.path(), verify).failed("FF0031", &[]);
}

#[tokio::test]
async fn what_is_wrong_thousands_of_times_is_told_fifty_times() {
    let folder = TempDir::new().unwrap();
    let wrong = folder.path().join("wrong.wasm");
    fs::write(&wrong, hostile::flow(hostile::ALL_WRONG, ECHO)).unwrap();
    let server = server();
    let refused = tell(&server, &["push"], &[&wrong]).await;
    assert!(refused.stderr.len() < 20_000, "{} bytes", refused.stderr.len());
    refused.failed("FF0108", &["more problems"]);
    greets(&server).await;
}

#[tokio::test]
async fn code_that_leaks_memory_in_each_call_does_not_run_out_of_it() {
    let folder = TempDir::new().unwrap();
    let leaks = folder.path().join("leaks.wasm");
    // 480 MiB in all, where an instance may have 256.
    fs::write(&leaks, hostile::flow(hostile::LONG_NODE, hostile::LEAK)).unwrap();
    let server = Serve::file("leaks", &leaks).with("--state", "memory").with("--data-store", "memory").start();
    assert_eq!(server.post("/function/leaks", "Ada").await.ok(), "Ada");
}

/// The processes that a server has started and that have not ended.
fn children(server: &Server) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.process())).unwrap();
    let of_task = |task: io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("children")).ok();
    tasks.filter_map(of_task).map(|children| children.split_whitespace().count()).sum()
}

#[tokio::test]
async fn a_compiler_ends_when_the_client_that_pushed_the_module_hangs_up() {
    let server = server();
    let push = tokio::spawn(put(&server, slow_to_compile(4_000)));
    until("it is compiled", async || children(&server) == 1).await;
    push.abort();
    until("the compiler has ended", async || children(&server) == 0).await;
    greets(&server).await;
}

/// A sequence of numbers that is the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    /// Changes some bytes, or copies, moves or removes a piece.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = 8 + self.below(bytes.len() - 8);
        let end = (at + 1 + self.below(64)).min(bytes.len());
        let to = 8 + self.below(bytes.len() - 8);
        match self.below(8) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(to..to, piece);
            }
            2 => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = to.min(bytes.len());
                bytes.splice(to..to, piece);
            }
            // A digit of a version or a letter of a name.
            3 => {
                let from = bytes[at..].iter().position(u8::is_ascii_alphanumeric).map_or(at, |next| at + next);
                bytes[from] = b'0' + (bytes[from] + 1) % 10;
            }
            4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            _ => bytes[at] ^= 1 << self.below(8),
        }
    }
}

/// Pushes a module.
fn put(server: &Server, bytes: Vec<u8>) -> impl Future<Output = Response> + use<> {
    let sent = try_put(server, bytes);
    async { sent.await.expect("the server answers") }
}

/// Pushes a module to a server that may not survive it.
fn try_put(server: &Server, bytes: Vec<u8>) -> impl Future<Output = reqwest::Result<Response>> + use<> {
    let url = server.url(&format!("{FLOW}/modules/{}", Digest::of(&bytes)));
    server.client.put(url).body(bytes).send()
}

/// The code of the error, or else the status.
fn outcome(answer: &Response) -> String {
    let code = answer.headers().get("x-faas-flow-error").map(|code| code.to_str().unwrap().to_owned());
    code.unwrap_or_else(|| answer.status().as_u16().to_string())
}

/// What became of a module: the code with which it was refused, or the status. After anything else, the module is kept.
async fn judge(answer: reqwest::Result<Response>, bytes: &[u8]) -> Result<String, String> {
    let (outcome, text) = match answer {
        Ok(answer) => (outcome(&answer), answer.text().await.unwrap_or_default()),
        Err(error) => ("no answer".to_owned(), error.to_string()),
    };
    if outcome.starts_with("FF00") || outcome.starts_with("FF01") || outcome.starts_with("20") {
        return Ok(outcome);
    }
    keep(bytes);
    Err(format!("{outcome}: {text}"))
}

/// The modules that crashed something in earlier times.
fn seeds() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("fuzz/seeds/module")).unwrap().map(|file| file.unwrap().path());
    let mut seeds: Vec<_> = files.filter(|file| file.extension().is_some_and(|kind| kind == "wasm")).collect();
    seeds.sort();
    seeds
}

/// After the seeds, for ten seconds, or as many as `FAAS_FLOW_MUTANTS` says.
#[tokio::test]
async fn whatever_the_bytes_of_a_module_are_it_is_loaded_or_refused_with_a_code() {
    let seconds = std::env::var("FAAS_FLOW_MUTANTS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(10);
    let seed = std::env::var("FAAS_FLOW_MUTANTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    let originals = [
        hostile::core_flow(ONE_NODE, ECHO),
        hostile::flow(ONE_NODE, ECHO),
        hostile::core_flow(hostile::CURIOUS, hostile::SET),
    ];
    let server = server();
    for file in seeds() {
        let bytes = fs::read(&file).unwrap();
        if let Err(fault) = judge(try_put(&server, bytes.clone()).await, &bytes).await {
            panic!("{}: {fault}", file.display());
        }
    }
    let mut random = Random(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    while Instant::now() < until {
        let mutant = |random: &mut Random| {
            let mut bytes = originals[random.below(originals.len())].clone();
            for _ in 0..=random.below(3) {
                random.mutate(&mut bytes);
            }
            bytes
        };
        let (one, other) = (mutant(&mut random), mutant(&mut random));
        let (first, second) = tokio::join!(try_put(&server, one.clone()), try_put(&server, other.clone()));
        // If the server dies, either may be the cause, and both are kept.
        for judged in [judge(first, &one).await, judge(second, &other).await] {
            let outcome = judged.unwrap_or_else(|fault| panic!("{fault}"));
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    greets(&server).await;
    eprintln!("{outcomes:?}");
    assert!(!outcomes.is_empty());
}

/// Nothing is said of how long an answer takes, since the machine may be busy. `--nocapture` shows it.
#[tokio::test(flavor = "multi_thread")]
async fn health_answers_while_four_hostile_modules_are_pushed_and_each_is_refused() {
    let server =
        Serve::file("versions", &module("greet")).with("--compile-timeout", "10s").with("--guest-timeout", "5s");
    let server = server.start();
    let hostile = [
        ("FF0029", hostile::two_versions()),
        ("FF0019", slow_to_compile(2000)),
        ("FF0007", hostile::flow(hostile::LOOP, ECHO)),
        ("FF0112", hostile::flow(hostile::ENDLESS_NODE, ECHO)),
    ];
    let (codes, modules): (Vec<_>, Vec<_>) = hostile.into_iter().unzip();
    let pushes: Vec<_> = modules.into_iter().map(|bytes| tokio::spawn(put(&server, bytes))).collect();
    let mut slowest = Duration::ZERO;
    let mut answers = 0;
    while !pushes.iter().all(JoinHandle::is_finished) {
        let asked = Instant::now();
        assert_eq!(server.get("/_/health").await.ok(), "OK");
        slowest = slowest.max(asked.elapsed());
        answers += usize::from(!pushes.iter().any(JoinHandle::is_finished));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("the slowest answer took {slowest:.1?}");
    assert!(answers > 0, "it has answered while all four were being looked at");
    for (push, code) in pushes.into_iter().zip(codes) {
        assert_eq!(outcome(&push.await.unwrap()), code);
    }
    greets(&server).await;
}

/// Keeps a module, so that the failure can be investigated: that of a fuzzer where the nightly finds it.
fn keep(bytes: &[u8]) {
    let folder = match std::env::var_os("FAAS_FLOW_MUTANTS") {
        Some(_) => root().join("fuzz/artifacts/module"),
        None => PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    };
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}.wasm", Digest::of(bytes)));
    fs::write(&file, bytes).unwrap();
    eprintln!("the module is in {}", file.display());
}

//! `memory_limit`: a host that is asked for more memory than it may use refuses some requests and goes on.

use faas_flow_e2e::server::{Answer, Serve, Server, metric};
use faas_flow_e2e::wait::until;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 256 * MIB;
/// What the program itself may use: its code, the buffers of its connections, and freed memory that its allocator has not
/// returned yet. Without the limit, the first test takes well over 1 GiB.
const MARGIN: u64 = 320 * MIB;
/// By how much the program may be larger after a load than after its first round, since its allocator keeps freed memory.
const GROWTH: u64 = 64 * MIB;

fn serve() -> Serve {
    Serve::flows(&["greet", "fixture"])
        .with("--memory-limit", "256MiB")
        // The machine may be busy.
        .with("--read-timeout", "10m")
        .with("--guest-timeout", "10m")
}

fn server() -> Server {
    serve().start()
}

/// What the system says of the memory of the process, in bytes.
fn memory(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    size.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The most memory that the process has ever used.
fn peak(server: &Server) -> u64 {
    memory(server, "VmHWM")
}

/// The memory that the process uses now.
fn resident(server: &Server) -> u64 {
    memory(server, "VmRSS")
}

async fn is_given_back(server: &Server) {
    let reserved = async || metric(server, "faas_flow_memory_reserved_bytes").await;
    until("all memory is given back", async || reserved().await < 8 * MIB).await;
    assert!(peak(server) < LIMIT + MARGIN, "{} MiB", peak(server) / MIB);
}

/// Callers who send one request after the other, each as long as it goes on after so many answers. Returns the statuses.
async fn load(server: &Server, goes_on: impl Fn(usize) -> bool + Copy + Send + 'static) -> Vec<u16> {
    // Together they have 9/8 of the limit, and each needs several times its size.
    let body = vec![b'x'; 8 * MIB as usize];
    let mut callers = JoinSet::new();
    for _ in 0..36 {
        let request = server.request("/function/greet", body.clone());
        callers.spawn(async move {
            let mut statuses = Vec::new();
            while goes_on(statuses.len()) {
                let response = request.try_clone().unwrap().send().await.unwrap();
                let status = response.status().as_u16();
                let code = response.headers().get("x-faas-flow-error").map(|code| code.to_str().unwrap().to_owned());
                if status != 200 {
                    assert_eq!((status, code.as_deref()), (503, Some("FF0228")));
                    assert!(response.headers().contains_key("retry-after"));
                }
                let size = response.bytes().await.map_or(0, |body| body.len() as u64);
                assert!(status != 200 || size > 8 * MIB, "{size}");
                statuses.push(status);
            }
            statuses
        });
    }
    callers.join_all().await.concat()
}

/// For three more rounds, or as many seconds as `FAAS_FLOW_LOAD` says.
#[tokio::test]
async fn under_more_load_than_memory_every_request_is_answered_and_the_host_does_not_grow() {
    let seconds = std::env::var("FAAS_FLOW_LOAD").ok();
    let time = seconds.map(|seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")));
    // What the runs leave must not fill the disk.
    let server = serve().with("--history-ttl", "20s").start();
    let mut statuses = load(&server, |answers| answers < 1).await;
    is_given_back(&server).await;
    let first = resident(&server);
    let began = Instant::now();
    statuses.extend(load(&server, move |answers| time.map_or(answers < 3, |time| began.elapsed() < time)).await);
    let succeeded = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..statuses.len()).contains(&succeeded), "{succeeded} of {}", statuses.len());
    is_given_back(&server).await;
    // Freed memory may be returned to the system a little later.
    let what = format!("it uses about as much as after the first round, {} MiB", first / MIB);
    until(&what, async || resident(&server) < first + GROWTH).await;
    assert_eq!(server.post("/function/greet", "you").await.ok(), "Hello, you!");
}

#[tokio::test]
async fn bodies_that_never_end_take_only_their_share() {
    let server = server();
    let part = vec![b'x'; 8 * MIB as usize];
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let (address, part) = (server.address.clone(), part.clone());
        callers.spawn(async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let head = format!("POST /function/greet HTTP/1.1\r\nHost: {address}\r\nContent-Length: 300000000\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // Those who are refused cannot send all of it.
            let sent = stream.write_all(&part).await;
            (sent.is_ok(), stream)
        });
    }
    let streams = callers.join_all().await;
    // Of 256 MiB that arrive, half of the limit is taken.
    until("some are refused", async || metric(&server, "faas_flow_memory_refused_total").await > 0).await;
    assert!(metric(&server, "faas_flow_memory_reserved_bytes").await <= LIMIT / 2);
    // Bodies that were refused may have made room.
    let another: Answer = server.post("/function/greet", part).await;
    assert!(matches!((another.status, another.code.as_deref()), (200, None) | (503, Some("FF0228"))), "{another:?}");
    drop(streams);
    is_given_back(&server).await;
    assert_eq!(server.post("/function/greet", "you").await.ok(), "Hello, you!");
}

#[tokio::test]
async fn a_for_each_that_needs_more_than_there_is_fails_and_the_host_goes_on() {
    let server = server();
    let letters: String = ('a'..='z').cycle().take(90_000).collect();
    let said = server.result("fixture?case=items", letters).await.failed(503, "FF0228");
    assert!(said.contains("memory_limit"), "{said}");
    is_given_back(&server).await;
}

#[tokio::test]
async fn a_body_that_could_not_be_processed_is_refused_at_the_door_with_the_key_that_says_so() {
    let body = |size: u64| vec![b'x'; size as usize];
    let serve = || Serve::flows(&["greet", "sync-chain"]).function("func1", "echo").function("func2", "echo");
    let server = serve().start();
    // What is accepted can be processed. The answer, which is longer than the body by a few bytes, may have as much.
    assert!(server.post("/function/greet", body(32 * MIB - 64)).await.ok().len() as u64 > 32 * MIB - 64);
    let said = server.post("/function/greet", body(32 * MIB)).await.failed(500, "FF0010");
    assert!(said.contains("33554432 bytes (guest_output)"), "{said}");
    let said = server.post("/function/greet", body(32 * MIB + 1)).await.failed(413, "FF0204");
    assert!(said.contains("33554432 bytes (body_limit)"), "{said}");

    let server = serve().with("--memory-limit", "8MiB").with("--body-limit", "64MiB").start();
    for path in ["/function/greet", "/async-function/greet"] {
        let said = server.post(path, body(4 * MIB + 1)).await.failed(413, "FF0204");
        assert!(said.contains("4194304 bytes (half of memory_limit)"), "{said}");
    }

    let server = serve().with("--guest-memory", "16MiB").start();
    assert!(server.post("/function/greet", body(3 * MIB)).await.ok().len() as u64 > 3 * MIB);
    for path in ["/function/greet", "/async-function/greet"] {
        let said = server.post(path, body(4 * MIB + 1)).await.failed(413, "FF0204");
        assert!(said.contains("4194304 bytes (a quarter of guest_memory)"), "{said}");
    }
    server.until_logged("warning: body_limit is 33554432 bytes").await;
}

#[tokio::test]
async fn a_refused_caller_reads_why() {
    let server = Serve::flows(&["greet"]).with("--memory-limit", "4MiB").start();
    let begin = async |sent: usize| {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let fields = format!("Host: {}\r\nConnection: close\r\nContent-Length: 1500000", server.address);
        let head = format!("POST /function/greet HTTP/1.1\r\n{fields}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; sent]).await.unwrap();
        stream
    };
    let _other = begin(1_400_000).await;
    let reserved = async || metric(&server, "faas_flow_memory_reserved_bytes").await;
    until("the other body is held", async || reserved().await >= 1_400_000).await;
    let mut stream = begin(1_500_000).await;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let said = said.to_lowercase();
    assert!(said.starts_with("http/1.1 503 ") && said.contains("retry-after: 1"), "{said}");
    assert!(said.contains("x-faas-flow-error: ff0228") && said.contains("memory_limit"), "{said}");
}

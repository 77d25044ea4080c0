//! Slow callers: read_timeout and write_timeout.

use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

const LIMIT: &str = "500ms";
/// A caller that is not cut off gives up after this time.
const LONG: Duration = Duration::from_secs(60);

fn function() -> Serve {
    let serve = Serve::replica("sync-chain").with("--state", "memory").with("--dispatch", "local");
    serve.with("--read-timeout", LIMIT).function("func2", "echo")
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(&server.address).await.unwrap()
}

/// Sends one byte at a time until the server closes the connection. Returns its answer, and how long that took.
async fn trickle(mut stream: TcpStream, beginning: &str) -> (String, Duration) {
    // Taken before the server can have read anything, since its clock starts then.
    let begun = Instant::now();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut said = Vec::new();
    let mut tick = interval(Duration::from_millis(20));
    let ended = async {
        loop {
            tokio::select! {
                read = reader.read_buf(&mut said) => if matches!(read, Ok(0) | Err(_)) { break },
                _ = tick.tick() => if writer.write_all(b"x").await.is_err() { break },
            }
        }
    };
    timeout(LONG, ended).await.expect("it is cut off");
    (String::from_utf8(said).unwrap().to_lowercase(), begun.elapsed())
}

#[tokio::test]
async fn who_sends_a_head_slowly_is_cut_off() {
    let server = function().function("func1", "echo").start();
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nX-Slow: ", server.address);
    let (said, took) = trickle(connect(&server).await, &head).await;
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(said.is_empty() || said.starts_with("http/1.1 408 "), "{said}");
    // A caller that sends nothing at all is cut off too.
    let mut silent = connect(&server).await;
    let mut said = String::new();
    timeout(LONG, silent.read_to_string(&mut said)).await.expect("it is cut off").unwrap();
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn who_sends_a_body_slowly_is_answered_with_408_and_cut_off() {
    let server = function().function("func1", "echo").start();
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\n", server.address);
    let (said, took) = trickle(connect(&server).await, &head).await;
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(said.starts_with("http/1.1 408 ") && said.contains("x-faas-flow-error: ff0226"), "{said}");
    assert!(said.contains("read_timeout") && !said.contains("x-faas-flow-reqid"), "{said}");
}

#[tokio::test]
async fn a_request_that_takes_longer_than_read_timeout_to_be_answered_is_answered() {
    let folder = TempDir::new().unwrap();
    let slow = script(folder.path(), "slow.sh", "sleep 1.5; cat");
    let server = function().with("--write-timeout", LIMIT).function("func1", slow).start();
    let begun = Instant::now();
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
    assert!(begun.elapsed() >= Duration::from_millis(1500));
}

/// More bytes than the system buffers for a connection.
const LARGE: usize = 24 * 1024 * 1024;

/// How many bytes of a large answer a caller gets who reads 1 KiB at a time at first, for this long.
async fn read(server: &Server, slow: Duration) -> usize {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(server.address.parse().unwrap()).await.unwrap();
    let host = &server.address;
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {LARGE}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; LARGE]).await.unwrap();
    let mut got = stream.read(&mut [0; 1024]).await.unwrap();
    let mut buffer = vec![0; 1024];
    let begun = Instant::now();
    let mut tick = interval(Duration::from_millis(20));
    while begun.elapsed() < slow {
        tick.tick().await;
        got += stream.read(&mut buffer).await.unwrap();
    }
    let mut rest = Vec::new();
    // It may end with an error or without one: that depends on the system.
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it ends");
    got + rest.len()
}

#[tokio::test]
async fn who_reads_an_answer_slowly_is_cut_off() {
    let server = function().with("--write-timeout", "1s").function("func1", "echo").start();
    let got = read(&server, Duration::from_secs(3)).await;
    assert!(got < LARGE, "all of it came: {got}");
    let unlimited = function().with("--write-timeout", "0").function("func1", "echo").start();
    for (server, slow) in [(&server, Duration::ZERO), (&unlimited, Duration::from_secs(3))] {
        let all = read(server, slow).await;
        assert!(all > LARGE, "only {all} bytes came");
    }
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
}

/// A local server that holds on to neither slow nor idle callers for long.
fn local() -> Serve {
    Serve::flows(&["greet"]).with("--read-timeout", LIMIT).with("--max-connections", "4").with("--body-limit", "1000")
}

#[tokio::test]
async fn idle_and_slow_connections_do_not_keep_others_from_a_local_server() {
    let server = local().start();
    let mut held = Vec::new();
    for beginning in
        ["", "", "GET / HTTP/1.1\r\nX-Slow: ", "POST /function/greet HTTP/1.1\r\nContent-Length: 9\r\n\r\n"]
    {
        let mut stream = connect(&server).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        held.push(stream);
    }
    assert_eq!(server.post("/function/greet", "you").await.ok(), "Hello, you!");
    for mut stream in held {
        let mut said = Vec::new();
        // It may end with an error or without one: that depends on the system.
        let _ = timeout(LONG, stream.read_to_end(&mut said)).await.expect("it is cut off");
    }
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let server = local().start();
    let head = server.client.post(server.url("/function/greet")).header("x-large", "x".repeat(300_000)).body("you");
    assert_eq!(server.send(head).await.status, 431);
}

#[tokio::test]
async fn bodies_for_the_queue_of_a_local_server_are_limited_like_others() {
    let server = local().start();
    const PATHS: [&str; 2] = ["/function/greet", "/async-function/greet"];
    for path in PATHS {
        let said = server.post(path, vec![b'x'; 1001]).await.failed(413, "FF0204");
        assert!(said.contains("body_limit"), "{said}");
    }
    // Afterwards, since the server closes the connection that the client keeps while these are slow.
    for path in PATHS {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 900\r\n\r\n", server.address);
        let (said, _) = trickle(connect(&server).await, &head).await;
        assert!(said.starts_with("http/1.1 408 ") && said.contains("x-faas-flow-error: ff0226"), "{said}");
    }
}

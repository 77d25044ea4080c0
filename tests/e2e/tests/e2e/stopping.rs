//! What callers who wait are answered when the server is told to stop: never an empty connection.

use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use reqwest::Response;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A function that notes that it was called, and answers once there is a file `go`.
fn blocking(folder: &Path) -> std::path::PathBuf {
    script(folder, "blocking.sh", "cat >input; touch called; while [ ! -e go ]; do sleep 0.05; done; cat input")
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Stops a server while a caller waits for a run of this flow; then starts it again, and asks where the answer says.
async fn interrupted(flow: &'static str, function: &str) -> String {
    let folder = TempDir::new().unwrap();
    let serve = || {
        let flow = flow.split('?').next().unwrap_or_default();
        Serve::flows(&[flow]).function(function, blocking(folder.path())).function("func2", "echo")
    };
    let mut server = serve().start_in(folder.path());
    let url = server.url(&format!("/function/{flow}"));
    let caller = server.client.post(url).header("x-faas-flow-wait", "100s").body("hi").send();
    let caller = tokio::spawn(caller);
    until("the function is called", async || folder.path().join("called").exists()).await;
    server.terminate();
    let answer = caller.await.unwrap().expect("the caller gets an answer");
    assert_eq!((answer.status().as_u16(), header(&answer, "x-faas-flow-state")), (202, "running".to_owned()));
    let (id, location) = (header(&answer, "x-faas-flow-reqid"), header(&answer, "location"));
    assert!(location.contains(&id) && location.ends_with("/result"), "{location}");
    assert_eq!(server.end().await, Some(0));
    std::fs::write(folder.path().join("go"), "").unwrap();
    let server = serve().start_in(folder.path());
    let asked =
        server.client.get(server.url_from(&format!("/function/{flow}"), &location)).header("x-faas-flow-wait", "100s");
    server.send(asked).await.ok()
}

#[tokio::test]
async fn a_caller_who_waits_for_several_nodes_is_told_where_to_ask_when_the_server_stops() {
    assert_eq!(interrupted("sync-chain", "func1").await, "you said \"hi\"");
}

#[tokio::test]
async fn a_caller_who_waits_for_a_run_in_memory_is_told_where_to_ask_when_the_server_stops() {
    assert_eq!(interrupted("fixture?case=call", "step").await, "hi");
}

/// What a caller reads until the connection is closed.
async fn answer(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said.to_lowercase()
}

#[tokio::test]
async fn a_caller_whose_body_has_not_arrived_when_the_server_stops_is_answered() {
    let mut server: Server = Serve::flows(&["greet"]).start();
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let host = &server.address;
    let fields = format!("Host: {host}\r\nContent-Length: 100000\r\nExpect: 100-continue");
    let head = format!("POST /function/greet HTTP/1.1\r\n{fields}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server has read the head as soon as it asks for the body.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    server.terminate();
    let said = answer(&mut stream).await;
    assert!(said.starts_with("http/1.1 503 ") && said.contains("x-faas-flow-error: ff0227"), "{said}");
    assert_eq!(server.end().await, Some(0));
}

//! Connections that their servers close.

use super::*;
use crate::network::IDEMPOTENCY_KEY;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// What a server does with a connection after it has answered a request.
#[derive(Clone, Copy)]
enum Then {
    /// It closes the connection without having said so.
    Closes,
    /// It closes the connection as soon as the next request has arrived on it.
    ClosesAtTheNext,
    /// It begins to answer the next request, and closes the connection then.
    BeginsToAnswer,
}

/// Heads of requests as they arrive, and whether they were answered.
type Seen = UnboundedReceiver<(String, bool)>;

/// A server that answers this many requests on a connection before it closes it.
async fn server(answers: usize, then: Then) -> (String, Seen) {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, seen) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, answers, then, sender.clone()));
        }
    });
    (url, seen)
}

async fn serve(mut socket: TcpStream, answers: usize, then: Then, seen: UnboundedSender<(String, bool)>) {
    for _ in 0..answers {
        let Some(head) = head(&mut socket).await else { return };
        // The test may have seen enough.
        let _ = seen.send((head, true));
        socket.write_all(OK.as_bytes()).await.unwrap();
    }
    if matches!(then, Then::Closes) {
        return;
    }
    let Some(head) = head(&mut socket).await else { return };
    let _ = seen.send((head, false));
    if matches!(then, Then::BeginsToAnswer) {
        socket.write_all(b"H").await.unwrap();
    }
}

/// The head of the next request, which has no body.
async fn head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap().to_ascii_lowercase())
}

fn http(keep: Duration) -> Http {
    Http::new(&Settings { call_keep_alive: keep, ..Settings::default() }).unwrap()
}

async fn call(network: &Http, url: &str, method: &str, key: Option<&str>) -> Result<HttpResponse, Failure> {
    let headers = key.map(|key| (IDEMPOTENCY_KEY.to_owned(), key.to_owned()));
    let (method, url, headers) = (method.to_owned(), url.to_owned(), headers.into_iter().collect());
    network.send(HttpRequest { method, url, headers, body: Bytes::new() }, ChosenBy::Gateway).await
}

/// CALL-6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_kept_connections_fails_no_call() {
    for then in [Then::Closes, Then::ClosesAtTheNext] {
        for answers in [1, 3] {
            let (url, mut seen) = server(answers, then).await;
            let network = http(Duration::from_secs(3));
            for call_number in 0..300 {
                let key = format!("r/n{call_number}/0");
                let answer = call(&network, &url, "POST", Some(&key)).await.unwrap();
                assert_eq!((answer.status, &answer.body[..]), (200, &b"fine"[..]));
                // The request was answered once, after it had died at most once.
                let (mut head, mut answered) = seen.recv().await.unwrap();
                if !answered {
                    (head, answered) = seen.recv().await.unwrap();
                }
                assert!(answered && head.contains(&format!("x-faas-flow-idempotency-key: {key}\r\n")), "{head}");
            }
        }
    }
}

/// CALL-6.
#[tokio::test]
async fn a_request_that_dies_on_a_new_connection_is_not_sent_again() {
    let (url, mut seen) = server(0, Then::ClosesAtTheNext).await;
    let Failure { code, retry, .. } = call(&http(Duration::from_secs(3)), &url, "POST", Some("k")).await.unwrap_err();
    assert_eq!((code, retry), (Code::CALL_UNREACHABLE, true));
    assert!(seen.recv().await.is_some() && seen.try_recv().is_err());
}

/// CALL-6.
#[tokio::test]
async fn a_request_that_dies_after_the_first_byte_of_its_answer_is_not_sent_again() {
    let (url, mut seen) = server(1, Then::BeginsToAnswer).await;
    let network = http(Duration::from_secs(3));
    call(&network, &url, "POST", Some("first")).await.unwrap();
    assert_eq!(call(&network, &url, "POST", Some("second")).await.unwrap_err().code, Code::CALL_UNREACHABLE);
    assert!(seen.recv().await.unwrap().1 && !seen.recv().await.unwrap().1 && seen.try_recv().is_err());
}

/// CALL-6.
#[tokio::test]
async fn only_a_request_that_can_be_recognized_is_sent_again() {
    for (method, key, again) in [
        ("POST", None, false),
        ("PATCH", None, false),
        ("POST", Some("k"), true),
        ("GET", None, true),
        ("PUT", None, true),
    ] {
        let (url, _seen) = server(1, Then::ClosesAtTheNext).await;
        let network = http(Duration::from_secs(3));
        call(&network, &url, "GET", None).await.unwrap();
        assert_eq!(call(&network, &url, method, key).await.is_ok(), again, "{method} {key:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_before_its_server_closes_it() {
    for keep in [Duration::ZERO, Duration::from_millis(20)] {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let closed = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            head(&mut socket).await.unwrap();
            socket.write_all(OK.as_bytes()).await.unwrap();
            head(&mut socket).await
        });
        let network = http(keep);
        call(&network, &url, "POST", None).await.unwrap();
        assert_eq!(closed.await.unwrap(), None);
    }
}

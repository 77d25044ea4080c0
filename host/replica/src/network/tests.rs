//! Connections to names whose addresses change, against servers on loopback addresses of their own.

mod encodings;
mod garbage;
mod kept;
mod proxied;
mod redirects;

use super::*;
use faas_flow_core::Code;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const ALLOWED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Answers one question after the other with these addresses, and the last ones again and again.
struct Answers {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        Ok(self.answers[asked].iter().map(|address| SocketAddr::new(*address, 0)).collect())
    }
}

/// A server that ends each connection after one answer, and counts them.
struct Server {
    port: u16,
    seen: Arc<AtomicUsize>,
}

impl Server {
    async fn start(address: IpAddr, port: u16, answer: String) -> Self {
        let listener = TcpListener::bind((address, port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut head = [0; 4096];
                let _ = socket.read(&mut head).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

/// A server that answers each request, head and body, with what a function makes of it, and its address.
async fn scripted(address: IpAddr, script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !is_whole(&request) {
                if socket.read_buf(&mut request).await.unwrap_or_default() == 0 {
                    break;
                }
            }
            // A client that has read enough closes the connection.
            let _ = socket.write_all(&script(&String::from_utf8_lossy(&request))).await;
        }
    });
    address
}

/// Whether the head of a request has arrived, and the body, if its length is given.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A network whose flows may call the address ALLOWED at this port besides what is allowed by default.
fn network(port: u16, answers: &[&[IpAddr]]) -> Http {
    let listed = || vec!["*".parse().unwrap(), format!("{ALLOWED}:{port}").parse().unwrap()];
    let destinations = Destinations::new(listed(), listed(), SPECIAL.to_vec());
    let answers = answers.iter().map(|addresses| addresses.to_vec()).collect();
    let resolver = Answers { answers, asked: AtomicUsize::new(0) };
    Http::with_resolver(&Settings { destinations, ..Settings::default() }, Arc::new(resolver)).unwrap()
}

async fn get(network: &Http, url: &str, by: ChosenBy) -> Result<HttpResponse, Failure> {
    let request = HttpRequest { method: "GET".into(), url: url.into(), headers: Vec::new(), body: Default::default() };
    network.send(request, by).await
}

#[tokio::test]
async fn a_name_whose_address_changes_is_checked_at_every_connection() {
    let allowed = Server::start(ALLOWED, 0, answer("200 OK", "fine")).await;
    let port = allowed.port;
    let private = Server::start(HERE, port, answer("200 OK", "secret")).await;
    for by in [ChosenBy::Flow, ChosenBy::Caller] {
        let network = network(port, &[&[ALLOWED], &[HERE]]);
        let url = format!("http://rebinds.example:{port}/?token=hidden");
        assert_eq!(get(&network, &url, by).await.unwrap().body, "fine");
        let Failure { code, retry, message, .. } = get(&network, &url, by).await.unwrap_err();
        assert_eq!((code, retry), (Code::DESTINATION_REFUSED, false));
        let key = if by == ChosenBy::Flow { "request_hosts" } else { "callback_hosts" };
        for part in ["rebinds.example", "127.0.0.1", "127.0.0.0/8", key, "denied_addresses"] {
            assert!(message.contains(part) && !message.contains("hidden"), "{message}");
        }
    }
    assert_eq!((allowed.seen(), private.seen()), (2, 0));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_connected_to() {
    let allowed = Server::start(ALLOWED, 0, answer("200 OK", "fine")).await;
    let port = allowed.port;
    let private = Server::start(HERE, port, answer("200 OK", "secret")).await;
    let network = network(port, &[&[HERE, ALLOWED]]);
    let url = format!("http://both.example:{port}/");
    assert_eq!(get(&network, &url, ChosenBy::Flow).await.unwrap().body, "fine");
    assert_eq!(private.seen(), 0);
}

#[tokio::test]
async fn an_address_is_allowed_at_its_port_only() {
    let server = Server::start(ALLOWED, 0, answer("200 OK", "secret")).await;
    let network = network(server.port.wrapping_add(1), &[&[ALLOWED]]);
    let url = format!("http://ports.example:{}/", server.port);
    assert_eq!(get(&network, &url, ChosenBy::Flow).await.unwrap_err().code, Code::DESTINATION_REFUSED);
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn the_operators_own_addresses_are_not_checked() {
    let server = Server::start(HERE, 0, answer("200 OK", "fine")).await;
    let network = Http::new(&Settings::default()).unwrap();
    let url = format!("http://127.0.0.1:{}/", server.port);
    assert_eq!(get(&network, &url, ChosenBy::Operator).await.unwrap().body, "fine");
    for by in [ChosenBy::Flow, ChosenBy::Caller] {
        assert_eq!(get(&network, &url, by).await.unwrap_err().code, Code::DESTINATION_REFUSED);
    }
    assert_eq!(server.seen(), 1);
}

#[tokio::test]
async fn a_url_with_a_zone_is_malformed() {
    let network = Http::new(&Settings::default()).unwrap();
    for zone in ["http://[fe80::1%25eth0]/", "http://[::1%lo]:80/"] {
        let Failure { code, retry, .. } = get(&network, zone, ChosenBy::Flow).await.unwrap_err();
        assert_eq!((code, retry), (Code::BAD_CALL, false), "{zone}");
    }
}

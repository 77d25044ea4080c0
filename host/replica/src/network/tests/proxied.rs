//! Which requests go through a proxy.

use super::*;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// A proxy that answers every request itself, and the heads of the requests that it gets.
async fn proxy(answer: String) -> (u16, UnboundedReceiver<String>) {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heads) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap();
            let _ = sender.send(String::from_utf8_lossy(&head[..read]).to_ascii_lowercase());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (port, heads)
}

/// A network with this proxy, whose names have these addresses.
fn proxied(proxy: String, hosts: &[&str], addresses: &[IpAddr]) -> Http {
    let listed = || hosts.iter().map(|host| host.parse().unwrap()).collect();
    let settings = Settings {
        destinations: Destinations::new(listed(), listed(), SPECIAL.to_vec()),
        request_proxy: RequestProxy::At(proxy),
        ..Settings::default()
    };
    let resolver = Answers { answers: vec![addresses.to_vec()], asked: AtomicUsize::new(0) };
    Http::with_resolver(&settings, Arc::new(resolver)).unwrap()
}

const ALL: [&str; 3] = ["*", "127.0.0.0/8", "10.0.0.0/8"];

#[tokio::test]
async fn requests_to_the_outside_go_through_the_proxy() {
    let (port, mut heads) = proxy(answer("200 OK", "by proxy")).await;
    let network = proxied(format!("http://ann:secret@127.0.0.1:{port}"), &ALL, &[OUTSIDE]);
    for by in [ChosenBy::Flow, ChosenBy::Caller, ChosenBy::Function] {
        let answer = get(&network, "http://api.example/orders?id=7", by).await.unwrap();
        assert_eq!(answer.body, "by proxy");
        let head = heads.recv().await.unwrap();
        assert!(head.starts_with("get http://api.example/orders?id=7 http/1.1\r\n"), "{head}");
        // `ann:secret`.
        assert!(head.contains("proxy-authorization: basic yw5uonnly3jlda=="), "{head}");
    }
    // A name without an address here may have one there.
    let network = proxied(format!("http://127.0.0.1:{port}"), &ALL, &[]);
    assert_eq!(get(&network, "http://api.example/", ChosenBy::Flow).await.unwrap().body, "by proxy");
}

#[tokio::test]
async fn nothing_inside_goes_through_the_proxy() {
    let (port, mut heads) = proxy(answer("200 OK", "by proxy")).await;
    let network = proxied(format!("http://127.0.0.1:{port}"), &ALL, &[INSIDE]);
    let server = Server::start(INSIDE, 0, answer("200 OK", "direct")).await;
    for host in ["127.0.0.3", "localhost", "wc", "wc.openfaas-fn", "wc.openfaas-fn.svc", "wc.fn.svc.cluster.local"] {
        let url = format!("http://{host}:{}/", server.port);
        for by in [ChosenBy::Flow, ChosenBy::Caller, ChosenBy::Function, ChosenBy::Gateway, ChosenBy::Operator] {
            assert_eq!(get(&network, &url, by).await.unwrap().body, "direct", "{url} {by:?}");
        }
    }
    // The gateway and other servers are reached directly wherever they are.
    let network = proxied(format!("http://127.0.0.1:{port}"), &ALL, &[INSIDE, OUTSIDE]);
    let url = format!("http://gateway.example:{}/", server.port);
    for by in [ChosenBy::Gateway, ChosenBy::Operator] {
        assert_eq!(get(&network, &url, by).await.unwrap().body, "direct", "{by:?}");
    }
    assert!(heads.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    for (status, retry) in
        [("403 Forbidden", false), ("407 Proxy Authentication Required", false), ("502 Bad Gateway", true)]
    {
        let (port, mut heads) = proxy(answer(status, "no")).await;
        let network = proxied(format!("http://ann:secret@127.0.0.1:{port}"), &ALL, &[OUTSIDE]);
        let failure = get(&network, "https://api.example/?token=hidden", ChosenBy::Flow).await.unwrap_err();
        assert_eq!((failure.code, failure.retry), (Code::CALL_UNREACHABLE, retry));
        let message = failure.message;
        let proxy = format!("the proxy http://127.0.0.1:{port} ");
        for part in ["https://api.example", &proxy, status, "request_proxy"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("secret") && !message.contains("hidden"), "{message}");
        assert!(heads.recv().await.unwrap().starts_with("connect api.example:443 http/1.1\r\n"));
        assert!(heads.try_recv().is_err(), "a refusal is not asked for again");
    }
    for refusal in [
        "407 Proxy Authentication Required",
        "403 Forbidden\r\nproxy-status: corp; error=http_request_denied",
        "503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0",
    ] {
        let (port, _heads) = proxy(answer(refusal, "no")).await;
        let network = proxied(format!("http://127.0.0.1:{port}"), &ALL, &[OUTSIDE]);
        let failure = get(&network, "http://api.example/", ChosenBy::Flow).await.unwrap_err();
        assert!(failure.message.contains(&format!("the proxy http://127.0.0.1:{port} ")), "{}", failure.message);
    }
    // What the callee answers is the callee's.
    let (port, _heads) = proxy(answer("403 Forbidden\r\nproxy-status: corp; received-status=403", "no")).await;
    let network = proxied(format!("http://127.0.0.1:{port}"), &ALL, &[OUTSIDE]);
    assert_eq!(get(&network, "http://api.example/", ChosenBy::Flow).await.unwrap().status, 403);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named() {
    let free = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port();
    let network = proxied(format!("http://127.0.0.1:{free}"), &ALL, &[OUTSIDE]);
    for url in ["http://api.example/", "https://api.example/"] {
        let Failure { code, retry, message, .. } = get(&network, url, ChosenBy::Flow).await.unwrap_err();
        assert_eq!((code, retry), (Code::CALL_UNREACHABLE, true));
        assert!(message.contains(&format!("the proxy http://127.0.0.1:{free} ")), "{message}");
    }
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_addresses_that_are_refused() {
    let (port, mut heads) = proxy(answer("200 OK", "by proxy")).await;
    let metadata = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    let network = proxied(format!("http://127.0.0.1:{port}"), &["*"], &[metadata]);
    for url in ["http://rebinds.example/", "https://rebinds.example/", "http://169.254.169.254/", "http://2852039166/"]
    {
        for by in [ChosenBy::Flow, ChosenBy::Caller] {
            assert_eq!(get(&network, url, by).await.unwrap_err().code, Code::DESTINATION_REFUSED, "{url}");
        }
    }
    let network = proxied(format!("http://127.0.0.1:{port}"), &["api.example"], &[OUTSIDE]);
    assert_eq!(get(&network, "http://b.example/", ChosenBy::Flow).await.unwrap_err().code, Code::DESTINATION_REFUSED);
    assert!(heads.try_recv().is_err());
}

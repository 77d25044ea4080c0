//! Answers that lead elsewhere.

use super::*;

/// A server that answers `/to?STATUS&LOCATION` with a redirect, and everything else with the request itself.
async fn leading(address: IpAddr) -> SocketAddr {
    scripted(address, |request| {
        let asked = request.split(' ').nth(1).unwrap().split_once("/to?").and_then(|(_, to)| to.split_once('&'));
        match asked {
            Some((status, to)) => answer(&format!("{status} Elsewhere\r\nlocation: {to}"), "").into_bytes(),
            None => answer("200 OK", request).into_bytes(),
        }
    })
    .await
}

const SECRETS: [&str; 3] = ["Authorization", "cookie", "Proxy-Authorization"];

async fn sent(network: &Http, method: &str, url: &str, by: ChosenBy) -> Result<String, Failure> {
    let named = SECRETS.into_iter().chain(["Content-Type", "X-Faas-Flow-Idempotency-Key"]);
    let headers = named.map(|name| (name.to_owned(), format!("its {name}"))).collect();
    let (method, url, body) = (method.to_owned(), url.to_owned(), Bytes::from("the body"));
    let body = network.send(HttpRequest { method, url, headers, body }, by).await?.body;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// A network whose flows may call all of this machine.
fn open() -> Http {
    let destinations = Destinations::new(Vec::new(), vec!["*".parse().unwrap()], Vec::new());
    Http::new(&Settings { destinations, ..Settings::default() }).unwrap()
}

/// CALL-8.
#[tokio::test]
async fn the_method_and_the_body_are_kept_as_the_status_says() {
    let server = leading(HERE).await;
    for (method, status, then, keeps_body) in [
        ("POST", 301, "GET", false),
        ("POST", 302, "GET", false),
        ("PUT", 303, "GET", false),
        ("GET", 302, "GET", true),
        ("POST", 307, "POST", true),
        ("PATCH", 308, "PATCH", true),
    ] {
        let url = format!("http://{server}/function/f/to?{status}&../g?x=1");
        for by in [ChosenBy::Flow, ChosenBy::Gateway, ChosenBy::Function] {
            let request = sent(&open(), method, &url, by).await.unwrap();
            assert!(request.starts_with(&format!("{then} /function/g?x=1 HTTP/1.1\r\n")), "{status}: {request}");
            assert_eq!(request.ends_with("the body"), keeps_body, "{status}: {request}");
            assert_eq!(request.contains("its Content-Type"), keeps_body, "{status}: {request}");
            // The server is the same.
            assert!(SECRETS.iter().all(|name| request.contains(&format!("its {name}"))), "{request}");
            assert!(request.contains("its X-Faas-Flow-Idempotency-Key"), "{request}");
        }
    }
    // These are no redirects, or do not say where they lead.
    for status in [300, 304, 305, 306] {
        assert_eq!(sent(&open(), "GET", &format!("http://{server}/to?{status}&/x"), ChosenBy::Flow).await.unwrap(), "");
    }
    assert_eq!(sent(&open(), "GET", &format!("http://{server}/to?302&"), ChosenBy::Flow).await.unwrap(), "");
}

#[tokio::test]
async fn credentials_do_not_go_to_another_server() {
    let (first, second) = (leading(HERE).await, leading(ALLOWED).await);
    let there = format!("http://{first}/to?307&http://{second}");
    for url in [format!("{there}/x"), format!("{there}/to?307&http://{first}/x")] {
        let request = sent(&open(), "POST", &url, ChosenBy::Flow).await.unwrap();
        assert!(!SECRETS.iter().any(|name| request.contains(&format!("its {name}"))), "{request}");
        assert!(request.contains("its Content-Type") && request.ends_with("the body"), "{request}");
    }
}

fn refused(failure: &Failure, code: Code, parts: &[&str]) {
    assert_eq!((failure.code, failure.retry), (code, false), "{failure}");
    for part in parts {
        assert!(failure.message.contains(part), "{failure}");
    }
    assert!(!failure.message.contains("hidden"), "{failure}");
}

#[tokio::test]
async fn each_redirect_is_checked_as_the_first_request_was() {
    let (private, allowed) = (Server::start(HERE, 0, answer("200 OK", "secret")).await, leading(ALLOWED).await);
    let network = network(allowed.port(), &[&[ALLOWED], &[HERE]]);
    for to in [
        format!("http://127.0.0.1:{}/?token=hidden", private.port),
        format!("http://ann:hidden@0x7f.1:{}/", private.port),
        "http://169.254.169.254/latest".to_owned(),
    ] {
        let url = format!("http://{allowed}/to?307&{to}");
        for by in [ChosenBy::Flow, ChosenBy::Caller] {
            let place = by.shown(Url::parse(&to).unwrap().as_str());
            refused(&sent(&network, "POST", &url, by).await.unwrap_err(), Code::DESTINATION_REFUSED, &[&place, "307"]);
        }
    }
    // A name is checked when it is resolved.
    let url = format!("http://a.example:{0}/to?302&http://b.example:{0}/", allowed.port());
    let failure = sent(&network, "GET", &url, ChosenBy::Flow).await.unwrap_err();
    refused(&failure, Code::DESTINATION_REFUSED, &["b.example", "127.0.0.1"]);
    assert_eq!(private.seen(), 0);
}

#[tokio::test]
async fn a_function_leads_to_its_own_server_only() {
    let (server, other) = (leading(HERE).await, leading(ALLOWED).await);
    let to_other = format!("http://{other}/function/g?token=hidden");
    let elsewhere = ChosenBy::Function.shown(&to_other);
    let at = |to: &str| format!("http://{server}/function/f/to?307&{to}");
    for by in [ChosenBy::Gateway, ChosenBy::Function] {
        let failure = sent(&open(), "POST", &at(&to_other), by).await.unwrap_err();
        refused(&failure, Code::REDIRECT, &[&elsewhere, "307", "own server"]);
    }
    // The gateway has routes of its own.
    for path in ["/system/functions", "/async-function/f", "/"] {
        refused(&sent(&open(), "POST", &at(path), ChosenBy::Gateway).await.unwrap_err(), Code::REDIRECT, &[path]);
        assert!(sent(&open(), "POST", &at(path), ChosenBy::Function).await.is_ok());
    }
}

#[tokio::test]
async fn what_the_host_sends_arrives_with_its_body_or_not_at_all() {
    let server = leading(ALLOWED).await;
    let listed = || vec![format!("{ALLOWED}").parse().unwrap()];
    let destinations = Destinations::new(listed(), listed(), SPECIAL.to_vec());
    let network = Http::new(&Settings { destinations, ..Settings::default() }).unwrap();
    for by in [ChosenBy::Caller, ChosenBy::Operator] {
        for status in [301, 302, 303] {
            let failure = sent(&network, "POST", &format!("http://{server}/to?{status}&/there"), by).await.unwrap_err();
            // The path to which a callback is led may be as secret as its own.
            let there = if by == ChosenBy::Caller { format!("http://{server}/…,") } else { "/there".to_owned() };
            refused(&failure, Code::REDIRECT, &[&there, "body", &status.to_string()]);
            assert!(by == ChosenBy::Operator || !failure.message.contains("/to"), "{failure}");
        }
        for status in [307, 308] {
            let request = sent(&network, "POST", &format!("http://{server}/to?{status}&/there"), by).await.unwrap();
            assert!(request.starts_with("POST /there ") && request.ends_with("the body"), "{request}");
        }
    }
}

#[tokio::test]
async fn a_loop_ends_with_an_error_that_names_where_it_leads() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let address = scripted(HERE, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        answer("302 Found\r\nlocation: /again?token=hidden", "").into_bytes()
    })
    .await;
    let failure = sent(&open(), "GET", &format!("http://{address}/"), ChosenBy::Flow).await.unwrap_err();
    refused(&failure, Code::REDIRECT, &[&format!("http://{address}/again"), "10"]);
    // The first request, and ten redirects.
    assert_eq!(asked.load(Ordering::Relaxed), 11);
}

#[tokio::test]
async fn a_location_that_is_no_address_is_an_error() {
    let server = leading(HERE).await;
    for to in ["ftp://h/x", "file:///etc/passwd", "javascript:1", "http://[fe80::1%25lo]/", "//", "http://"] {
        let failure = sent(&open(), "GET", &format!("http://{server}/to?302&{to}"), ChosenBy::Flow).await.unwrap_err();
        refused(&failure, Code::REDIRECT, &[]);
    }
    let long = format!("http://{server}/to?302&http:///{}", "x".repeat(10_000));
    let failure = sent(&open(), "GET", &long, ChosenBy::Flow).await.unwrap_err();
    assert!(failure.message.len() < 2000 || failure.code == Code::CALL_UNREACHABLE, "{}", failure.message.len());
}

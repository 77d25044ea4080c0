use super::*;
use axum::body::Body;
use faas_flow_core::Code;

const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0";

fn rules() -> BrowserRules {
    let listed = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
    let hosts = listed(&["flows.example", "tunnel.example:9000"]);
    BrowserRules::new("127.0.0.1:8080".parse().unwrap(), hosts, listed(&["https://app.example"]))
}

fn request(method: Method, headers: &[(&str, &str)]) -> Request {
    let request = Request::builder().method(method).uri("/function/greet");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(Body::empty()).unwrap()
}

/// What comes of a request for the server's own host, with these headers.
fn admitted(method: Method, headers: &[(&str, &str)]) -> Result<Option<Visit>, Code> {
    let headers = [&[("host", "localhost:8080")], headers].concat();
    rules().admit(&request(method, &headers)).map_err(|fault| fault.code())
}

#[test]
fn a_server_answers_to_its_own_and_allowed_hosts_only() {
    let answers = |host: &str| rules().admit(&request(Method::GET, &[("host", host)])).map_err(|fault| fault.code());
    for own in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "[::ffff:7f00:1]:8080"] {
        assert_eq!(answers(own), Ok(None), "{own}");
    }
    for allowed in ["flows.example", "Flows.Example:1", "tunnel.example:9000"] {
        assert_eq!(answers(allowed), Ok(None), "{allowed}");
    }
    for foreign in [
        "",
        "localhost",
        "localhost:8081",
        "127.0.0.1",
        "127.0.0.2:8080",
        "127.1:8080",
        "attacker.localhost:8080",
        "localhost.attacker.example:8080",
        "localhost.:8080",
        "attacker@localhost:8080",
        "localhost:8080@attacker.example",
        "tunnel.example:8080",
        "flows.example.attacker.example",
        "192.168.1.1:8080",
        "localhost:8080/",
        "[::2]:8080",
    ] {
        assert_eq!(answers(foreign), Err(Code::FOREIGN_HOST), "{foreign}");
    }
}

#[test]
fn a_server_answers_to_the_address_that_it_listens_on() {
    let rules = BrowserRules::new("127.9.9.9:80".parse().unwrap(), Vec::new(), Vec::new());
    for own in ["127.9.9.9", "127.9.9.9:80", "localhost"] {
        assert!(rules.admit(&request(Method::GET, &[("host", own)])).is_ok(), "{own}");
    }
    let any = BrowserRules::new("127.0.0.1:80".parse().unwrap(), vec!["*".to_owned()], Vec::new());
    assert!(any.admit(&request(Method::GET, &[("host", "any.example")])).is_ok());
}

#[test]
fn a_request_must_say_for_which_host_it_is() {
    let code = |request: Request| rules().admit(&request).map_err(|fault| fault.code());
    assert_eq!(code(request(Method::GET, &[])), Err(Code::FOREIGN_HOST));
    let two = request(Method::GET, &[("host", "localhost:8080"), ("host", "attacker.example")]);
    assert_eq!(code(two), Err(Code::FOREIGN_HOST));
    let mut old = request(Method::GET, &[]);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(code(old), Ok(None), "HTTP/1.0 has requests without a host");
    let mut absolute = request(Method::GET, &[("host", "localhost:8080")]);
    *absolute.uri_mut() = "http://attacker.example/".parse().unwrap();
    assert_eq!(code(absolute), Err(Code::FOREIGN_HOST));
}

#[test]
fn programs_and_the_servers_own_pages_may_do_everything() {
    for headers in [
        [].as_slice(),
        &[("user-agent", "curl/8.5.0")],
        &[("user-agent", CHROME), ("sec-fetch-site", "same-origin")],
        &[("user-agent", CHROME), ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")],
        &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        &[("user-agent", CHROME), ("origin", "http://localhost:8080")],
        &[("origin", "https://LOCALHOST:8080")],
    ] {
        assert_eq!(admitted(Method::POST, headers), Ok(None), "{headers:?}");
        assert_eq!(admitted(Method::GET, headers), Ok(None), "{headers:?}");
    }
    // PowerShell calls itself so.
    let powershell = [("user-agent", "Mozilla/5.0 (Windows NT 10.0; en-US) WindowsPowerShell/5.1")];
    assert_eq!(admitted(Method::POST, &powershell), Ok(None));
}

#[test]
fn pages_of_others_are_refused() {
    for headers in [
        [("origin", "http://attacker.example")].as_slice(),
        &[("origin", "http://localhost:9000")],
        &[("origin", "http://127.0.0.1:8080")],
        &[("origin", "http://localhost")],
        &[("origin", "null")],
        &[("origin", "localhost:8080")],
        &[("origin", "file://")],
        &[("origin", "chrome-extension://localhost:8080")],
        &[("origin", "http://attacker.example"), ("sec-fetch-site", "same-origin")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        &[("origin", "http://localhost:8080"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-site", "something new")],
        &[("sec-fetch-site", "")],
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
            assert_eq!(admitted(method.clone(), headers), Err(Code::FOREIGN_PAGE), "{method} {headers:?}");
        }
    }
}

#[test]
fn a_link_may_read_and_begins_nothing() {
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(admitted(Method::GET, &link), Ok(Some(Visit::Link)));
    assert_eq!(admitted(Method::POST, &link), Err(Code::FOREIGN_PAGE));
    assert_eq!(admitted(Method::GET, &[("user-agent", CHROME)]), Ok(Some(Visit::Link)), "it may come from anywhere");
    let mut extensions = axum::http::Extensions::new();
    assert!(Visit::may_begin(&extensions).is_ok());
    extensions.insert(Visit::Link);
    assert!(Visit::may_look(&extensions).is_ok());
    assert_eq!(Visit::may_begin(&extensions), Err(Fault::Link));
}

#[test]
fn a_page_of_a_listed_origin_begins_runs_and_sees_no_dashboard() {
    let listed = |site: &str| admitted(Method::POST, &[("origin", "https://app.example"), ("sec-fetch-site", site)]);
    assert_eq!(listed("cross-site"), Ok(Some(Visit::Listed)));
    assert_eq!(listed("same-origin"), Ok(None), "a proxy that changes the host serves it");
    assert_eq!(admitted(Method::POST, &[("origin", "https://app.example")]), Ok(Some(Visit::Listed)));
    assert_eq!(admitted(Method::POST, &[("origin", "http://app.example")]), Err(Code::FOREIGN_PAGE));
    let mut extensions = axum::http::Extensions::new();
    extensions.insert(Visit::Listed);
    assert!(Visit::may_begin(&extensions).is_ok());
    assert_eq!(Visit::may_look(&extensions), Err(Fault::Listed));
}

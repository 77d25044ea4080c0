//! Who may ask for what.

use super::ask::Request;
use axum::http::{HeaderMap, header};
use faas_flow_core::{Code, Millis, RunId};
use faas_flow_replica::Error;
use faas_flow_replica::events::{Event, Keys, SIGNATURE, Signed, TIME, Window};
use faas_flow_replica::network::place;
use sha2::{Digest, Sha256};

/// Who may ask for what: everybody for everything but callbacks, unless something is set.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// Sign and check events, and requests if `authenticate`; without keys, events need no signature.
    pub keys: Option<Keys>,
    /// How old an event may be.
    pub window: Window,
    /// Take events without looking at their signatures: for a server that only its own machine reaches.
    pub unchecked: bool,
    /// Whether new requests are to be signed as GitHub signs.
    pub authenticate: bool,
    /// Who may pause, resume, stop and re-run.
    pub admin: Admin,
    /// The hosts, each `NAME` or `NAME:PORT`, that results may be sent to; `*` is any.
    pub callback_hosts: Vec<String>,
}

/// Who may change runs.
#[derive(Clone, Default)]
pub enum Admin {
    /// Everybody: for a server that only its own machine reaches.
    #[default]
    Anybody,
    /// Nobody, as long as there is no token.
    Nobody,
    /// Whoever sends this bearer token.
    Token(String),
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Admin::Anybody => "Anybody",
            Admin::Nobody => "Nobody",
            Admin::Token(_) => "Token",
        })
    }
}

impl Admin {
    /// Lets pass whoever has given the token; with what others are told where nobody may, and where theirs is another one.
    pub(crate) fn admit(&self, given: Option<&str>, nobody: &'static str, another: &'static str) -> Result<(), Error> {
        let admitted = match self {
            Admin::Anybody => true,
            Admin::Nobody => return Err(Error::new(Code::TOKEN_NEEDED, nobody)),
            // Digests, so that the time it takes says nothing about the token.
            Admin::Token(token) => given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(token)),
        };
        if admitted { Ok(()) } else { Err(Error::new(Code::TOKEN_NEEDED, another)) }
    }
}

/// The longest address to call back, in bytes.
const LONGEST_URL: usize = 2048;

impl Guards {
    /// Lets an administrative request pass.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Error> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.split_once(' '));
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let nobody = "nobody may change runs here, as the host has no `faasflow-admin-token`";
        self.admin.admit(given, nobody, "this needs `Authorization: Bearer` with the host's token")
    }

    /// Lets a signed event pass.
    pub(super) fn check_event(&self, request: &Request<'_>, run: &RunId, now: Millis) -> Result<(), Error> {
        let Some(keys) = self.keys.as_ref().filter(|_| !self.unchecked) else { return Ok(()) };
        let path = Event::target(request.flow, run);
        let signed = Signed { method: request.method.as_str(), path: &path, run: run.as_str(), body: &request.body };
        let (signature, time) = (request.header(SIGNATURE), request.header(TIME));
        keys.verify(&signed, signature.as_deref(), time.as_deref(), now, &self.window)
    }

    /// Lets a new request pass.
    pub(super) fn authenticate(&self, request: &Request<'_>) -> Result<(), Error> {
        match &self.keys {
            _ if !self.authenticate => Ok(()),
            None => Err(Error::new(Code::UNSIGNED, "requests are to be signed here, but the host has no secret")),
            Some(keys) => {
                let (sha256, sha1) = (request.header("x-hub-signature-256"), request.header("x-hub-signature"));
                keys.verify_hub(&request.body, sha256.as_deref(), sha1.as_deref())
            }
        }
    }

    /// The address to call back, if it may be called. An empty one is none, as in the original.
    pub(super) fn callback(&self, given: Option<&str>) -> Result<Option<String>, Error> {
        let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else { return Ok(None) };
        let shown: String = place(given).escape_debug().take(100).collect();
        let wrong = |why: String| Err(Error::new(Code::BAD_CALLBACK, format!("cannot call back to `{shown}`: {why}")));
        if given.len() > LONGEST_URL {
            return wrong(format!("it has more than {LONGEST_URL} bytes"));
        }
        let url = match reqwest::Url::parse(given) {
            Ok(url) => url,
            Err(error) => return wrong(error.to_string()),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong("it is not an http or https address".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("it holds a user or password".to_owned());
        }
        let Some(host) = url.host_str() else { return wrong("it names no host".to_owned()) };
        let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
        let allows = |allowed: &String| {
            allowed == "*" || allowed.eq_ignore_ascii_case(host) || Some(allowed.to_ascii_lowercase()) == with_port
        };
        match self.callback_hosts.iter().any(allows) {
            true => Ok(Some(url.to_string())),
            false => wrong(format!("the host {host} is not allowed: add it to callback_hosts")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_hosts_are_called_back() {
        let hosts = ["Hooks.example", "127.0.0.1:9000", "[::1]"].map(str::to_owned);
        let guards = Guards { callback_hosts: hosts.into(), ..Guards::default() };
        for good in
            ["http://hooks.example/a?b=c", "https://HOOKS.example:1/", "http://127.0.0.1:9000/", "http://[::1]/"]
        {
            assert!(guards.callback(Some(good)).unwrap().is_some(), "{good}");
        }
        assert_eq!(guards.callback(Some(" ")).unwrap(), None);
        for bad in [
            "nowhere",
            "/path",
            "ftp://hooks.example/",
            "http://hooks.example.evil/",
            "http://hooks.example@evil/",
            "http://user:pass@hooks.example/",
            "http://evil/hooks.example",
            "http://127.0.0.1/",
            "http://127.0.0.1:90000/",
            "http://\0/",
            &format!("http://hooks.example/{}", "x".repeat(10 * 1024)),
        ] {
            assert_eq!(guards.callback(Some(bad)).unwrap_err().code(), Code::BAD_CALLBACK, "{bad}");
        }
        assert!(Guards::default().callback(Some("http://localhost/")).is_err());
    }

    #[test]
    fn the_token_is_a_bearers() {
        let admit = |admin: &Admin, value: Option<&str>| {
            let guards = Guards { admin: admin.clone(), ..Guards::default() };
            let headers = value.map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            guards.admit(&headers.into_iter().collect()).map_err(|error| error.code())
        };
        let token = Admin::Token("s3cret".into());
        assert_eq!(admit(&token, Some("Bearer s3cret")), Ok(()));
        assert_eq!(admit(&token, Some("bearer  s3cret")), Ok(()));
        for wrong in [None, Some("Bearer"), Some("Bearer "), Some("Bearer s3cre"), Some("Basic s3cret"), Some("s3cret")]
        {
            assert_eq!(admit(&token, wrong), Err(Code::TOKEN_NEEDED), "{wrong:?}");
        }
        assert_eq!(admit(&Admin::Anybody, None), Ok(()));
        assert_eq!(admit(&Admin::Nobody, Some("Bearer ")), Err(Code::TOKEN_NEEDED));
    }
}

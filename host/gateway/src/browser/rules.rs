//! Which requests a server answers that only its own machine can reach.

use super::{Fault, Visit};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Who may embed an answer in a page, as an image or a script, for example.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// A request without a port in its host is for this one.
const HTTP_PORT: u16 = 80;

/// The names of a server that only its own machine can reach, and the origins whose pages may start runs there.
///
/// Browsers say in `Host` for which server a request is, in `Origin` and `Sec-Fetch-Site` from where it comes, and pages
/// cannot change these headers. Programs may send what they like: the rules protect the user of a browser, not the server
/// from its machine.
#[derive(Debug)]
pub struct BrowserRules {
    address: SocketAddr,
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
}

/// How a server answers a request with these headers that is refused.
type Refuse = fn(&HeaderMap, Fault) -> Response;

/// What a request says about the page that sent it.
struct Sender<'a> {
    origin: Option<&'a str>,
    /// The relation of the page's origin to the server's, as the browser sees it.
    site: Option<&'a str>,
}

impl BrowserRules {
    /// The rules of a server at this address. Besides `localhost` and the address itself, it answers to the allowed hosts,
    /// each `NAME` or `NAME:PORT`; `*` allows any. Pages of the allowed origins (`https://example.com:8443`) may start runs
    /// and read their results.
    pub fn new(address: SocketAddr, allowed_hosts: Vec<String>, allowed_origins: Vec<String>) -> Self {
        Self { address, allowed_hosts, allowed_origins }
    }

    /// Puts these routes under the rules. `refuse` answers those that are refused.
    pub fn over(self, routes: Router, refuse: Refuse) -> Router {
        routes.layer(from_fn_with_state((Arc::new(self), refuse), entry))
    }

    /// Whether the request is answered, and as what.
    fn admit(&self, request: &Request) -> Result<Option<Visit>, Fault> {
        let host = self.host_of(request)?;
        if let Some(host) = host
            && !self.answers_to(host)
        {
            return Err(Fault::Host { host: shown(host), own: self.address.to_string() });
        }
        let sender = Sender::of(request.headers());
        match (sender.origin, sender.site) {
            // A page without an origin: of a sandbox, for instance. Only a browser's word for it makes it the server's.
            (None | Some("null"), Some("same-origin" | "none")) => Ok(None),
            (Some("null"), _) => Err(self.refuse(&sender)),
            (None, None) if may_be_link(request) => Ok(Some(Visit::Link)),
            (None, None) => Ok(None),
            (None, Some(_)) if opens_page(request) => Ok(Some(Visit::Link)),
            (None, Some(_)) => Err(self.refuse(&sender)),
            (Some(origin), None | Some("same-origin" | "none")) if is_origin_of(origin, host) => Ok(None),
            (Some(origin), site) if self.lists(origin) => match site {
                // A proxy has changed the host: the page was served by this server.
                Some("same-origin") => Ok(None),
                _ => Ok(Some(Visit::Listed)),
            },
            (Some(_), _) => Err(self.refuse(&sender)),
        }
    }

    /// The host that a request is for. HTTP/1.0 has requests without one, which no browser sends.
    fn host_of<'r>(&self, request: &'r Request) -> Result<Option<&'r str>, Fault> {
        if let Some(authority) = request.uri().authority() {
            return Ok(Some(authority.as_str()));
        }
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let none = || Fault::NoHost { own: self.address.to_string() };
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map(Some).map_err(|_| none()),
            (None, _) if request.version() < Version::HTTP_11 => Ok(None),
            _ => Err(none()),
        }
    }

    fn answers_to(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        // A user's name is no part of a host.
        if host.contains('@') {
            return false;
        }
        let name = authority.host();
        let own = authority.port_u16().unwrap_or(HTTP_PORT) == self.address.port() && self.is_own(name);
        own || self
            .allowed_hosts
            .iter()
            .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(name))
    }

    fn is_own(&self, name: &str) -> bool {
        let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST), self.address.ip().to_canonical()];
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| own.contains(&address.to_canonical()))
    }

    fn lists(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
    }

    fn refuse(&self, sender: &Sender<'_>) -> Fault {
        let origin = match (sender.origin, sender.site) {
            (Some(origin), _) => shown(origin),
            (None, Some(site)) => shown(site),
            (None, None) => "unknown".to_owned(),
        };
        Fault::Page { origin, own: format!("http://{}", self.address) }
    }
}

impl<'a> Sender<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        // A value that is not readable text counts as that of another site: no browser sends one for our own pages.
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("unreadable"));
        Self { origin: text(header::ORIGIN), site: text(SITE) }
    }
}

/// Answers requests that the rules admit.
async fn entry(
    State((rules, refuse)): State<(Arc<BrowserRules>, Refuse)>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match rules.admit(&request) {
        Ok(visit) => {
            if let Some(visit) = visit {
                request.extensions_mut().insert(visit);
            }
            next.run(request).await
        }
        Err(fault) => refuse(request.headers(), fault),
    };
    // Browsers then refuse to embed the answer in pages of other sites, for example as an image or a script.
    response.headers_mut().entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    response
}

/// Whether a browser opens the address in a window, rather than in a frame or as part of another page.
fn opens_page(request: &Request) -> bool {
    let is = |name, value: &str| request.headers().get(name).is_some_and(|given: &HeaderValue| given == value);
    request.method() == Method::GET && is(MODE, "navigate") && is(DESTINATION, "document")
}

/// Whether a browser sent the request, although it does not say from where, as Safari does over HTTP. A page cannot hide
/// that, since it needs the server's consent for another `User-Agent`. (With other methods, all browsers send `Origin`.)
fn may_be_link(request: &Request) -> bool {
    let agent = request.headers().get(header::USER_AGENT);
    let is_browser = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    is_browser && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Whether pages of this origin are those of the server with this host: a proxy in front of it may speak TLS.
fn is_origin_of(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    authority.zip(host).is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host))
}

fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

#[cfg(test)]
mod tests;

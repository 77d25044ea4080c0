//! Proxies: which requests go through one, and what comes of it.

use super::call_error::Retry;
use super::connect::{Failed, Stream};
use super::destinations::Connection;
use super::ranges::is_inside;
use super::resolver::{Checked, RefusedAddress};
use bytes::Bytes;
use faas_flow_core::redact;
use http_body_util::Full;
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::{Host, Url};

/// The proxy for requests to the outside whose URL a flow or a caller chose, or the operator for a single function: the key
/// `request_proxy`.
///
/// Nothing that is inside goes through a proxy: addresses of this machine and of private networks, names without a dot, names
/// that end with one of `INSIDE`, and names that have only such addresses. Nor does what the host asks on its own behalf: the
/// gateway, stores, other servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RequestProxy {
    /// The ones that the environment names: `http_proxy`, `https_proxy` and `all_proxy`.
    #[default]
    Environment,
    /// None.
    Direct,
    /// The one at this URL.
    At(String),
}

/// The ends of names that are inside.
const INSIDE: [&str; 4] = [".localhost", ".local", ".internal", ".svc"];
/// How long to wait for the addresses of a name before its requests go through the proxy, which may know them.
const LOOKUP: Duration = Duration::from_secs(2);
/// How long it is remembered whether a name is inside, and for how many names.
const REMEMBERED: (Duration, usize) = (Duration::from_secs(30), 1000);

/// One proxy.
#[derive(Clone)]
pub(super) struct Proxy(Intercept);

impl Proxy {
    /// Where it is.
    pub(super) fn uri(&self) -> &Uri {
        self.0.uri()
    }

    /// Its address without a password.
    pub(super) fn shown(&self) -> String {
        redact::place(self.0.uri().to_string().trim_end_matches('/'))
    }

    /// What lets the host use it.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.0.basic_auth()
    }
}

/// Why a proxy did not pass a request on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proxy {proxy} did not pass the request on: {reason}; the key `request_proxy` sets the proxy, and `no_proxy` exceptions"
)]
pub(crate) struct ProxyFailed {
    /// Its address without a password.
    pub(super) proxy: String,
    pub(super) reason: String,
    /// Whether another try may help.
    pub(super) retry: Retry,
}

impl ProxyFailed {
    /// It could not be reached, or the connection to it broke.
    pub(super) fn unreachable(proxy: &Proxy, reason: impl ToString) -> Self {
        Self { proxy: proxy.shown(), reason: reason.to_string(), retry: Retry::Yes }
    }

    /// It answered itself, and not the callee.
    pub(super) fn refused(proxy: &Proxy, status: StatusCode) -> Self {
        let retry = if status.is_client_error() { Retry::No } else { Retry::Yes };
        Self { proxy: proxy.shown(), reason: format!("it answered with status {status}"), retry }
    }
}

/// Whether a proxy has answered in place of the callee: it wants a password, or says of itself that there was an error
/// (`Proxy-Status`, RFC 9209; Squid has a header of its own).
pub(super) fn has_refused(status: StatusCode, headers: &HeaderMap) -> bool {
    let says_error = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("error="));
    let of_proxy = || headers.get_all("proxy-status").iter().any(says_error) || headers.contains_key("x-squid-error");
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED || (status.as_u16() >= 400 && of_proxy())
}

/// The proxies that are configured.
pub(super) struct Proxies {
    matcher: Option<Matcher>,
    /// Whether names are inside, and when that was found out.
    names: Mutex<HashMap<(Connection, String), (Instant, bool)>>,
}

impl Proxies {
    pub(super) fn new(configured: &RequestProxy) -> Self {
        let matcher = match configured {
            RequestProxy::Environment => environment_names_one().then(Matcher::from_env),
            RequestProxy::Direct => None,
            RequestProxy::At(proxy) => {
                let exceptions = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok());
                Some(Matcher::builder().all(proxy.as_str()).no(exceptions.unwrap_or_default()).build())
            }
        };
        Self { matcher, names: Mutex::default() }
    }

    /// The proxy through which a request goes. Fails if the callee's name only has addresses to which there must be no
    /// connection.
    pub(super) async fn of(&self, url: &Url, resolver: &Checked) -> Result<Option<Proxy>, Failed> {
        let Some(matcher) = &self.matcher else { return Ok(None) };
        let Ok(uri) = url.as_str().parse::<Uri>() else { return Ok(None) };
        let Some(intercept) = matcher.intercept(&uri) else { return Ok(None) };
        let inside = match url.host() {
            None => true,
            Some(Host::Ipv4(address)) => is_inside(address.into()),
            Some(Host::Ipv6(address)) => is_inside(address.into()),
            Some(Host::Domain(name)) => self.is_name_inside(name, resolver).await?,
        };
        Ok(if inside { None } else { Some(Proxy(intercept)) })
    }

    async fn is_name_inside(&self, name: &str, resolver: &Checked) -> Result<bool, Failed> {
        let name = name.trim_end_matches('.');
        if !name.contains('.') || INSIDE.iter().any(|end| name.ends_with(end)) {
            return Ok(true);
        }
        let key = (resolver.connection.clone(), name.to_owned());
        let (time, most) = REMEMBERED;
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some((_, inside)) = known.filter(|(found, _)| found.elapsed() < time) {
            return Ok(inside);
        }
        let inside = match tokio::time::timeout(LOOKUP, resolver.addresses(name.to_owned())).await {
            Ok(Ok(addresses)) => !addresses.is_empty() && addresses.iter().all(|address| is_inside(address.ip())),
            Ok(Err(error)) if error.is::<RefusedAddress>() => return Err(error),
            // The proxy may know the name, or be what makes the network reachable at all.
            Ok(Err(_)) | Err(_) => false,
        };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= most {
            names.clear();
        }
        names.insert(key, (Instant::now(), inside));
        Ok(inside)
    }
}

/// Whether the environment may name a proxy. Without one, nobody needs to look at each URL.
fn environment_names_one() -> bool {
    const NAMES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];
    std::env::vars_os().any(|(name, value)| !value.is_empty() && NAMES.iter().any(|one| name.eq_ignore_ascii_case(one)))
}

/// Asks a proxy for a connection to a server.
pub(super) async fn tunnel(stream: Stream, to: &Uri, proxy: &Proxy) -> Result<Stream, Failed> {
    let broken = |error: hyper::Error| ProxyFailed::unreachable(proxy, error);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection.with_upgrades());
    let server = format!("{}:{}", to.host().unwrap_or_default(), to.port_u16().unwrap_or(443));
    let mut request = Request::connect(&server).header(HOST, &server);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let answer = sender.send_request(request.body(Full::<Bytes>::default())?).await.map_err(broken)?;
    if !answer.status().is_success() {
        return Err(ProxyFailed::refused(proxy, answer.status()).into());
    }
    let tunnel = hyper::upgrade::on(answer).await.map_err(broken)?;
    Ok(Box::pin(TokioIo::new(tunnel)))
}

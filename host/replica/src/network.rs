//! How the host sends requests: functions, events and callbacks all go through a [`Network`].

mod call_error;
mod client;
mod connect;
mod decode;
mod destinations;
mod proxy;
mod ranges;
mod redirect;
mod resolver;
#[cfg(test)]
mod tests;

pub(crate) use call_error::{CallError, Quote, Retry};
pub(crate) use client::IDEMPOTENCY_KEY;
pub use destinations::{BadHost, ChosenBy, Destinations, HostPattern, Refused, Rules, range};
pub use proxy::RequestProxy;
pub use ranges::{PRIVATE, SPECIAL};
pub use resolver::Resolve;

use crate::traces::{self, TlsFiles};
use crate::{Error, Settings, memory};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use client::Client;
use connect::{Connector, deepest, tls};
use decode::{Coding, EncodingFault};
use destinations::Connection;
use faas_flow_core::{Failure, header_bytes, header_text};
use faas_flow_guest::{HttpRequest, HttpResponse};
use futures_util::{Stream, TryStreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, RANGE,
};
use hyper::{Method, Request, Uri};
use percent_encoding::percent_decode_str;
use proxy::{Proxies, Proxy, ProxyFailed};
use resolver::{Checked, RefusedAddress, System};
use rustls::ClientConfig;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;
use url::Url;

/// Sends requests, over HTTP or to a simulation.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Sends one request and reads the whole response, whatever its status.
    async fn send(&self, request: HttpRequest, by: ChosenBy) -> Result<HttpResponse, Failure>;
}

/// Sends requests over HTTP/1.1 and reuses connections for a while. It decodes answers that are compressed, and follows
/// redirects as Go's client does, each of which is checked as the first request was.
///
/// If a flow or a caller chose the URL, its host must be allowed, and so must the address to which the connection is made. Such
/// requests, and those to functions at addresses of their own, go through a proxy if there is one and they leave the inside:
/// see [`RequestProxy`].
pub struct Http {
    /// The client without checks and proxy.
    direct: Arc<Client>,
    /// The others.
    clients: Mutex<HashMap<Way, Arc<Client>>>,
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
    proxies: Proxies,
    destinations: Destinations,
    response_limit: usize,
    keep: Duration,
}

/// What the requests of one client have in common.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Way {
    /// What is checked when a connection is made.
    checks: Connection,
    /// The proxy's address.
    proxy: Option<Uri>,
}

/// How many bytes of a body get room at once if the answer says that there are so many; the others get it as they come.
const AT_ONCE: usize = 64 << 10;

/// A request on its way.
struct Outgoing {
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Http {
    /// A client with the settings' limits.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Self::with_resolver(settings, Arc::new(System))
    }

    /// A client with the settings' limits that resolves names so.
    pub fn with_resolver(settings: &Settings, resolver: Arc<dyn Resolve>) -> Result<Self, Error> {
        let tls = tls().map_err(|error| Error::NoHttpClient { reason: error.to_string() })?;
        Ok(Self::with(settings, resolver, tls))
    }

    /// A client with the settings' limits that trusts these certificates, and shows its own.
    pub fn with_tls_files(settings: &Settings, files: &TlsFiles) -> Result<Self, Error> {
        let tls = traces::tls::client(files).map_err(|reason| Error::BadTlsFiles { reason })?;
        Ok(Self::with(settings, Arc::new(System), tls))
    }

    fn with(settings: &Settings, resolver: Arc<dyn Resolve>, tls: Arc<ClientConfig>) -> Self {
        let checked = Checked { inner: resolver.clone(), connection: Connection::default() };
        let keep = settings.call_keep_alive;
        Self {
            direct: Arc::new(Client::new(&Connector::new(checked, tls.clone(), None), keep)),
            clients: Mutex::default(),
            resolver,
            tls,
            proxies: Proxies::new(&settings.request_proxy),
            destinations: settings.destinations.clone(),
            response_limit: settings.response_limit,
            keep,
        }
    }

    /// What flows and callers may choose.
    fn rules(&self, by: ChosenBy) -> Option<&Rules> {
        match by {
            ChosenBy::Operator | ChosenBy::Gateway | ChosenBy::Function => None,
            ChosenBy::Flow => Some(&self.destinations.requests),
            ChosenBy::Caller => Some(&self.destinations.callbacks),
        }
    }

    /// The client for a URL, and the proxy that it uses.
    async fn client(&self, url: &Url, by: ChosenBy) -> Result<(Arc<Client>, Option<Proxy>), CallError> {
        let rules = self.rules(by);
        if let Some(rules) = rules {
            rules.check(url)?;
        }
        let checks = rules.map(|rules| rules.connection(url.port_or_known_default().unwrap_or_default()));
        let checks = checks.unwrap_or_default();
        let proxy = match by {
            ChosenBy::Operator | ChosenBy::Gateway => None,
            ChosenBy::Function | ChosenBy::Flow | ChosenBy::Caller => {
                let checked = Checked { inner: self.resolver.clone(), connection: checks.clone() };
                self.proxies.of(url, &checked).await.map_err(|error| self.failed(url, by, &*error))?
            }
        };
        let way = match &proxy {
            // The operator chose where the proxy is.
            Some(proxy) => Way { checks: Connection::default(), proxy: Some(proxy.uri().clone()) },
            None => Way { checks, proxy: None },
        };
        if way.proxy.is_none() && way.checks == Connection::default() {
            return Ok((self.direct.clone(), None));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(way).or_insert_with_key(|way| {
            let resolver = Checked { inner: self.resolver.clone(), connection: way.checks.clone() };
            Arc::new(Client::new(&Connector::new(resolver, self.tls.clone(), proxy.clone()), self.keep))
        });
        Ok((client.clone(), proxy))
    }

    /// The error about a request that was not answered.
    fn failed(&self, url: &Url, by: ChosenBy, error: &(dyn std::error::Error + 'static)) -> CallError {
        let cause = deepest(error);
        if let (Some(RefusedAddress { address, range }), Some(rules)) = (cause.downcast_ref(), self.rules(by)) {
            return rules.refusal(url, *address, *range).into();
        }
        let callee = by.shown(url.as_str());
        match cause.downcast_ref::<ProxyFailed>() {
            Some(source) => CallError::Proxy { callee, source: source.clone() },
            None => CallError::Unreachable { callee, reason: cause.to_string() },
        }
    }

    /// Sends one request and reads the whole response.
    async fn exchange(&self, outgoing: &Outgoing, by: ChosenBy) -> Result<HttpResponse, Failure> {
        let url = &outgoing.url;
        let (client, proxy) = self.client(url, by).await?;
        let to_proxy = proxy.as_ref().and_then(Proxy::authorization).filter(|_| url.scheme() == "http");
        let make = || {
            let mut request = outgoing.request(by)?;
            if let Some(authorization) = to_proxy {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
            Ok::<_, CallError>(request)
        };
        let response = client.send(make, |error| self.failed(url, by, &error)).await?;
        let (head, body) = response.into_parts();
        if let Some(proxy) = proxy.filter(|_| proxy::has_refused(head.status, &head.headers)) {
            return Err(self.failed(url, by, &ProxyFailed::refused(&proxy, head.status)).into());
        }
        let callee = || by.shown(url.as_str());
        let codings = head.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        let codings = decode::codings(codings);
        let codings = codings.map_err(|fault| CallError::Encoding { callee: callee(), fault })?;
        let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let chunks = body.into_data_stream().map_err(|error| self.failed(url, by, &error));
        let body = if codings.is_empty() {
            self.read(chunks, said, callee).await?
        } else {
            self.decode(chunks, callee, &codings).await?
        };
        // What described the compressed bytes does not describe these.
        let is_of_body = |name: &HeaderName| !codings.is_empty() && [CONTENT_ENCODING, CONTENT_LENGTH].contains(name);
        let headers = head.headers.iter().filter(|(name, _)| !is_of_body(name));
        let headers = headers.map(|(name, value)| (name.to_string(), header_text(value.as_bytes()))).collect();
        Ok(HttpResponse { status: head.status.as_u16(), headers, body })
    }

    /// Reads a body as it comes. `said` is the size that the answer says it has.
    async fn read(
        &self,
        chunks: impl Stream<Item = Result<Bytes, CallError>>,
        said: usize,
        callee: impl Fn() -> String,
    ) -> Result<Bytes, Failure> {
        let mut chunks = pin!(chunks);
        let mut bytes = BytesMut::with_capacity(said.min(AT_ONCE));
        let mut room = memory::reservation();
        while let Some(chunk) = chunks.try_next().await? {
            within_limit(&callee, bytes.len() + chunk.len(), self.response_limit)?;
            memory::grow(&mut room, chunk.len()).await?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(room.hold(bytes.freeze()))
    }

    /// Reads a compressed body. The limit applies to the bytes that it yields, and they are decoded as they come, so that a
    /// small body that stands for a huge one needs no more memory than the limit.
    async fn decode(
        &self,
        chunks: impl Stream<Item = Result<Bytes, CallError>> + Send,
        callee: impl Fn() -> String,
        codings: &[Coding],
    ) -> Result<Bytes, Failure> {
        let damaged = |error: io::Error| match error.downcast::<CallError>() {
            Ok(error) => error,
            Err(error) => {
                let fault = EncodingFault::damaged(codings, error);
                CallError::Encoding { callee: callee(), fault }
            }
        };
        let encoded = pin!(StreamReader::new(chunks.map_err(io::Error::other)));
        let mut decoded = decode::decoded(encoded, codings).await.map_err(damaged)?;
        let mut bytes = BytesMut::new();
        let mut room = memory::reservation();
        while let read @ 1.. = decoded.read_buf(&mut bytes).await.map_err(damaged)? {
            within_limit(&callee, bytes.len(), self.response_limit)?;
            memory::grow(&mut room, read).await?;
        }
        Ok(room.hold(bytes.freeze()))
    }
}

impl Outgoing {
    fn of(request: HttpRequest, by: ChosenBy) -> Result<Self, CallError> {
        let HttpRequest { method, url, headers, body } = request;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| CallError::BadMethod(method))?;
        let malformed = |reason: String| CallError::BadRequest { callee: by.shown(&url), reason };
        let parsed = Url::parse(&url).map_err(|error| malformed(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(malformed(format!("its scheme is `{}` instead of http or https", parsed.scheme())));
        }
        Ok(Self { method, url: parsed, headers, body })
    }

    /// The URL without what is not sent with it: its user, its password and its fragment.
    fn sent_url(&self) -> Cow<'_, str> {
        if !has_user(&self.url) && self.url.fragment().is_none() {
            return self.url.as_str().into();
        }
        let mut url = self.url.clone();
        // A URL with a host can do without a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        String::from(url).into()
    }

    /// The request in the form that is sent.
    fn request(&self, by: ChosenBy) -> Result<Request<Full<Bytes>>, CallError> {
        let malformed = |reason: String| CallError::BadRequest { callee: by.shown(self.url.as_str()), reason };
        let uri = Uri::try_from(&*self.sent_url()).map_err(|error| malformed(error.to_string()))?;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            let bad = |what| malformed(format!("its header `{}` has {what}", name.escape_debug()));
            let name = HeaderName::try_from(name).map_err(|_| bad("a name that headers cannot have"))?;
            let value = HeaderValue::from_bytes(&header_bytes(value));
            let mut value = value.map_err(|_| bad("a value with a control character"))?;
            value.set_sensitive(redirect::is_credential(&name));
            headers.append(name, value);
        }
        // The bytes of a range are those of the compressed form, which cannot be decoded from the middle.
        if !headers.contains_key(RANGE) {
            headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(decode::ACCEPTED));
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        if let Some(authorization) = basic(&self.url) {
            headers.entry(AUTHORIZATION).or_insert(authorization);
        }
        Ok(request)
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The header for the user that a URL names.
fn basic(url: &Url) -> Option<HeaderValue> {
    if !has_user(url) {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let user = [decoded(url.username()), b":".to_vec(), decoded(url.password().unwrap_or_default())].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(user))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[async_trait]
impl Network for Http {
    async fn send(&self, request: HttpRequest, by: ChosenBy) -> Result<HttpResponse, Failure> {
        let mut outgoing = Outgoing::of(request, by)?;
        let mut followed = 0;
        loop {
            let answer = self.exchange(&outgoing, by).await?;
            let Some(location) = redirect::location(&answer) else { return Ok(answer) };
            let from = by.shown(outgoing.url.as_str());
            outgoing = outgoing.redirected(answer.status, &location, by, followed)?;
            if let Some(Err(refused)) = self.rules(by).map(|rules| rules.check(&outgoing.url)) {
                let location = by.shown(outgoing.url.as_str());
                return Err(CallError::Redirect {
                    callee: from,
                    status: answer.status,
                    location,
                    fault: Box::new(refused.into()),
                }
                .into());
            }
            followed += 1;
        }
    }
}

/// How long a response asks to wait before the next request (`Retry-After`, RFC 9110, section 10.2.3): a number of seconds,
/// or until a date. At most a day.
pub fn retry_after(headers: &[(String, String)]) -> Option<Duration> {
    const MOST: Duration = Duration::from_secs(24 * 3600);
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(MOST))
}

/// Checks that an answer has at most `limit` bytes.
pub(crate) fn within_limit(callee: impl FnOnce() -> String, size: usize, limit: usize) -> Result<(), CallError> {
    if size <= limit { Ok(()) } else { Err(CallError::TooLarge { callee: callee(), limit }) }
}

#[cfg(test)]
mod retry_after_tests {
    use super::*;

    /// FAIL-7: a day at most.
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |value: &str| retry_after(&[("x".into(), "1".into()), ("Retry-After".into(), value.into())]);
        assert_eq!(asked(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(asked("99999999"), Some(Duration::from_secs(24 * 3600)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&[]), None);
    }
}

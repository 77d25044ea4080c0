//! How the host sends requests: functions, events and callbacks all go through a [`Network`].

mod call_error;
mod destinations;
mod ranges;
mod resolver;
#[cfg(test)]
mod tests;

pub(crate) use call_error::{CallError, Quote, Retry};
pub use destinations::{BadHost, ChosenBy, Destinations, HostPattern, Refused, Rules, range};
pub use ranges::{PRIVATE, SPECIAL};

use crate::{Error, Settings, memory};
use async_trait::async_trait;
use bytes::BytesMut;
use destinations::Connection;
use faas_flow_core::{Failure, redact};
use faas_flow_guest::{HttpRequest, HttpResponse};
use reqwest::dns::Resolve;
use reqwest::{Client, Url};
use resolver::{Checked, RefusedAddress, System};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Sends requests, over HTTP or to a simulation.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Sends one request and reads the whole response, whatever its status.
    async fn send(&self, request: HttpRequest, by: ChosenBy) -> Result<HttpResponse, Failure>;
}

/// Sends requests over HTTP/1.1 and reuses connections. It does not follow redirects, which may lead to an address that
/// nobody configured: they are answers like others.
///
/// If a flow or a caller chose the URL, its host must be allowed, and so must the address to which the connection is made.
pub struct Http {
    client: Client,
    /// The clients that check addresses, by what they check.
    checking: Mutex<HashMap<Connection, Client>>,
    resolver: Arc<dyn Resolve>,
    destinations: Destinations,
    response_limit: usize,
}

impl Http {
    /// A client with the settings' limits.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Self::with_resolver(settings, Arc::new(System))
    }

    /// A client with the settings' limits that resolves the names in the URLs of flows and callers so.
    pub fn with_resolver(settings: &Settings, resolver: Arc<dyn Resolve>) -> Result<Self, Error> {
        let client = client(None).map_err(|error| Error::NoHttpClient { reason: reason(&error) })?;
        let Settings { response_limit, destinations, .. } = settings;
        let (response_limit, destinations) = (*response_limit, destinations.clone());
        Ok(Self { client, checking: Mutex::default(), resolver, destinations, response_limit })
    }

    /// The client for a URL.
    fn client(&self, url: &Url, rules: Option<&Rules>) -> Result<Client, CallError> {
        let Some(rules) = rules else { return Ok(self.client.clone()) };
        rules.check(url)?;
        let connection = rules.connection(url.port_or_known_default().unwrap_or_default());
        if connection.is_free() {
            return Ok(self.client.clone());
        }
        let mut checking = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = checking.get(&connection) {
            return Ok(client.clone());
        }
        let (inner, proxies) = (self.resolver.clone(), resolver::proxies());
        let resolver = Checked { inner, connection: connection.clone(), proxies };
        let client = client(Some(resolver));
        let client = client
            .map_err(|error| CallError::Unreachable { callee: redact::place(url.as_str()), reason: reason(&error) })?;
        checking.insert(connection, client.clone());
        Ok(client)
    }
}

fn client(resolver: Option<Checked>) -> reqwest::Result<Client> {
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none()).tcp_nodelay(true);
    match resolver {
        Some(resolver) => builder.dns_resolver(Arc::new(resolver)).build(),
        None => builder.build(),
    }
}

#[async_trait]
impl Network for Http {
    async fn send(&self, request: HttpRequest, by: ChosenBy) -> Result<HttpResponse, Failure> {
        let HttpRequest { method, url, headers, body } = request;
        let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| CallError::BadMethod(method))?;
        let callee = redact::place(&url);
        let malformed =
            |error: url::ParseError| CallError::BadRequest { callee: callee.clone(), reason: error.to_string() };
        let url = Url::parse(&url).map_err(malformed)?;
        let rules = match by {
            ChosenBy::Operator => None,
            ChosenBy::Flow => Some(&self.destinations.requests),
            ChosenBy::Caller => Some(&self.destinations.callbacks),
        };
        let mut builder = self.client(&url, rules)?.request(method, url.clone()).body(body);
        for (name, value) in &headers {
            builder = builder.header(name, value);
        }
        let unreachable = |error: reqwest::Error| {
            if let (Some(RefusedAddress { address, range }), Some(rules)) = (deepest(&error).downcast_ref(), rules) {
                return rules.refusal(&url, *address, *range).into();
            }
            let callee = callee.clone();
            // Of the URL, only what `callee` has may be shown.
            let error = error.without_url();
            let reason = reason(&error);
            if error.is_builder() {
                CallError::BadRequest { callee, reason }
            } else {
                CallError::Unreachable { callee, reason }
            }
        };
        let mut response = builder.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        let mut body = BytesMut::new();
        let mut room = memory::reservation();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            within_limit(&callee, body.len() + chunk.len(), self.response_limit)?;
            memory::grow(&mut room, chunk.len()).await?;
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, headers, body: room.hold(body.freeze()) })
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
pub(crate) fn within_limit(callee: &str, size: usize, limit: usize) -> Result<(), CallError> {
    if size <= limit { Ok(()) } else { Err(CallError::TooLarge { callee: callee.to_owned(), limit }) }
}

/// The cause of an error that has no cause itself: the others only repeat the address.
fn deepest(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    let mut deepest: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

fn reason(error: &reqwest::Error) -> String {
    deepest(error).to_string()
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

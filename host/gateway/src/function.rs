//! The functions behind the gateway.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use url::Url;

use crate::proxy::Sized;

/// There was no response: the connection was refused, or broke before the whole response had arrived. The text is the
/// reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// A function behind the gateway: one in this process, or an [`Upstream`].
#[async_trait]
pub trait Function: Send + Sync {
    /// Responds to one request. Its URI is the part after `/function/NAME`: the path from the slash on, and the query.
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable>;

    /// How many replicas the function has.
    fn replicas(&self) -> usize {
        1
    }
}

/// Sends requests over HTTP to the URL that they have. Redirects are returned and not followed; proxies of the environment
/// are not used.
///
/// The client is made for the first request, since that reads all certificates that the system trusts: a gateway of a
/// simulation sends no request, and thousands of them are made in a minute.
#[derive(Debug, Clone)]
pub struct Web(Arc<OnceLock<reqwest::Client>>);

/// Why a request over HTTP has no response.
enum Failure {
    /// There was no connection, so the function has not seen the request.
    Refused(String),
    /// The connection broke, so the function may have seen the request.
    Broken(String),
}

impl Web {
    /// Creates a client with connections of its own.
    pub fn new() -> Self {
        Web(Arc::default())
    }

    fn client(&self) -> &reqwest::Client {
        self.0.get_or_init(|| {
            let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            // This can only fail if TLS cannot be set up, and then the default fails too.
            client.build().unwrap_or_default()
        })
    }

    async fn send(&self, url: &str, request: &Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let mut builder = self.client().request(request.method().clone(), url).headers(request.headers().clone());
        let body = request.body().clone();
        if request.extensions().get::<Sized>().is_some() {
            builder = builder.body(body);
        } else if !body.is_empty() {
            let chunks = futures_util::stream::once(async move { Ok::<_, std::io::Error>(body) });
            builder = builder.body(reqwest::Body::wrap_stream(chunks));
        }
        let failed = |error: reqwest::Error| {
            let failure = if error.is_connect() { Failure::Refused } else { Failure::Broken };
            failure(describe(&error))
        };
        let answer = builder.send().await.map_err(failed)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = answer.bytes().await.map_err(failed)?;
        Ok(response)
    }
}

/// The message with its causes: reqwest's own message only has the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

impl Default for Web {
    fn default() -> Self {
        Web::new()
    }
}

#[async_trait]
impl Function for Web {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let answer = self.send(&request.uri().to_string(), &request).await;
        answer.map_err(|(Failure::Refused(why) | Failure::Broken(why))| Unreachable(why))
    }
}

/// The replicas of a function, which are called one after the other. A replica that refuses the connection is skipped for this call.
#[derive(Debug)]
pub struct Upstream {
    replicas: Vec<String>,
    next: AtomicUsize,
    web: Web,
}

impl Upstream {
    /// Creates a function from the addresses of its replicas, such as `http://10.0.0.7:8080`.
    pub fn new(replicas: impl IntoIterator<Item = Url>) -> Self {
        let replicas = replicas.into_iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect();
        Upstream { replicas, next: AtomicUsize::new(0), web: Web::new() }
    }
}

#[async_trait]
impl Function for Upstream {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let rest = request.uri().path_and_query().map_or("/", |rest| rest.as_str());
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut refused = "it has no replicas".to_owned();
        for replica in self.replicas.iter().cycle().skip(first % self.replicas.len().max(1)).take(self.replicas.len()) {
            match self.web.send(&format!("{replica}{rest}"), &request).await {
                Ok(response) => return Ok(response),
                Err(Failure::Refused(why)) => refused = why,
                Err(Failure::Broken(why)) => return Err(Unreachable(why)),
            }
        }
        Err(Unreachable(refused))
    }

    fn replicas(&self) -> usize {
        self.replicas.len()
    }
}

//! How connections are made: directly or through a proxy, with TLS or without.

use super::proxy::{Proxy, ProxyFailed, tunnel};
use super::resolver::Checked;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::Error;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tower::Service;

/// Why there is no connection.
pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;
/// Bytes in both directions.
pub(super) type Stream = Pin<Box<dyn Bytes>>;

/// What carries bytes in both directions.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// The certificates that the system trusts.
pub(super) fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_platform_verifier()?.with_no_client_auth()))
}

/// Makes the connections of one client.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Checked>,
    tls: Arc<ClientConfig>,
    proxy: Option<Proxy>,
}

impl Connector {
    /// Connects through the proxy if there is one. Its name is resolved, or the callee's, by `resolver`.
    pub(super) fn new(resolver: Checked, tls: Arc<ClientConfig>, proxy: Option<Proxy>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, tls, proxy }
    }

    async fn connect(mut self, to: Uri) -> Result<TokioIo<Wire>, Failed> {
        let with_tls = to.scheme_str() == Some("https");
        let stream = match self.proxy.clone() {
            None => self.open(to.clone()).await?,
            Some(proxy) => {
                let failed = |reason: Failed| ProxyFailed::unreachable(&proxy, deepest(&*reason));
                let stream = self.open(proxy.uri().clone()).await.map_err(failed)?;
                let is_secure = proxy.uri().scheme_str() == Some("https");
                let stream = if is_secure { self.secure(stream, proxy.uri()).await.map_err(failed)? } else { stream };
                if with_tls { tunnel(stream, &to, &proxy).await? } else { stream }
            }
        };
        let stream = if with_tls { self.secure(stream, &to).await? } else { stream };
        let is_proxied = self.proxy.is_some() && !with_tls;
        Ok(TokioIo::new(Wire { stream, is_proxied, line: Line::default() }))
    }

    async fn open(&mut self, to: Uri) -> Result<Stream, Failed> {
        std::future::poll_fn(|context| self.tcp.poll_ready(context)).await?;
        Ok(Box::pin(self.tcp.call(to).await?.into_inner()))
    }

    async fn secure(&self, stream: Stream, server: &Uri) -> Result<Stream, Failed> {
        let host = server.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Box::pin(TlsConnector::from(self.tls.clone()).connect(name, stream).await?))
    }
}

/// The cause of an error that has no cause itself: the others only repeat what is known.
pub(super) fn deepest<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<TokioIo<Wire>, Failed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// What is known of the answers that came over a connection. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Whether an answer has come for an earlier request.
    answered: AtomicBool,
    /// Whether something has been read since the last request was written.
    heard: AtomicBool,
}

impl Line {
    /// The connection on which a request failed.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let mut extensions = hyper::http::Extensions::new();
        error.connect_info()?.get_extras(&mut extensions);
        extensions.remove::<Self>()
    }

    /// Notes that an answer has begun.
    pub(super) fn has_answered(&self) {
        self.0.answered.store(true, Ordering::Relaxed);
    }

    /// Whether the connection had been kept, and nothing of the last request's answer has come.
    pub(super) fn died_idle(&self) -> bool {
        self.0.answered.load(Ordering::Relaxed) && !self.0.heard.load(Ordering::Relaxed)
    }
}

/// A connection that notes what comes over it.
pub(super) struct Wire {
    stream: Stream,
    is_proxied: bool,
    line: Line,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied).extra(self.line.clone())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream.as_mut().poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.line.0.heard.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line.0.heard.store(false, Ordering::Relaxed);
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.0.heard.store(false, Ordering::Relaxed);
        self.stream.as_mut().poll_write_vectored(context, slices)
    }
}

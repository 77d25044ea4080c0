//! Connections: HTTP/1.1 on each, with limits on how many there are, how slow callers may be, and how large a head is.

use axum::Router;
use axum::body::Body;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};
use tower::ServiceExt;

/// The most of a body or an answer that a connection buffers, in bytes. A head that is not complete when it has so many is
/// refused, so that it has less than twice as many.
const BUFFER: usize = 64 * 1024;

/// The address from which a request came, among its extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// How slow callers may be, and how many. There is no limit unless one is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// For the head of a request to arrive, from the moment that the connection awaits one.
    pub read: Option<Duration>,
    /// For an answer to be sent, from the moment that it cannot be sent at once.
    pub write: Option<Duration>,
    /// How many connections there may be at a time. Further ones wait until they are accepted.
    pub connections: Option<usize>,
}

/// Kept with each request: says when the server stops. An answer without an end ends then, since the server waits for it.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Returns when the server stops.
    pub async fn stopped(&mut self) {
        // The sender is gone once all connections have ended.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// Serves until `stop`. Then no further connection is accepted, and this returns when the last request has been answered.
pub async fn serve(mut listener: TcpListener, routes: Router, patience: Patience, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let room = patience.connections.map(|connections| Arc::new(Semaphore::new(connections)));
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (stream, peer, place) = accept(&mut listener, room.as_ref()) => {
                let (routes, stopped) = (routes.clone(), stopped.clone());
                tokio::spawn(async move {
                    connection((stream, peer), routes, patience, stopped).await;
                    drop(place);
                });
            }
            () = &mut stop => break,
        }
    }
    drop((listener, stopped));
    stopping.send_replace(true);
    stopping.closed().await;
}

/// The next connection, as soon as there is room for it.
async fn accept(
    listener: &mut TcpListener,
    room: Option<&Arc<Semaphore>>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let place = match room {
        Some(room) => room.clone().acquire_owned().await.ok(),
        None => None,
    };
    // axum's `accept`, which retries when the system is out of file descriptors, for example.
    let (stream, peer) = Listener::accept(listener).await;
    (stream, peer, place)
}

async fn connection(
    (stream, peer): (TcpStream, SocketAddr),
    routes: Router,
    patience: Patience,
    mut stopped: watch::Receiver<bool>,
) {
    let stopping = Stopping(stopped.clone());
    let answer = service_fn(move |request: hyper::Request<_>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(stopping.clone());
        routes.clone().oneshot(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.read).max_buf_size(BUFFER);
    let stream = TokioIo::new(Timed { stream, limit: patience.write, deadline: None });
    let mut connection = pin!(http.serve_connection(stream, answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        // `wait_for` returns a guard, which must not be held while the connection is awaited.
        _ = async { stopped.wait_for(|stopped| *stopped).await.is_ok() } => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Callers that hang up or are too slow are no concern of the operator.
        tracing::debug!(%error, "connection ended early");
    }
}

/// A stream that fails when what is to be sent has waited for too long.
struct Timed {
    stream: TcpStream,
    limit: Option<Duration>,
    /// Set while the caller has not taken all that is to be sent. What it takes in the meantime does not extend it.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn sent<T>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(limit)) = (&sent, self.limit) else { return sent };
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller reads too slowly")))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.sent(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// What was written is flushed at the end of an answer, so that the next one has its whole time again.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! Connections: HTTP/1.1 on each, with callers that take their time up to a limit.

use axum::Router;
use axum::body::Body;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};
use tower::ServiceExt;

/// How slow callers may be, without a limit where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    /// From when a request is awaited on a connection until its head is there.
    pub read: Option<Duration>,
    /// From when an answer cannot be sent at once until it is sent.
    pub write: Option<Duration>,
}

/// Serves until `stop`; then no further connection is taken, and this ends with the answer to the last request.
pub(crate) async fn serve(
    mut listener: TcpListener,
    routes: Router,
    patience: Patience,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            // axum's, which goes on where the system lacks something for a moment.
            (stream, _) = Listener::accept(&mut listener) => {
                tokio::spawn(connection(stream, routes.clone(), patience, stopped.clone()));
            }
            () = &mut stop => break,
        }
    }
    drop((listener, stopped));
    stopping.send_replace(true);
    stopping.closed().await;
}

async fn connection(stream: TcpStream, routes: Router, patience: Patience, mut stopped: watch::Receiver<bool>) {
    let answer = service_fn(move |request: hyper::Request<_>| routes.clone().oneshot(request.map(Body::new)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.read);
    let stream = TokioIo::new(Timed { stream, limit: patience.write, deadline: None });
    let mut connection = pin!(http.serve_connection(stream, answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        // The guard must not live on while the connection is awaited.
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
        // A caller that hangs up or is too slow is its own affair.
        tracing::debug!("a connection ended early: {error}");
    }
}

/// A stream that breaks off when what is to be sent has waited for too long.
struct Timed {
    stream: TcpStream,
    limit: Option<Duration>,
    /// Set while the caller has not taken all that is to be sent, however much it takes meanwhile.
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

    /// Flushed is what was written, so this is the end of an answer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! Serves until SIGINT or SIGTERM, and shuts down gracefully.

use super::lock::Lock;
use crate::Error;
use axum::Router;
use faas_flow_http::{self as http, Patience};
use faas_flow_replica::Host;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The maximum time from a signal to the end of the process. Kubernetes kills it after 30 s.
const WHOLE: Duration = Duration::from_secs(24);
/// The maximum part of it for running nodes to finish, once no more requests are accepted.
const FINISH: Duration = Duration::from_secs(12);
/// The part for releasing the leases of nodes that did not finish.
const RELEASE: Duration = Duration::from_secs(3);
/// The part for sending the remaining responses.
const ANSWERS: Duration = Duration::from_secs(2);
/// The part for sending the last traces, which is the limit of their sender.
const TRACES: Duration = Duration::from_secs(2);

/// Serves until a signal arrives; see [`Server::until_stopped`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    host: Arc<Host>,
    patience: Patience,
) -> Result<(), Error> {
    Server::start(listener, router, patience)?.until_stopped(host, Duration::ZERO, None).await
}

/// A server that accepts requests and listens for signals.
pub(super) struct Server {
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    signals: Signals,
}

impl Server {
    pub fn start(listener: TcpListener, router: Router, patience: Patience) -> Result<Self, Error> {
        let signals = Signals::new()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = http::serve(listener, router, patience, async {
            // The sender is not dropped before it has sent.
            let _ = stopped.await;
        });
        Ok(Self { stop, served: tokio::spawn(served), signals })
    }

    /// The result of the work, or none if a signal arrives first.
    pub async fn unless_stopped<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        tokio::select! {
            done = work => done.map(Some),
            () = self.signals.any() => Ok(None),
        }
    }

    /// Serves until a signal arrives, and then shuts down: the health check fails and the lock file is removed; after
    /// `settle`, when requests no longer arrive, none are accepted; running nodes finish, or their leases are released for
    /// other replicas. All of it takes at most 24 s, even if the store does not answer.
    pub async fn until_stopped(mut self, host: Arc<Host>, settle: Duration, lock: Option<Lock>) -> Result<(), Error> {
        tokio::select! {
            () = self.signals.any() => {}
            ended = &mut self.served => {
                return ended.map_err(|error| Error::System { what: "go on serving", source: error.into() });
            }
        }
        host.announce_stop();
        drop(lock);
        tokio::time::sleep(settle).await;
        let _ = self.stop.send(());
        let finish = WHOLE.saturating_sub(settle + RELEASE + ANSWERS + TRACES).min(FINISH);
        let released = host.drain(finish, RELEASE).await;
        if released > 0 {
            tracing::info!(released, "released the leases of nodes that had not finished");
        }
        let _ = tokio::time::timeout(ANSWERS, self.served).await;
        host.stop_tracing().await;
        Ok(())
    }
}

/// SIGINT and SIGTERM. No signal is lost that arrives after this is created.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn new() -> Result<Self, Error> {
        let of = |kind| signal(kind).map_err(|source| Error::System { what: "listen for signals", source });
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

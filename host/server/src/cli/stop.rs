//! Serves until SIGINT or SIGTERM, and ends in good order.

use super::lock::Lock;
use crate::http::{self, Patience};
use crate::{Error, Host};
use axum::Router;
use faas_flow_core::Code;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// From a signal to the end: under what Kubernetes allows, and what the tests of this demand.
const WHOLE: Duration = Duration::from_secs(24);
/// Of that, for nodes to finish that execute when the server takes no more requests: at most.
const FINISH: Duration = Duration::from_secs(12);
/// For what did not finish to be given back.
const GIVE_BACK: Duration = Duration::from_secs(3);
/// For answers to be sent after that.
const ANSWERS: Duration = Duration::from_secs(2);
/// For the last traces, as their sender has it.
const TRACES: Duration = Duration::from_secs(2);

/// Serves until a signal comes, as [`Server::until_stopped`] says.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    host: Arc<Host>,
    settle: Duration,
    lock: Option<Lock>,
) -> Result<(), Error> {
    Server::start(listener, router, Patience::default())?.until_stopped(host, settle, lock).await
}

/// A server that takes requests, and listens to signals.
pub(super) struct Server {
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    signals: Signals,
}

impl Server {
    pub fn start(listener: TcpListener, router: Router, patience: Patience) -> Result<Self, Error> {
        let signals = Signals::new().map_err(|error| failed(&error))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = http::serve(listener, router, patience, async {
            // The sender is dropped only when it has sent.
            let _ = stopped.await;
        });
        Ok(Self { stop, served: tokio::spawn(served), signals })
    }

    /// What comes of this, or nothing if a signal comes first.
    pub async fn unless_stopped<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        tokio::select! {
            done = work => done.map(Some),
            () = self.signals.any() => Ok(None),
        }
    }

    /// Serves until a signal comes. Then the health check fails, the lock file goes, and `settle` later, when nobody sends
    /// requests any more, nothing new is taken; what executes is finished or given back to other replicas. All of it takes
    /// 24 s at most, whatever the store does.
    pub async fn until_stopped(mut self, host: Arc<Host>, settle: Duration, lock: Option<Lock>) -> Result<(), Error> {
        tokio::select! {
            () = self.signals.any() => {}
            ended = &mut self.served => {
                return ended.map_err(|error| failed(&error));
            }
        }
        host.announce_stop();
        drop(lock);
        tokio::time::sleep(settle).await;
        let _ = self.stop.send(());
        let finish = WHOLE.saturating_sub(settle + GIVE_BACK + ANSWERS + TRACES).min(FINISH);
        let released = host.drain(finish, GIVE_BACK).await;
        if released > 0 {
            tracing::info!(released, "gave nodes back that had not finished");
        }
        let _ = tokio::time::timeout(ANSWERS, self.served).await;
        host.stop_tracing().await;
        Ok(())
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::INTERNAL, format!("the server ended: {error}"))
}

/// SIGINT and SIGTERM, from now on: none is lost while nobody waits.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

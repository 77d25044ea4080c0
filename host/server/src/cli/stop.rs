//! Serves until SIGINT or SIGTERM, and shuts down gracefully.

use super::lock::Lock;
use super::progress::say;
use crate::Error;
use axum::Router;
use faas_flow_core::{NodePath, RunId};
use faas_flow_http::{self as http, Patience};
use faas_flow_replica::{Host, kill_programs};
use std::process::ExitCode;
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
pub(super) const RELEASE: Duration = Duration::from_secs(3);
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
            _ = self.signals.any() => Ok(None),
        }
    }

    /// Serves until a signal arrives, and then shuts down: the health check fails and the lock file is removed; after
    /// `settle`, when requests no longer arrive, none are accepted; running nodes finish, or their leases are released for
    /// other replicas. All of it takes at most 24 s, even if the store does not answer; with a second signal, the process ends at
    /// once.
    pub async fn until_stopped(mut self, host: Arc<Host>, settle: Duration, lock: Option<Lock>) -> Result<(), Error> {
        tokio::select! {
            _ = self.signals.any() => {}
            ended = &mut self.served => {
                return ended.map_err(|error| Error::System { what: "continue serving", source: error.into() });
            }
        }
        host.announce_stop();
        self.signals.end_at_once();
        drop(lock);
        tokio::time::sleep(settle).await;
        let _ = self.stop.send(());
        let finish = WHOLE.saturating_sub(settle + RELEASE + ANSWERS + TRACES).min(FINISH);
        if let Some(waiting) = waiting(&host.executing().await, finish) {
            say(&waiting);
        }
        let released = host.drain(finish, RELEASE).await;
        if released > 0 {
            tracing::info!(released, "released the leases of nodes that had not finished");
        }
        let _ = tokio::time::timeout(ANSWERS, self.served).await;
        host.stop_tracing().await;
        Ok(())
    }
}

/// What a stop waits for.
fn waiting(nodes: &[(RunId, NodePath)], longest: Duration) -> Option<String> {
    const SHOWN: usize = 3;
    let shown: Vec<String> = nodes.iter().take(SHOWN).map(|(run, path)| format!("{path} of run {run}")).collect();
    let more = match nodes.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!nodes.is_empty()).then(|| {
        let (nodes, longest) = (shown.join(", "), longest.as_secs());
        format!("stopping: waiting for {nodes}{more}, at most {longest} s; a second Ctrl-C or SIGTERM stops it at once")
    })
}

/// One of the signals that stop the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Stop {
    /// The exit status of a process that has ended because of it, as shells give it.
    fn status(self) -> u8 {
        128 + match self {
            Stop::Interrupt => 2,
            Stop::Terminate => 15,
        }
    }

    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.status())
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

    /// The next one.
    pub async fn any(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }

    /// From now on, a signal ends the process at once, and the programs that it runs.
    pub fn end_at_once(mut self) {
        tokio::spawn(async move {
            let stop = self.any().await;
            kill_programs();
            std::process::exit(stop.status().into());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_says_what_it_waits_for() {
        let nodes = |count| {
            let node = |at| (RunId::new("r").unwrap(), NodePath::parse(&format!("n{at}")).unwrap());
            (0..count).map(node).collect::<Vec<_>>()
        };
        let longest = Duration::from_secs(12);
        assert_eq!(waiting(&nodes(0), longest), None);
        let one = "stopping: waiting for n0 of run r, at most 12 s; a second Ctrl-C or SIGTERM stops it at once";
        assert_eq!(waiting(&nodes(1), longest).as_deref(), Some(one));
        assert!(waiting(&nodes(5), longest).unwrap().contains("n0 of run r, n1 of run r, n2 of run r and 2 more, "));
    }
}

//! One address before several servers, as a proxy or a managed service has it. A failover leads new connections to another
//! server, and leaves those that are open where they are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A proxy at 127.0.0.1. It and its connections end with its value.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    server: Arc<Mutex<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Takes connections on behalf of the server with this port at 127.0.0.1.
    pub async fn before(port: u16) -> Self {
        let server = Arc::new(Mutex::new(local(port)));
        let listener = TcpListener::bind(local(0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let chosen = server.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let server = *chosen.lock().unwrap();
                connections.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port, server, task }
    }

    /// Leads new connections to the server with this port.
    pub fn lead_to(&self, port: u16) {
        *self.server.lock().unwrap() = local(port);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

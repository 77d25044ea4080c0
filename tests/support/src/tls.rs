//! TLS in front of a server that does not speak it.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A proxy that ends TLS. It and its connections end with its value.
pub struct Front {
    /// Where it listens, at 127.0.0.1.
    pub port: u16,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Front {
    /// Takes connections to 127.0.0.1 on behalf of a server, with a certificate that only [`Front::authority`] signed.
    pub async fn before(server: SocketAddr) -> Self {
        Self::speaking(server, &[]).await
    }

    /// The same before a server that speaks HTTP/2, as for gRPC.
    pub async fn before_http2(server: SocketAddr) -> Self {
        Self::speaking(server, &[b"h2"]).await
    }

    async fn speaking(server: SocketAddr, protocols: &[&[u8]]) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // A client that does not trust the certificate closes the connection.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
        Self { port, folder, task }
    }

    /// The file with the certificate of the authority.
    pub fn authority(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

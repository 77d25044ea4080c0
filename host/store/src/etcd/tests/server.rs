//! An etcd of our own.

use crate::{StateStore, StoreError, open_state};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server on free ports, ended when dropped.
pub(super) struct Server {
    child: Child,
    command: Command,
    port: u16,
    secure: bool,
    data: TempDir,
}

impl Server {
    pub(super) async fn start(options: &[&str]) -> Self {
        Self::start_with("http", options).await
    }

    /// One that takes TLS only, and only from those who show a certificate: its own, `cert.pem`, is the authority of all.
    pub(super) async fn start_secure() -> Self {
        Self::start_with("https", &[]).await
    }

    async fn start_with(scheme: &str, options: &[&str]) -> Self {
        // Another process may take a port between its choice and its use.
        for _ in 0..5 {
            if let Some(server) = Self::try_start(scheme, options).await {
                return server;
            }
        }
        panic!("etcd does not start");
    }

    async fn try_start(scheme: &str, options: &[&str]) -> Option<Self> {
        let [client, peer] = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, peer] = [client, peer].map(|listener| listener.local_addr().unwrap().port());
        let data = tempfile::tempdir().unwrap();
        let secure = scheme == "https";
        let (client, peer) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let mut command = Command::new("etcd");
        // Nobody cuts the power here, and a disk that others use makes each fsync take as long as it likes.
        command
            .arg("--data-dir")
            .arg(data.path().join("data"))
            .args(["--unsafe-no-fsync", "--log-level=error"])
            .args(options);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.arg(format!("--initial-cluster=default={peer}")).stdout(Stdio::null()).stderr(Stdio::null());
        if secure {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let [cert, key] = ["cert.pem", "key.pem"].map(|name| data.path().join(name));
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            command.arg("--cert-file").arg(&cert).arg("--key-file").arg(&key);
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(&cert);
        }
        let child = command.spawn().expect("there is no etcd: install it with `cargo xtask setup`");
        let mut server = Self { child, command, port, secure, data };
        server.is_up().await.then_some(server)
    }

    /// Waits until the server answers; false if it ends.
    async fn is_up(&mut self) -> bool {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "etcd does not answer");
            if tokio::net::TcpStream::connect(self.host()).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self, options: &str) -> String {
        format!("{}://{}{options}", if self.secure { "etcds" } else { "etcd" }, self.host())
    }

    /// A file of a server that takes TLS.
    pub(super) fn file(&self, name: &str) -> String {
        self.data.path().join(name).display().to_string()
    }

    /// Opens a store. A server that has just begun, on a busy machine, may take longer than a test's own timeout.
    pub(super) async fn open(&self, options: &str) -> Arc<dyn StateStore> {
        let began = Instant::now();
        loop {
            match open_state(&self.url(options)).await {
                Err(StoreError::Unavailable { .. }) if began.elapsed() < Duration::from_secs(60) => {}
                opened => return opened.unwrap(),
            }
        }
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) async fn restart(&mut self) {
        self.child = self.command.spawn().unwrap();
        assert!(self.is_up().await, "etcd does not start again");
    }

    pub(super) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

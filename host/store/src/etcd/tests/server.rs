//! An etcd of our own.

use crate::{StateStore, StoreError, open_state};
use etcd_client::Client;
use faas_flow_test_support::servers;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One that ends with the test, and may take TLS only.
pub(super) struct Server {
    server: servers::Server,
    secure: bool,
}

impl Server {
    pub(super) fn start(options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = servers::Server::start("etcd", move |port, _| {
            arguments("http", (port, port), &format!("default={}", peer(port)), &options)
        });
        Self { server, secure: false }
    }

    /// One for each of three members of a cluster.
    pub(super) async fn cluster() -> [Self; 3] {
        let peers = [(); 3].map(|()| servers::free_port());
        let first = Self::member(&peers[..1]);
        let mut members = vec![first];
        for count in 2..=3 {
            let began = Instant::now();
            loop {
                // Until the members before it are in step, the cluster takes no other.
                let mut client = Client::connect([members[0].host()], None).await.unwrap();
                match client.member_add([peer(peers[count - 1])], None).await {
                    Ok(_) => break,
                    Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
                }
            }
            let member = Self::member(&peers[..count]);
            // Until it has joined, the others need all of them: then nobody is left to choose a leader if one hangs.
            while async { Client::connect([member.host()], None).await?.get("x", None).await }.await.is_err() {
                assert!(began.elapsed() < Duration::from_secs(60), "a member does not join");
                tokio::task::yield_now().await;
            }
            members.push(member);
        }
        members.try_into().unwrap_or_else(|_| panic!("three members"))
    }

    /// The member that comes last to those with these ports for each other.
    fn member(peers: &[u16]) -> Self {
        let own = peers[peers.len() - 1];
        let cluster: Vec<String> = peers.iter().map(|port| format!("m{port}={}", peer(*port))).collect();
        let state = if peers.len() == 1 { "new" } else { "existing" };
        let options = [format!("--name=m{own}"), format!("--initial-cluster-state={state}")];
        let server =
            servers::Server::start("etcd", move |port, _| arguments("http", (port, own), &cluster.join(","), &options));
        Self { server, secure: false }
    }

    /// One that takes TLS only, and only from those who show a certificate: its own, `cert.pem`, is the authority of all.
    pub(super) fn start_secure() -> Self {
        let server = servers::Server::start("etcd", |port, directory| {
            let [cert, key] = certificate(directory);
            let options = ["--cert-file", &cert, "--key-file", &key, "--client-cert-auth", "--trusted-ca-file", &cert];
            arguments("https", (port, port), &format!("default={}", peer(port)), &options.map(str::to_owned))
        });
        Self { server, secure: true }
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub(super) fn url(&self, options: &str) -> String {
        format!("{}://{}{options}", if self.secure { "etcds" } else { "etcd" }, self.host())
    }

    /// A file of a server that takes TLS.
    pub(super) fn file(&self, name: &str) -> String {
        self.directory().join(name).display().to_string()
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
}

impl Deref for Server {
    type Target = servers::Server;

    fn deref(&self) -> &Self::Target {
        &self.server
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.server
    }
}

/// Where the members of a cluster reach one with this port: at another address of this machine than clients.
fn peer(port: u16) -> String {
    format!("http://127.0.0.2:{port}")
}

/// The arguments of a server with ports for clients and for members.
fn arguments(scheme: &str, (clients, members): (u16, u16), cluster: &str, options: &[String]) -> Vec<String> {
    let (client, peer) = (format!("{scheme}://127.0.0.1:{clients}"), peer(members));
    // The tests need no durability, and on a busy disk each fsync may take long.
    let mut arguments = vec!["--data-dir=data", "--unsafe-no-fsync", "--log-level=error"];
    arguments.extend(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    arguments.extend(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    arguments.extend(["--initial-cluster", cluster]);
    arguments.into_iter().map(str::to_owned).chain(options.iter().cloned()).collect()
}

/// A certificate and its key, in files.
fn certificate(directory: &Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())].map(|(name, text)| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    })
}

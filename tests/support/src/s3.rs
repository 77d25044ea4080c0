//! A server that speaks S3 over HTTP, and misbehaves on request.

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use s3s_fs::FileSystem;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

type Request = hyper::Request<hyper::body::Incoming>;
type Response = hyper::Response<Body>;

/// What the server does to a request instead of answering it.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// An error with this status and code.
    Error(u16, &'static str),
    /// No answer, ever.
    Silence,
    /// An answer whose body ends too early.
    HalfABody,
}

/// The server, which ends with its value. It has an empty bucket of the name `bucket`, and takes the access key
/// `somebody` with the secret key `well-hidden`.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    directory: TempDir,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    faults: Mutex<Vec<Fault>>,
    /// Meets every request that no other fault meets.
    down: Mutex<Option<Fault>>,
    seen: Mutex<Vec<String>>,
}

impl Server {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("data/bucket")).unwrap();
        fs::write(directory.path().join("s3-access-key"), "somebody").unwrap();
        fs::write(directory.path().join("s3-secret-key"), "well-hidden").unwrap();
        let state = Arc::<State>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, service(&directory), state.clone()));
        Self { address, directory, state, task }
    }

    /// The URL of a data store in this server: a bucket, perhaps with a prefix, and more options, each with its `&`.
    pub fn url(&self, place: &str, options: &str) -> String {
        let secrets = self.directory.path().display();
        format!("s3://{place}?endpoint=http://{}&secrets={secrets}{options}", self.address)
    }

    /// Changes a secret file that [`Server::url`] refers to: `s3-access-key` or `s3-secret-key`.
    pub fn secret(&self, name: &str, value: &str) {
        fs::write(self.directory.path().join(name), value).unwrap();
    }

    /// Closes all connections and accepts no more.
    pub async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Serves again at the same address.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.task = tokio::spawn(serve(listener, service(&self.directory), self.state.clone()));
    }

    /// Meets the next requests with these faults, the last one first.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.faults.lock().unwrap().extend(faults);
    }

    /// Meets every request with this fault, until it is taken away.
    pub fn fail_always(&self, fault: Option<Fault>) {
        *self.state.down.lock().unwrap() = fault;
    }

    /// Method, target and authorization of the requests since the last call.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn service(directory: &TempDir) -> S3Service {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(directory.path().join("data")).unwrap());
    builder.set_auth(SimpleAuth::from_single("somebody", "well-hidden"));
    builder.build()
}

async fn serve(listener: TcpListener, service: S3Service, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service.clone();
        let state = state.clone();
        connections.spawn(async move {
            let answer = hyper::service::service_fn(move |request| answer(service.clone(), state.clone(), request));
            let builder = Builder::new(TokioExecutor::new());
            // A client may close its connection at any time.
            let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(service: S3Service, state: Arc<State>, request: Request) -> Result<Response, HttpError> {
    let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap());
    let seen = format!("{} {} {}", request.method(), request.uri(), authorization.unwrap_or_default());
    state.seen.lock().unwrap().push(seen);
    let fault = state.faults.lock().unwrap().pop().or(*state.down.lock().unwrap());
    let response = hyper::Response::builder();
    match fault {
        None => hyper::service::Service::call(&service, request).await,
        Some(Fault::Error(status, code)) => {
            let body = format!("<Error><Code>{code}</Code><Message>No.</Message></Error>");
            Ok(response.status(status).body(Body::from(body)).unwrap())
        }
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::HalfABody) => {
            Ok(response.header("content-length", "1000").body(Body::http_body(Half("half".into()))).unwrap())
        }
    }
}

/// A body that breaks off.
struct Half(Bytes);

impl hyper::body::Body for Half {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready(Some(if bytes.is_empty() {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(hyper::body::Frame::data(bytes))
        }))
    }
}

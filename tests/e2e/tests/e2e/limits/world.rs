//! Servers that share a state store, and a function that counts its calls.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use faas_flow_core::Partition;
use faas_flow_core::limit::{Lines, Scope};
use faas_flow_core::run::decode;
use faas_flow_e2e::command::{Done, run};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_store::open_state;
use faas_flow_test_support::{double, servers};
use serde_json::{Value, json};
use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// The function `job`. Each call takes a while, or until somebody lets it go.
pub struct Job {
    pub takes: Duration,
    pub lets_go: Option<Semaphore>,
    pub status: StatusCode,
    pub in_flight: AtomicUsize,
    pub most: AtomicUsize,
    pub began: Mutex<Vec<(Instant, String)>>,
}

/// Counts a call for as long as it takes, or until its caller goes away.
struct InFlight(Arc<Job>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Job {
    pub async fn serve(takes: Duration, lets_go: bool, status: StatusCode) -> (Arc<Self>, String) {
        let (in_flight, most, began) = Default::default();
        let lets_go = lets_go.then(|| Semaphore::new(0));
        let job = Arc::new(Self { takes, lets_go, status, in_flight, most, began });
        let router = Router::new().fallback(Self::call).with_state(job.clone());
        (job, double::serve(router).await)
    }

    pub async fn that_takes(ms: u64) -> (Arc<Self>, String) {
        Self::serve(Duration::from_millis(ms), false, StatusCode::OK).await
    }

    pub async fn that_waits() -> (Arc<Self>, String) {
        Self::serve(Duration::ZERO, true, StatusCode::OK).await
    }

    async fn call(State(job): State<Arc<Self>>, headers: HeaderMap, body: String) -> impl IntoResponse {
        let run = headers["x-faas-flow-reqid"].to_str().unwrap().to_owned();
        job.began.lock().unwrap().push((Instant::now(), run));
        let now = job.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let _in_flight = InFlight(job.clone());
        job.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(job.takes).await;
        if let Some(lets_go) = &job.lets_go {
            lets_go.acquire().await.unwrap().forget();
        }
        (job.status, body)
    }

    pub fn let_go(&self, calls: usize) {
        self.lets_go.as_ref().unwrap().add_permits(calls);
    }

    pub fn runs(&self) -> Vec<String> {
        self.began.lock().unwrap().iter().map(|(_, run)| run.clone()).collect()
    }

    pub async fn begins(&self, calls: usize) {
        until("the function is called", async || self.began.lock().unwrap().len() >= calls).await;
    }
}

/// Servers that share a state store, which is Redis unless a test says otherwise, and the function.
pub struct World {
    state: String,
    _store: Box<dyn Any>,
    pub job: Arc<Job>,
    pub url: String,
    pub folder: TempDir,
}

impl World {
    pub async fn new(job: (Arc<Job>, String)) -> Self {
        let redis = servers::redis(&[]);
        Self::on(format!("redis://127.0.0.1:{}", redis.port()), Box::new(redis), job)
    }

    /// With the state store of this address, which ends with `store`.
    pub fn on(state: String, store: Box<dyn Any>, (job, url): (Arc<Job>, String)) -> Self {
        Self { state, _store: store, job, url, folder: TempDir::new().unwrap() }
    }

    pub fn state(&self) -> &str {
        &self.state
    }

    pub fn serve(&self, lease: &str) -> Serve {
        let serve = Serve::flows(&["fixture"]).function("job", &self.url).with("--lease", lease);
        serve.with("--state", self.state())
    }

    pub fn start(&self, lease: &str) -> Server {
        self.serve(lease).start_in(self.folder.path())
    }

    pub fn shown(&self, id: &str) -> Value {
        run(self.folder.path(), ["requests", "show", id, "--json", "--state", self.state()]).json()
    }

    pub async fn waits(&self, id: &str) {
        until("the node waits for its permit", async || {
            self.shown(id)["nodes"][0]["waits_for"]["limit"]["name"] == json!("jobs")
        })
        .await;
    }

    /// What is stored of limit `jobs`.
    pub async fn stored(&self) -> Vec<Lines> {
        let store = open_state(self.state()).await.unwrap();
        let documents = store.read_all(&Partition::of_limit("jobs")).await.unwrap();
        documents.iter().map(|(_, document)| decode(&document.bytes).unwrap()).collect()
    }

    /// The keys of limit `jobs` that are in use.
    pub async fn keys(&self) -> usize {
        self.stored().await.iter().map(Lines::len).sum()
    }

    /// How many permits of limit `jobs` are held.
    pub async fn held(&self) -> u32 {
        let stored = self.stored().await;
        stored.iter().flat_map(Lines::iter).map(|(_, line)| line.held(&Scope::All)).sum()
    }

    /// `faas-flow limits`
    pub fn limits(&self, arguments: &[&str]) -> Done {
        run(self.folder.path(), [&["limits"], arguments, &["--state", self.state()]].concat())
    }
}

pub async fn begin(server: &Server, query: &str, id: &str) {
    begin_of("fixture", server, query, id).await;
}

pub async fn begin_of(flow: &str, server: &Server, query: &str, id: &str) {
    let request = server.request(&format!("/function/{flow}?{query}"), "hi").header("X-Faas-Flow-Reqid", id);
    let accepted = server.send(request.header("X-Faas-Flow-Wait", "1ms")).await;
    // It may have ended within that.
    assert!([200, 202].contains(&accepted.status), "{accepted:?}");
}

pub async fn ends(server: &Server, id: &str) -> Answer {
    server.result_of("fixture", id).await
}

//! What runs that sleep cost: how fast other runs are beside very many of them, and how fast very many wake, on two replicas
//! that share a Redis server. The runs are copies of one that has gone to sleep, written into the store directly.

use crate::cell::{FLOWS, Flow, SLEEPING, client, quantile};
use crate::load::{self, Load, Measured};
use crate::redis::Redis;
use crate::server::Server;
use crate::{Options, client::post};
use anyhow::{Context, Result, bail};
use faas_flow_core::{Millis, Partition, RunId};
use faas_flow_store::{Change, Document, Expect, Put, RunEntry, StateStore, open_state};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The runs that wake together.
const WAKING: usize = 100_000;
/// How many are written, or read, at the same time.
const AT_ONCE: usize = 64;
/// The longest that the first run may take to go to sleep, and that all may take to wake.
const PATIENCE: Duration = Duration::from_secs(900);
/// The model sleeps so long, in milliseconds.
const LONG: u64 = 300 * 24 * 3600 * 1000;
/// The bytes of the payload of the other runs.
const SIZE: usize = 64;

/// Measures beside this many runs that sleep on; then others wake together, at most as many.
pub fn measure(options: &Options, echo: SocketAddr, sleeping: usize, time: Duration) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for the store")?;
    let redis = Redis::start(folder.path())?;
    let busy = FLOWS.iter().find(|flow| flow.name == "F2").context("there is no F2")?;
    let replicas = [start(options, echo, &redis, busy)?, start(options, echo, &redis, busy)?];
    let runtime = Runtime::new()?;
    let store = runtime.block_on(open_state(&redis.url()))?;
    let [first, _] = &replicas;
    print("alone", &speed(first, busy, time)?);
    let model = Model::new(&runtime, &store, first)?;
    let began = Instant::now();
    runtime.block_on(model.copy(&store, "sleep", sleeping, model.moment))?;
    eprintln!("wrote {sleeping} runs that sleep in {:.0} s", began.elapsed().as_secs_f64());
    print(&format!("beside {sleeping} runs that sleep"), &speed(first, busy, time)?);
    wake(&runtime, &store, &model, sleeping.min(WAKING))
}

fn start(options: &Options, echo: SocketAddr, redis: &Redis, busy: &Flow) -> Result<Server> {
    let module = options.modules.join(busy.module).with_extension("wasm").display().to_string();
    let more = [module, format!("--state={}", redis.url()), format!("--data-store={}", redis.url())];
    Server::with(options, echo, &SLEEPING, tempfile::tempdir()?, &more)
}

/// With one client, and with sixteen.
fn speed(server: &Server, flow: &Flow, time: Duration) -> Result<[(f64, f64, f64); 2]> {
    let mut rows = [(0.0, 0.0, 0.0); 2];
    for (row, concurrency) in rows.iter_mut().zip([1, 16]) {
        let clients = (0..concurrency).map(|i| client(server, flow, SIZE, i)).collect::<Result<Vec<_>>>()?;
        let Measured { elapsed, mut latencies, .. } = load::run(Load { clients, time, pace: None })?;
        latencies.sort_unstable();
        let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
        *row = (per_second, quantile(&latencies, 0.5), quantile(&latencies, 0.99));
    }
    Ok(rows)
}

fn print(what: &str, [one, many]: &[(f64, f64, f64); 2]) {
    let shown =
        |(per_second, p50, p99): &(f64, f64, f64)| format!("{per_second:.0} runs/s, p50 {p50:.2}, p99 {p99:.2} ms");
    println!("F2 {what}: with 1 client {}; with 16 {}", shown(one), shown(many));
}

/// A run that sleeps, as it is stored.
struct Model {
    id: String,
    documents: Vec<(String, Document)>,
    entry: RunEntry,
    /// Until when it sleeps.
    moment: Millis,
}

impl Model {
    /// Lets one run go to sleep, and waits until no replica has it in memory.
    fn new(runtime: &Runtime, store: &Arc<dyn StateStore>, server: &Server) -> Result<Self> {
        let (id, moment) = ("model-0000000".to_owned(), now() + LONG);
        let body = rfc3339(moment);
        let headers = format!("X-Faas-Flow-Reqid: {id}\r\nX-Faas-Flow-Wait: 1ms\r\n");
        post(server.address, &format!("/function/{}", SLEEPING.module), &headers, body.as_bytes())?;
        let run = RunId::new(&id)?;
        let began = Instant::now();
        let entry = loop {
            let entry = runtime.block_on(store.entry(&run))?;
            if let Some(entry) = entry.filter(|entry| entry.due == Some(moment)) {
                break entry;
            }
            if began.elapsed() > PATIENCE {
                bail!("the run did not go to sleep");
            }
            thread::sleep(Duration::from_millis(100));
        };
        let documents = runtime.block_on(store.read_all(&Partition::of_run(&run)))?;
        Ok(Self { id, documents, entry, moment })
    }

    /// Writes copies that sleep until a moment. `name` has five letters, as the model's.
    async fn copy(&self, store: &Arc<dyn StateStore>, name: &str, count: usize, moment: Millis) -> Result<()> {
        let mut writing: JoinSet<Result<()>> = JoinSet::new();
        for number in 0..count {
            if writing.len() == AT_ONCE
                && let Some(written) = writing.join_next().await
            {
                written??;
            }
            let run = run_id(name, number)?;
            let put = |(doc, document): &(String, Document)| {
                let bytes = replaced(&document.bytes, self.id.as_bytes(), run.as_str().as_bytes());
                let bytes = replaced(&bytes, &stored(self.moment), &stored(moment)).into();
                Put { doc: doc.clone(), expect: Expect::Absent, bytes }
            };
            let puts = self.documents.iter().map(put).collect();
            let entry = Some(RunEntry { run: run.clone(), due: Some(moment), ..self.entry.clone() });
            let (store, change) = (store.clone(), Change { puts, entry, ..Change::default() });
            writing.spawn(async move { Ok(store.commit(&Partition::of_run(&run), change).await.map(drop)?) });
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        Ok(())
    }
}

/// Lets runs wake together, and says when they have ended.
fn wake(runtime: &Runtime, store: &Arc<dyn StateStore>, model: &Model, count: usize) -> Result<()> {
    // As long as it takes to write them, from what a few of them take.
    let (few, began) = (count.min(1000), Instant::now());
    runtime.block_on(model.copy(store, "trial", few, model.moment))?;
    let writing = began.elapsed().mul_f64(1.5 * count as f64 / few as f64);
    let moment = now() + writing.as_millis() as u64 + 15_000;
    runtime.block_on(model.copy(store, "waker", count, moment))?;
    if now() >= moment {
        bail!("the runs were not written before they were to wake");
    }
    eprintln!("wrote {count} runs that wake in {} ms", moment - now());
    let began = Instant::now();
    let mut ended = Vec::with_capacity(count);
    for number in 0..count {
        let run = run_id("waker", number)?;
        // Those that have ended are read once, so that reading them costs the replicas little.
        loop {
            let entry = runtime.block_on(store.entry(&run))?.context("a run is gone")?;
            if let Some(at) = entry.ended {
                break ended.push(Duration::from_millis(at.saturating_sub(moment)));
            }
            if began.elapsed() > writing + PATIENCE {
                bail!("run {number} has not ended");
            }
            thread::sleep(Duration::from_millis(500));
        }
    }
    ended.sort_unstable();
    let last = quantile(&ended, 1.0);
    println!(
        "{count} runs woke together on two replicas: after their moment the first had ended in {:.0} ms, half of them in {:.0} \
         ms, all in {last:.0} ms: {:.0} runs/s",
        quantile(&ended, 0.0),
        quantile(&ended, 0.5),
        count as f64 / (last / 1e3)
    );
    Ok(())
}

fn run_id(name: &str, number: usize) -> Result<RunId> {
    Ok(RunId::new(format!("{name}-{number:07}"))?)
}

/// A moment as it is stored: MessagePack's form of numbers of this size.
fn stored(moment: Millis) -> [u8; 9] {
    let mut bytes = [0xcf; 9];
    if let Some(number) = bytes.get_mut(1..) {
        number.copy_from_slice(&moment.to_be_bytes());
    }
    bytes
}

/// The bytes with each occurrence of `old` replaced by `new`, which is as long.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, part)| *part == old).map(|(at, _)| at).collect();
    for at in places {
        if let Some(part) = bytes.get_mut(at..at + new.len()) {
            part.copy_from_slice(new);
        }
    }
    bytes
}

fn now() -> Millis {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn rfc3339(at: Millis) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_millis(at)).to_string()
}

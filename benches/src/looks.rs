//! What it costs to look at a wide run: a for-each of a hundred thousand items, while it calls a slow function for each of them, and
//! after the end of one without calls. Beside it, a neighbour calls another flow.

use crate::cell::{CALLING, FLOWS, Flow, Store, quantile};
use crate::client::{Client, read_message};
use crate::load::{self, Load};
use crate::server::Server;
use crate::{Options, echo};
use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde_json::Value;
use std::io::{ErrorKind, Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many items the run has.
const ITEMS: usize = 100_000;
/// How long each call takes.
const CALL: Duration = Duration::from_millis(200);
/// The longest that it may take until all items have begun, or until the run has ended.
const PATIENCE: Duration = Duration::from_secs(240);
/// From one look to the next.
const PACE: Duration = Duration::from_millis(100);
/// How many look at the same page of the dashboard at the same time: each gets its changes as a stream of events.
const VIEWERS: [usize; 4] = [0, 1, 30, 50];
/// How long it takes at most until a viewer has the page.
const OPENS: Duration = Duration::from_secs(3);
/// From one request of the neighbour to its next.
const NEIGHBOUR: Duration = Duration::from_millis(5);
/// How long a caller asks to wait for a result that does not come.
const WAIT: Duration = Duration::from_millis(100);

const HTML: &str = "Accept: text/html\r\n";
const JSON: &str = "Accept: application/json\r\n";

/// What was measured of one kind of look. Times are in milliseconds.
#[derive(Serialize)]
struct Row {
    store: &'static str,
    run: &'static str,
    what: &'static str,
    /// The first time that somebody asked.
    first: f64,
    p50: f64,
    p99: f64,
    longest: f64,
    bytes: usize,
}

/// What viewers cost a running run. Processor time is that of the server, in percent of one processor.
#[derive(Serialize)]
struct Cost {
    store: &'static str,
    /// How many look.
    viewers: [usize; 4],
    /// With so many who look. With nobody, it is that of the run and the neighbour alone.
    cpu: [f64; 4],
    /// What each viewer gets, in bytes per second.
    bytes: [f64; 4],
    /// Of the neighbour's requests, in milliseconds.
    neighbour_p99: [f64; 4],
}

/// Measures with each of the stores.
pub fn measure(options: &Options, fast: SocketAddr, stores: &[&Store], time: Duration) -> Result<()> {
    let slow = echo::slow(CALL)?;
    for store in stores {
        eprintln!("{}: a run of {ITEMS} items", store.name);
        let running = begin(options, slow, store, &CALLING)?;
        for row in rows(&running, &CALLING, store.name, "running", time)? {
            print(options, &row, &row.line())?;
        }
        let cost = cost(&running, store.name, time)?;
        print(options, &cost, &cost.line())?;
        drop(running);
        let wide = named("F7")?;
        let ended = begin(options, fast, store, wide)?;
        for row in rows(&ended, wide, store.name, "ended", time)? {
            print(options, &row, &row.line())?;
        }
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Flow> {
    FLOWS.iter().find(|flow| flow.name == name).with_context(|| format!("there is no {name}"))
}

fn print(options: &Options, row: &impl Serialize, line: &str) -> Result<()> {
    if options.json {
        println!("{}", serde_json::to_string(row)?);
    } else {
        println!("{line}");
    }
    Ok(())
}

impl Row {
    fn line(&self) -> String {
        let Self { store, run, what, first, p50, p99, longest, bytes } = self;
        format!(
            "{store:<7} {run:<8} {what:<24} first {first:>8.1}  p50 {p50:>7.2}  p99 {p99:>7.2}  longest {longest:>7.1} ms  {bytes:>7} B"
        )
    }
}

impl Cost {
    fn line(&self) -> String {
        let Self { store, viewers, cpu, bytes, neighbour_p99 } = self;
        let [alone, ..] = *cpu;
        let each = viewers.iter().zip(cpu).zip(bytes).zip(neighbour_p99).map(|(((viewers, cpu), bytes), p99)| {
            format!(
                "{viewers} viewers: {:+.1} % of a processor, {:.1} kB/s for each, neighbour's p99 {p99:.2} ms",
                cpu - alone,
                bytes / 1e3
            )
        });
        format!("{store:<7} running  {alone:.1} % alone; {}", each.collect::<Vec<_>>().join("; "))
    }
}

/// A server with a wide run, all of whose items have begun, or which has ended if it calls nothing.
fn begin(options: &Options, echo: SocketAddr, store: &Store, flow: &Flow) -> Result<Server> {
    let neighbour = options.modules.join("f1.wasm").to_string_lossy().into_owned();
    let server = Server::beside(options, echo, store, flow, &[neighbour])?;
    let path = format!("/function/{}", flow.module);
    let mut stream = TcpStream::connect(server.address).context("cannot connect")?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {}\r\nX-Faas-Flow-Reqid: wide\r\nContent-Length: {ITEMS}\r\n\r\n",
        server.address
    )?;
    stream.write_all(&vec![b'x'; ITEMS])?;
    let mut looker = Looker::new(server.address, &format!("{path}/flow/wide?limit=1"), JSON)?;
    let began = Instant::now();
    loop {
        let (status, body) = looker.look()?;
        let run: Value = if status == 200 { serde_json::from_slice(&body)? } else { Value::Null };
        let nodes = run.get("node_count").and_then(Value::as_u64).unwrap_or_default();
        let state = run.get("status").and_then(Value::as_str).unwrap_or_default();
        if nodes as usize > ITEMS && (flow.name == CALLING.name || state == "succeeded") {
            return Ok(server);
        }
        if began.elapsed() > PATIENCE {
            bail!("after {PATIENCE:?} the run has {nodes} nodes and is {state}");
        }
        thread::sleep(PACE);
    }
}

fn rows(server: &Server, flow: &Flow, store: &'static str, run: &'static str, time: Duration) -> Result<Vec<Row>> {
    let path = format!("/function/{}", flow.module);
    let wait = format!("X-Faas-Flow-Wait: {}ms\r\n", WAIT.as_millis());
    let last = ITEMS - 100;
    let looks = [
        ("state", format!("{path}/flow/wide/state"), JSON, false),
        ("result", format!("{path}/flow/wide/result"), "", false),
        ("result, waiting", format!("{path}/flow/wide/result"), wait.as_str(), run == "running"),
        ("list of runs", format!("{path}/flow"), JSON, false),
        ("dashboard, flows", "/dashboard/".to_owned(), HTML, false),
        ("dashboard, run", "/dashboard/runs/wide".to_owned(), HTML, false),
        ("dashboard, last page", format!("/dashboard/runs/wide?offset={last}"), HTML, false),
        ("dashboard, failed", "/dashboard/runs/wide?failed=true".to_owned(), HTML, false),
        ("nodes as JSON", format!("{path}/flow/wide"), JSON, false),
        ("nodes as JSON, last page", format!("{path}/flow/wide?offset={last}"), JSON, false),
    ];
    let mut rows = Vec::new();
    for (what, path, headers, waits) in looks {
        let mut looker = Looker::new(server.address, &path, headers)?;
        let own = |took: Duration| if waits { took.saturating_sub(WAIT) } else { took };
        let (first, bytes) = looker.timed()?;
        let mut times = looker.poll(time, PACE)?;
        for took in &mut times {
            *took = own(*took);
        }
        times.sort_unstable();
        let (p50, p99, longest) = (quantile(&times, 0.5), quantile(&times, 0.99), quantile(&times, 1.0));
        rows.push(Row { store, run, what, first: own(first).as_secs_f64() * 1e3, p50, p99, longest, bytes });
    }
    Ok(rows)
}

/// Measures nobody who looks, one, and many.
fn cost(server: &Server, store: &'static str, time: Duration) -> Result<Cost> {
    let mut cost = Cost { store, viewers: VIEWERS, cpu: [0.0; 4], bytes: [0.0; 4], neighbour_p99: [0.0; 4] };
    let measured = cost.cpu.iter_mut().zip(&mut cost.bytes).zip(&mut cost.neighbour_p99);
    for (viewers, ((cpu, bytes), p99)) in VIEWERS.into_iter().zip(measured) {
        (*cpu, *bytes, *p99) = with(server, viewers, time)?;
    }
    Ok(cost)
}

/// The server's processor time in percent, what each viewer gets in bytes per second, and the neighbour's p99, while so many look
/// at the run.
fn with(server: &Server, viewers: usize, time: Duration) -> Result<(f64, f64, f64)> {
    let address = server.address;
    let received = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..viewers)
        .map(|_| {
            let (received, stop) = (received.clone(), stop.clone());
            thread::spawn(move || view(address, &received, &stop))
        })
        .collect();
    // Until all of them have the page.
    thread::sleep(OPENS);
    let payload = vec![b'x'; 64];
    let client = Client::new(address, "/function/f1", "", &payload, payload.clone())?;
    let (before, got, began) = (server.cpu()?, received.load(Ordering::Relaxed), Instant::now());
    let mut measured = load::run(Load { clients: vec![client], time, pace: Some(NEIGHBOUR) })?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - before).as_secs_f64() / seconds * 100.0;
    let bytes = (received.load(Ordering::Relaxed) - got) as f64 / seconds / viewers.max(1) as f64;
    measured.latencies.sort_unstable();
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| anyhow!("somebody who looked panicked"))??;
    }
    Ok((cpu, bytes, quantile(&measured.latencies, 0.99)))
}

/// Looks at the page of the run as a browser does, and counts what comes.
fn view(address: SocketAddr, received: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PACE))?;
    let head = "Accept: text/event-stream\r\n\r\n";
    write!(stream, "GET /dashboard/runs/wide HTTP/1.1\r\nHost: {address}\r\n{head}")?;
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => bail!("the stream has ended"),
            Ok(count) => received.fetch_add(count as u64, Ordering::Relaxed),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(error) => return Err(error).context("cannot read the stream"),
        };
    }
    Ok(())
}

/// Somebody who looks at the same thing again and again, on one connection.
struct Looker {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Looker {
    /// `headers` are whole lines.
    fn new(address: SocketAddr, path: &str, headers: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}");
        Ok(Self { stream, request, buffer: vec![0; 1 << 20] })
    }

    /// The status and body of the answer.
    fn look(&mut self) -> Result<(u16, Vec<u8>)> {
        self.stream.write_all(format!("{}\r\n", self.request).as_bytes()).context("cannot send a request")?;
        let answer = read_message(&mut self.stream, &mut self.buffer)?.context("the server closed the connection")?;
        let status = answer.head.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        Ok((status.context("the answer has no status")?, answer.body.to_vec()))
    }

    /// How long an answer took, and how long it is.
    fn timed(&mut self) -> Result<(Duration, usize)> {
        let began = Instant::now();
        let (status, body) = self.look()?;
        let took = began.elapsed();
        if status >= 300 {
            bail!("answered with {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok((took, body.len()))
    }

    /// Looks again and again for this long. An answer that takes longer than the pace holds up the next look.
    fn poll(&mut self, time: Duration, pace: Duration) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        let mut due = Instant::now();
        let until = due + time;
        while Instant::now() < until {
            times.push(self.timed()?.0);
            due += pace;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(times)
    }
}

//! A demonstration: it serves the examples, sends them real input, and shows each run and its result.

use crate::modules::{self, module};
use crate::place::Place;
use crate::run::{Run, program};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A request to send.
struct Show {
    example: &'static str,
    about: &'static str,
    input: Input,
}

enum Input {
    Text(&'static str),
    /// A file, relative to the clone.
    File(&'static str),
}

const SHOWS: [Show; 16] = [
    Show::text("greet", "one node, in Rust", "Ada"),
    Show::text("greet-go", "the same in Go", "Ada"),
    Show::text("greet-typescript", "the same in TypeScript", "Ada"),
    Show::text("greet-c", "the same in C", "Ada"),
    Show::text("greet-python", "the same in Python", "Ada"),
    Show::text("sync-chain", "two functions and a modifier in one node", "hi"),
    Show::text("async-chain", "three nodes in a row", "hi"),
    Show::text("parallel-branching", "two nodes side by side, then a join", "hi"),
    Show::text("dynamic-branching", "a condition, and a for-each inside one of its branches", "hi"),
    Show::text("conditional-branching", "a condition inside a branch of another", "hi"),
    Show::text("invitation", "a flow that calls another one, and a function that takes long", "Ada"),
    Show::text(
        "order",
        "an approval, failures that are caught, items that may fail, a limit, a schedule",
        "Ada\nhat\nunicorn",
    ),
    Show::text(
        "reminder",
        "sleeps until a moment in its data, which has passed",
        r#"{ "text": "Feed the cat", "at": "2025-12-24T18:00:00+01:00" }"#,
    ),
    Show::text("polling", "a repeat, which polls a slow job until it is done", "cake"),
    Show::text("nightly-import", "a flow with a schedule, called by hand", "2026-11-30"),
    Show {
        example: "flights",
        about: "5,000 flights: parse, measure each hour of the day in two functions, report",
        input: Input::File("examples/flights/data/flights-5k.json"),
    },
];

/// The functions that the examples apply; the paths of programs are relative to the clone.
const FUNCTIONS: [&str; 14] = [
    "func1=echo",
    "func2=echo",
    "fake-storage=echo",
    "send=echo",
    "engraver=./examples/invitation/functions/engraver.sh",
    "charge=headers:./examples/order/functions/charge.sh",
    "ship=headers:./examples/order/functions/ship.sh",
    "track=echo",
    "submit-job=./examples/polling/functions/submit-job.sh",
    "job-status=./examples/polling/functions/job-status.sh",
    "fetch-day=./examples/nightly-import/functions/fetch-day.sh",
    "import-rows=./examples/nightly-import/functions/import-rows.sh",
    "delays=./examples/flights/functions/delays.sh",
    "busiest=./examples/flights/functions/busiest.sh",
];

/// How long the server may take until it answers. The first time, it compiles all modules.
const PATIENCE: Duration = Duration::from_secs(300);

/// Builds everything, serves the examples, and calls each of them.
pub fn run(place: &Place) -> Result<()> {
    modules::build(place)?;
    place.build_programs(&["faas-flow"])?;
    let mut server = Server::start(place)?;
    for show in SHOWS {
        eprintln!("\n── {}: {}", show.example, show.about);
        let input = match show.input {
            Input::Text(text) => text.as_bytes().to_vec(),
            Input::File(file) => fs::read(place.root.join(file)).with_context(|| format!("cannot read {file}"))?,
        };
        let Answer { status, run, body } = server.post(&format!("/function/{}", show.example), &input)?;
        // The server writes to the same terminal, so let it finish.
        server.wait_until_shown(&run);
        let result = String::from_utf8_lossy(&body);
        ensure!(status == 200, "{} answered with status {status}: {}", show.example, result.trim());
        println!("{}", result.trim_end());
    }
    let (program, state) = (server.program.clone(), server.state.clone());
    server.stop()?;
    eprintln!("\nThe history of these runs is kept. Look at it with:");
    eprintln!("  {} requests list --state-store {state}", program.display());
    eprintln!("  {} requests show --state-store {state} REQUEST-ID", program.display());
    eprintln!("The flows are in examples/, and README.md shows how to write one.");
    Ok(())
}

impl Show {
    const fn text(example: &'static str, about: &'static str, input: &'static str) -> Self {
        Self { example, about, input: Input::Text(input) }
    }
}

/// `faas-flow serve` with all examples. The process ends when this value is dropped.
struct Server {
    program: PathBuf,
    child: Child,
    address: SocketAddr,
    state: String,
    /// The lines that it printed: one object of JSON for each step of a run.
    shown: Receiver<String>,
}

struct Answer {
    status: u16,
    /// The request id.
    run: String,
    body: Vec<u8>,
}

impl Server {
    fn start(place: &Place) -> Result<Self> {
        let program = place.target.join("debug/faas-flow");
        let folder = std::env::temp_dir().join(format!("faas-flow-demo-{}", std::process::id()));
        let state = format!("sqlite:{}", folder.join("state.db").display());
        let address = free_address().context("cannot find a free port")?;
        let mut serve = Command::new(&program);
        serve.current_dir(&place.root).stdin(Stdio::null()).stdout(Stdio::piped());
        serve.arg("serve").args(SHOWS.map(|show| module(place, show.example)));
        serve.args(["--watch", "--json", "--listen", &address.to_string(), "--state", &state]);
        serve.arg("--data-store").arg(format!("files:{}", folder.join("data").display()));
        for function in FUNCTIONS {
            serve.args(["--function", function]);
        }
        eprintln!("serving the examples");
        let mut child = serve.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let lines = BufReader::new(child.stdout.take().context("the server has no stdout")?).lines();
        let (sender, shown) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut server = Self { program, child, address, state, shown };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it was ready");
            }
            // It listens before the modules are compiled, so only an answer means that it is ready.
            if exchange(self.address, "GET /_/health", b"", Duration::from_secs(1))
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "the server was not ready after {} s", PATIENCE.as_secs());
            sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the end of a run was shown, for a few seconds at most: a run that ends too fast is not shown.
    fn wait_until_shown(&self, run: &str) {
        let ended = |line: &str| line.contains(&format!("\"{run}\"")) && line.contains("\"step\":\"ended\"");
        while self.shown.recv_timeout(Duration::from_secs(5)).is_ok_and(|line| !ended(&line)) {}
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        exchange(self.address, &format!("POST {path}"), body, Duration::from_secs(90))
            .with_context(|| format!("no answer to POST {path}"))
    }

    fn stop(&mut self) -> Result<()> {
        program("kill", &["-TERM", &self.child.id().to_string()]).must("stopping the server")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` it has ended already. After an error there is nothing else to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Sends one request of HTTP/1.0, where the end of the connection ends the answer.
fn exchange(address: SocketAddr, request: &str, body: &[u8], patience: Duration) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    let head = format!(
        "{request} HTTP/1.0\r\nHost: {address}\r\nX-Faas-Flow-Wait: 60s\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the answer has no end of its head")?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let mut ids = headers.filter(|(name, _)| name.eq_ignore_ascii_case("x-faas-flow-reqid"));
    let run = ids.next().map(|(_, id)| id.to_owned()).unwrap_or_default();
    Ok(Answer { status: status.with_context(|| format!("the answer begins with `{}`", head.trim()))?, run, body })
}

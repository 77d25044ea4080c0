//! What a version takes of a server's memory beyond its code, when a hundred are loaded: a run holds each.
//!
//! Two servers get the same hundred pushes and hold as many runs; in one of them all are of one version.

use super::{ask, named, push, version};
use crate::cell::Flow;
use crate::server::Server;
use crate::{Options, echo};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const VERSIONS: u32 = 100;
/// The longest that a run may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// In KiB.
pub fn per_version(options: &Options) -> Result<f64> {
    let cache = tempfile::tempdir().context("cannot make a folder for compiled code")?;
    let flow = named("F6")?;
    let one = resident(options, flow, cache.path(), Active::Never)?;
    let all = resident(options, flow, cache.path(), Active::Each)?;
    let code = code(cache.path())?;
    Ok((all - one - code * f64::from(VERSIONS)) / f64::from(VERSIONS))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Active {
    /// All runs are of the version that the server came with.
    Never,
    /// Each run is of a version of its own.
    Each,
}

/// The resident memory of a server with all its runs, in KiB.
fn resident(options: &Options, flow: &Flow, cache: &Path, active: Active) -> Result<f64> {
    let calls = Arc::new(AtomicUsize::new(0));
    let step = echo::never(calls.clone())?;
    let folder = tempfile::tempdir().context("cannot make a folder for the stores")?;
    let (data, cache) = (format!("files:{}/data", folder.path().display()), cache.display().to_string());
    let more = ["--state", "memory", "--data-store", &data, "--cache", &cache].map(str::to_owned);
    let server = Server::with(options, step, flow, folder, &more)?;
    let path = format!("/function/{}", flow.module);
    let module = fs::read(options.modules.join(flow.module).with_extension("wasm"))?;
    let mut runs = Vec::new();
    for number in 0..VERSIONS {
        let digest = push(server.address, &path, &version(&module, number))?;
        if active == Active::Each {
            ask(server.address, "POST", &format!("{path}/modules/{digest}/activate"), b"")?;
        }
        let mut run = TcpStream::connect(server.address).context("cannot connect")?;
        write!(run, "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\nin", server.address)?;
        runs.push(run);
        let began = Instant::now();
        while calls.load(Ordering::Relaxed) < runs.len() {
            if began.elapsed() > PATIENCE {
                bail!("run {number} does not begin");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(server.memory("VmRSS")? * 1024.0)
}

/// The size of the compiled code of one version, which all share, in KiB.
fn code(cache: &Path) -> Result<f64> {
    let mut sizes = Vec::new();
    for file in fs::read_dir(cache).context("cannot read the cache")? {
        sizes.push(file?.metadata()?.len() as f64 / 1024.0);
    }
    let count = sizes.len() as f64;
    Ok(sizes.into_iter().sum::<f64>() / count)
}

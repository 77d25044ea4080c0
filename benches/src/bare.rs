//! What calls cost without an engine: one client that makes them one after the other, each with the answer of the one before
//! as its body.

use crate::client::Client;
use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::time::{ClockId, clock_gettime};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What to call, and for how long.
#[derive(Clone, Copy)]
pub struct Calls<'a> {
    pub echo: SocketAddr,
    pub calls: usize,
    pub payload: &'a [u8],
    pub time: Duration,
}

/// The processor time in milliseconds of so many calls with the load generator's own client: blocking, with nothing parsed
/// that it does not need.
pub fn socket_cpu_ms(work: Calls<'_>) -> Result<f64> {
    let mut client = Client::new(work.echo, "/", "", work.payload, work.payload.to_vec())?;
    let (until, before) = (Instant::now() + work.time, thread_time());
    let mut rounds = 0_u32;
    while rounds == 0 || Instant::now() < until {
        for _ in 0..work.calls {
            client.run()?;
        }
        rounds += 1;
    }
    Ok((thread_time() - before).as_secs_f64() * 1e3 / f64::from(rounds))
}

/// The processor time in milliseconds of so many calls with the HTTP client that the host uses, in a runtime of one thread,
/// so that no time goes into waking up other threads.
pub fn library_cpu_ms(work: Calls<'_>) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
    runtime.block_on(async {
        let (until, before) = (Instant::now() + work.time, thread_time());
        let mut rounds = 0_u32;
        while rounds == 0 || Instant::now() < until {
            let mut body = Bytes::copy_from_slice(work.payload);
            for _ in 0..work.calls {
                let request = hyper::Request::post(format!("http://{}/", work.echo)).body(Full::new(body))?;
                let answer = client.request(request).await?;
                ensure!(answer.status().is_success(), "answered with {}", answer.status());
                body = answer.into_body().collect().await?.to_bytes();
            }
            ensure!(body == work.payload, "the result is wrong");
            rounds += 1;
        }
        Ok((thread_time() - before).as_secs_f64() * 1e3 / f64::from(rounds))
    })
}

/// The processor time of this thread so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_cost_processor_time() {
        let echo = crate::echo::start().unwrap();
        let work = Calls { echo, calls: 10, payload: b"hello", time: Duration::ZERO };
        for cpu in [socket_cpu_ms(work).unwrap(), library_cpu_ms(work).unwrap()] {
            assert!(cpu > 0.0 && cpu.is_finite(), "{cpu}");
        }
    }
}

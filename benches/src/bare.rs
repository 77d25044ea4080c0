//! What calls cost without an engine: the same client code as the load generator's, which makes them one after the other.

use crate::client::Client;
use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The processor time, in milliseconds, that a client needs for so many calls of the echo function in a row, each with the
/// answer of the one before as its body.
pub fn cpu_ms(echo: SocketAddr, calls: usize, payload: &[u8], time: Duration) -> Result<f64> {
    let mut client = Client::new(echo, "/", "", payload, payload.to_vec())?;
    let (until, before) = (Instant::now() + time, thread_time());
    let mut rounds = 0_u32;
    while rounds == 0 || Instant::now() < until {
        for _ in 0..calls {
            client.run()?;
        }
        rounds += 1;
    }
    Ok((thread_time() - before).as_secs_f64() * 1e3 / f64::from(rounds))
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
        let cpu = cpu_ms(echo, 10, b"hello", Duration::ZERO).unwrap();
        assert!(cpu > 0.0 && cpu.is_finite(), "{cpu}");
    }
}

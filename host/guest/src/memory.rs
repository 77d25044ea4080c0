//! The memory that payloads and flows use together, in the whole process, and its limit.
//!
//! Bytes are reserved before they are held, and given back when the last of their owners drops them. There are three shares
//! of the limit, each of which contains the smaller ones: new requests may use memory up to the half, the data that runs
//! read and receive up to three quarters, and what the flows' code needs and yields up to all of it. So what is needed to
//! finish begun work always has a quarter that nothing new can take.
//!
//! Nothing waits for memory without an end, and nobody who waits for it holds an instance. So there is no deadlock: a
//! reservation that finds no room within its time ends in a failure that may be tried again, whereupon memory is given back.

use bytes::Bytes;
use faas_flow_core::{Code, Failure};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Payloads of fewer bytes are not counted.
const COUNTED: usize = 1024;

/// What memory is reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The body of a request that is being read.
    Request,
    /// The data that runs read from stores and receive from functions.
    Data,
    /// The memory of instances, and what the flow's code yields.
    Code,
}

/// Counts reserved bytes up to a limit.
#[derive(Debug)]
pub struct Memory {
    limit: AtomicUsize,
    reserved: AtomicUsize,
    refused: AtomicU64,
}

/// The memory of this process. There is no limit until one is set.
static PROCESS: Memory = Memory::new(usize::MAX);

impl Memory {
    /// With this limit, in bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), reserved: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// That of this process.
    pub fn of_process() -> &'static Memory {
        &PROCESS
    }

    /// Sets the limit, in bytes.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// The limit, in bytes.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many bytes are reserved.
    pub fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// How many reservations were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// An empty reservation, which can grow.
    pub const fn reservation(&'static self, purpose: Purpose) -> Reservation {
        Reservation { memory: self, purpose, bytes: 0 }
    }

    /// Reserves bytes, if there is room.
    pub fn reserve(&'static self, purpose: Purpose, bytes: usize) -> Result<Reservation, Short> {
        let mut reservation = self.reservation(purpose);
        reservation.grow(bytes).map(|()| reservation)
    }

    fn share(&self, purpose: Purpose) -> usize {
        let limit = self.limit();
        match purpose {
            Purpose::Request => limit / 2,
            Purpose::Data => limit - limit / 4,
            Purpose::Code => limit,
        }
    }
}

/// Reserved bytes, which are given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    memory: &'static Memory,
    purpose: Purpose,
    bytes: usize,
}

impl Reservation {
    /// Reserves more bytes, if there is room.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Short> {
        let share = self.memory.share(self.purpose);
        let before = self.memory.reserved.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > share {
            self.memory.reserved.fetch_sub(bytes, Ordering::Relaxed);
            self.memory.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Short { wanted: bytes, reserved: before, limit: self.memory.limit(), fits: bytes <= share });
        }
        self.bytes += bytes;
        Ok(())
    }

    /// The payload, with which the reservation is given back: when the last clone of it is dropped.
    pub fn hold(self, bytes: impl Into<Bytes>) -> Bytes {
        let bytes = bytes.into();
        // Counting a small payload would cost more than it does.
        if self.bytes < COUNTED { bytes } else { Bytes::from_owner(Held { bytes, _reservation: self }) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes that are counted for as long as they are held.
struct Held {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts a payload that is there already, unless it is small.
pub fn count(purpose: Purpose, bytes: impl Into<Bytes>) -> Result<Bytes, Short> {
    let bytes = bytes.into();
    if bytes.len() < COUNTED {
        return Ok(bytes);
    }
    Ok(PROCESS.reserve(purpose, bytes.len())?.hold(bytes))
}

/// There is not enough memory at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} more bytes are needed, but of the {limit} bytes that payloads and flows may use (memory_limit), {reserved} are in use; {}", if *.fits { "try again, or raise it" } else { "raise it" })]
pub struct Short {
    /// How many bytes were asked for.
    pub wanted: usize,
    /// How many were in use.
    pub reserved: usize,
    /// The limit.
    pub limit: usize,
    /// Whether they would fit if nothing else were in use.
    pub fits: bool,
}

impl From<Short> for Failure {
    fn from(short: Short) -> Self {
        let message = format!("out of memory: {short}");
        if short.fits {
            Failure::retry(Code::OUT_OF_MEMORY, message)
        } else {
            Failure::reject(Code::OUT_OF_MEMORY, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: usize) -> &'static Memory {
        Box::leak(Box::new(Memory::new(limit)))
    }

    #[test]
    fn a_payload_is_counted_until_its_last_clone_is_dropped() {
        let memory = memory(10_000);
        let payload = memory.reserve(Purpose::Data, 6000).unwrap().hold(vec![1; 6000]);
        let part = payload.slice(10..20);
        assert_eq!(memory.reserved(), 6000);
        drop(payload);
        assert_eq!((memory.reserved(), part.len()), (6000, 10));
        drop(part);
        assert_eq!(memory.reserved(), 0);
    }

    #[test]
    fn work_in_progress_has_a_share_that_new_requests_cannot_take() {
        let memory = memory(1000);
        let request = memory.reserve(Purpose::Request, 500).unwrap();
        assert!(memory.reserve(Purpose::Request, 1).is_err());
        let data = memory.reserve(Purpose::Data, 250).unwrap();
        assert!(memory.reserve(Purpose::Data, 1).is_err());
        let code = memory.reserve(Purpose::Code, 250).unwrap();
        let short = memory.reserve(Purpose::Code, 1).unwrap_err();
        assert!(short.fits && Failure::from(short).retry);
        assert_eq!((memory.reserved(), memory.refused()), (1000, 3));
        drop((request, data, code));
        assert_eq!(memory.reserved(), 0);
        assert!(!Failure::from(memory.reserve(Purpose::Code, 1001).unwrap_err()).retry);
    }

    #[test]
    fn a_reservation_that_cannot_grow_keeps_what_it_has() {
        let memory = memory(1000);
        let mut reservation = memory.reserve(Purpose::Code, 900).unwrap();
        assert!(reservation.grow(200).is_err());
        assert_eq!(memory.reserved(), 900);
        reservation.grow(100).unwrap();
        drop(reservation);
        assert_eq!(memory.reserved(), 0);
    }
}

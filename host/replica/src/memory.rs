//! Waiting for memory, for a while.

use super::instances::ROOM_RETRIES;
use faas_flow_core::Failure;
use faas_flow_guest::{Memory, Purpose, Reservation, Short};
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait. Then what needs the memory fails, so that others get what it holds itself.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An empty reservation for data that is going to be read.
pub(crate) fn reservation() -> Reservation {
    Memory::of_process().reservation(Purpose::Data)
}

/// Reserves memory for data that a run reads or receives, as soon as there is room.
pub(crate) async fn reserve(bytes: u64) -> Result<Reservation, Failure> {
    let mut reservation = reservation();
    grow(&mut reservation, usize::try_from(bytes).unwrap_or(usize::MAX)).await?;
    Ok(reservation)
}

/// Reserves more, as soon as there is room.
pub(crate) async fn grow(reservation: &mut Reservation, bytes: usize) -> Result<(), Short> {
    // Usually there is room.
    let Err(mut short) = reservation.grow(bytes) else { return Ok(()) };
    let began = Instant::now();
    let mut delays = ROOM_RETRIES.delays(|| 0.0);
    while short.fits
        && began.elapsed() < LONGEST_WAIT
        && let Some(delay) = delays.next()
    {
        tokio::time::sleep(delay).await;
        match reservation.grow(bytes) {
            Ok(()) => return Ok(()),
            Err(still) => short = still,
        }
    }
    Err(short)
}

//! Whether the stores take what this replica writes. Each write is noted; when nothing has been written for a while, or the
//! latest write failed, a replica that is asked whether it is ready writes a probe.

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{Code, Partition};
use faas_flow_store::{Change, CommitError, DataKey, DataStore, Expect, Put, StateStore, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long it is believed that a store takes writes, after it took one.
const BELIEVED: Duration = Duration::from_secs(5);
/// How long it is believed that it takes none. Those who ask more often do not cost more.
const DOUBTED: Duration = Duration::from_secs(1);
/// How long a probe may take before the answer is that the store does not answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The name of the document, or of the data, that is a probe.
const PROBE: &str = "probe";

/// How the latest write to a store went.
#[derive(Default)]
pub(crate) struct Writes {
    latest: Mutex<Option<Latest>>,
    /// Held by the one probe that is on its way.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Latest {
    at: Instant,
    answer: Result<(), StoreError>,
}

impl Writes {
    /// Notes how a write ended, unless that says nothing about other writes.
    pub(crate) fn note(&self, answer: Result<(), &StoreError>) {
        if answer.is_err_and(|error| matches!(error.code(), Code::CHANGE_TOO_LARGE | Code::STORE_CORRUPT)) {
            return;
        }
        let latest = Latest { at: Instant::now(), answer: answer.map_err(Clone::clone) };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(latest);
    }

    /// How the latest write ended; `None` if there was none, or it was too long ago to say anything.
    fn known(&self, believed: Duration) -> Option<Result<(), StoreError>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |latest: &&Latest| latest.at.elapsed() < if latest.answer.is_ok() { believed } else { DOUBTED };
        latest.as_ref().filter(counts).map(|latest| latest.answer.clone())
    }

    fn latest(&self) -> Option<Result<(), StoreError>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|latest| latest.answer.clone())
    }

    /// Answers with what is known, or else writes a probe. A probe that takes long goes on alone, so that the store's own
    /// time limit ends it and the store connects again.
    async fn check(
        self: &Arc<Self>,
        place: &str,
        believed: Duration,
        probe: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StoreError> {
        if let Some(known) = self.known(believed) {
            return known;
        }
        let probed = async {
            let turn = self.turn.clone().lock_owned().await;
            if self.known(believed).is_none() {
                let probe = async {
                    probe.await;
                    drop(turn);
                };
                // If it panics, the latest write is as it was.
                let _ = tokio::spawn(probe).await;
            }
        };
        let hangs = timeout(PATIENCE, probed).await.is_err();
        match self.latest() {
            Some(Err(error)) => Err(error),
            _ if hangs => {
                let reason = format!("a small commit had no answer for {} s", PATIENCE.as_secs());
                Err(StoreError::Unavailable { place: place.to_owned(), reason })
            }
            _ => Ok(()),
        }
    }
}

/// Whether the state store takes commits.
pub(crate) async fn check_state(writes: &Arc<Writes>, store: &Arc<dyn StateStore>) -> Result<(), StoreError> {
    let store = store.clone();
    let put = Put { doc: PROBE.to_owned(), expect: Expect::Any, bytes: Bytes::new() };
    let probe = async move {
        // The store notes it.
        let _ = store.commit(&Partition::of_probes(), Change { puts: vec![put], ..Change::default() }).await;
    };
    writes.check("of the state", BELIEVED, probe).await
}

/// Whether the data store takes values. Unlike that of the state, it is written seldom, so that it is only asked again if the
/// latest write failed.
pub(crate) async fn check_data(writes: &Arc<Writes>, store: &Arc<dyn DataStore>) -> Result<(), StoreError> {
    if writes.latest().is_none_or(|answer| answer.is_ok()) {
        return Ok(());
    }
    let Ok(key) = DataKey::new(Partition::of_probes(), PROBE) else { return Ok(()) };
    let store = store.clone();
    let probe = async move {
        let _ = store.put(&key, Bytes::from_static(PROBE.as_bytes())).await;
    };
    writes.check("of the data", Duration::MAX, probe).await
}

/// A data store whose writes are noted.
pub(crate) struct Noted {
    inner: Arc<dyn DataStore>,
    writes: Arc<Writes>,
}

impl Noted {
    pub(crate) fn new(inner: Arc<dyn DataStore>, writes: Arc<Writes>) -> Self {
        Self { inner, writes }
    }
}

#[async_trait]
impl DataStore for Noted {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        let answer = self.inner.put(key, bytes).await;
        self.writes.note(answer.as_ref().copied());
        answer
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.inner.delete(partition).await
    }

    async fn keep(&self, partition: &Partition) -> Result<(), StoreError> {
        self.inner.keep(partition).await
    }
}

/// What the end of a commit says about the store.
pub(crate) fn of_commit<T>(answer: &Result<T, CommitError>) -> Result<(), &StoreError> {
    match answer {
        Ok(_) | Err(CommitError::Conflict) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> StoreError {
        StoreError::Full { place: "here".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_probed_only_when_nothing_else_tells() {
        let writes = Arc::new(Writes::default());
        let probes = Arc::new(Mutex::new(Vec::new()));
        let ask = async |answer: Result<(), StoreError>| {
            let (noting, counted) = (writes.clone(), probes.clone());
            let probe = async move {
                counted.lock().unwrap().push(());
                noting.note(answer.as_ref().copied());
            };
            let known = writes.check("here", BELIEVED, probe).await;
            (known, std::mem::take(&mut *probes.lock().unwrap()).len())
        };
        assert_eq!(ask(Ok(())).await, (Ok(()), 1), "nothing is known at first");
        assert_eq!(ask(Err(full())).await, (Ok(()), 0), "a moment ago it took a write");
        tokio::time::advance(BELIEVED).await;
        assert_eq!(ask(Err(full())).await, (Err(full()), 1));
        assert_eq!(ask(Ok(())).await, (Err(full()), 0), "a moment ago it took none");
        writes.note(Ok(()));
        assert_eq!(ask(Err(full())).await, (Ok(()), 0), "a write of somebody else counts");
        let own = StoreError::Corrupt { place: "here".into(), reason: "one run is".into() };
        writes.note(Err(&own));
        assert_eq!(ask(Err(full())).await, (Ok(()), 0), "an error of one run says nothing about others");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_takes_no_writes_and_is_asked_once() {
        let writes = Arc::new(Writes::default());
        let begun = Arc::new(Mutex::new(0));
        let hang = || {
            let begun = begun.clone();
            async move {
                *begun.lock().unwrap() += 1;
                std::future::pending().await
            }
        };
        for _ in 0..3 {
            let error = writes.check("here", BELIEVED, hang()).await.unwrap_err();
            assert_eq!(error.code(), Code::STORE_UNAVAILABLE);
        }
        assert_eq!(*begun.lock().unwrap(), 1);
        writes.note(Ok(()));
        assert_eq!(writes.check("here", BELIEVED, hang()).await, Ok(()));
    }
}

//! A run's entry in the list of runs as JSON, for backends without columns.

use crate::{RunEntry, RunFailure};
use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName, Labels, Millis, RunId, Status};
use serde::{Deserialize, Serialize};

/// The stored form: fields may be added, but not changed or removed.
#[derive(Serialize, Deserialize)]
struct StoredEntry {
    run: RunId,
    flow: FlowName,
    digest: Digest,
    status: Status,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<StoredFailure>,
    started: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Millis>,
}

/// How the run has failed.
#[derive(Serialize, Deserialize)]
struct StoredFailure {
    code: Code,
    message: String,
}

/// Encodes an entry as JSON.
pub(crate) fn encode(entry: &RunEntry) -> Bytes {
    let RunEntry { run, flow, digest, status, labels, failure, started, ended, due } = entry.clone();
    let failure = failure.map(|RunFailure { code, message }| StoredFailure { code, message });
    let stored = StoredEntry { run, flow, digest, status, labels, failure, started, ended, due };
    // Strings and numbers can always be encoded.
    serde_json::to_vec(&stored).unwrap_or_default().into()
}

/// Decodes what [`encode`] has written. The error says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<RunEntry, String> {
    let stored: StoredEntry =
        serde_json::from_slice(bytes).map_err(|error| format!("the entry of a run is malformed: {error}"))?;
    let StoredEntry { run, flow, digest, status, labels, failure, started, ended, due } = stored;
    let failure = failure.map(|StoredFailure { code, message }| RunFailure { code, message });
    Ok(RunEntry { run, flow, digest, status, labels, failure, started, ended, due })
}

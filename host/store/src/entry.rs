//! A run's entry in the list of runs as JSON, for backends without columns.

use crate::RunEntry;
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Labels, Millis, RunId, Status};
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
    started: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Millis>,
}

/// Encodes an entry as JSON.
pub(crate) fn encode(entry: &RunEntry) -> Bytes {
    let RunEntry { run, flow, digest, status, labels, started, ended, due } = entry.clone();
    let stored = StoredEntry { run, flow, digest, status, labels, started, ended, due };
    // Strings and numbers can always be encoded.
    serde_json::to_vec(&stored).unwrap_or_default().into()
}

/// Decodes what [`encode`] has written. The error says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<RunEntry, String> {
    let stored: StoredEntry =
        serde_json::from_slice(bytes).map_err(|error| format!("the entry of a run is malformed: {error}"))?;
    let StoredEntry { run, flow, digest, status, labels, started, ended, due } = stored;
    Ok(RunEntry { run, flow, digest, status, labels, started, ended, due })
}

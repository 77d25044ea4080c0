//! A run's line in the list of runs, as servers without columns keep it.

use crate::RunEntry;
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Millis, RunId, Status};
use serde::{Deserialize, Serialize};

/// Stored, so fields may be added and not changed.
#[derive(Serialize, Deserialize)]
struct Line {
    run: RunId,
    flow: FlowName,
    digest: Digest,
    status: Status,
    started: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Millis>,
}

/// The entry as JSON.
pub(crate) fn encode(entry: &RunEntry) -> Bytes {
    let RunEntry { run, flow, digest, status, started, ended, due } = entry.clone();
    let line = Line { run, flow, digest, status, started, ended, due };
    // Strings and numbers always encode.
    serde_json::to_vec(&line).unwrap_or_default().into()
}

/// The entry that [`encode`] wrote, or what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<RunEntry, String> {
    let line: Line =
        serde_json::from_slice(bytes).map_err(|error| format!("the entry of a run is malformed: {error}"))?;
    let Line { run, flow, digest, status, started, ended, due } = line;
    Ok(RunEntry { run, flow, digest, status, started, ended, due })
}

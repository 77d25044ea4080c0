//! What the flow's code has logged, as far as it is kept with the run: in a document of its own for each claim of a node, which is
//! part of the commit with the node's report, so that it costs no commit and no read.

use super::host::Host;
use super::live::Live;
use super::notes::Notes;
use crate::Error;
use faas_flow_core::NodePath;
use faas_flow_core::run::{KeptLog, LogPart, encode};
use faas_flow_guest::NodeLog;
use faas_flow_session::Documents;
use faas_flow_store::{Expect, Put};
use faas_flow_versions::logs::{RunLog, read_log};
use std::sync::PoisonError;

impl Live {
    /// The notes of a node that is about to be executed.
    pub(super) fn new_notes(&self) -> Notes {
        if self.services.settings.run_logs == 0 {
            return Notes::default();
        }
        Notes::with_log(NodeLog::new(self.log_budget.clone()))
    }

    /// Takes what the node's code has logged: its document, which is to be committed with the report, goes to `documents`.
    pub(super) async fn keep_log(&self, path: &NodePath, notes: &Notes, documents: &mut Documents) -> Option<KeptLog> {
        let (lines, dropped) = notes.log()?.take();
        if lines.is_empty() && dropped == 0 {
            return None;
        }
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let kept = KeptLog { mark: fastrand::u64(..), lines: count, dropped };
        let Some(doc) = kept.doc() else { return Some(kept) };
        let part = LogPart { path: path.clone(), trace: self.log.trace().map(str::to_owned), lines };
        let document = (doc, encode(&part).into());
        if self.is_in_memory() {
            // While the session is locked, the run cannot be made durable, which would miss these lines.
            let _session = self.lock().await;
            if self.is_in_memory() {
                self.logs.lock().unwrap_or_else(PoisonError::into_inner).push(document);
                return Some(kept);
            }
        }
        documents.push(document);
        Some(kept)
    }

    /// The documents with the log of a run in memory.
    pub(super) fn log_documents(&self) -> Documents {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, as parts of the change that stores the run's history.
    pub(super) fn log_puts(&self) -> impl Iterator<Item = Put> {
        self.log_documents().into_iter().map(|(doc, bytes)| Put { doc, expect: Expect::Any, bytes })
    }
}

impl Host {
    /// What is kept of the log of a stored run; `None` if there is no such run. With `node`, only that of one node.
    pub async fn log_of(&self, run: &faas_flow_core::RunId, node: Option<&NodePath>) -> Result<Option<RunLog>, Error> {
        self.runs.written(run).await;
        Ok(read_log(&*self.services.state, run, node).await?)
    }
}

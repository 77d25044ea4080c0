//! What is kept with a run besides its state: what its code has logged, and what its operations got and yielded. It is in documents
//! of their own for each claim of a node, which are part of the commit with the node's report, so that it costs no commit and no
//! read.

use super::host::Host;
use super::live::Live;
use super::notes::Notes;
use super::operations::NodeOperations;
use crate::Error;
use bytes::Bytes;
use faas_flow_core::run::{KeptLog, KeptOperations, LogPart, OperationsPart, encode};
use faas_flow_core::{NodePath, RunId};
use faas_flow_guest::NodeLog;
use faas_flow_session::Documents;
use faas_flow_store::{Expect, Put};
use faas_flow_versions::logs::{RunLog, read_log};
use faas_flow_versions::operations::{KeptData, read_operations};
use std::sync::PoisonError;

impl Live {
    /// The notes of a node that is about to be executed.
    pub(super) fn new_notes(&self) -> Notes {
        let settings = &self.services.settings;
        let log = (settings.run_logs > 0).then(|| NodeLog::new(self.log_budget.clone()));
        let operations = (settings.run_payloads > 0).then(|| NodeOperations::new(self.operations_budget.clone()));
        Notes::keeping(log, operations)
    }

    /// Takes what the node's code has logged: its document, which is to be committed with the report, goes to `documents`.
    pub(super) async fn keep_log(&self, path: &NodePath, notes: &Notes, documents: &mut Documents) -> Option<KeptLog> {
        let (lines, dropped) = notes.log()?.take();
        if lines.is_empty() && dropped == 0 {
            return None;
        }
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let kept = KeptLog { mark: fastrand::u64(..), lines: count, dropped };
        if let Some(doc) = kept.doc() {
            let part = LogPart { path: path.clone(), trace: self.log.trace().map(str::to_owned), lines };
            self.keep_document((doc, encode(&part).into()), documents).await;
        }
        Some(kept)
    }

    /// Takes what the node's operations got and yielded, in the same way.
    pub(super) async fn keep_operations(
        &self,
        path: &NodePath,
        notes: &Notes,
        documents: &mut Documents,
    ) -> Option<KeptOperations> {
        let (data, previews, dropped) = notes.operations()?.take();
        if data.is_empty() && dropped == 0 {
            return None;
        }
        let count = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let kept = KeptOperations { mark: fastrand::u64(..), kept: count, dropped };
        if let Some(doc) = kept.doc() {
            let redact = self.services.settings.redact.texts();
            let part = OperationsPart { path: path.clone(), redact, data, previews };
            self.keep_document((doc, encode(&part).into()), documents).await;
        }
        Some(kept)
    }

    async fn keep_document(&self, document: (String, Bytes), documents: &mut Documents) {
        if self.is_in_memory() {
            // While the session is locked, the run cannot be made durable, which would miss this document.
            let _session = self.lock().await;
            if self.is_in_memory() {
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(document);
                return;
            }
        }
        documents.push(document);
    }

    /// The documents that a run in memory keeps.
    pub(super) fn kept_documents(&self) -> Documents {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, as parts of the change that stores the run's history.
    pub(super) fn kept_puts(&self) -> impl Iterator<Item = Put> {
        self.kept_documents().into_iter().map(|(doc, bytes)| Put { doc, expect: Expect::Any, bytes })
    }
}

impl Host {
    /// What is kept of the log of a stored run; `None` if there is no such run. With `node`, only that of one node.
    pub async fn log_of(&self, run: &RunId, node: Option<&NodePath>) -> Result<Option<RunLog>, Error> {
        self.runs.written(run).await;
        Ok(read_log(&*self.services.state, run, node).await?)
    }

    /// What is kept of what the operations of a node got and yielded; `None` if the run has no such node.
    pub async fn operations_of(&self, run: &RunId, node: &NodePath) -> Result<Option<KeptData>, Error> {
        self.runs.written(run).await;
        Ok(read_operations(&*self.services.state, run, node).await?)
    }
}

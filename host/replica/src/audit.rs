//! The audit log: what operators have asked for, or have tried to, who it was, and what came of it.
//!
//! Each entry is an event of the log with the target `audit`, and the latest ones are kept in the state store: in pages of
//! `PAGE` entries, of which a ring of documents has the latest. The store has no way to delete a document, so one that is too
//! old is emptied.

use crate::host::Host;
use faas_flow_core::run::Actor;
use faas_flow_core::{Code, FlowName, Millis, Partition, RunId};
use faas_flow_store::{Change, Check, CommitError, Document, Expect, Put, StateStore, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many entries a document has.
const PAGE: u64 = 100;
/// How many documents there are.
const PAGES: u64 = 1001;
/// The most entries that can be kept.
pub const LONGEST_AUDIT: usize = ((PAGES - 1) * PAGE) as usize;
/// How many refused attempts a replica stores in an hour, so that their senders do not push out what was done.
const REFUSED: usize = 200;
const HOUR: Millis = 60 * 60 * 1000;
/// How often an entry is written, if others write at the same moment.
const TRIES: usize = 20;
/// The longest wait before another try, in milliseconds.
const BETWEEN: u64 = 20;
/// The document that names the latest page.
const HEAD: &str = "head";

/// Something that somebody has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AuditEntry {
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    pub at: Millis,
    /// What: the id of an operation of the OpenAPI document, or `start` for a run that was started on the dashboard.
    pub action: String,
    /// Who, from where, and why.
    #[serde(flatten)]
    #[schema(value_type = crate::audit::ActorSchema, inline)]
    pub actor: Actor,
    /// The flow that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub flow: Option<FlowName>,
    /// The run that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub run: Option<RunId>,
    /// What it concerns besides, such as a node, a version or a schedule: the rest of the request's path and its query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// The code of the error, unless it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub code: Option<Code>,
}

/// Who asked for something, from where, and why.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes `Actor`, whose crate knows nothing of documents")]
pub struct ActorSchema {
    /// Their name.
    who: Option<String>,
    /// How the server knows: `token`, `admin-token` or `proxy`.
    via: Option<String>,
    /// The address from which they asked.
    from: Option<String>,
    /// Why, in their words.
    reason: Option<String>,
}

/// What came of something that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// The token does not have the right to it.
    Refused,
    /// It could not be done.
    Failed,
}

impl AuditOutcome {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Some entries, the latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<u64>,
}

/// What this replica is about to store, and how many refusals it has stored lately.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pending: Mutex<Vec<AuditEntry>>,
    /// Held by who writes.
    writing: tokio::sync::Mutex<()>,
    refused: Mutex<(Millis, usize)>,
}

impl Audit {
    /// Whether another refusal is stored at this moment.
    fn has_room(&self, now: Millis) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= refused.0.saturating_add(HOUR) {
            *refused = (now, 0);
        }
        refused.1 += 1;
        refused.1 <= REFUSED
    }

    fn take(&self) -> Vec<AuditEntry> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which page is the latest. Numbers begin at 0.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Head {
    latest: u64,
}

/// A page, which may be that of an earlier round of the ring.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Page {
    number: u64,
    entries: Vec<AuditEntry>,
}

impl Host {
    /// Logs an entry and stores it. If it cannot be stored, that is logged, and nothing else is affected.
    pub async fn audit(&self, entry: AuditEntry) {
        log(&entry);
        let kept = self.services.settings.audit_length as u64;
        let audit = &self.services.audit;
        if kept == 0 || (entry.outcome == AuditOutcome::Refused && !audit.has_room(self.now())) {
            return;
        }
        audit.pending.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        // The first one to come here writes the entries of those who wait, too.
        let _writing = audit.writing.lock().await;
        let entries = audit.take();
        if entries.is_empty() {
            return;
        }
        let count = entries.len();
        if let Err(error) = append(&*self.services.state, entries, kept).await {
            tracing::warn!(code = %error.code(), %error, count, "audit entries not stored");
        }
    }

    /// At most `limit` stored entries, the latest first, from a place that an earlier page has named; those about one flow, or all.
    pub async fn audit_log(
        &self,
        flow: Option<&FlowName>,
        from: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let store = &*self.services.state;
        let (head, _) = read_head(store).await?;
        let kept = self.services.settings.audit_length as u64;
        let oldest = oldest(head.latest, kept);
        let mut place = from.unwrap_or(u64::MAX).min(head.latest * PAGE + PAGE - 1);
        let mut found = AuditPage::default();
        loop {
            let number = place / PAGE;
            if number < oldest {
                return Ok(found);
            }
            let (page, _) = read_page(store, number).await?;
            for (index, entry) in page.entries.iter().enumerate().rev() {
                let index = index as u64;
                if index > place % PAGE {
                    continue;
                }
                if flow.is_some_and(|flow| entry.flow.as_ref() != Some(flow)) {
                    continue;
                }
                if found.entries.len() == limit {
                    found.next = Some(number * PAGE + index);
                    return Ok(found);
                }
                found.entries.push(entry.clone());
            }
            match number.checked_sub(1) {
                Some(before) => place = before * PAGE + PAGE - 1,
                None => return Ok(found),
            }
        }
    }
}

/// The number of the oldest page that is kept.
fn oldest(latest: u64, kept: u64) -> u64 {
    latest.saturating_sub(kept.div_ceil(PAGE).min(PAGES - 1))
}

fn log(entry: &AuditEntry) {
    let AuditEntry { at: _, action, actor, flow, run, target, outcome, code } = entry;
    let Actor { who, via, from, reason } = actor;
    let flow = flow.as_ref().map(FlowName::as_str);
    let run = run.as_ref().map(RunId::as_str);
    let code = code.map(|code| code.to_string());
    tracing::info!(
        target: "audit",
        action, who, via, from, reason, flow, run, target, code, outcome = outcome.as_str(),
        "operator's action"
    );
}

/// Stores entries behind all others.
async fn append(store: &dyn StateStore, entries: Vec<AuditEntry>, kept: u64) -> Result<(), CommitError> {
    let mut entries = entries.into_iter().peekable();
    let mut tries = 0;
    while entries.peek().is_some() {
        let (head, head_version) = read_head(store).await?;
        let (mut page, mut version) = read_page(store, head.latest).await?;
        let mut change = Change::default();
        if page.entries.len() as u64 >= PAGE {
            let latest = head.latest + 1;
            (_, version) = read_page(store, latest).await?;
            page = Page { number: latest, entries: Vec::new() };
            change.puts.push(put(HEAD, Expect::Version(head_version), &Head { latest }));
            if let Some(old) = oldest(latest, kept).checked_sub(1).filter(|old| slot(*old) != slot(latest)) {
                change.puts.push(put(&slot(old), Expect::Any, &Page { number: old, entries: Vec::new() }));
            }
        } else {
            change.checks.push(Check { doc: HEAD.to_owned(), version: head_version });
        }
        let room = usize::try_from(PAGE).unwrap_or_default() - page.entries.len();
        let mut rest = entries.clone();
        page.entries.extend(rest.by_ref().take(room));
        change.puts.push(put(&slot(page.number), Expect::Version(version), &page));
        match store.commit(&Partition::of_audit(), change).await {
            Ok(_) => entries = rest,
            Err(CommitError::Conflict) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=BETWEEN))).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn slot(number: u64) -> String {
    format!("page/{}", number % PAGES)
}

fn put(doc: &str, expect: Expect, content: &impl Serialize) -> Put {
    // Names and numbers can always be written.
    Put { doc: doc.to_owned(), expect, bytes: serde_json::to_vec(content).unwrap_or_default().into() }
}

async fn read_head(store: &dyn StateStore) -> Result<(Head, u64), StoreError> {
    read(store, HEAD).await
}

/// A page of this number, which is empty if there is none, and the version of its document.
async fn read_page(store: &dyn StateStore, number: u64) -> Result<(Page, u64), StoreError> {
    let (page, version): (Page, u64) = read(store, &slot(number)).await?;
    let page = if page.number == number { page } else { Page { number, entries: Vec::new() } };
    Ok((page, version))
}

/// A document, or what it is while there is none. One that cannot be read is replaced: it must not stop the log.
async fn read<T: Default + serde::de::DeserializeOwned>(
    store: &dyn StateStore,
    doc: &str,
) -> Result<(T, u64), StoreError> {
    let found = store.read(&Partition::of_audit(), &[doc.to_owned()]).await?;
    let Some(Document { version, bytes }) = found.into_iter().next().flatten() else { return Ok((T::default(), 0)) };
    let content = serde_json::from_slice(&bytes).inspect_err(|error| {
        tracing::warn!(doc, %error, "malformed document of the audit log");
    });
    Ok((content.unwrap_or_default(), version))
}

#[cfg(test)]
mod tests;

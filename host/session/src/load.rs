//! Builds the state of a run from stored documents.

use faas_flow_core::run::{ANSWERS, Doc, EarlySignals, Event, RunState, Signal, Unreadable, decode};
use faas_flow_store::Document;

/// The state of a run from all its documents. `None` if the run's own document is not among them.
pub fn load_all(mut documents: Vec<(String, Document)>) -> Result<Option<RunState>, Unreadable> {
    let run = Doc::Run.name();
    let Some(at) = documents.iter().position(|(name, _)| *name == run) else { return Ok(None) };
    let (_, document) = documents.swap_remove(at);
    let mut state = RunState::load(decode(&document.bytes)?, document.version);
    for (name, document) in documents {
        if let Some(doc) = Doc::parse(&name) {
            load_doc(&mut state, doc, &document)?;
        }
    }
    Ok(Some(state))
}

/// Takes a stored document of the run other than its own.
fn load_doc(state: &mut RunState, doc: Doc, Document { bytes, version }: &Document) -> Result<(), Unreadable> {
    match doc {
        Doc::Run => {}
        Doc::Scope(_) => state.load_scope(decode(bytes)?, *version),
        Doc::Signal(name) => state.load_signal(name, decode(bytes)?, *version),
        Doc::EarlySignals => state.load_early_signals(decode(bytes)?, *version),
    }
    Ok(())
}

/// The version of the document that each answer writes; 0 if none has come.
pub(crate) fn answers(documents: &[(String, Document)]) -> u64 {
    documents.iter().find(|(name, _)| name == ANSWERS).map_or(0, |(_, document)| document.version)
}

/// Whether the document of the run itself is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredRun {
    Found,
    /// The documents after it were not replaced.
    Missing,
}

/// Replaces loaded documents by what is stored, and drops scopes that are not stored.
pub(crate) fn reload(
    state: &mut RunState,
    docs: &[Doc],
    documents: Vec<Option<Document>>,
) -> Result<StoredRun, Unreadable> {
    for (doc, document) in docs.iter().zip(documents) {
        match (doc, document) {
            (Doc::Run, None) => return Ok(StoredRun::Missing),
            (Doc::Run, Some(document)) => state.reload_run(decode(&document.bytes)?, document.version),
            (Doc::Scope(path), None) => state.forget_scope(path),
            (Doc::Signal(name), None) => state.load_signal(name.clone(), Signal::default(), 0),
            (Doc::EarlySignals, None) => state.load_early_signals(EarlySignals::default(), 0),
            (doc, Some(document)) => load_doc(state, doc.clone(), &document)?,
        }
    }
    Ok(StoredRun::Found)
}

/// The documents that an event may need.
pub fn documents_for(event: &Event) -> Vec<Doc> {
    match event.what() {
        Event::Claim { path, .. }
        | Event::Tried { path, .. }
        | Event::Complete { path, .. }
        | Event::Joined { path, .. }
        | Event::Answer { path, .. }
        | Event::CutOff { path, .. } => Doc::around(path),
        Event::Rerun { from: Some(from) } => Doc::around(&from.path),
        Event::Signal(sent) => vec![Doc::Run, Doc::Signal(sent.name.clone())],
        _ => vec![Doc::Run],
    }
}

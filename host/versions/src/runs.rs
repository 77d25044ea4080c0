//! From the stored documents of a run to its state.

use super::error::Error;
use faas_flow_core::run::{Doc, RunState, RunView, decode};
use faas_flow_core::{NodePath, Partition, RunId, ScopePath};
use faas_flow_store::{Document, StateStore};
use serde::de::DeserializeOwned;

/// After how many documents others have their turn: a run may have a hundred thousand.
const AT_ONCE: usize = 500;

/// Loads a run with all of its documents but those that hold data; none if the store does not know it.
pub async fn load(store: &dyn StateStore, run: &RunId) -> Result<Option<RunState>, Error> {
    let mut documents = store.read_progress(&Partition::of_run(run)).await?;
    let Some(at) = documents.iter().position(|(name, _)| name == "run") else { return Ok(None) };
    let (_, document) = documents.swap_remove(at);
    let mut state = RunState::load(read(run, &document)?, document.version);
    for (at, (name, document)) in documents.into_iter().enumerate() {
        if at % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        match Doc::parse(&name) {
            Some(Doc::Scope(_)) => state.load_scope(read(run, &document)?, document.version),
            Some(Doc::Signal(name)) => state.load_signal(name, read(run, &document)?, document.version),
            Some(Doc::EarlySignals) => state.load_early_signals(read(run, &document)?, document.version),
            Some(Doc::Run) | None => {}
        }
    }
    Ok(Some(state))
}

/// Loads a run with the documents that executing a node needs; none if the store does not know it.
pub async fn load_around(store: &dyn StateStore, run: &RunId, path: &NodePath) -> Result<Option<RunState>, Error> {
    load_some(store, run, &Doc::around(path)).await
}

/// Loads a run without its scopes; none if the store does not know it.
pub async fn load_run(store: &dyn StateStore, run: &RunId) -> Result<Option<RunState>, Error> {
    load_some(store, run, &[Doc::Run]).await
}

/// Loads some documents, of which the run itself comes first and the others are scopes; none if the store does not know the run.
pub async fn load_some(store: &dyn StateStore, run: &RunId, docs: &[Doc]) -> Result<Option<RunState>, Error> {
    let names: Vec<String> = docs.iter().map(Doc::name).collect();
    let mut documents = store.read(&Partition::of_run(run), &names).await?.into_iter();
    let Some(document) = documents.next().flatten() else { return Ok(None) };
    let mut state = RunState::load(read(run, &document)?, document.version);
    for document in documents.flatten() {
        state.load_scope(read(run, &document)?, document.version);
    }
    Ok(Some(state))
}

/// Decodes one document of a run.
pub fn read<T: DeserializeOwned>(run: &RunId, document: &Document) -> Result<T, Error> {
    decode(&document.bytes).map_err(|source| Error::RunUnreadable { run: run.clone(), source })
}

/// A stored run as it is shown to people; none if the store does not know it.
pub async fn read_run(store: &dyn StateStore, run: &RunId) -> Result<Option<RunView>, Error> {
    Ok(load(store, run).await?.map(|state| RunView::new(state.run(), state.scopes())))
}

/// A stored run as it is shown to people, with the nodes of its outermost dag: this reads two documents, however many nodes
/// there are in branches. None if the store does not know it.
pub async fn read_outline(store: &dyn StateStore, run: &RunId) -> Result<Option<RunView>, Error> {
    let state = load_some(store, run, &[Doc::Run, Doc::Scope(ScopePath::root())]).await?;
    Ok(state.map(|state| RunView::new(state.run(), state.scopes())))
}

/// A stored run as it is shown to people, without its nodes: this reads one document, however many nodes there are. None if
/// the store does not know it.
pub async fn read_head(store: &dyn StateStore, run: &RunId) -> Result<Option<RunView>, Error> {
    Ok(load_run(store, run).await?.map(|state| RunView::new(state.run(), [])))
}

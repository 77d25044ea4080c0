//! Runs that cannot continue, since the module of their version is gone.

use super::error::Error;
use super::registry::Versions;
use super::store::Stored;
use faas_flow_core::run::RunView;
use faas_flow_core::{Code, Digest};
use faas_flow_store::{DataStore, StateStore};
use serde_json::{Value, json};

/// A version that no replica can load, and that a run waits for.
#[derive(Debug, Clone)]
pub struct MissingModule {
    /// The version.
    pub version: Digest,
    /// The code of the reason.
    pub code: Code,
    /// Why it cannot be loaded, and what to do.
    pub why: String,
}

impl MissingModule {
    /// Adds the fields `waits-for`, `waits-code` and `waits-because` to a run in JSON.
    pub fn add_to(&self, run: &mut Value) {
        if let Some(fields) = run.as_object_mut() {
            fields.insert("waits-for".to_owned(), json!(self.version));
            fields.insert("waits-code".to_owned(), json!(self.code.to_string()));
            fields.insert("waits-because".to_owned(), json!(self.why));
        }
    }

    /// A run in JSON, with what it waits for.
    pub fn shown(missing: Option<&Self>, view: &RunView) -> Result<Value, Error> {
        let mut run = serde_json::to_value(view).map_err(Error::Unwritable)?;
        if let Some(missing) = missing {
            missing.add_to(&mut run);
        }
        Ok(run)
    }
}

/// The version that a run waits for, according to the stores; none if the run has ended, or its version can be loaded. If
/// the stores know no version of the flow at all, its modules come from elsewhere and none is missing.
pub async fn missing_module(
    state: &dyn StateStore,
    data: &dyn DataStore,
    run: &RunView,
) -> Result<Option<MissingModule>, Error> {
    let stored = Stored { flow: &run.flow, state, data };
    if run.status.is_final() {
        return Ok(None);
    }
    let ((_, revision), _) = stored.active().await?;
    if revision == 0 {
        return Ok(None);
    }
    let bytes = async { stored.intact_bytes(&stored.loadable(&run.digest).await?).await };
    match bytes.await {
        Ok(_) => Ok(None),
        Err(error) if error.is_module_lost() => {
            Ok(Some(MissingModule { version: run.digest.clone(), code: error.code(), why: error.to_string() }))
        }
        Err(error) => Err(error),
    }
}

impl Versions {
    /// The version that a run waits for, since it cannot be loaded anywhere; none if the run has ended, or can
    /// continue.
    pub async fn missing_module(&self, run: &RunView) -> Result<Option<MissingModule>, Error> {
        let (flow, digest, now) = (&run.flow, &run.digest, self.now());
        let known = self.table.read(flow, |service| service.find(digest).is_some() || service.was_intact(digest, now));
        if !self.has_module_store() || run.status.is_final() || known == Some(true) {
            return Ok(None);
        }
        // This reads the whole module, which must not happen each time that somebody asks how a run is doing.
        let missing = missing_module(&*self.state, &*self.data, run).await?;
        if missing.is_none() {
            self.table.change(flow, |service| service.note_intact(digest, now));
        }
        Ok(missing)
    }
}

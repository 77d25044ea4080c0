//! What versions define. Each module is asked once, since it has to be loaded for that.

use faas_flow_core::{Definition, Digest, FlowName};
use faas_flow_replica::Host;
use faas_flow_replica::error::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many definitions are cached.
const CACHED: usize = 256;

pub(super) struct Definitions {
    host: Arc<Host>,
    known: Mutex<HashMap<Digest, Arc<Definition>>>,
}

impl Definitions {
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, known: Mutex::default() }
    }

    /// The definition of a version.
    pub async fn of(&self, flow: &FlowName, digest: &Digest) -> Result<Arc<Definition>, Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let definition = self.host.versions().definition(flow, digest).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHED {
            known.clear();
        }
        known.insert(digest.clone(), definition.clone());
        Ok(definition)
    }
}

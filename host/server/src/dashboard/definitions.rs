//! What versions define: asked of their modules once, since that means to load them.

use faas_flow_core::{Definition, Digest, FlowName};
use faas_flow_replica::{Error, Host};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Definitions that are kept.
const MOST: usize = 256;

pub(super) struct Definitions {
    host: Arc<Host>,
    known: Mutex<HashMap<Digest, Arc<Definition>>>,
}

impl Definitions {
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, known: Mutex::default() }
    }

    pub async fn of(&self, flow: &FlowName, digest: &Digest) -> Result<Arc<Definition>, Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let definition = self.host.versions().definition(flow, digest).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(digest.clone(), definition.clone());
        Ok(definition)
    }
}

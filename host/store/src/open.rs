//! From a store's address to the store.

use crate::memory::{MemoryData, MemoryState};
use crate::{DataStore, StateStore, StoreError};
use std::sync::Arc;

const STATE_RULE: &str = "use `memory` or `sqlite:PATH`";
const DATA_RULE: &str = "use `memory` or `files:PATH`";

/// Opens the state store at an address.
///
/// - `memory`: in this process, gone with it.
pub async fn open_state(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    match url {
        "memory" => Ok(Arc::new(MemoryState::default())),
        _ => Err(bad(url, STATE_RULE)),
    }
}

/// Opens the data store at an address.
///
/// - `memory`: in this process, gone with it.
pub async fn open_data(url: &str) -> Result<Arc<dyn DataStore>, StoreError> {
    match url {
        "memory" => Ok(Arc::new(MemoryData::default())),
        _ => Err(bad(url, DATA_RULE)),
    }
}

fn bad(url: &str, rule: &str) -> StoreError {
    StoreError::BadUrl { url: url.to_owned(), rule: rule.to_owned() }
}

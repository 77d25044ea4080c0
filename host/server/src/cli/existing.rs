//! State stores of others: a command that looks into one, or changes it, does not make a new one.

use crate::Error;
use crate::config::{Defaults, Group, Scope, Takes};
use faas_flow_store::{StateStore, open_state};
use std::sync::Arc;

/// The keys of the stores, which all subcommands take.
pub(super) struct StoreKeys;

impl Takes for StoreKeys {
    const GROUPS: &'static [Group] = &[Group::Stores];
    const DEFAULTS: Defaults = Defaults::Local;
    const SCOPE: Scope = Scope::Subcommands;
}

/// Opens the store at an address only to read it. There must be one.
pub(super) async fn open_to_read(address: &str) -> Result<Arc<dyn StateStore>, Error> {
    outlives_its_process(address)?;
    Ok(open_state(&read_only(address)).await?)
}

/// Opens the store at an address. There must be one.
pub(super) async fn open_to_change(address: &str) -> Result<Arc<dyn StateStore>, Error> {
    drop(open_to_read(address).await?);
    Ok(open_state(address).await?)
}

/// Refuses a store in the memory of this process, in which nobody else has stored anything.
pub(super) fn outlives_its_process(address: &str) -> Result<(), Error> {
    if address == "memory" { Err(Error::StoreOfNobodyElse) } else { Ok(()) }
}

/// The address of a store that is only read, and for which the right to read is enough.
pub(super) fn read_only(address: &str) -> String {
    let has_modes = address.starts_with("sqlite:") || address.starts_with("files:");
    if !has_modes || address.contains("mode=") {
        return address.to_owned();
    }
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}mode=ro")
}

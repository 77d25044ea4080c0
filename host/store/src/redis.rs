//! State and data in Redis, or in what speaks its protocol: one server, one found through sentinels, or a cluster.
//!
//! All keys of a run lie in one slot, together with the part of the index that the run belongs to (its *partition*), so
//! that a commit is one script and one round trip, on a cluster too. (One that might be the first of a run, and is not, takes two.) Below the prefix there are, for partition `k`:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `store` | string | the form of the store and its number of partitions |
//! | `{k}:run:<id>` | hash | `d<doc>` a document's bytes, `v<doc>` its version, `e` the entry, `s<set>` a set's name |
//! | `{k}:run:<id>:<set>` | hash | the members of a set |
//! | `{k}:runs` | sorted set | run ids by start |
//! | `{k}:due` | sorted set | run ids by due time |
//! | `data:{<id>}` | hash | the data of a run by name |
//!
//! A run that has ended and is due to be forgotten expires by itself an hour later, should nobody forget it. Its id then
//! leaves the index when a listing meets it.

mod data;
mod error;
mod link;
mod list;
mod state;
mod target;

use crate::address::Address;
use crate::{DataStore, StateStore, StoreError};
use link::Link;
use std::sync::Arc;
use std::time::Duration;
use target::Target;

const DAY: u64 = 24 * 60 * 60;

/// Opens the state store at an address; see [`crate::open_state`].
pub(crate) async fn open_state(address: &Address<'_>) -> Result<Arc<dyn StateStore>, StoreError> {
    let target = Target::parse(address, &["partitions"])?;
    let partitions = address.number("partitions")?;
    let link = Link::open(target).await?;
    Ok(Arc::new(state::RedisState::open(link, partitions).await?))
}

/// Opens the data store at an address; see [`crate::open_data`].
pub(crate) async fn open_data(address: &Address<'_>) -> Result<Arc<dyn DataStore>, StoreError> {
    let target = Target::parse(address, &["ttl_s"])?;
    let ttl = Duration::from_secs(address.number("ttl_s")?.unwrap_or(30 * DAY));
    Ok(Arc::new(data::RedisData::new(Link::open(target).await?, ttl)))
}

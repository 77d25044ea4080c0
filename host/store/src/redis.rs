//! State and data in Redis, or a server with the same protocol: a single server, one found through sentinels, or a cluster.
//!
//! All keys of a run are in one slot, together with the part of the index that the run belongs to (its *partition*). So a
//! commit is one script and one round trip, on a cluster too. (A commit that looks like the first of a run but is not takes
//! two.) These are the keys below the prefix, where `k` is the number of a partition:
//!
//! | key | type | content |
//! |---|---|---|
//! | `store` | string | the version of the stored form, and the number of partitions |
//! | `{k}:run:<id>` | hash | `d<doc>` a document's bytes, `v<doc>` its version, `e` the entry, `s<set>` a set's name |
//! | `{k}:run:<id>:<set>` | hash | the members of a set |
//! | `{k}:runs` | sorted set | run ids by start |
//! | `{k}:due` | sorted set | run ids by due time |
//! | `data:{<id>}` | hash | the data of a run by name |
//!
//! A run that has ended and is due to be deleted expires by itself an hour later if no replica deletes it. A listing that
//! finds its id in the index afterwards removes the id.

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

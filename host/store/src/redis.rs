//! State and data in Redis, or a server with the same protocol: a single server, one found through sentinels, or a cluster.
//!
//! All keys of a partition are in one slot, together with the part of the index that its run belongs to. So a commit is one
//! script and one round trip, on a cluster too. (A commit that looks like the first of a run but is not takes two.) These are
//! the keys below the prefix, where `k` is the number of a part of the index, and `id` that of a run or another partition:
//!
//! | key | type | content |
//! |---|---|---|
//! | `store` | string | the version of the stored form, and the number of parts of the index |
//! | `indexed` | string | there if all runs are in the index of words |
//! | `{k}:run:<id>` | hash | `d<doc>` a document's bytes, `v<doc>` its version, `e` the entry, `f` how the run has failed, `s<set>` a set's name, `l` and `l<n>` what has changed, and `c` how many documents there are (`changes.rs`) |
//! | `{k}:run:<id>:<set>` | hash | the members of a set |
//! | `{k}:runs` | sorted set | run ids by start |
//! | `{k}:labels` | sorted set | the index of words: labels, statuses, flows, versions and codes, each with start and run, and ids (`labels.lua`) |
//! | `{k}:labeled` | hash | what the index of words has of each run |
//! | `{k}:due` | sorted set | run ids by due time |
//! | `data:{<id>}` | hash | the data of a partition by name |
//!
//! Only what belongs to a run ever expires. A run that has ended and is due to be deleted expires by itself an hour later if no replica deletes it. A listing that
//! finds its id in the index afterwards removes the id.

mod changes;
mod data;
mod entry;
mod error;
mod eviction;
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

/// The options of state, and of data. Each takes those of the other, since one address may stand for both.
const OF_BOTH: [&str; 2] = ["partitions", "ttl_s"];

/// Opens the state store at an address; see [`crate::open_state`].
pub(crate) async fn open_state(address: &Address<'_>) -> Result<Arc<dyn StateStore>, StoreError> {
    let target = Target::parse(address, &OF_BOTH)?;
    let parts = address.number("partitions")?;
    let link = Link::open(target).await?;
    eviction::check(&link).await?;
    Ok(Arc::new(state::RedisState::open(link, parts).await?))
}

/// Opens the data store at an address; see [`crate::open_data`].
pub(crate) async fn open_data(address: &Address<'_>) -> Result<Arc<dyn DataStore>, StoreError> {
    let target = Target::parse(address, &OF_BOTH)?;
    let ttl = Duration::from_secs(address.number("ttl_s")?.unwrap_or(30 * DAY));
    let link = Link::open(target).await?;
    eviction::check(&link).await?;
    Ok(Arc::new(data::RedisData::new(link, ttl)))
}

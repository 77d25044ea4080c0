//! The conformance suite: what every backend must do. Each backend's tests run it against the real server.
//!
//! Every case uses runs and flows of its own and deletes them, so the suite can run against a server that is in use.
//!
//! What expires has cases of its own, [`state_lifetimes`] and [`data_lifetimes`], since only the server itself can be asked
//! for that. Redis and etcd, which can let keys expire, are asked. SQLite, files, S3, Consul and the store in memory delete
//! nothing by themselves, so they have no such cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test suite")]

mod data;
mod limits;
mod state;

use crate::{DataStore, StateStore};
use faas_flow_core::{Digest, FlowName, Partition, RunId};
use state::{find, lists, races, reads};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Runs all cases of a state store, and panics if one fails. `make` opens the store for one case. The store may be in use.
pub async fn state_store<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn StateStore>>,
{
    state::an_unknown_run_is_empty(&*make().await).await;
    state::what_belongs_to_a_flow_is_not_listed(&*make().await).await;
    state::versions_count_the_writes(&*make().await).await;
    state::reads_keep_the_requested_order(&*make().await).await;
    state::any_name_and_any_bytes_come_back(&*make().await).await;
    state::a_conflict_changes_nothing(&*make().await).await;
    state::checks_guard_without_writing(&*make().await).await;
    state::runs_do_not_see_each_other(&*make().await).await;
    state::the_first_arrival_of_a_member_wins(&*make().await).await;
    races::concurrent_increments_lose_nothing(make().await).await;
    races::one_of_many_creators_wins(make().await).await;
    races::concurrent_arrivals_count_exactly(make().await).await;
    races::a_read_never_sees_half_a_commit(make().await).await;
    lists::runs_are_listed_newest_first(&*make().await).await;
    lists::runs_are_found_by_their_labels(&*make().await).await;
    find::runs_are_found_by_every_condition(&*make().await).await;
    find::what_a_run_is_found_by_changes_with_it(&*make().await).await;
    find::runs_are_counted_by_status(&*make().await).await;
    lists::due_runs_come_earliest_first(&*make().await).await;
    reads::progress_is_read_without_data(&*make().await).await;
    reads::what_has_changed_is_read(&*make().await).await;
    state::a_deleted_run_starts_again_at_version_1(&*make().await).await;
    limits::no_permit_is_given_out_twice(make().await).await;
    limits::a_full_line_is_stored(&*make().await).await;
}

/// Runs all cases of a data store, and panics if one fails. `make` opens the store for one case.
pub async fn data_store<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn DataStore>>,
{
    data::any_name_and_any_bytes_come_back(&*make().await).await;
    data::a_module_is_deleted_alone(&*make().await).await;
    data::the_last_put_wins(&*make().await).await;
    data::a_read_never_sees_half_a_put(make().await).await;
    data::deleting_a_run_keeps_the_data_of_others(&*make().await).await;
}

/// Checks what of a state store expires by itself, and panics if something does that must not. `left` asks the server how long
/// a partition has left, as the one of its keys that expires first; `None` if none does. Only a store that can let keys expire
/// needs this case. The store must not be in use: the partitions that a store has only once are written and deleted.
pub async fn state_lifetimes<Asked>(store: Arc<dyn StateStore>, left: impl Fn(Partition) -> Asked)
where
    Asked: Future<Output = Option<Duration>>,
{
    state::only_a_run_that_has_ended_expires(&*store, left).await;
}

/// As [`state_lifetimes`], for a data store.
pub async fn data_lifetimes<Asked>(store: Arc<dyn DataStore>, left: impl Fn(Partition) -> Asked)
where
    Asked: Future<Output = Option<Duration>>,
{
    data::only_the_data_of_a_run_expires(&*store, left).await;
}

/// Names that break careless encodings.
const ODD_NAMES: [&str; 16] = [
    "x",
    "X",
    "../x",
    "..",
    ".",
    "a/b",
    "/a",
    "a//b",
    "ü",
    "nul\0nul",
    "nul",
    " ",
    "%2e",
    "a:b{c}",
    "*",
    "C[c1]/F[f 2]",
];

/// A partition of each kind that is not a run's.
fn of_no_run() -> [Partition; 7] {
    let flow = FlowName::new(new_run().as_str()).unwrap();
    let module = Digest::of(b"module");
    [
        Partition::of_flow(&flow),
        Partition::of_module(&flow, &module, 0),
        Partition::of_module(&flow, &module, 1),
        Partition::of_limit(flow.as_str()),
        Partition::of_limits(),
        Partition::of_audit(),
        Partition::of_probes(),
    ]
}

/// The partition of a run that no other case uses.
fn new_partition() -> Partition {
    Partition::of_run(&new_run())
}

/// A run that no other case uses.
fn new_run() -> RunId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    RunId::new(format!("c{time:x}-{}-{count}", std::process::id())).unwrap()
}

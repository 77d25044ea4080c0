//! What every backend must do: one suite, which each backend's tests run against the real thing.
//!
//! Every case works on runs and flows of its own and removes them, so that the suite may run against a server that
//! others use.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test suite")]

mod data;
mod state;

use crate::{DataStore, StateStore};
use faas_flow_core::RunId;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Runs all cases of a state store; panics where it breaks the contract. `make` opens the store for one case: an empty
/// one, or one that others use.
pub async fn state_store<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn StateStore>>,
{
    state::what_is_unknown_is_empty(&*make().await).await;
    state::the_partition_of_a_flow_is_no_run(&*make().await).await;
    state::versions_count_the_writes(&*make().await).await;
    state::reads_keep_the_order_of_the_question(&*make().await).await;
    state::any_name_and_any_bytes_come_back(&*make().await).await;
    state::a_conflict_changes_nothing(&*make().await).await;
    state::checks_guard_without_writing(&*make().await).await;
    state::runs_do_not_see_each_other(&*make().await).await;
    state::the_first_arrival_of_a_member_wins(&*make().await).await;
    state::concurrent_increments_lose_nothing(make().await).await;
    state::one_of_many_creators_wins(make().await).await;
    state::concurrent_arrivals_count_exactly(make().await).await;
    state::a_read_never_sees_half_a_commit(make().await).await;
    state::runs_are_listed_newest_first(&*make().await).await;
    state::due_runs_come_earliest_first(&*make().await).await;
    state::a_deleted_run_begins_anew(&*make().await).await;
}

/// Runs all cases of a data store; panics where it breaks the contract. `make` opens the store for one case.
pub async fn data_store<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn DataStore>>,
{
    data::any_name_and_any_bytes_come_back(&*make().await).await;
    data::a_module_is_removed_alone(&*make().await).await;
    data::the_last_put_wins(&*make().await).await;
    data::a_read_never_sees_half_a_put(make().await).await;
    data::a_deleted_run_takes_only_its_own(&*make().await).await;
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

/// A run that nobody else has.
fn new_run() -> RunId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    RunId::new(format!("c{time:x}-{}-{count}", std::process::id())).unwrap()
}

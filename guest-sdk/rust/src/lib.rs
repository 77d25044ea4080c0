//! Write flows in Rust.
//!
//! A flow composes [OpenFaaS](https://www.openfaas.com) functions into a graph: its nodes call functions, call URLs or
//! run the flow's own code, and it branches, processes collections in parallel, and merges the results. This crate compiles
//! a flow to a WebAssembly component, which the `faas-flow` host runs on a laptop or as an OpenFaaS function.
//!
//! # A whole flow
//!
//! A flow is a function that describes a dag, together with the closures that the dag names. [`flow!`] makes it a
//! component:
//!
//! ```
//! use faas_flow::{Backoff, Context, Inputs, Result, Workflow, flow};
//! use std::time::Duration;
//!
//! pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
//!     let dag = workflow.dag();
//!     dag.node("clean").modify(|text| Ok(String::from_utf8(text)?.trim().to_lowercase()));
//!     dag.node("count").apply("wc").retry(Backoff::attempts(3)).timeout(Duration::from_secs(5));
//!     dag.node("shout").modify(|text| Ok(text.to_ascii_uppercase()));
//!     dag.node("report").aggregator(report);
//!     dag.edge("clean", "count");
//!     dag.edge("clean", "shout");
//!     dag.edge("count", "report");
//!     dag.edge("shout", "report");
//!
//!     let log = context.clone();
//!     workflow.finally(move |outcome| {
//!         log.info(format!("run {} ended: {outcome:?}", log.request_id()));
//!         Ok(())
//!     });
//!     Ok(())
//! }
//!
//! fn report(inputs: Inputs) -> Result<String> {
//!     let shout = inputs.get("shout").ok_or("node `shout` sent nothing")?;
//!     let count = inputs.get("count").ok_or("node `count` sent nothing")?;
//!     Ok(format!("{}! ({} words)", str::from_utf8(shout)?, str::from_utf8(count)?.trim()))
//! }
//!
//! flow!(define);
//!
//! # fn main() -> Result {
//! // In a test: the flow's closures run natively, each by its handler id.
//! let flow = faas_flow::testing::Flow::new(define)?;
//! assert_eq!(flow.modify("clean/0", " Hello Flow\n")?, b"hello flow");
//! assert_eq!(flow.aggregate("report/aggregate", [("shout", "HI"), ("count", "1\n")])?, b"HI! (1 words)");
//! # Ok(())
//! # }
//! ```
//!
//! The crate type is `cdylib` for the component and `rlib` for tests:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//! ```
//!
//! `cargo build --release --target wasm32-unknown-unknown` makes the module, and `faas-flow run`, `faas-flow serve` or
//! an image runs it.
//!
//! # How the builder works
//!
//! Everything that a builder method returns is a handle: clone it, keep it, and use it in any order. Nothing fails
//! while a flow is being described. The host checks the whole definition when it loads the module, and reports every
//! problem at once; `faas-flow check` does the same on the command line.
//!
//! Closures get and return bytes. What they return may be anything that converts into `Vec<u8>`, such as `String` or
//! `&str`; [`Node::modify_json`] does the conversion from and to JSON. A closure fails with a [`Failure`], into which
//! `?` turns any error.
//!
//! Closures run in a sandbox without files, network or clock, and must not rely on what an earlier call left in memory:
//! the next node of the same run may be executed by another instance of the module, possibly on another machine. Keep
//! values in the [`Context`] instead.
//!
//! # Handler ids
//!
//! The host knows each closure by an id, which follows from the closure's position. Flows in other languages that
//! choose the same ids have the same definition.
//!
//! | closure | id |
//! |---|---|
//! | `modify`, `sleep_until` or `wait_for_named`, as operation 1 (the second) of node `n2` | `n2/1` |
//! | `prepare`, `receive`, `recover` of the call that is operation 0 of `n2` | `n2/0/prepare`, `n2/0/receive`, `n2/0/recover` |
//! | aggregator of the inputs of a node of any kind | `n4/aggregate` |
//! | forwarder of the edge from `n1` to `n2` | `n1->n2/forward` |
//! | the closure that chooses the branches of condition `C` | `C/condition` |
//! | the closure that splits the input of for-each `F` | `F/for-each` |
//! | the closure that says whether repeat `R` runs again | `R/again` |
//! | aggregator of the results of the branches of `C` or `F` | `C/aggregate-branches`, `F/aggregate-branches` |
//! | aggregator of a dag's ends | `(end)/aggregate` |
//! | `recover_from` of the call, or of the wait for a signal, that is operation 0 of `n2`, of node `n2`, of a dag | `n2/0/recover-from`, `n2/recover`, `(recover)` |
//! | the closure that gathers the items of for-each `F` | `F/gather` |
//! | the key of the limit of the call that is operation 0 of `n2`, of node `n2` | `n2/0/limit-key`, `n2/limit-key` |
//! | the flow's failure handler, its finally handler | `(failure)`, `(finally)` |
//!
//! Inside a nested dag, the id starts with a prefix: `S/` in sub-dag `S`, `C[c1]/` in branch `c1` of condition `C`,
//! `F[]/` in the dag of for-each `F`, `R[]/` in the dag of repeat `R`. Prefixes add up: `C[c1]/F[]/n1/0` is in a for-each in a branch. Branch keys are
//! percent-encoded except for `A-Z a-z 0-9 _ . -`. The handlers are declared to the host in the order of their bytes.
//!
//! # Features
//!
//! - `heap`: `Heap`, a global allocator that makes short runs cheaper. The crate itself never sets a global allocator.

#![deny(missing_docs, missing_debug_implementations, clippy::missing_errors_doc)]

mod backoff;
mod branches;
mod context;
mod dag;
mod definition;
mod failed;
mod failure;
mod handler;
#[cfg(feature = "heap")]
mod heap;
mod http;
pub mod inputs;
mod limit;
mod node;
mod record;
mod repeat;
mod schedule;
mod signal;
mod values;
mod workflow;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod export;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use backoff::Backoff;
pub use branches::{Condition, ForEach};
pub use context::Context;
pub use dag::{Dag, Edge};
pub use failed::{Failed, FailureKind, Gathered};
pub use failure::{Failure, Result};
#[cfg(feature = "heap")]
pub use heap::Heap;
pub use http::{Request, Response};
pub use inputs::Inputs;
pub use limit::Limit;
pub use node::{Call, Node};
pub use repeat::Repeat;
pub use schedule::Schedule;
pub use signal::SignalWait;
pub use values::{Exhausted, Level, Missed, Outcome, Overlap, State, Wake};
pub use workflow::Workflow;

/// Makes a component of a function `fn(&mut Workflow, &Context) -> Result`, given by its path.
///
/// Use it once per crate, in a crate whose type is `cdylib`. On targets other than WebAssembly it only checks the
/// function's type.
///
/// ```
/// mod orders {
///     use faas_flow::{Context, Result, Workflow};
///
///     pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///         workflow.sync_node().apply("take-order");
///         Ok(())
///     }
/// }
///
/// faas_flow::flow!(orders::define);
/// ```
#[macro_export]
macro_rules! flow {
    ($define:path $(,)?) => {
        const _: fn(&mut $crate::Workflow, &$crate::Context) -> $crate::Result = $define;

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "an export has a symbol name of its own")]
        const _: () = {
            struct FaasFlowExport;

            impl $crate::export::Define for FaasFlowExport {
                fn define(workflow: &mut $crate::Workflow, context: &$crate::Context) -> $crate::Result {
                    $define(workflow, context)
                }
            }

    $crate::export::bindings::export_bindings!(FaasFlowExport with_types_in $crate::export::bindings);
        };
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

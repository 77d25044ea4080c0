//! Write flows in Rust.
//!
//! A flow is a function that describes a dag, and the closures that the dag names. [`flow!`] turns it into a
//! WebAssembly component of the world `faas-flow:flow/flow`:
//!
//! ```
//! use faas_flow::{Context, Result, Workflow, flow};
//!
//! pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
//!     let dag = workflow.dag();
//!     let log = context.clone();
//!     dag.node("n1").apply("func1").header("x-team", "a");
//!     dag.node("n2").apply("func2").modify(move |data| {
//!         log.info(format!("{} bytes", data.len()));
//!         Ok(data)
//!     });
//!     dag.edge("n1", "n2");
//!     Ok(())
//! }
//!
//! flow!(define);
//! ```
//!
//! Everything that a builder returns is a handle: it may be kept, cloned, and used in any order. Nothing here fails on
//! a wrong definition; the host checks the whole of it and reports every problem at once.
//!
//! Natively, [`testing`] runs a flow's closures against a fake context, so `cargo test` needs no wasm.
//!
//! The component gets a global allocator that suits short runs; a flow that brings its own takes this crate without its
//! feature `heap`.
//!
//! # Handler ids
//!
//! The host knows each closure by an id, which follows from where the closure stands. Flows in other languages that
//! choose the same ids have the same definition:
//!
//! | closure | id |
//! |---|---|
//! | `modify`, as operation 1 (the second) of node `n2` | `n2/1` |
//! | `prepare`, `receive`, `recover` of the call that is operation 0 of `n2` | `n2/0/prepare`, `n2/0/receive`, `n2/0/recover` |
//! | aggregator of the inputs of a node of any kind | `n4/aggregate` |
//! | forwarder of the edge from `n1` to `n2` | `n1->n2/forward` |
//! | what chooses the branches of condition `C` | `C/condition` |
//! | what splits the input of for-each `F` | `F/for-each` |
//! | aggregator of the results of the branches of `C` or `F` | `C/aggregate-branches`, `F/aggregate-branches` |
//! | aggregator of a dag's ends | `(end)/aggregate` |
//! | the flow's failure handler, its finally handler | `(failure)`, `(finally)` |
//!
//! Inside a nested dag, a prefix goes before all of these: `S/` in sub-dag `S`, `C[c1]/` in branch `c1` of condition
//! `C`, `F[]/` in the dag of for-each `F`; `C[c1]/F[]/n1/0` in a for-each in a branch. Keys are percent-encoded but for
//! `A-Z a-z 0-9 _ . -`. The handlers are declared to the host in the order of their bytes.

mod branches;
mod context;
mod dag;
mod definition;
mod failure;
mod handler;
#[cfg(all(target_arch = "wasm32", feature = "heap"))]
mod heap;
mod node;
mod record;
mod values;
mod workflow;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod export;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use branches::{Branches, ByItem, ByKey, Condition, ForEach};
pub use context::Context;
pub use dag::{Dag, Edge};
pub use failure::{Failure, Result};
pub use node::{Call, Node};
pub use values::{Backoff, Exhausted, Inputs, Level, Outcome, Request, Response, State};
pub use workflow::Workflow;

/// Makes a component of a function `fn(&mut Workflow, &Context) -> Result`; once per crate, whose type is `cdylib`.
///
/// On any other target than wasm32 this only checks the function's type.
#[macro_export]
macro_rules! flow {
    ($define:ident) => {
        const _: fn(&mut $crate::Workflow, &$crate::Context) -> $crate::Result = $define;

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs)]
        mod faas_flow_export {
            pub struct Flow;
            impl $crate::export::Define for Flow {
                fn define(workflow: &mut $crate::Workflow, context: &$crate::Context) -> $crate::Result {
                    super::$define(workflow, context)
                }
            }
            $crate::export::bindings::export_bindings!(Flow with_types_in $crate::export::bindings);
        }
    };
}

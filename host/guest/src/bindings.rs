//! What `bindgen!` makes of `wit/flow.wit`.
//!
//! Host resources are indices into [`Arena`](crate::builder::Arena), so their handles carry no data of their own.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "flow",
    imports: { "faas-flow:flow/context.get": async | trappable, default: trappable },
    exports: { default: async },
});

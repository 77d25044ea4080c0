//! Flows written by hand in WebAssembly's text format, most of which misbehave.
//!
//! A constant is the body of a function: of `define`, or of a handler. [`flow`] makes a component of them.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Reads the data's pointer and length (parameters 2 and 3) and returns them as `ok`.
pub const ECHO: &str = "
    (i32.store (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (local.get 2))
    (i32.store (i32.const 1032) (local.get 3))
    (i32.const 1024)";
/// Traps.
pub const TRAP: &str = "unreachable";
/// Never returns.
pub const LOOP: &str = "(loop $again (br $again)) unreachable";
/// Grows its memory for as long as it may.
pub const GROW: &str = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
/// Grows its table for as long as it may.
pub const GROW_TABLE: &str = "
    (loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";
/// Calls itself without end.
pub const RECURSE: &str = "(call $deeper) unreachable";
/// Claims to return 1 GiB, more than its memory has.
pub const HUGE: &str = "
    (i32.store (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (i32.const 2048))
    (i32.store (i32.const 1032) (i32.const 1073741824))
    (i32.const 1024)";
/// Returns 40 MiB that are really there.
pub const LARGE: &str = "
    (drop (memory.grow (i32.const 700)))
    (i32.store (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (i32.const 2048))
    (i32.store (i32.const 1032) (i32.const 41943040))
    (i32.const 1024)";
/// Returns 1 GiB that is really there.
pub const GIBIBYTE: &str = "
    (drop (memory.grow (i32.const 16384)))
    (i32.store (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (i32.const 2048))
    (i32.store (i32.const 1032) (i32.const 1073741824))
    (i32.const 1024)";
/// Passes text to the host that is not UTF-8.
pub const NO_TEXT: &str = "
    (i32.store8 (i32.const 2048) (i32.const 255))
    (call $set (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1100))
    unreachable";
/// Uses a node that it was never given.
pub const NO_HANDLE: &str = "(call $node.modify (i32.const 77) (i32.const 512) (i32.const 2)) unreachable";
/// Returns `reject(\"no\")`.
pub const REJECT: &str = "
    (i32.store (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1028) (i32.const 1))
    (i32.store (i32.const 1032) (i32.const 512))
    (i32.store (i32.const 1036) (i32.const 2))
    (i32.const 1024)";
/// Sets the context value `no` to the data, and echoes.
pub const SET: &str = "
    (call $set (i32.const 512) (i32.const 2) (local.get 2) (local.get 3) (i32.const 1100))
    (i32.store (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (local.get 2))
    (i32.store (i32.const 1032) (local.get 3))
    (i32.const 1024)";

/// One node `no` that runs the `modify` handler `no`.
pub const ONE_NODE: &str = "
    (call $node.modify (call $dag.node (call $flow.dag (local.get 0)) (i32.const 512) (i32.const 2))
        (i32.const 512) (i32.const 2))
    (i32.store (i32.const 1024) (i32.const 0)) (i32.const 1024)";
/// Also asks for the flow's name.
pub const CURIOUS: &str = "
    (call $flow-name (i32.const 1100))
    (i32.store (i32.const 1024) (i32.const 0)) (i32.const 1024)";
/// Nests sub-dags without end.
pub const DEEP: &str = "
    (local $dag i32) (local.set $dag (call $flow.dag (local.get 0)))
    (loop $deeper
        (local.set $dag (call $dag.sub-dag (local.get $dag) (i32.const 512) (i32.const 2))) (br $deeper))
    unreachable";
/// Adds nodes without end.
pub const ENDLESS: &str = "
    (local $dag i32) (local.set $dag (call $flow.dag (local.get 0)))
    (loop $more (drop (call $dag.node (local.get $dag) (i32.const 512) (i32.const 2))) (br $more))
    unreachable";
/// Returns the error `no`.
pub const REFUSE: &str = "
    (i32.store (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1028) (i32.const 512))
    (i32.store (i32.const 1032) (i32.const 2))
    (i32.const 1024)";

/// The contract of this version.
pub const WIT: &str = include_str!("../../../wit/flow.wit");

/// The kinds of handlers, and how many words they take.
pub const KINDS: [(&str, usize); 9] = [
    ("modify", 4),
    ("aggregate", 4),
    ("condition", 4),
    ("for-each", 4),
    ("forward", 4),
    ("prepare", 10),
    ("receive", 7),
    ("recover", 4),
    ("finally", 3),
];

/// A flow with these bodies of `define` and `modify`; its other handlers trap.
pub fn flow(define: &str, modify: &str) -> Vec<u8> {
    flow_of(WIT, "0.1.0", "", define, modify)
}

/// A flow of one node whose handler of this kind has this body.
pub fn flow_with(kind: &str, body: &str) -> Vec<u8> {
    flow_from(WIT, "0.1.0", "", ONE_NODE, (kind, body))
}

/// A flow built against this text of the contract, of this version, with more imports.
pub fn flow_of(wit: &str, version: &str, more_imports: &str, define: &str, modify: &str) -> Vec<u8> {
    flow_from(wit, version, more_imports, define, ("modify", modify))
}

fn flow_from(wit: &str, version: &str, more_imports: &str, define: &str, (kind, body): (&str, &str)) -> Vec<u8> {
    let handlers = KINDS.map(|(name, count)| {
        let params = "i32 ".repeat(count);
        let body = if name == kind { body } else { "unreachable" };
        let name = format!("faas-flow:flow/handlers@{version}#{name}");
        format!("(func (export \"{name}\") (param {params}) (result i32) {body})\n")
    });
    let handlers = handlers.concat();
    let module = format!(
        r#"(module
        (import "faas-flow:flow/builder@{version}" "[method]workflow.dag" (func $flow.dag (param i32) (result i32)))
        (import "faas-flow:flow/builder@{version}" "[method]dag.node"
            (func $dag.node (param i32 i32 i32) (result i32)))
        (import "faas-flow:flow/builder@{version}" "[method]dag.sub-dag"
            (func $dag.sub-dag (param i32 i32 i32) (result i32)))
        (import "faas-flow:flow/builder@{version}" "[method]node.modify" (func $node.modify (param i32 i32 i32)))
        (import "faas-flow:flow/context@{version}" "flow-name" (func $flow-name (param i32)))
        (import "faas-flow:flow/context@{version}" "set" (func $set (param i32 i32 i32 i32 i32)))
        {more_imports}
        (memory (export "memory") 1)
        (table $table 1 funcref)
        (data (i32.const 512) "no")
        (global $free (mut i32) (i32.const 4096))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))
        (func (export "faas-flow:flow/definition@{version}#define") (param i32) (result i32) {define})
        (func $deeper (call $deeper))
        {handlers})"#
    );
    component(wit, "flow", &module)
}

/// Makes a component out of a core module for a world.
pub fn component(wit: &str, world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("flow.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

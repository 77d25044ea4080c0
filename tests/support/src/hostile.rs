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
/// Echoes its input, and grows its memory by 16 MiB in each call.
pub const LEAK: &str = "
    (if (i32.eq (memory.grow (i32.const 256)) (i32.const -1)) (then unreachable))
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
/// One node `no` that runs the `modify` handler `no`, which the flow declares.
pub const DECLARED: &str = "
    (i32.store (i32.const 600) (i32.const 512)) (i32.store (i32.const 604) (i32.const 2))
    (call $flow.handlers (local.get 0) (i32.const 600) (i32.const 1))
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
/// Adds a node whose id is a mebibyte long.
pub const LONG_NAME: &str = "
    (drop (memory.grow (i32.const 16)))
    (drop (call $dag.node (call $flow.dag (local.get 0)) (i32.const 65536) (i32.const 1048576)))
    (i32.store (i32.const 1024) (i32.const 0)) (i32.const 1024)";
/// Adds one node, and operations to it without end.
pub const ENDLESS_NODE: &str = "
    (local $node i32)
    (local.set $node (call $dag.node (call $flow.dag (local.get 0)) (i32.const 512) (i32.const 2)))
    (loop $more (call $node.modify (local.get $node) (i32.const 512) (i32.const 2)) (br $more))
    unreachable";
/// One node `no` that runs the `modify` handler `no` 30 times.
pub const LONG_NODE: &str = "
    (local $node i32) (local $left i32)
    (i32.store (i32.const 600) (i32.const 512)) (i32.store (i32.const 604) (i32.const 2))
    (call $flow.handlers (local.get 0) (i32.const 600) (i32.const 1))
    (local.set $node (call $dag.node (call $flow.dag (local.get 0)) (i32.const 512) (i32.const 2)))
    (local.set $left (i32.const 30))
    (loop $more
        (call $node.modify (local.get $node) (i32.const 512) (i32.const 2))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (i32.const 1024) (i32.const 0)) (i32.const 1024)";
/// Adds 12,000 nodes of the same id, each with a handler that the flow does not have.
pub const ALL_WRONG: &str = "
    (local $dag i32) (local $left i32)
    (local.set $dag (call $flow.dag (local.get 0)))
    (local.set $left (i32.const 12000))
    (loop $more
        (call $node.modify (call $dag.node (local.get $dag) (i32.const 512) (i32.const 2)) (i32.const 512) (i32.const 2))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (i32.const 1024) (i32.const 0)) (i32.const 1024)";
/// Returns the error `no`.
pub const REFUSE: &str = "
    (i32.store (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1028) (i32.const 512))
    (i32.store (i32.const 1032) (i32.const 2))
    (i32.const 1024)";

/// A chain of so many nodes, without operations.
pub fn chain(nodes: u32) -> String {
    joined(nodes, "")
}

/// A chain of so many nodes, none of whose edges comes from a node that exists.
pub fn misspelt(nodes: u32) -> String {
    joined(nodes, "(i32.store8 (i32.xor (local.get $id) (i32.const 16)) (i32.const 122))")
}

/// Nodes whose ids are numbers of four letters, `a` to `p`. Before each edge, `alter` may change the id of its first node.
fn joined(nodes: u32, alter: &str) -> String {
    let digit = |at: u32| {
        let shift = 12 - 4 * at;
        format!(
            "(i32.store8 offset={at} (local.get $id)
                (i32.add (i32.const 97) (i32.and (i32.shr_u (local.get $i) (i32.const {shift})) (i32.const 15))))"
        )
    };
    let digits: String = (0..4).map(digit).collect();
    format!(
        "(local $dag i32) (local $i i32) (local $id i32)
        (local.set $dag (call $flow.dag (local.get 0)))
        (loop $more
            (local.set $id (i32.xor (i32.xor (local.get $id) (i32.const 16))
                (if (result i32) (local.get $i) (then (i32.const 0)) (else (i32.const 2048)))))
            {digits}
            (drop (call $dag.node (local.get $dag) (local.get $id) (i32.const 4)))
            (if (local.get $i) (then
                {alter}
                (call $dag.edge (local.get $dag) (i32.xor (local.get $id) (i32.const 16)) (i32.const 4)
                    (local.get $id) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const {nodes}))))
        (i32.store (i32.const 1024) (i32.const 0)) (i32.const 1024)"
    )
}

/// The contract of this version.
pub const WIT: &str = include_str!("../../../wit/flow.wit");
/// Its number.
pub const VERSION: &str = "0.2.0";

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
    flow_of(WIT, VERSION, "", define, modify)
}

/// [`flow`] as a core module that names its world, before it is wrapped in a component.
pub fn core_flow(define: &str, modify: &str) -> Vec<u8> {
    embedded(WIT, "flow", &core_text(VERSION, "", define, ("modify", modify)))
}

/// A core module that exports a flow of one node with this handler, as compilers make it that know nothing of worlds. It is
/// built for this version of the contract.
pub fn nameless_flow(version: &str, more_imports: &str, modify: &str) -> Vec<u8> {
    wat::parse_str(core_text(version, more_imports, ONE_NODE, ("modify", modify))).unwrap()
}

/// A core module in whose description of its world the contract has two versions: the parser of WIT overflows its stack.
pub fn two_versions() -> Vec<u8> {
    let mut core = core_flow(ONE_NODE, ECHO);
    let find = |bytes: &[u8], from: usize, text: &[u8]| {
        from + bytes[from..].windows(text.len()).position(|window| window == text).expect("the module has the text")
    };
    let name = b"faas-flow:flow/handlers@0.2.";
    let section = find(&core, 0, b"component-type");
    let patch = find(&core, section, name) + name.len();
    core[patch] = b'1';
    core
}

/// A component of five core modules, each of which has two bytes of data, 64 MiB apart. Its machine code has the memory
/// between them, too.
pub fn much_code() -> Vec<u8> {
    let module =
        |at| format!(r#"(core module $m{at} (memory 1024) (data (i32.const 0) "x") (data (i32.const 67108000) "x"))"#);
    wat::parse_str(format!("(component {})", (0..5).map(module).collect::<String>())).unwrap()
}

/// A component with five memories.
pub fn many_memories() -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(5);
    wat::parse_str(format!("(component (core module $m (memory 1)) {instances})")).unwrap()
}

/// A flow of one node whose handler of this kind has this body.
pub fn flow_with(kind: &str, body: &str) -> Vec<u8> {
    flow_from(WIT, VERSION, "", ONE_NODE, (kind, body))
}

/// A flow built against this text of the contract, of this version, with more imports.
pub fn flow_of(wit: &str, version: &str, more_imports: &str, define: &str, modify: &str) -> Vec<u8> {
    flow_from(wit, version, more_imports, define, ("modify", modify))
}

fn flow_from(wit: &str, version: &str, more_imports: &str, define: &str, handler: (&str, &str)) -> Vec<u8> {
    component(wit, "flow", &core_text(version, more_imports, define, handler))
}

fn core_text(version: &str, more_imports: &str, define: &str, (kind, body): (&str, &str)) -> String {
    let handlers = KINDS.map(|(name, count)| {
        let params = "i32 ".repeat(count);
        let body = if name == kind { body } else { "unreachable" };
        let name = format!("faas-flow:flow/handlers@{version}#{name}");
        format!("(func (export \"{name}\") (param {params}) (result i32) {body})\n")
    });
    let handlers = handlers.concat();
    format!(
        r#"(module
        (import "faas-flow:flow/builder@{version}" "[method]workflow.dag" (func $flow.dag (param i32) (result i32)))
        (import "faas-flow:flow/builder@{version}" "[method]workflow.handlers" (func $flow.handlers (param i32 i32 i32)))
        (import "faas-flow:flow/builder@{version}" "[method]dag.node"
            (func $dag.node (param i32 i32 i32) (result i32)))
        (import "faas-flow:flow/builder@{version}" "[method]dag.sub-dag"
            (func $dag.sub-dag (param i32 i32 i32) (result i32)))
        (import "faas-flow:flow/builder@{version}" "[method]dag.edge"
            (func $dag.edge (param i32 i32 i32 i32 i32 i32 i32 i32)))
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
    )
}

/// Makes a component out of a core module for a world.
pub fn component(wit: &str, world: &str, module: &str) -> Vec<u8> {
    ComponentEncoder::default().module(&embedded(wit, world, module)).unwrap().validate(true).encode().unwrap()
}

/// A core module that names its world.
fn embedded(wit: &str, world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("flow.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    module
}

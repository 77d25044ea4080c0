//! Where in a flow's code something happened, in the names that its author knows.

use std::borrow::Cow;
use wasmtime::WasmBacktrace;

/// How many functions are named in a message.
const NAMED: usize = 5;
/// How the names of functions begin that no author has written: those of the libraries and runtimes of languages, of the SDKs,
/// and of what compilers add.
const NOT_OF_THE_AUTHOR: [&str; 34] = [
    // Rust.
    "core::",
    "std::",
    "alloc::",
    "rust_",
    "__rust",
    "__rg",
    "faas_flow::",
    // Go.
    "runtime.",
    "runtime/",
    "internal/",
    "syscall.",
    "reflect.",
    "sync.",
    "os.",
    "go:",
    "_rt0_wasm",
    "wasm_export_",
    "wasm_pc_f_loop",
    // C and C++.
    "__cxa",
    "__cxx",
    "__wasi",
    "__wasm",
    "__libc",
    "__std",
    "__assert",
    "operator new",
    "operator delete",
    "faas_flow_",
    "exports_faas_flow_",
    // Memory and the component model.
    "dlmalloc",
    "cabi_",
    "wasm-tools",
    "wit_",
    "faas-flow:",
];

/// The names of functions of C's library that end the program, or manage its memory.
const OF_C: [&str; 7] = ["abort", "exit", "_Exit", "malloc", "calloc", "realloc", "free"];

/// The innermost functions of the flow's author that have names, as the end of a sentence. If there are none, the innermost
/// ones of all.
pub(crate) fn place(error: &wasmtime::Error) -> String {
    let names = names(error);
    match of_the_author(&names) {
        [] => sentence(&names),
        own => sentence(own),
    }
}

/// The innermost functions of the flow's author that have names, as the end of a sentence. Nothing if there are none.
pub(crate) fn place_of_author(error: &wasmtime::Error) -> String {
    sentence(of_the_author(&names(error)))
}

/// What is left of the names without what the author has not written at either end.
fn of_the_author(names: &[String]) -> &[String] {
    let first = names.iter().position(|name| is_of_the_author(name));
    let last = names.iter().rposition(|name| is_of_the_author(name));
    let range = first.zip(last).and_then(|(first, last)| names.get(first..=last));
    range.unwrap_or_default()
}

fn sentence(names: &[String]) -> String {
    let named: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    if named.is_empty() { String::new() } else { format!(" in {}", named.join(", called by ")) }
}

/// The names of the functions that were being executed, the innermost first.
fn names(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    names.map(|name| readable(name).into_owned()).collect()
}

/// A name as the author has written it. Compilers for Rust and C++ write types into the names of functions.
fn readable(name: &str) -> Cow<'_, str> {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}").into();
    }
    let cpp = cpp_demangle::Symbol::new(name).ok().filter(|_| name.starts_with("_Z"));
    match cpp.and_then(|symbol| symbol.demangle().ok()) {
        Some(cpp) => cpp.into(),
        None => name.into(),
    }
}

fn is_of_the_author(name: &str) -> bool {
    let name = name.trim_start_matches(['<', '&', '(']);
    !OF_C.contains(&name) && !NOT_OF_THE_AUTHOR.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_the_author_has_written_them() {
        for (name, shown) in [
            ("_ZN5first6define28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "first::define::{{closure}}"),
            ("_ZN4flow5priceERKNS_5OrderE", "flow::price(flow::Order const&)"),
            ("main.(*Order).price", "main.(*Order).price"),
            ("price", "price"),
            ("_Z", "_Z"),
        ] {
            assert_eq!(readable(name), shown);
        }
    }

    #[test]
    fn the_functions_of_the_author_are_told_from_those_of_libraries() {
        for own in [
            "first::define::{{closure}}",
            "first::report",
            "<first::Row as core::fmt::Display>::fmt",
            "parse",
            "main.define.func1",
            "flow::price(flow::Order const&)",
        ] {
            assert!(is_of_the_author(own), "{own}");
        }
        for other in [
            "core::panicking::panic_fmt",
            "<alloc::vec::Vec<T> as Clone>::clone",
            "rust_begin_unwind",
            "__rust_alloc",
            "runtime.gopanic",
            "faas_flow_flow_handlers_0.2.0_modify",
            "faas-flow:flow/handlers@0.2.0#modify",
            "std::terminate()",
        ] {
            assert!(!is_of_the_author(other), "{other}");
        }
    }
}

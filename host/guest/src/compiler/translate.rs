//! What a compiler does: it wraps a core module in a component, checks what the component needs, and compiles it.

use super::answer::Answer;
use super::functions::Functions;
use super::share::Share;
use crate::engine::{MEMORIES, TABLES, compiling_engine, remembering_engine};
use crate::guests::is_core;
use crate::limits::Limits;
use crate::wasi::adapter::{Unfit, component_of};
use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Component;

/// What the program of a [`Compiler`](super::Compiler) does: compiles the module on stdin, and writes the answer to stdout.
///
/// Call it early: it lowers the priority of this thread and of the threads that are started afterwards, and limits the
/// memory and processor time of the process for good.
pub fn compile() -> io::Result<()> {
    let share = Share::of_environment();
    share.limit_this_process();
    let mut module = Vec::new();
    io::stdin().read_to_end(&mut module)?;
    let functions = share.functions.map(|file| Arc::new(Functions::open(file)));
    let engine = match &functions {
        Some(functions) => remembering_engine(&Limits::default(), functions.clone()),
        None => compiling_engine(&Limits::default()),
    };
    let answer = match engine {
        Ok(engine) => translate(&engine, &module, share.code_bytes),
        Err(error) => Answer::Failed(error.to_string()),
    };
    if let Some(functions) = functions {
        // Before the answer, after which this process is ended. If this fails, the next module takes longer.
        let _ = functions.keep();
    }
    answer.write(&mut io::stdout().lock())
}

/// Compiles a component, or a core module that is a flow, to at most so many bytes of machine code.
pub(crate) fn translate(engine: &Engine, module: &[u8], code_bytes: u64) -> Answer {
    let component = if is_core(module) {
        match component_of(module) {
            Ok(component) => Cow::Owned(component),
            Err(Unfit::NoWorld) => return Answer::NoWorld,
            Err(Unfit::Module(reason)) => return Answer::Unfit(reason),
        }
    } else {
        Cow::Borrowed(module)
    };
    let compiled = Component::new(engine, &component).and_then(|component| {
        Ok(match too_complex(&component) {
            Some(what) => Answer::TooComplex(what),
            None => Answer::Code(component.serialize()?),
        })
    });
    match compiled {
        Ok(Answer::Code(code)) if code.len() as u64 > code_bytes => Answer::TooLarge { limit: code_bytes },
        Ok(answer) => answer,
        Err(reason) => Answer::Failed(format!("{reason:#}")),
    }
}

/// What a component has too many of, if anything.
fn too_complex(component: &Component) -> Option<String> {
    // None only if it instantiates modules that it imports, which no flow can.
    let needed = component.resources_required()?;
    let parts = [(needed.num_memories, MEMORIES, "memories"), (needed.num_tables, TABLES, "tables")];
    let (count, most, what) = parts.into_iter().find(|(count, most, _)| count > most)?;
    Some(format!("{count} {what}, more than the {most} allowed"))
}

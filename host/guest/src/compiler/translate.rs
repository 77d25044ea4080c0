//! What a compiler does: it wraps a core module in a component, checks what the component needs, and compiles it.

use super::answer::Answer;
use super::share::Share;
use crate::engine::{MEMORIES, TABLES, compiling_engine};
use crate::guests::is_core;
use crate::limits::Limits;
use std::borrow::Cow;
use std::io::{self, Read};
use wasmtime::Engine;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

/// What the program of a [`Compiler`](super::Compiler) does: compiles the module on stdin, and writes the answer to stdout.
///
/// Call it early: it lowers the priority of this thread and of the threads that are started afterwards, and limits the
/// memory and processor time of the process for good.
pub fn compile() -> io::Result<()> {
    let share = Share::of_environment();
    share.limit_this_process();
    let mut module = Vec::new();
    io::stdin().read_to_end(&mut module)?;
    let answer = match compiling_engine(&Limits::default()) {
        Ok(engine) => translate(&engine, &module, share.code_bytes),
        Err(error) => Answer::Failed(error.to_string()),
    };
    answer.write(&mut io::stdout().lock())
}

/// Compiles a component, or a core module that names its world, to at most so many bytes of machine code.
pub(crate) fn translate(engine: &Engine, module: &[u8], code_bytes: u64) -> Answer {
    if is_core(module) && !names_its_world(module) {
        return Answer::NoWorld;
    }
    let component = match wrapped(module) {
        Ok(component) => component,
        Err(reason) => return Answer::Unfit(format!("{reason:#}")),
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

/// The bytes of a component: the given ones, or a core module wrapped in a component.
fn wrapped(module: &[u8]) -> Result<Cow<'_, [u8]>, impl std::fmt::Display> {
    if !is_core(module) {
        return Ok(Cow::Borrowed(module));
    }
    ComponentEncoder::default().validate(true).module(module).and_then(|encoder| encoder.encode()).map(Cow::Owned)
}

/// Whether a core module names its WIT world, which wit-bindgen stores in a section with this prefix.
fn names_its_world(core: &[u8]) -> bool {
    const SECTION: &[u8] = b"component-type";
    core.windows(SECTION.len()).any(|window| window == SECTION)
}

//! What flows do not have of WASI 0.2: a call fails with an error of its own if it has one for that, and otherwise ends the
//! code. Either way, the name of the function is told.

use super::system::Stopped;
use crate::state::State;
use wasmtime::Result;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{LinkerInstance, Val};

/// The errors of WASI that say that there is no such thing, in the order in which they are looked for.
const ERRORS: [&str; 4] = ["no-entry", "not-supported", "unsupported", "internal-error"];

/// Offers a function that fails.
pub(super) fn offer(instance: &mut LinkerInstance<'_, State>, interface: &str, function: &str) -> Result<()> {
    let name = format!("{interface}#{function}");
    instance.func_new(function, move |mut store, ty, _, results| {
        let Some((error, result)) = error(&ty, &name).zip(results.first_mut()) else {
            return Err(Stopped::Missing { function: name.clone() }.into());
        };
        store.data_mut().note_missing(&name);
        *result = error;
        Ok(())
    })
}

/// The error with which a function of this type says that it does not exist.
fn error(ty: &ComponentFunc, name: &str) -> Option<Val> {
    let Type::Result(result) = ty.results().next()? else { return None };
    let error = match result.err()? {
        Type::Enum(cases) => {
            let known: Vec<&str> = cases.names().collect();
            Val::Enum((*ERRORS.iter().find(|error| known.contains(error))?).to_owned())
        }
        Type::Variant(variant) => {
            let case = |error: &&str| variant.cases().find(|case| *case.name == **error);
            let case = ERRORS.iter().find_map(case)?;
            let told = match &case.ty {
                None => None,
                Some(Type::Option(text)) if matches!(text.ty(), Type::String) => {
                    let text = Val::String(format!("flows do not have {name}"));
                    Some(Box::new(Val::Option(Some(Box::new(text)))))
                }
                Some(_) => return None,
            };
            Val::Variant(case.name.to_owned(), told)
        }
        _ => return None,
    };
    Some(Val::Result(Err(Some(Box::new(error)))))
}

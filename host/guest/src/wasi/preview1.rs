//! What the adapter for WASI preview 1 imports from the host: `adapter.wit`.

use super::adapter::PREVIEW_1;
use super::system::{Output, Stopped};
use crate::state::State;
use wasmtime::component::LinkerInstance;
use wasmtime::{Result, StoreContextMut};

/// Offers the interface `system`.
pub(super) fn offer_system(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("write", |mut store: StoreContextMut<'_, State>, (stream, bytes): (u32, Vec<u8>)| {
        let output = if stream == 1 { Output::Stdout } else { Output::Stderr };
        store.data_mut().write(output, &bytes);
        Ok(())
    })?;
    instance.func_wrap("random", |mut store: StoreContextMut<'_, State>, (): ()| Ok((store.data_mut().random(),)))?;
    instance.func_wrap("exit", |_: StoreContextMut<'_, State>, (status,): (u32,)| -> Result<()> {
        Err(Stopped::Exited { status }.into())
    })
}

/// Offers a function of the interface `missing`.
pub(super) fn offer_missing(instance: &mut LinkerInstance<'_, State>, function: &str) -> Result<()> {
    let name = format!("{PREVIEW_1}.{}", function.replace('-', "_"));
    instance.func_wrap(function, move |mut store: StoreContextMut<'_, State>, (): ()| {
        store.data_mut().note_missing(&name);
        Ok(())
    })
}

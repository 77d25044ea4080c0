//! Finds the module among the files that cargo says it wrote.

use crate::SourcesError;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A line of cargo's output.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The only module among the files that cargo says it wrote.
pub(super) fn made(said: &[u8], folder: &Path) -> Result<PathBuf, SourcesError> {
    let messages = said.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let artifacts =
        messages.filter(|message| message.reason == "compiler-artifact").flat_map(|message| message.filenames);
    let mut modules: Vec<PathBuf> =
        artifacts.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect();
    match (modules.pop(), modules.is_empty()) {
        (Some(module), true) => Ok(module),
        (Some(_), false) => Err(SourcesError::SeveralModules { folder: folder.to_owned() }),
        (None, _) => Err(SourcesError::NoModule { folder: folder.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_what_cargo_says() {
        let artifact = |files: &str| format!("{{\"reason\":\"compiler-artifact\",\"filenames\":[{files}]}}\n");
        let said = |lines: &[&str]| made(lines.concat().as_bytes(), Path::new("flow"));
        let (library, module) = (artifact("\"/t/libdep.rlib\""), artifact("\"/t/flow.wasm\",\"/t/libflow.rlib\""));
        let end = "{\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(said(&[&library, "no json\n", &module, end]).unwrap(), PathBuf::from("/t/flow.wasm"));
        assert!(said(&[&library, end]).unwrap_err().to_string().contains("crate-type"));
        let two = said(&[&module, &artifact("\"/t/other.wasm\"")]).unwrap_err();
        assert!(two.to_string().contains("several modules"), "{two}");
    }
}

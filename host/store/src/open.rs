//! From a store's address to the store.

use crate::files::Files;
use crate::memory::{MemoryData, MemoryState};
use crate::sqlite::Sqlite;
use crate::{DataStore, StateStore, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Opens the state store at an address.
///
/// - `memory`: in this process, gone with it.
/// - `sqlite:PATH` or `sqlite://PATH`: in a file, which is created with its directory where it is missing. Options
///   follow a `?`, separated by `&`:
///   - `synchronous=normal` (default): a commit survives the end of the process, but power loss may take the last ones.
///     `synchronous=full`: it survives that too.
///   - `mode=ro`: nothing is created or written; another process may write meanwhile.
///   - `busy_timeout_ms=5000`: how long to wait for a lock of another process.
///   - `max_pages=N`: the store is full at N pages of 4 KiB.
pub async fn open_state(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    if url == "memory" {
        return Ok(Arc::new(MemoryState::default()));
    }
    let address = Address::parse(url, "sqlite", "`memory` or `sqlite:PATH`")?;
    let options = address.options(&["synchronous", "mode", "busy_timeout_ms", "max_pages"])?;
    let path = address.path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Sqlite::open(Path::new(&path), options)).await;
    Ok(Arc::new(opened.map_err(|error| address.unavailable(&error))??))
}

/// Opens the data store at an address.
///
/// - `memory`: in this process, gone with it.
/// - `files:PATH` or `files://PATH`: one file per key below a directory, which is created where it is missing. Options
///   follow a `?`, separated by `&`: `synchronous` and `mode` as in [`open_state`].
pub async fn open_data(url: &str) -> Result<Arc<dyn DataStore>, StoreError> {
    if url == "memory" {
        return Ok(Arc::new(MemoryData::default()));
    }
    let address = Address::parse(url, "files", "`memory` or `files:PATH`")?;
    let options = address.options(&["synchronous", "mode"])?;
    let path = address.path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Files::open(Path::new(&path), &options)).await;
    Ok(Arc::new(opened.map_err(|error| address.unavailable(&error))??))
}

/// What follows the `?` of an address.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) access: Access,
    pub(crate) durability: Durability,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_pages: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// What a write survives once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    ProcessCrash,
    PowerLoss,
}

struct Address<'a> {
    url: &'a str,
    path: &'a str,
    options: &'a str,
}

impl<'a> Address<'a> {
    fn parse(url: &'a str, scheme: &str, known: &str) -> Result<Self, StoreError> {
        let rule = || bad(url, format!("use {known}"));
        let rest = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')).ok_or_else(rule)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        match path.is_empty() || path.starts_with(':') || path.contains('\0') {
            true => Err(rule()),
            false => Ok(Self { url, path, options }),
        }
    }

    fn options(&self, known: &[&str]) -> Result<Options, StoreError> {
        let mut options = Options {
            access: Access::ReadWrite,
            durability: Durability::ProcessCrash,
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
        };
        for option in self.options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let number = || value.parse::<u32>().map_err(|_| bad(self.url, format!("{name} must be a number")));
            match (name, value) {
                _ if !known.contains(&name) => {
                    return Err(bad(self.url, format!("its options are {}", known.join(", "))));
                }
                ("mode", "rw") => options.access = Access::ReadWrite,
                ("mode", "ro") => options.access = Access::ReadOnly,
                ("mode", _) => return Err(bad(self.url, "mode must be rw or ro")),
                ("synchronous", "normal") => options.durability = Durability::ProcessCrash,
                ("synchronous", "full") => options.durability = Durability::PowerLoss,
                ("synchronous", _) => return Err(bad(self.url, "synchronous must be normal or full")),
                ("busy_timeout_ms", _) => options.busy_timeout = Duration::from_millis(number()?.into()),
                _ => options.max_pages = Some(number()?),
            }
        }
        Ok(options)
    }

    fn unavailable(&self, error: &tokio::task::JoinError) -> StoreError {
        StoreError::Unavailable { place: self.path.to_owned(), reason: error.to_string() }
    }
}

fn bad(url: &str, rule: impl Into<String>) -> StoreError {
    // A password ends up in no log.
    let url = match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://***{}", url.get(..scheme).unwrap_or_default(), url.get(at..).unwrap_or_default())
        }
        _ => url.to_owned(),
    };
    StoreError::BadUrl { url, rule: rule.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[tokio::test]
    async fn an_address_that_names_no_store_is_refused() {
        for url in [
            "",
            "x",
            "sqlite",
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:x?mode=rx",
            "sqlite:x?nmode=ro",
            "sqlite:x?max_pages=many",
            "sqlite:x?synchronous",
            "files:x",
            "redis://somebody:secret@there",
        ] {
            let error = open_state(url).await.err().unwrap();
            assert_eq!(error.code(), Code::BAD_STORE_URL, "{url}: {error}");
            assert!(!error.to_string().contains("secret"));
        }
        for url in ["files", "files:", "files:x?max_pages=3", "sqlite:x"] {
            assert_eq!(open_data(url).await.err().unwrap().code(), Code::BAD_STORE_URL, "{url}");
        }
    }
}

//! What is in the folder of the secrets, beside the keys and tokens.

use super::table::{DATA_STORE, Key, SECRET_MOUNT_PATH, STATE_STORE};
use super::values::{Source, Values};
use crate::Error;
use faas_flow_core::Code;
use std::io::ErrorKind;
use std::path::Path;

/// Addresses of stores that hold a password: where the keys say nothing, secrets may.
static ADDRESSES: [(&str, &Key); 2] = [("faasflow-state-store", &STATE_STORE), ("faasflow-data-store", &DATA_STORE)];

/// Every file that the host reads there.
pub(crate) const FILES: [&str; 7] = [
    "faasflow-hmac-secret",
    "faasflow-hmac-secret-previous",
    "faasflow-admin-token",
    "faasflow-state-store",
    "faasflow-data-store",
    "s3-access-key",
    "s3-secret-key",
];

/// Takes the stores' addresses from secrets.
pub(crate) fn addresses(values: &mut Values) -> Result<(), Error> {
    let folder = values.text(&SECRET_MOUNT_PATH);
    for (file, key) in ADDRESSES {
        let path = Path::new(&folder).join(file);
        if values.given(key).is_some() {
            continue;
        }
        match std::fs::read_to_string(&path) {
            Ok(address) if address.trim().is_empty() => {
                return Err(Error::new(Code::BAD_SECRET, format!("{} is empty", path.display())));
            }
            Ok(address) => values.set(key, vec![address.trim().to_owned()], Source::Secret(path)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => {
                return Err(Error::new(Code::BAD_SECRET, format!("cannot read {}: {error}", path.display())));
            }
        }
    }
    Ok(())
}

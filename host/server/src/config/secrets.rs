//! Secrets that are part of the configuration. The keys that sign and the tokens are read elsewhere.

use super::error::Error;
use super::table::Values;
use super::values::Source;
use faas_flow_core::secret_of;
use std::io::ErrorKind;

/// Every secret that the host reads.
pub(crate) const SECRETS: [&str; 9] = [
    "faasflow-hmac-secret",
    "faasflow-hmac-secret-previous",
    "faasflow-admin-token",
    "faasflow-tokens",
    "faasflow-oidc-secret",
    "faasflow-state-store",
    "faasflow-data-store",
    "s3-access-key",
    "s3-secret-key",
];

/// Reads the addresses of the stores from secrets, where their keys are not given: an address may hold a password.
pub(super) fn read_addresses(values: &mut Values) -> Result<(), Error> {
    let folder = values.secret_mount_path.value.clone();
    for (secret, setting) in
        [("faasflow-state-store", &mut values.state_store), ("faasflow-data-store", &mut values.data_store)]
    {
        if setting.given().is_some() {
            continue;
        }
        let path = folder.join(secret);
        match std::fs::read(&path) {
            Ok(file) => match secret_of(&file) {
                Ok(address) => setting.set_text(address.to_owned(), Source::Secret(path)),
                Err(flaw) => return Err(Error::BadSecret { path, flaw }),
            },
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(source) => return Err(Error::SecretUnreadable { path, source }),
        }
    }
    Ok(())
}

//! Who may ask a server for what, as the keys and secrets say.

use crate::config::{
    AUTHENTICATE_REQUEST, CALLBACK_HOSTS, SECRET_MOUNT_PATH, Source, UPSTREAM_URL, VALIDATE_REQUEST, Values,
};
use crate::events::{Keys, Window};
use crate::{Admin, Error, Guards};
use faas_flow_core::Code;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const ADMIN_TOKEN: &str = "faasflow-admin-token";

/// The guards of a server at this address: without a secret, only its own machine may reach it.
pub(super) fn of(values: &Values, address: IpAddr) -> Result<Guards, Error> {
    let folder = PathBuf::from(values.text(&SECRET_MOUNT_PATH));
    if values.source(&SECRET_MOUNT_PATH) != Source::Default && !folder.is_dir() {
        let message =
            format!("there is no folder {}, where secret_mount_path says that the secrets are", folder.display());
        return Err(Error::new(Code::BAD_SECRET, message));
    }
    let (keys, token) = (Keys::from_folder(&folder)?, admin_token(&folder)?);
    // Behind of-watchdog, others reach an address that looks like this machine's own.
    let alone = address.to_canonical().is_loopback() && values.some(&UPSTREAM_URL).is_none();
    let authenticate = values.switch(&AUTHENTICATE_REQUEST);
    if keys.is_none() && (authenticate || !alone) {
        let why = match authenticate {
            true => "authenticate_request is true".to_owned(),
            false => format!("others can reach {address}"),
        };
        let message = format!(
            "{why}, but there is no secret: put faasflow-hmac-secret into {}, or name its folder with secret_mount_path",
            folder.display()
        );
        return Err(Error::new(Code::BAD_SECRET, message));
    }
    let unchecked = !values.switch(&VALIDATE_REQUEST);
    if unchecked && !alone {
        eprintln!(
            "warning: validate_request is false, but others can reach {address}: events are checked all the same"
        );
    }
    let admin = match token {
        Some(token) => Admin::Token(token),
        None if alone => Admin::Anybody,
        None => Admin::Nobody,
    };
    let callback_hosts = values.list(&CALLBACK_HOSTS);
    Ok(Guards { keys, window: Window::default(), unchecked: unchecked && alone, authenticate, admin, callback_hosts })
}

pub(super) fn admin_token(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join(ADMIN_TOKEN);
    match std::fs::read_to_string(&path).map(|token| token.trim().to_owned()) {
        Ok(token) if token.len() < 16 => {
            let message = format!("{} has fewer than 16 characters", path.display());
            Err(Error::new(Code::BAD_SECRET, message))
        }
        Ok(token) => Ok(Some(token)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Code::BAD_SECRET, format!("cannot read {}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, Key};

    fn values(given: &[(&'static Key, &str)]) -> Values {
        let layer = given.iter().map(|(key, text)| (*key, vec![(*text).to_owned()], Source::Option(String::new())));
        Values::new(Defaults::Deployed, Vec::new(), layer.collect())
    }

    #[test]
    fn only_its_own_machine_reaches_a_server_without_a_secret() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut given: Vec<(&'static Key, &str)> = vec![(&SECRET_MOUNT_PATH, path)];
        let guards = |given: &[(&'static Key, &str)], address: &str| {
            of(&values(given), address.parse().unwrap()).map_err(|error| error.code())
        };
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(matches!(guards(&given, local), Ok(Guards { admin: Admin::Anybody, .. })));
        }
        for open in ["0.0.0.0", "::", "192.0.2.1"] {
            assert_eq!(guards(&given, open).unwrap_err(), Code::BAD_SECRET);
        }
        let behind = [given[0], (&UPSTREAM_URL, "http://127.0.0.1:8082")];
        assert_eq!(guards(&behind, "127.0.0.1").unwrap_err(), Code::BAD_SECRET);
        std::fs::write(folder.path().join("faasflow-hmac-secret"), "sixteen bytes ok").unwrap();
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { admin: Admin::Nobody, .. })));
        assert!(matches!(guards(&behind, "127.0.0.1"), Ok(Guards { admin: Admin::Nobody, .. })));
        given.push((&VALIDATE_REQUEST, "false"));
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { unchecked: false, .. })));
        assert!(matches!(guards(&given, "127.0.0.1"), Ok(Guards { unchecked: true, .. })));
        std::fs::write(folder.path().join(ADMIN_TOKEN), "a token of more than sixteen\n").unwrap();
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { admin: Admin::Token(_), .. })));
        std::fs::write(folder.path().join(ADMIN_TOKEN), "short").unwrap();
        assert_eq!(guards(&given, "127.0.0.1").unwrap_err(), Code::BAD_SECRET);
    }

    #[test]
    fn a_folder_that_somebody_names_is_there() {
        let gone = values(&[(&SECRET_MOUNT_PATH, "/nowhere/secrets")]);
        let said = of(&gone, "127.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(said.contains("/nowhere/secrets") && said.contains("secret_mount_path"), "{said}");
    }
}

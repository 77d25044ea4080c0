//! Who may ask a server for what, according to the configuration and the secrets.

use crate::config::Values;
use faas_flow_core::Code;
use faas_flow_http::{Admin, Guards};
use faas_flow_replica::Error;
use faas_flow_replica::events::{Keys, Window};
use std::net::IpAddr;
use std::path::Path;

const ADMIN_TOKEN: &str = "faasflow-admin-token";

/// The guards of a server at this address. Without a secret, the address must be reachable from this machine only.
pub(super) fn of(values: &Values, address: IpAddr) -> Result<Guards, Error> {
    let folder = &values.secret_mount_path.value;
    if values.secret_mount_path.is_given() && !folder.is_dir() {
        let message = format!("secret_mount_path is {}, which is not a folder", folder.display());
        return Err(Error::new(Code::BAD_SECRET, message));
    }
    let keys = Keys::from_folder(folder)?;
    let token = admin_token(folder)?;
    // Behind of-watchdog, other machines reach a function at a loopback address.
    let local_only = address.to_canonical().is_loopback() && values.upstream_url.value.is_none();
    let authenticate = values.authenticate_request.value;
    if keys.is_none() && (authenticate || !local_only) {
        let why = if authenticate {
            "authenticate_request is true".to_owned()
        } else {
            format!("other machines can reach {address}")
        };
        let message = format!(
            "{why}, but there is no secret to check signatures with: put the secret faasflow-hmac-secret into {}, or set \
             secret_mount_path to its folder",
            folder.display()
        );
        return Err(Error::new(Code::BAD_SECRET, message));
    }
    let unchecked = !values.validate_request.value;
    if unchecked && !local_only {
        eprintln!(
            "warning: validate_request is false, but signatures of events are checked anyway, since other machines can \
             reach {address}"
        );
    }
    let admin = match token {
        Some(token) => Admin::Token(token),
        None if local_only => Admin::Anybody,
        None => Admin::Nobody,
    };
    let callback_hosts = values.callback_hosts.value.clone();
    let unchecked = unchecked && local_only;
    Ok(Guards { keys, window: Window::default(), unchecked, authenticate, admin, callback_hosts })
}

/// The admin token, if there is that secret.
pub(super) fn admin_token(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join(ADMIN_TOKEN);
    match std::fs::read_to_string(&path).map(|token| token.trim().to_owned()) {
        Ok(token) if token.len() < 16 => {
            let message = format!("the admin token in {} is too short: use at least 16 characters", path.display());
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
    #[test]
    fn a_server_without_a_secret_must_be_reachable_from_its_own_machine_only() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut given = vec![("secret_mount_path", path)];
        let guards = |given: &[(&str, &str)], address: &str| {
            of(&Values::of(given).unwrap(), address.parse().unwrap()).map_err(|error| error.code())
        };
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(matches!(guards(&given, local), Ok(Guards { admin: Admin::Anybody, .. })));
        }
        for open in ["0.0.0.0", "::", "192.0.2.1"] {
            assert_eq!(guards(&given, open).unwrap_err(), Code::BAD_SECRET);
        }
        let behind = [given[0], ("upstream_url", "http://127.0.0.1:8082")];
        assert_eq!(guards(&behind, "127.0.0.1").unwrap_err(), Code::BAD_SECRET);
        std::fs::write(folder.path().join("faasflow-hmac-secret"), "sixteen bytes ok").unwrap();
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { admin: Admin::Nobody, .. })));
        assert!(matches!(guards(&behind, "127.0.0.1"), Ok(Guards { admin: Admin::Nobody, .. })));
        given.push(("validate_request", "false"));
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { unchecked: false, .. })));
        assert!(matches!(guards(&given, "127.0.0.1"), Ok(Guards { unchecked: true, .. })));
        std::fs::write(folder.path().join(ADMIN_TOKEN), "a token of more than sixteen\n").unwrap();
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { admin: Admin::Token(_), .. })));
        std::fs::write(folder.path().join(ADMIN_TOKEN), "short").unwrap();
        assert_eq!(guards(&given, "127.0.0.1").unwrap_err(), Code::BAD_SECRET);
    }

    #[test]
    fn a_configured_folder_of_secrets_must_exist() {
        let gone = Values::of(&[("secret_mount_path", "/nowhere/secrets")]).unwrap();
        let said = of(&gone, "127.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(said.contains("/nowhere/secrets") && said.contains("secret_mount_path"), "{said}");
    }
}

//! Who may ask a server for what, according to the configuration and the secrets.

use crate::config::{Values, destinations_of};
use crate::{AdminTokenFault, Error, TokensFileFault, WhySigned};
use faas_flow_core::secret_of;
use faas_flow_http::dashboard::{IssuerUrl, OidcSettings};
use faas_flow_http::{Admin, Guards, PayloadAccess, Proxies, ResultAccess, Tokens, parse_tokens};
use faas_flow_replica::events::{Keys, Window};
use reqwest::Url;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

const ADMIN_TOKEN: &str = "faasflow-admin-token";
/// The secret of the dashboard at its OpenID provider.
const OIDC_SECRET: &str = "faasflow-oidc-secret";
/// The secret, and the file, with the tokens that have names.
pub(super) const TOKENS: &str = "faasflow-tokens";

/// The guards of a server at this address. Without a secret, the address must be reachable from this machine only.
pub(super) fn of(values: &Values, address: IpAddr) -> Result<Guards, Error> {
    let folder = &values.secret_mount_path.value;
    if values.secret_mount_path.is_given() && !folder.is_dir() {
        return Err(Error::NoSecretsFolder { folder: folder.clone() });
    }
    let keys = Keys::from_folder(folder)?.map(|keys| keys.with(values.hmac_migration.value));
    let tokens = tokens(folder)?;
    // Behind of-watchdog, other machines reach a function at a loopback address.
    let local_only = address.to_canonical().is_loopback() && values.upstream_url.value.is_none();
    let authenticate = values.authenticate_request.value;
    let result_access = result_access(values);
    let signed = result_access == ResultAccess::Signed;
    if keys.is_none() && (authenticate || signed || !local_only) {
        let why = if authenticate {
            WhySigned::Authenticate
        } else if signed {
            WhySigned::Results
        } else {
            WhySigned::Reachable(address)
        };
        return Err(Error::NoSigningSecret { why, folder: folder.clone() });
    }
    let unchecked = !values.validate_request.value;
    if unchecked && !local_only {
        eprintln!(
            "warning: validate_request is false, but signatures of events are checked anyway, since other machines can \
             reach {address}"
        );
    }
    let admin = match tokens {
        Some(tokens) => Admin::Tokens(tokens.into()),
        None if local_only => Admin::Anybody,
        None => Admin::Nobody,
    };
    let callbacks = destinations_of(values).callbacks;
    let unchecked = unchecked && local_only;
    let window = Window::default();
    let (payloads, proxies) = (payloads(values), proxies(values));
    Ok(Guards { keys, window, unchecked, authenticate, admin, result_access, payloads, callbacks, proxies })
}

/// Who may read results and states: if the key is not set, callers who sign the request where new requests must be signed too.
pub(super) fn result_access(values: &Values) -> ResultAccess {
    let default = if values.authenticate_request.value { ResultAccess::Signed } else { ResultAccess::WithId };
    values.result_access.value.unwrap_or(default)
}

/// Of which runs operators see inputs and outputs of nodes, and what is hidden in them.
pub(super) fn payloads(values: &Values) -> PayloadAccess {
    PayloadAccess { show: values.show_payloads.value, redact: values.redact.value.clone() }
}

/// The proxies in front of the server that are believed.
pub(super) fn proxies(values: &Values) -> Proxies {
    let (trusted, user_header) = (values.trusted_proxies.value.clone(), values.user_header.value.clone());
    if let Some(header) = user_header.as_ref().filter(|_| trusted.is_empty()) {
        eprintln!("warning: the header `{header}` (user_header) is ignored, since trusted_proxies names no proxy");
    }
    Proxies { trusted, user_header }
}

/// The provider with which people sign in, if there is one.
pub(super) fn sign_in(values: &Values) -> Result<Option<OidcSettings>, Error> {
    let Some(issuer) = &values.oidc_issuer.value else { return Ok(None) };
    let missing = |missing: String| Error::NoSignIn { missing };
    let key = |name: &str, value: &Option<String>| {
        value.clone().ok_or_else(|| missing(format!("{name} is not: set it, too")))
    };
    let url =
        |name: &str, text: &str| Url::parse(text).map_err(|error| missing(format!("{name} is not a URL: {error}")));
    let client_id = key("oidc_client_id", &values.oidc_client_id.value)?;
    let dashboard = key("dashboard_url", &values.dashboard_url.value)?;
    let path = values.secret_mount_path.value.join(OIDC_SECRET);
    let file = std::fs::read(&path)
        .map_err(|error| missing(format!("the secret {} cannot be read: {error}", path.display())))?;
    let client_secret = secret_of(&file).map_err(|flaw| missing(format!("the secret {} {flaw}", path.display())))?;
    Ok(Some(OidcSettings {
        issuer: IssuerUrl::new(issuer.clone()).map_err(|error| missing(format!("it is not a URL: {error}")))?,
        client_id,
        client_secret: client_secret.to_owned(),
        dashboard_url: url("dashboard_url", &format!("{}/", dashboard.trim_end_matches('/')))?,
        scopes: values.oidc_scopes.value.clone(),
        name_claim: values.oidc_user.value.clone(),
        grants: values.oidc_rights.value.clone(),
    }))
}

/// The tokens that a server accepts, if there is one of the secrets that have some.
pub(super) fn tokens(folder: &Path) -> Result<Option<Tokens>, Error> {
    let admin = admin_token(folder)?;
    let path = folder.join(TOKENS);
    let bad = |fault: TokensFileFault| Error::BadTokens { path: path.clone(), fault };
    let named = match std::fs::read(&path) {
        Ok(file) => parse_tokens(&file).map_err(|fault| bad(fault.into()))?,
        Err(error) if error.kind() == ErrorKind::NotFound && admin.is_none() => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(bad(error.into())),
    };
    Ok(Some(Tokens::new(admin, named)))
}

/// The admin token, if there is that secret.
fn admin_token(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join(ADMIN_TOKEN);
    let bad = |fault: AdminTokenFault| Error::BadAdminToken { path: path.clone(), fault };
    let file = match std::fs::read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad(error.into())),
    };
    match secret_of(&file).map_err(|flaw| bad(flaw.into()))? {
        token if token.len() < 16 => Err(bad(AdminTokenFault::TooShort)),
        // A header of HTTP carries it.
        token if !token.is_ascii() => Err(bad(AdminTokenFault::NotAscii)),
        token => Ok(Some(token.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

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
        assert!(matches!(guards(&given, "0.0.0.0"), Ok(Guards { admin: Admin::Tokens(_), .. })));
        for bad in [
            "short",
            "",
            "\n",
            "a token of two lines\nlike this\n",
            "a token with a \0 in it",
            "ein Schl\u{fc}ssel, der zu",
        ] {
            std::fs::write(folder.path().join(ADMIN_TOKEN), bad).unwrap();
            assert_eq!(guards(&given, "127.0.0.1").unwrap_err(), Code::BAD_SECRET, "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_read_however_its_file_was_written() {
        let folder = tempfile::TempDir::new().unwrap();
        for file in ["0123456789abcdef", "0123456789abcdef\n", "\u{feff}0123456789abcdef\r\n"] {
            std::fs::write(folder.path().join(ADMIN_TOKEN), file).unwrap();
            assert_eq!(admin_token(folder.path()).unwrap().as_deref(), Some("0123456789abcdef"), "{file:?}");
        }
    }

    #[test]
    fn named_tokens_are_enough_and_a_bad_line_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        assert!(tokens(folder.path()).unwrap().is_none());
        let file = folder.path().join(TOKENS);
        std::fs::write(&file, format!("alice see sha256:{}\n", "0".repeat(64))).unwrap();
        assert!(tokens(folder.path()).unwrap().is_some());
        std::fs::write(&file, "alice sea\n").unwrap();
        let error = tokens(folder.path()).unwrap_err();
        assert_eq!(error.code(), Code::BAD_SECRET);
        assert!(error.to_string().contains("line 1") && error.to_string().contains(TOKENS), "{error}");
    }

    #[test]
    fn results_are_for_signed_requests_where_new_requests_are_signed() {
        let folder = tempfile::TempDir::new().unwrap();
        let guards = |given: &[(&str, &str)]| {
            let path = ("secret_mount_path", folder.path().to_str().unwrap());
            let values = Values::of(&[&[path][..], given].concat()).unwrap();
            of(&values, "127.0.0.1".parse().unwrap()).map(|guards| guards.result_access).map_err(|error| error.code())
        };
        assert_eq!(guards(&[]), Ok(ResultAccess::WithId));
        assert_eq!(guards(&[("result_access", "open")]), Ok(ResultAccess::Open));
        assert_eq!(guards(&[("result_access", "signed")]), Err(Code::BAD_SECRET));
        std::fs::write(folder.path().join("faasflow-hmac-secret"), "sixteen bytes ok").unwrap();
        assert_eq!(guards(&[("result_access", "signed")]), Ok(ResultAccess::Signed));
        assert_eq!(guards(&[("authenticate_request", "true")]), Ok(ResultAccess::Signed));
        assert_eq!(guards(&[("authenticate_request", "true"), ("result_access", "with-id")]), Ok(ResultAccess::WithId));
    }

    #[test]
    fn a_configured_folder_of_secrets_must_exist() {
        let gone = Values::of(&[("secret_mount_path", "/nowhere/secrets")]).unwrap();
        let said = of(&gone, "127.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(said.contains("/nowhere/secrets") && said.contains("secret_mount_path"), "{said}");
    }
}

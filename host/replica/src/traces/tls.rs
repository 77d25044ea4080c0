//! TLS with certificates from files.

use super::settings::TlsFiles;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::path::Path;
use std::sync::Arc;

/// Reads a file; the error names it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A client that trusts and shows what the files say.
pub(crate) fn client(files: &TlsFiles) -> Result<Arc<ClientConfig>, String> {
    let text = |error: rustls::Error| error.to_string();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(text)?;
    let config = match &files.trusted {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            config.with_root_certificates(roots)
        }
        None => config.with_platform_verifier().map_err(text)?,
    };
    let config = match &files.identity {
        Some((certificate, key)) => {
            let pem = read(key)?;
            let secret = PrivateKeyDer::from_pem_slice(&pem)
                .map_err(|_| format!("{} holds no private key in PEM form", key.display()))?;
            config
                .with_client_auth_cert(certificates(certificate)?, secret)
                .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?
        }
        None => config.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| format!("{} holds no certificate in PEM form", path.display()))
}

//! Signed modules: whoever holds a key of `module_keys` says which modules a flow may have.
//!
//! What is signed, with Ed25519, is a text of four lines, each with a line feed at its end:
//!
//! ```text
//! faas-flow module signature 1
//! digest 54a0217d51b465707130064c1b97aabeb53836aa0eb5f2eaf352099cb495c20d
//! flow greet
//! contract 0.1.0
//! ```
//!
//! The digest is the sha256 of the file, the contract is the version of the WIT package that it was made for. None of the
//! fields can hold a line feed. A signature is one line, which a header can carry: `ed25519 KEY SIGNATURE`, with the key's id
//! (the first 16 hexadecimal digits of the sha256 of its SPKI) and the signature in Base64.

mod key;

pub use key::{KeyId, PrivateKey, PublicKey};

use crate::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faas_flow_core::{Code, Digest, FlowName};
use std::fmt;
use std::path::{Path, PathBuf};

const ALGORITHM: &str = "ed25519";

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The sha256 of the module.
    pub digest: &'a Digest,
    /// The flow that it may be.
    pub flow: &'a FlowName,
    /// The version of the contract that it was made for, as in `0.1.0`.
    pub wit: &'a str,
}

impl Statement<'_> {
    fn text(&self) -> String {
        let Self { digest, flow, wit } = self;
        format!("faas-flow module signature 1\ndigest {digest}\nflow {flow}\ncontract {wit}\n")
    }

    /// Signs it.
    pub fn sign(&self, key: &PrivateKey) -> Result<Signature, Error> {
        Ok(Signature { key: key.id(), bytes: key.sign(self.text().as_bytes())? })
    }
}

/// A signature, unchecked. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    /// Reads the line.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let malformed = |why: &str| {
            let message = format!(
                "the module's signature {why}: it is one line, `ed25519 KEY SIGNATURE`, as `faas-flow sign` writes it; \
                 sign the module again"
            );
            Error::new(Code::BAD_MODULE_SIGNATURE, message)
        };
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [algorithm, key, signature] = *fields else { return Err(malformed("does not have three fields")) };
        if algorithm != ALGORITHM {
            return Err(malformed("is not of the kind `ed25519`"));
        }
        let key = KeyId::parse(key).ok_or_else(|| malformed("does not name its key by 16 hexadecimal digits"))?;
        let bytes = STANDARD.decode(signature).map_err(|_| malformed("is not Base64"))?;
        match bytes.len() {
            64 => Ok(Self { key, bytes }),
            length => Err(malformed(&format!("has {length} bytes where it must have 64"))),
        }
    }

    /// The key that it says it was made with.
    pub fn key(&self) -> &KeyId {
        &self.key
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM} {} {}", self.key, STANDARD.encode(&self.bytes))
    }
}

/// The keys of `module_keys`, any of which may have signed a module. Without any, all modules pass.
#[derive(Debug, Clone, Default)]
pub struct Trusted(Vec<PublicKey>);

impl Trusted {
    /// Reads files of public keys, each with one key or several.
    pub fn read(files: &[PathBuf]) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for file in files {
            keys.extend(PublicKey::read(file)?);
        }
        Ok(Self(keys))
    }

    /// Whether every module passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a module may be this flow. The signature is the line of text that came with it.
    pub fn check(&self, digest: &Digest, flow: &FlowName, wit: &str, signature: Option<&str>) -> Result<(), Error> {
        let Some(signature) = self.wants(signature, flow)? else { return Ok(()) };
        let short = digest.short();
        let key = self.0.iter().find(|key| key.id() == *signature.key()).ok_or_else(|| {
            let known: Vec<String> = self.0.iter().map(|key| key.id().to_string()).collect();
            let message = format!(
                "module {short} of flow {flow} is signed with key {}, which is none of module_keys ({}): sign it with one \
                 of these, or add the key",
                signature.key(),
                known.join(", ")
            );
            Error::new(Code::BAD_MODULE_SIGNATURE, message)
        })?;
        if key.verifies(Statement { digest, flow, wit }.text().as_bytes(), &signature.bytes) {
            return Ok(());
        }
        let message = format!(
            "the signature does not hold for module {short} as flow {flow} under contract {wit}: it is for other bytes, \
             another flow or another version of the contract, or was altered; sign this file with `faas-flow sign --flow {flow}`"
        );
        Err(Error::new(Code::BAD_MODULE_SIGNATURE, message))
    }

    /// The signature as far as it can be looked at without the module; none where all modules pass.
    pub(crate) fn wants(&self, signature: Option<&str>, flow: &FlowName) -> Result<Option<Signature>, Error> {
        match signature {
            _ if self.is_empty() => Ok(None),
            None => Err(unsigned(&format!("the module of flow {flow}"))),
            Some(line) => Signature::parse(line).map(Some),
        }
    }

    /// The signature beside a module's file, `FILE.sig`; none if no key asks for one.
    pub(crate) fn beside(&self, module: &Path) -> Result<Option<String>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let file = beside(module);
        match std::fs::read_to_string(&file) {
            Ok(line) => Ok(Some(line)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(unsigned(&format!("module {}", module.display())))
            }
            Err(error) => {
                let message = format!("cannot read the module's signature {}: {error}", file.display());
                Err(Error::new(Code::BAD_MODULE_SIGNATURE, message))
            }
        }
    }
}

/// `flow.wasm.sig` of `flow.wasm`.
pub(crate) fn beside(module: &Path) -> PathBuf {
    let mut name = module.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn unsigned(what: &str) -> Error {
    let message = format!(
        "{what} is not signed, and module_keys is set: sign it with `faas-flow sign`, and keep the .sig file beside it"
    );
    Error::new(Code::MODULE_UNSIGNED, message)
}

#[cfg(test)]
mod tests;

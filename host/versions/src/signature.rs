//! Signed modules: if `module_keys` is set, a flow may only have modules that one of these keys has signed.
//!
//! The signature, made with Ed25519, is over a text of four lines, each of which ends with a line feed:
//!
//! ```text
//! faas-flow module signature 1
//! digest 54a0217d51b465707130064c1b97aabeb53836aa0eb5f2eaf352099cb495c20d
//! flow greet
//! contract 0.1.0
//! ```
//!
//! The digest is the sha256 of the file; the contract is the version of the WIT package that it was made for. None of the
//! fields can contain a line feed. A signature is one line, so that an HTTP header can carry it: `ed25519 KEY SIGNATURE`,
//! with the id of the key (the first 16 hexadecimal digits of the sha256 of its SPKI) and the signature in Base64.

mod error;
mod key;

pub use error::{Error, Flaw, KeyProblem};
pub use key::{KeyId, PrivateKey, PublicKey};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faas_flow_core::{Digest, FlowName};
use std::fmt;
use std::path::{Path, PathBuf};

const ALGORITHM: &str = "ed25519";
/// What the names of the contract's interfaces begin with.
const CONTRACT: &[u8] = b"faas-flow:flow/";
/// The longest rest of such a name that is looked at, in bytes.
const LONGEST_NAME: usize = 64;
/// How many versions of the contract are looked for in a module.
const MOST_NAMED: usize = 8;
/// The length of an Ed25519 signature, in bytes.
const LENGTH: usize = 64;

/// What a signature states: that these bytes may be this flow.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The sha256 of the module.
    pub digest: &'a Digest,
    /// The flow that the module may be.
    pub flow: &'a FlowName,
    /// The version of the contract that it was made for, as in `0.1.0`.
    pub wit: &'a str,
}

impl Statement<'_> {
    fn text(&self) -> String {
        let Self { digest, flow, wit } = self;
        format!("faas-flow module signature 1\ndigest {digest}\nflow {flow}\ncontract {wit}\n")
    }

    /// Signs the statement.
    pub fn sign(&self, key: &PrivateKey) -> Result<Signature, Error> {
        Ok(Signature { key: key.id(), bytes: key.sign(self.text().as_bytes())? })
    }
}

/// A well-formed signature that has not been verified. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    /// Reads the line of a signature; white space around it is fine, and so is a byte order mark.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let malformed = |flaw| Error::Malformed { flaw };
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [algorithm, key, signature] = *fields else { return Err(malformed(Flaw::Fields)) };
        if algorithm != ALGORITHM {
            return Err(malformed(Flaw::Algorithm));
        }
        let key = KeyId::parse(key).ok_or_else(|| malformed(Flaw::Key))?;
        let bytes = STANDARD.decode(signature).map_err(|_| malformed(Flaw::Encoding))?;
        match bytes.len() {
            LENGTH => Ok(Self { key, bytes }),
            length => Err(malformed(Flaw::Length(length))),
        }
    }

    /// The key that made it, according to the signature itself.
    pub fn key(&self) -> &KeyId {
        &self.key
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM} {} {}", self.key, STANDARD.encode(&self.bytes))
    }
}

/// The keys of `module_keys`, any of which may have signed a module. If there are none, every module is accepted.
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

    /// Whether every module is accepted, since there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Accepts a module as this flow, or says why not. `signature` is the line that came with the module.
    pub fn check(&self, digest: &Digest, flow: &FlowName, wit: &str, signature: Option<&str>) -> Result<(), Error> {
        let Some(signature) = self.require(signature, flow)? else { return Ok(()) };
        let Some(key) = self.0.iter().find(|key| key.id() == signature.key()) else {
            let trusted = self.0.iter().map(|key| key.id().clone()).collect();
            return Err(Error::UntrustedKey {
                digest: digest.clone(),
                flow: flow.clone(),
                key: signature.key,
                trusted,
            });
        };
        if key.verifies(Statement { digest, flow, wit }.text().as_bytes(), &signature.bytes) {
            Ok(())
        } else {
            Err(Error::Invalid { digest: digest.clone(), flow: flow.clone(), wit: wit.to_owned() })
        }
    }

    /// Accepts a module as this flow before anything reads it, or says why not. Which contract it was made for is not known yet,
    /// so the signature may be for any of those that the bytes name; [`check`](Self::check) decides once it is known.
    pub fn check_unread(
        &self,
        module: &[u8],
        digest: &Digest,
        flow: &FlowName,
        signature: Option<&str>,
    ) -> Result<(), Error> {
        if self.require(signature, flow)?.is_none() {
            return Ok(());
        }
        let mut refused = None;
        for wit in named_contracts(module) {
            match self.check(digest, flow, wit, signature) {
                Ok(()) => return Ok(()),
                Err(error) => refused = Some(error),
            }
        }
        // Bytes that name no contract are not a flow. They are checked like one, so that an unknown key is reported as such.
        refused.map_or_else(|| self.check(digest, flow, "", signature), Err)
    }

    /// The signature, if one is required.
    fn require(&self, signature: Option<&str>, flow: &FlowName) -> Result<Option<Signature>, Error> {
        match signature {
            _ if self.is_empty() => Ok(None),
            None => Err(Error::Unsigned { module: format!("the module of flow {flow}") }),
            Some(line) => Signature::parse(line).map(Some),
        }
    }

    /// Reads the signature beside a module's file, `FILE.sig`; none if no signature is required.
    pub fn beside(&self, module: &Path) -> Result<Option<String>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let path = beside(module);
        match std::fs::read_to_string(&path) {
            Ok(line) => Ok(Some(line)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::Unsigned { module: format!("module {}", module.display()) })
            }
            Err(source) => Err(Error::Unreadable { path, source }),
        }
    }
}

/// The versions of the contract that bytes name, each once: at most [`MOST_NAMED`]. A module exports interfaces of the
/// contract, so its bytes have at least one of their names, such as `faas-flow:flow/definition@0.1.0`, whatever else they are.
fn named_contracts(module: &[u8]) -> Vec<&str> {
    let mut versions: Vec<&str> = Vec::new();
    for at in memchr::memmem::find_iter(module, CONTRACT) {
        let rest = module.get(at + CONTRACT.len()..).unwrap_or_default();
        let Some(version) = version_of(rest.get(..LONGEST_NAME).unwrap_or(rest)) else { continue };
        if !versions.contains(&version) {
            versions.push(version);
        }
        if versions.len() == MOST_NAMED {
            break;
        }
    }
    versions
}

/// The version in `definition@0.1.0`, which other bytes may follow.
fn version_of(name: &[u8]) -> Option<&str> {
    let at = name.iter().position(|byte| !(byte.is_ascii_lowercase() || *byte == b'-'))?;
    let version = name.get(at..)?.strip_prefix(b"@")?;
    let end = version.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.')).unwrap_or(version.len());
    std::str::from_utf8(version.get(..end)?).ok().filter(|version| !version.is_empty())
}

/// The file of a module's signature: `flow.wasm.sig` of `flow.wasm`.
pub fn beside(module: &Path) -> PathBuf {
    let mut name = module.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

#[cfg(test)]
mod tests;

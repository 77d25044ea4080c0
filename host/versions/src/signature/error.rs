//! What can be wrong with the signature of a module, or with a key.

use super::key::KeyId;
use faas_flow_core::{Code, Digest, FlowName};
use std::path::PathBuf;

/// Why a signature or a key is not acceptable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A module without a signature where one is required.
    #[error(
        "{module} is not signed, and module_keys is set: sign it with `faas-flow sign`, and keep the .sig file beside it"
    )]
    Unsigned {
        /// `module FILE` or `the module of flow NAME`.
        module: String,
    },
    /// A line that is not a signature.
    #[error(
        "the module's signature {flaw}: it must be one line, `ed25519 KEY SIGNATURE`, as `faas-flow sign` writes it; sign the \
         module again"
    )]
    Malformed {
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The key that made the signature is not trusted.
    #[error(
        "module {} of flow {flow} is signed with key {key}, which is not one of module_keys ({}): sign it with one of these, or \
         add the key",
        digest.short(),
        listed(trusted)
    )]
    UntrustedKey {
        /// The module.
        digest: Digest,
        /// The flow that it was to be.
        flow: FlowName,
        /// The key that the signature names.
        key: KeyId,
        /// The keys that are trusted.
        trusted: Vec<KeyId>,
    },
    /// A signature that is for something else, or was altered.
    #[error(
        "the signature is not valid for module {} as flow {flow} under contract {wit}: it was made for other bytes, another \
         flow or another version of the contract, or was altered; sign this file with `faas-flow sign --flow {flow}`",
        digest.short()
    )]
    Invalid {
        /// The module.
        digest: Digest,
        /// The flow that it was to be.
        flow: FlowName,
        /// The version of the contract that the module was made for.
        wit: String,
    },
    /// The file of a signature cannot be read.
    #[error("cannot read the module's signature {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file of a key cannot be used.
    #[error("{} {problem}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The cryptographic library failed.
    #[error("the cryptographic library cannot {what}")]
    Cryptography {
        /// What it was to do.
        what: &'static str,
    },
}

/// What is wrong with the line of a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not three words.
    #[error("does not have three fields")]
    Fields,
    /// Another algorithm.
    #[error("is not of the kind `ed25519`")]
    Algorithm,
    /// The second word is not the id of a key.
    #[error("does not name its key by 16 hexadecimal digits")]
    Key,
    /// The third word is not Base64.
    #[error("is not Base64")]
    Encoding,
    /// The signature has another length.
    #[error("has {0} bytes instead of 64")]
    Length(usize),
}

/// What is wrong with the file of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// It cannot be written.
    #[error("cannot be written: {0}")]
    Unwritable(#[source] std::io::Error),
    /// There is a file of this name already.
    #[error("already exists, and keys are not overwritten: choose another name")]
    Exists,
    /// It is not PEM.
    #[error("is damaged PEM: {0}")]
    Pem(#[source] pem::PemError),
    /// It has no key.
    #[error("contains no PEM key, such as `faas-flow keygen` and `openssl genpkey` write")]
    Empty,
    /// It has several keys.
    #[error("has {0} keys, but must have one private key")]
    Several(usize),
    /// A public key where a private one is required.
    #[error("is a public key: signing takes the private one, NAME.key")]
    Public,
    /// A private key where a public one is required.
    #[error("is a private key: only public ones, NAME.pub, belong where modules are checked")]
    Private,
    /// A private key that is protected by a password.
    #[error("is encrypted: decrypt it first with `openssl pkey`")]
    Encrypted,
    /// Something else in PEM.
    #[error("has a `{}` instead of a `{expected}`", found.escape_debug())]
    Kind {
        /// The label of what it has.
        found: String,
        /// The label that it must have.
        expected: &'static str,
    },
    /// It is not a key for Ed25519.
    #[error("is not an Ed25519 {0} key")]
    NotEd25519(&'static str),
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::Unsigned { .. } => Code::MODULE_UNSIGNED,
            Error::Malformed { .. } | Error::UntrustedKey { .. } | Error::Invalid { .. } => Code::BAD_MODULE_SIGNATURE,
            Error::Unreadable { .. } => Code::INPUT_UNREADABLE,
            Error::BadKey { .. } => Code::BAD_MODULE_KEY,
            Error::Cryptography { .. } => Code::INTERNAL,
        }
    }
}

fn listed(keys: &[KeyId]) -> String {
    keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
}

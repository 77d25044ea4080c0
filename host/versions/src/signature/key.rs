//! Ed25519 keys in PEM: PKCS#8 for private keys, SPKI for public keys, as OpenSSL writes both.

use super::error::{Error, KeyProblem};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use faas_flow_core::Digest;
use pem::{EncodeConfig, LineEnding, Pem};
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// The id of a key: the first 16 hexadecimal digits of the sha256 of its SPKI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    const LENGTH: usize = 16;

    /// Reads an id; none if the text is not 16 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == Self::LENGTH && digits).then(|| Self(text.to_owned()))
    }

    fn of(spki: &[u8]) -> Self {
        Self(Digest::of(spki).as_str().chars().take(Self::LENGTH).collect())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that makes signatures.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
    spki: Vec<u8>,
}

impl PrivateKey {
    /// Makes a key from the system's source of randomness.
    pub fn generate() -> Result<Self, Error> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| failed("make a key"))?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, Error> {
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| failed("write a public key"))?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, spki })
    }

    /// Reads a file that holds exactly one private key.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let blocks = read(file)?;
        let [block] = &*blocks else { return Err(bad(file, KeyProblem::Several(blocks.len()))) };
        match block.tag() {
            PRIVATE => {}
            PUBLIC => return Err(bad(file, KeyProblem::Public)),
            "ENCRYPTED PRIVATE KEY" => return Err(bad(file, KeyProblem::Encrypted)),
            tag => return Err(bad(file, KeyProblem::Kind { found: tag.to_owned(), expected: PRIVATE })),
        }
        let pair = Ed25519KeyPair::from_pkcs8(block.contents());
        Self::of(pair.map_err(|_| bad(file, KeyProblem::NotEd25519("private")))?)
    }

    /// Whether users other than the file's owner may read it.
    pub fn is_exposed(file: &Path) -> bool {
        std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
    }

    /// Its id, which is also that of its public key.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.spki)
    }

    /// Writes both halves to new files: the private key, which only its owner may read, and the public key. Neither file may
    /// exist. If the public key cannot be written, no private key is left behind.
    pub fn write(&self, private: &Path, public: &Path) -> Result<(), Error> {
        let pkcs8 = self.pair.to_pkcs8v1().map_err(|_| failed("write a private key"))?;
        create(private, &encode(PRIVATE, pkcs8.as_ref()), 0o600)?;
        let written = create(public, &encode(PUBLIC, &self.spki), 0o644);
        if written.is_err() {
            // The caller hears why the public half failed; that the private one cannot be removed adds nothing.
            let _ = std::fs::remove_file(private);
        }
        written
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.pair.try_sign(text).map_err(|_| failed("sign"))?.as_ref().to_vec())
    }
}

/// A key that verifies signatures.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    id: KeyId,
}

impl PublicKey {
    /// Reads all keys of a file. There may be several, as while one key replaces another.
    pub fn read(file: &Path) -> Result<Vec<Self>, Error> {
        let blocks = read(file)?;
        blocks.iter().map(|block| Self::of(file, block)).collect()
    }

    fn of(file: &Path, block: &Pem) -> Result<Self, Error> {
        match block.tag() {
            PUBLIC => {}
            PRIVATE => return Err(bad(file, KeyProblem::Private)),
            tag => return Err(bad(file, KeyProblem::Kind { found: tag.to_owned(), expected: PUBLIC })),
        }
        let spki = block.contents();
        // The library also accepts a bare key of 32 bytes, without the SPKI around it, whose id would be another one.
        let key = ParsedPublicKey::new(&ED25519, spki).ok().filter(|_| spki.len() > 32);
        let key = key.ok_or_else(|| bad(file, KeyProblem::NotEd25519("public")))?;
        Ok(Self { key, id: KeyId::of(spki) })
    }

    /// Its id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(text, signature).is_ok()
    }
}

fn read(file: &Path) -> Result<Vec<Pem>, Error> {
    let text = std::fs::read(file).map_err(|error| bad(file, KeyProblem::Unreadable(error)))?;
    let blocks = pem::parse_many(&text).map_err(|error| bad(file, KeyProblem::Pem(error)))?;
    if blocks.is_empty() { Err(bad(file, KeyProblem::Empty)) } else { Ok(blocks) }
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

fn create(file: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    created.and_then(|mut created| created.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => bad(file, KeyProblem::Exists),
        _ => bad(file, KeyProblem::Unwritable(error)),
    })
}

fn bad(file: &Path, problem: KeyProblem) -> Error {
    Error::BadKey { path: file.to_owned(), problem }
}

fn failed(what: &'static str) -> Error {
    Error::Cryptography { what }
}

//! Keys of Ed25519 as PEM: PKCS#8 for private ones, SPKI for public ones, as OpenSSL writes both.

use crate::Error;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use faas_flow_core::{Code, Digest};
use pem::{EncodeConfig, LineEnding, Pem};
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// Which key: the first 16 hexadecimal digits of the sha256 of its SPKI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    const LENGTH: usize = 16;

    /// Reads its text.
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

/// A key that signs.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
    spki: Vec<u8>,
}

impl PrivateKey {
    /// A new key, from the system's randomness.
    pub fn generate() -> Result<Self, Error> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| failed("make a key"))?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, Error> {
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| failed("write a public key"))?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, spki })
    }

    /// Reads a file with one private key.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let blocks = read(file)?;
        let [block] = &*blocks else {
            return Err(bad(file, &format!("has {} keys where one private key is wanted", blocks.len())));
        };
        match block.tag() {
            PRIVATE => {}
            PUBLIC => return Err(bad(file, "is a public key: to sign takes the private one, NAME.key")),
            "ENCRYPTED PRIVATE KEY" => return Err(bad(file, "is encrypted: decrypt it first with `openssl pkey`")),
            tag => return Err(bad(file, &format!("has a `{}` where a `{PRIVATE}` is wanted", tag.escape_debug()))),
        }
        let pair = Ed25519KeyPair::from_pkcs8(block.contents());
        Self::of(pair.map_err(|_| bad(file, "is no private key of Ed25519"))?)
    }

    /// Whether others than its owner may read the file.
    pub fn is_exposed(file: &Path) -> bool {
        std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
    }

    /// Its id, which is that of its public key.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.spki)
    }

    /// Writes two files that are not there yet: the private key for its owner alone, and the public key.
    pub fn write(&self, private: &Path, public: &Path) -> Result<(), Error> {
        let pkcs8 = self.pair.to_pkcs8v1().map_err(|_| failed("write a private key"))?;
        create(private, &encode(PRIVATE, pkcs8.as_ref()), 0o600)?;
        let written = create(public, &encode(PUBLIC, &self.spki), 0o644);
        if written.is_err() {
            // Half a pair is of no use.
            let _ = std::fs::remove_file(private);
        }
        written
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.pair.try_sign(text).map_err(|_| failed("sign"))?.as_ref().to_vec())
    }
}

/// A key that says whether a signature holds.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    id: KeyId,
}

impl PublicKey {
    /// Reads all keys of a file: several while one replaces another.
    pub fn read(file: &Path) -> Result<Vec<Self>, Error> {
        let blocks = read(file)?;
        blocks.iter().map(|block| Self::of(file, block)).collect()
    }

    fn of(file: &Path, block: &Pem) -> Result<Self, Error> {
        match block.tag() {
            PUBLIC => {}
            PRIVATE => {
                let message = "is a private key: only public ones, NAME.pub, belong where modules are checked";
                return Err(bad(file, message));
            }
            tag => return Err(bad(file, &format!("has a `{}` where a `{PUBLIC}` is wanted", tag.escape_debug()))),
        }
        let spki = block.contents();
        // The library takes 32 bare bytes for a key, too, which would have another id.
        let key = ParsedPublicKey::new(&ED25519, spki).ok().filter(|_| spki.len() > 32);
        let key = key.ok_or_else(|| bad(file, "is no public key of Ed25519"))?;
        Ok(Self { key, id: KeyId::of(spki) })
    }

    /// Which key it is.
    pub fn id(&self) -> KeyId {
        self.id.clone()
    }

    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(text, signature).is_ok()
    }
}

fn read(file: &Path) -> Result<Vec<Pem>, Error> {
    let text = std::fs::read(file).map_err(|error| bad(file, &format!("cannot be read: {error}")))?;
    let blocks = pem::parse_many(&text).map_err(|error| bad(file, &format!("is damaged PEM: {error}")))?;
    match blocks.is_empty() {
        true => Err(bad(file, "holds no key in PEM, as `faas-flow keygen` and `openssl genpkey` write it")),
        false => Ok(blocks),
    }
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

fn create(file: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    created.and_then(|mut created| created.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let message =
                format!("{} is there already, and a key is not overwritten: choose another name", file.display());
            Error::new(Code::BAD_MODULE_KEY, message)
        }
        _ => Error::new(Code::BAD_MODULE_KEY, format!("cannot write {}: {error}", file.display())),
    })
}

fn bad(file: &Path, what: &str) -> Error {
    Error::new(Code::BAD_MODULE_KEY, format!("{} {what}", file.display()))
}

fn failed(what: &str) -> Error {
    Error::new(Code::INTERNAL, format!("the cryptographic library cannot {what}"))
}

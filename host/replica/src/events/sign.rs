//! Who may send events: whoever knows the secret.
//!
//! The signature is the HMAC-SHA256, under the secret, of five fields in this order: the method, the path
//! ([`Event::target`](super::Event::target)), the run's id, the sha256 of the body (32 bytes), and the time in
//! milliseconds since the Unix epoch (decimal digits). Each field is preceded by its length as 8 bytes, the most
//! significant first. The signature travels in [`SIGNATURE`] as `sha256=` and 64 hexadecimal digits, the time in [`TIME`].

use crate::Error;
use faas_flow_core::{Code, Millis};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The header with an event's signature.
pub const SIGNATURE: &str = "x-faas-flow-signature";
/// The header with the time at which an event was signed.
pub const TIME: &str = "x-faas-flow-time";

/// The file of the secret, and that of the one before it, while it is being replaced.
const FILES: [&str; 2] = ["faasflow-hmac-secret", "faasflow-hmac-secret-previous"];
const SHORTEST: usize = 16;

/// The secret that signs events and requests, and the one before it, which is still accepted.
#[derive(Clone)]
pub struct Keys {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

/// How old an event may be.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// How long ago it may have been signed: as long as a queue may keep it. 1 h.
    pub past: Duration,
    /// How far ahead its sender's clock may be. 60 s.
    pub future: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Self { past: Duration::from_secs(3600), future: Duration::from_secs(60) }
    }
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path, without what a gateway adds to it.
    pub path: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys of these secrets, each of at least 16 bytes.
    pub fn new(current: impl Into<Vec<u8>>, previous: Option<Vec<u8>>) -> Result<Self, Error> {
        let keys = Self { current: current.into(), previous };
        if let Some(short) = keys.each().find(|key| key.len() < SHORTEST) {
            let message = format!("the secret has {} bytes, and {SHORTEST} is the least", short.len());
            return Err(Error::new(Code::BAD_SECRET, message));
        }
        Ok(keys)
    }

    /// The keys in a folder of secrets: `faasflow-hmac-secret`, and `faasflow-hmac-secret-previous` while it is being
    /// replaced; none if neither is there. White space around a secret does not count.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let [current, previous] = FILES.map(|name| read(&folder.join(name)));
        match (current?, previous?) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let [current, previous] = FILES;
                let message = format!("{} has {previous}, but no {current}", folder.display());
                Err(Error::new(Code::BAD_SECRET, message))
            }
            (Some(current), previous) => Self::new(current, previous).map(Some),
        }
    }

    fn each(&self) -> impl Iterator<Item = &Vec<u8>> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The value of [`SIGNATURE`], for the time that goes into [`TIME`].
    pub fn sign(&self, signed: &Signed<'_>, time: Millis) -> String {
        let mac = mac(&self.current, signed, &time.to_string()).finalize().into_bytes();
        format!("sha256={}", base16ct::lower::encode_string(&mac))
    }

    /// Checks the values of [`SIGNATURE`] and [`TIME`], with one key and the other.
    pub fn verify(
        &self,
        signed: &Signed<'_>,
        signature: Option<&str>,
        time: Option<&str>,
        now: Millis,
        window: &Window,
    ) -> Result<(), Error> {
        let (Some(signature), Some(time)) = (signature, time) else {
            let message = format!("the event is not signed: it lacks {SIGNATURE} or {TIME}");
            return Err(Error::new(Code::UNSIGNED, message));
        };
        let sha256 = digits(signature, "sha256=").ok_or_else(bad_signature)?;
        if !self.each().any(|key| mac(key, signed, time).verify_slice(&sha256).is_ok()) {
            return Err(bad_signature());
        }
        // Signed, so it is what the sender wrote.
        let time: Millis = time.parse().map_err(|_| bad_signature())?;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if time.saturating_add(millis(window.past)) < now || time > now.saturating_add(millis(window.future)) {
            let message = format!(
                "the event was signed at {time}, and it is {now} now: it is too old, or the clocks of the replicas differ"
            );
            return Err(Error::new(Code::EVENT_TOO_OLD, message));
        }
        Ok(())
    }

    /// A body's signature as GitHub writes it in `X-Hub-Signature-256`.
    pub fn sign_hub(&self, body: &[u8]) -> String {
        let mac = keyed::<Hmac<Sha256>>(&self.current).chain_update(body).finalize().into_bytes();
        format!("sha256={}", base16ct::lower::encode_string(&mac))
    }

    /// Checks a body's signature as GitHub writes it: `sha256=…` in `X-Hub-Signature-256` or, without that, `sha1=…`
    /// in `X-Hub-Signature`.
    pub fn verify_hub(&self, body: &[u8], sha256: Option<&str>, sha1: Option<&str>) -> Result<(), Error> {
        let right = match (sha256, sha1) {
            (Some(given), _) => {
                let given = digits(given, "sha256=").ok_or_else(bad_signature)?;
                self.each().any(|key| keyed::<Hmac<Sha256>>(key).chain_update(body).verify_slice(&given).is_ok())
            }
            (None, Some(given)) => {
                let given = digits(given, "sha1=").ok_or_else(bad_signature)?;
                self.each().any(|key| keyed::<Hmac<Sha1>>(key).chain_update(body).verify_slice(&given).is_ok())
            }
            (None, None) => {
                let message = "the request is not signed: it lacks X-Hub-Signature-256 (or X-Hub-Signature)";
                return Err(Error::new(Code::UNSIGNED, message));
            }
        };
        if right { Ok(()) } else { Err(bad_signature()) }
    }
}

fn bad_signature() -> Error {
    Error::new(Code::BAD_SIGNATURE, "the signature is wrong: another secret, or something was changed on the way")
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(secret) => Ok(Some(secret.trim_ascii().to_vec())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Code::BAD_SECRET, format!("cannot read {}: {error}", path.display()))),
    }
}

/// HMAC takes keys of any length.
fn keyed<M: KeyInit + Mac>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

fn mac(key: &[u8], signed: &Signed<'_>, time: &str) -> Hmac<Sha256> {
    let body = Sha256::digest(signed.body);
    let fields = [signed.method.as_bytes(), signed.path.as_bytes(), signed.run.as_bytes(), &body, time.as_bytes()];
    fields.into_iter().fold(keyed(key), |mac: Hmac<Sha256>, field| {
        mac.chain_update((field.len() as u64).to_be_bytes()).chain_update(field)
    })
}

/// The bytes behind `prefix`, from hexadecimal digits.
fn digits(text: &str, prefix: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text.strip_prefix(prefix)?).ok()
}

#[cfg(test)]
mod tests;

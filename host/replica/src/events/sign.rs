//! Signatures of events and requests, by a secret that the replicas share.
//!
//! An event's signature is the HMAC-SHA256, under the secret, of five fields in this order: the method, the path
//! ([`Event::target`](super::Event::target)), the run's id, the sha256 of the body (32 bytes), and the time in
//! milliseconds since the Unix epoch (decimal digits). Each field is preceded by its length as 8 bytes, the most
//! significant first. The signature is sent in the header [`SIGNATURE`] as `sha256=` and 64 hexadecimal digits, the time
//! in [`TIME`].

use super::Error as EventError;
use crate::Error;
use faas_flow_core::Millis;
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

/// The file of the secret, and that of the previous one while the secret is being replaced.
const FILES: [&str; 2] = ["faasflow-hmac-secret", "faasflow-hmac-secret-previous"];
/// The shortest secret, in bytes.
const SHORTEST: usize = 16;

/// The secret that signs events and requests, and the previous one, whose signatures are still accepted.
#[derive(Clone)]
pub struct Keys {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

/// How old an event may be.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// How long ago it may have been signed, which is how long a queue may hold it. Default: 1 h.
    pub past: Duration,
    /// How far ahead the clock of its sender may be. Default: 60 s.
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
    /// The path, without the prefix that a gateway adds.
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
    /// Keys of these secrets, each of at least 16 bytes. Fails with [`BAD_SECRET`](faas_flow_core::Code::BAD_SECRET).
    pub fn new(current: impl Into<Vec<u8>>, previous: Option<Vec<u8>>) -> Result<Self, Error> {
        let keys = Self { current: current.into(), previous };
        if let Some(short) = keys.each().find(|key| key.len() < SHORTEST) {
            return Err(EventError::ShortSecret { size: short.len(), least: SHORTEST }.into());
        }
        Ok(keys)
    }

    /// The keys in a folder of secrets: `faasflow-hmac-secret`, and `faasflow-hmac-secret-previous` while it is being
    /// replaced; `None` if the folder has neither. White space around a secret is ignored.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let [current, previous] = FILES.map(|name| read(&folder.join(name)));
        match (current?, previous?) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let [current, previous] = FILES;
                Err(EventError::NoCurrentSecret { folder: folder.to_owned(), previous, current }.into())
            }
            (Some(current), previous) => Self::new(current, previous).map(Some),
        }
    }

    fn each(&self) -> impl Iterator<Item = &Vec<u8>> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The value of [`SIGNATURE`] if `time` is sent in [`TIME`].
    pub fn sign(&self, signed: &Signed<'_>, time: Millis) -> String {
        let mac = mac(&self.current, signed, &time.to_string()).finalize().into_bytes();
        format!("sha256={}", base16ct::lower::encode_string(&mac))
    }

    /// Checks the values of [`SIGNATURE`] and [`TIME`] with each key. The time counts only once the signature is right.
    pub fn verify(
        &self,
        signed: &Signed<'_>,
        signature: Option<&str>,
        time: Option<&str>,
        now: Millis,
        window: &Window,
    ) -> Result<(), Error> {
        let (Some(signature), Some(time)) = (signature, time) else {
            return Err(EventError::UnsignedEvent.into());
        };
        let sha256 = digits(signature, "sha256=").ok_or(EventError::BadSignature)?;
        if !self.each().any(|key| mac(key, signed, time).verify_slice(&sha256).is_ok()) {
            return Err(EventError::BadSignature.into());
        }
        let time: Millis = time.parse().map_err(|_| EventError::BadSignature)?;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if time.saturating_add(millis(window.past)) < now || time > now.saturating_add(millis(window.future)) {
            return Err(EventError::BadTime { signed: time, now }.into());
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
                let given = digits(given, "sha256=").ok_or(EventError::BadSignature)?;
                self.each().any(|key| keyed::<Hmac<Sha256>>(key).chain_update(body).verify_slice(&given).is_ok())
            }
            (None, Some(given)) => {
                let given = digits(given, "sha1=").ok_or(EventError::BadSignature)?;
                self.each().any(|key| keyed::<Hmac<Sha1>>(key).chain_update(body).verify_slice(&given).is_ok())
            }
            (None, None) => return Err(EventError::UnsignedRequest.into()),
        };
        if right { Ok(()) } else { Err(EventError::BadSignature.into()) }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(secret) => Ok(Some(secret.trim_ascii().to_vec())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EventError::UnreadableSecret { path: path.to_owned(), source }.into()),
    }
}

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

/// The bytes that the hexadecimal digits after `prefix` stand for.
fn digits(text: &str, prefix: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text.strip_prefix(prefix)?).ok()
}

#[cfg(test)]
mod tests;

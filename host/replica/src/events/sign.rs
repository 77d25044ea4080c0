//! Signatures of events, requests and callbacks, by keys of a secret that the replicas share ([`super::secret`]).
//!
//! An event's signature is the HMAC-SHA256, under the key for events, of five fields in this order: the method, the path
//! ([`Event::target`](super::Event::target)), the run's id, the sha256 of the body (32 bytes), and the time in
//! milliseconds since the Unix epoch (decimal digits). Each field is preceded by its length as 8 bytes, the most
//! significant first. The signature is sent in the header [`SIGNATURE`] as `v2=` and 64 hexadecimal digits, the time
//! in [`TIME`]. The first version of it, `sha256=`, was made with the secret itself.
//!
//! The signature of a request for a result or a state is sent in the same headers. It is over the path, a line feed and the
//! time, under the key for reading. That of a request that sends a signal is sent there too ([`SignedSend`]). New requests are signed as GitHub signs webhooks: their body, with the secret itself. So
//! are callbacks, with the key for callbacks. The address of an answer, and what a run says of itself to a flow that it calls,
//! contain their signatures.

use super::Error as EventError;
use super::secret::{Purpose, Secret, keyed};
use crate::Error;
use faas_flow_core::{Millis, secret_of};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The header with the signature of an event, or of a request that is signed for one path.
pub const SIGNATURE: &str = "x-faas-flow-signature";
/// The parameter of an address that contains its signature.
pub const SIGNATURE_PARAMETER: &str = "signature";
/// The header with the time of that signature.
pub const TIME: &str = "x-faas-flow-time";

/// The file of the secret, and that of the previous one while the secret is being replaced.
const FILES: [&str; 2] = ["faasflow-hmac-secret", "faasflow-hmac-secret-previous"];
/// The shortest secret, in bytes.
const SHORTEST: usize = 16;
/// What precedes the digits of a signature.
const VERSION: &str = "v2=";
/// What preceded them before keys were derived from the secret.
const FIRST_VERSION: &str = "sha256=";

/// The keys of the secret that the replicas share, and those of the previous secret, whose signatures are still accepted.
#[derive(Clone)]
pub struct Keys {
    current: Secret,
    previous: Option<Secret>,
    old_signatures: OldSignatures,
}

/// Whether events are accepted that a release signed which did not derive keys from the secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OldSignatures {
    /// They are, while such replicas are replaced.
    Accept,
    /// They are not. Replicas find their nodes in the store.
    #[default]
    Refuse,
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

/// How old a request may be that is signed for one path.
const REQUEST_WINDOW: Window = Window { past: Duration::from_secs(300), future: Duration::from_secs(60) };

/// What is signed of an event.
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

/// What is signed of a request that sends a signal.
#[derive(Debug, Clone, Copy)]
pub struct SignedSend<'a> {
    /// `/function/FLOW/flow/RUN/signal/NAME`, whatever a gateway adds or removes.
    pub path: &'a str,
    /// The idempotency key, which is empty if there is none.
    pub key: &'a str,
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
        let current = current.into();
        if let Some(short) = std::iter::once(&current).chain(&previous).find(|secret| secret.len() < SHORTEST) {
            return Err(EventError::ShortSecret { size: short.len(), least: SHORTEST }.into());
        }
        let old_signatures = OldSignatures::default();
        Ok(Self { current: Secret::new(current), previous: previous.map(Secret::new), old_signatures })
    }

    /// The same keys, with this rule for signatures of older releases.
    pub fn with(self, old_signatures: OldSignatures) -> Self {
        Self { old_signatures, ..self }
    }

    /// The keys in a folder of secrets: `faasflow-hmac-secret`, and `faasflow-hmac-secret-previous` while it is being
    /// replaced; `None` if the folder has neither. Each is one line of text, see [`secret_of`].
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

    /// What the random numbers of flows follow from.
    pub(crate) fn random(&self) -> &[u8] {
        self.current.key(Purpose::Random).as_bytes()
    }

    fn each(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The value of [`SIGNATURE`] if `time` is sent in [`TIME`].
    pub fn sign(&self, signed: &Signed<'_>, time: Millis) -> String {
        let mac = over(self.current.mac(Purpose::Event), signed, &time.to_string());
        format!("{VERSION}{}", hexadecimal(mac))
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
        let right = match (digits(signature, VERSION), digits(signature, FIRST_VERSION)) {
            (Some(given), _) => self.any(&given, |secret| over(secret.mac(Purpose::Event), signed, time)),
            (None, Some(_)) if self.old_signatures == OldSignatures::Refuse => {
                return Err(EventError::OldSignature.into());
            }
            (None, Some(given)) => self.any(&given, |secret| over(keyed(&secret.raw), signed, time)),
            (None, None) => false,
        };
        if right { in_time(time, now, window) } else { Err(EventError::BadSignature.into()) }
    }

    /// Checks the values of [`SIGNATURE`] and [`TIME`] of a request for a result or a state. The path is
    /// `/function/FLOW/flow/RUN/result` or `…/state`, whatever a gateway adds or removes.
    pub fn verify_read(
        &self,
        path: &str,
        signature: Option<&str>,
        time: Option<&str>,
        now: Millis,
    ) -> Result<(), Error> {
        let (Some(signature), Some(time)) = (signature, time) else {
            return Err(EventError::UnsignedRead.into());
        };
        let given = digits(signature, VERSION).ok_or(EventError::BadSignature)?;
        let mac = |secret: &Secret| secret.mac(Purpose::Read).chain_update(path).chain_update("\n").chain_update(time);
        if self.any(&given, mac) { in_time(time, now, &REQUEST_WINDOW) } else { Err(EventError::BadSignature.into()) }
    }

    /// The value of [`SIGNATURE`] of a request for a result or a state, if `time` is sent in [`TIME`].
    pub(crate) fn sign_read(&self, path: &str, time: Millis) -> String {
        let mac = self.current.mac(Purpose::Read).chain_update(path).chain_update("\n");
        format!("{VERSION}{}", hexadecimal(mac.chain_update(time.to_string())))
    }

    /// The signature in the address of an answer.
    pub(crate) fn sign_answer(&self, signed: &str) -> String {
        format!("{VERSION}{}", hexadecimal(self.current.mac(Purpose::Answer).chain_update(signed)))
    }

    /// Checks the signature in the address of an answer.
    pub(crate) fn verify_answer(&self, signed: &str, signature: Option<&str>) -> Result<(), Error> {
        let signature = signature.ok_or(EventError::UnsignedAnswer)?;
        self.verify_text(signature, |secret| secret.mac(Purpose::Answer).chain_update(signed))
    }

    /// The signature in the address of a signal.
    pub(crate) fn sign_signal(&self, signed: &str) -> String {
        format!("{VERSION}{}", hexadecimal(self.current.mac(Purpose::Signal).chain_update(signed)))
    }

    /// Checks the signature in the address of a signal.
    pub(crate) fn verify_signal(&self, signed: &str, signature: Option<&str>) -> Result<(), Error> {
        let signature = signature.ok_or(EventError::UnsignedSignal)?;
        self.verify_text(signature, |secret| secret.mac(Purpose::Signal).chain_update(signed))
    }

    /// Checks the values of [`SIGNATURE`] and [`TIME`] of a request that sends a signal.
    pub fn verify_send(
        &self,
        signed: &SignedSend<'_>,
        signature: Option<&str>,
        time: Option<&str>,
        now: Millis,
    ) -> Result<(), Error> {
        let (Some(signature), Some(time)) = (signature, time) else {
            return Err(EventError::UnsignedSend.into());
        };
        let SignedSend { path, key, body } = signed;
        let digest = base16ct::lower::encode_string(&Sha256::digest(body));
        let text = format!("POST\n{path}\n{time}\n{key}\n{digest}");
        self.verify_text(signature, |secret| secret.mac(Purpose::Send).chain_update(&text))?;
        in_time(time, now, &REQUEST_WINDOW)
    }

    /// The signature of what a run says of itself to a flow that it calls with this body.
    pub(crate) fn sign_parent(&self, said: &str, body: &[u8]) -> String {
        format!("{VERSION}{}", hexadecimal(of_parent(&self.current, said, body)))
    }

    /// Checks what another run says of itself.
    pub(crate) fn verify_parent(&self, said: &str, body: &[u8], signature: Option<&str>) -> Result<(), Error> {
        let signature = signature.ok_or(EventError::UnsignedParent)?;
        self.verify_text(signature, |secret| of_parent(secret, said, body))
    }

    fn verify_text(&self, signature: &str, mac: impl Fn(&Secret) -> Hmac<Sha256>) -> Result<(), Error> {
        let given = digits(signature, VERSION).ok_or(EventError::BadSignature)?;
        if self.any(&given, mac) { Ok(()) } else { Err(EventError::BadSignature.into()) }
    }

    /// A callback's signature, in the form of `X-Hub-Signature-256`: of its body, with the key for callbacks.
    pub fn sign_callback(&self, body: &[u8]) -> String {
        format!("sha256={}", hexadecimal(self.current.mac(Purpose::Callback).chain_update(body)))
    }

    /// Checks the signature of a new request as GitHub writes it, of its body with the secret itself: `sha256=…` in
    /// `X-Hub-Signature-256` or, without that, `sha1=…` in `X-Hub-Signature`.
    pub fn verify_hub(&self, body: &[u8], sha256: Option<&str>, sha1: Option<&str>) -> Result<(), Error> {
        let right = match (sha256, sha1) {
            (Some(given), _) => {
                let given = digits(given, "sha256=").ok_or(EventError::BadSignature)?;
                self.any(&given, |secret| keyed::<Hmac<Sha256>>(&secret.raw).chain_update(body))
            }
            (None, Some(given)) => {
                let given = digits(given, "sha1=").ok_or(EventError::BadSignature)?;
                self.any(&given, |secret| keyed::<Hmac<Sha1>>(&secret.raw).chain_update(body))
            }
            (None, None) => return Err(EventError::UnsignedRequest.into()),
        };
        if right { Ok(()) } else { Err(EventError::BadSignature.into()) }
    }

    /// Whether one of the secrets makes this MAC.
    fn any<M: Mac>(&self, given: &[u8], mac: impl Fn(&Secret) -> M) -> bool {
        self.each().any(|secret| mac(secret).verify_slice(given).is_ok())
    }
}

/// Refuses what was signed too long ago or in the future.
fn in_time(signed: &str, now: Millis, window: &Window) -> Result<(), Error> {
    let signed: Millis = signed.parse().map_err(|_| EventError::BadSignature)?;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if signed.saturating_add(millis(window.past)) < now || signed > now.saturating_add(millis(window.future)) {
        return Err(EventError::BadTime { signed, now }.into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(file) => match secret_of(&file) {
            Ok(secret) => Ok(Some(secret.as_bytes().to_vec())),
            Err(flaw) => Err(EventError::BadSecret { path: path.to_owned(), flaw }.into()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EventError::UnreadableSecret { path: path.to_owned(), source }.into()),
    }
}

/// The MAC of an event.
fn over(mac: Hmac<Sha256>, signed: &Signed<'_>, time: &str) -> Hmac<Sha256> {
    let body = Sha256::digest(signed.body);
    let fields = [signed.method.as_bytes(), signed.path.as_bytes(), signed.run.as_bytes(), &body, time.as_bytes()];
    fields.into_iter().fold(mac, |mac, field| mac.chain_update((field.len() as u64).to_be_bytes()).chain_update(field))
}

fn of_parent(secret: &Secret, said: &str, body: &[u8]) -> Hmac<Sha256> {
    secret.mac(Purpose::Parent).chain_update(said).chain_update("\n").chain_update(Sha256::digest(body))
}

fn hexadecimal(mac: Hmac<Sha256>) -> String {
    base16ct::lower::encode_string(&mac.finalize().into_bytes())
}

/// The bytes that the hexadecimal digits after `prefix` stand for.
fn digits(text: &str, prefix: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text.strip_prefix(prefix)?).ok()
}

#[cfg(test)]
mod tests;

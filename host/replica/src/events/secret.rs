//! The secret that the replicas share, and the keys that are derived from it.
//!
//! Each purpose has a key of its own, so that a signature that was made for one purpose is wrong for every other, and one
//! of the keys reveals neither the others nor the secret. A key is the output of HKDF-SHA256 (RFC 5869)
//! with the secret as input, [`SALT`] as salt, the purpose as info, and a length of 32 bytes; what signs is the text of its 64
//! lower-case hexadecimal digits, so that every tool that takes a secret as text takes it.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The salt of all derived keys. Another way to derive them would have another salt.
const SALT: &[u8] = b"faas-flow 1";

/// What a derived key signs. New requests are signed with the secret itself, as GitHub signs webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Events between replicas.
    Event,
    /// Callbacks.
    Callback,
    /// Requests for the result or the state of a run.
    Read,
    /// The addresses to which answers are sent that nodes wait for.
    Answer,
    /// What a run says of itself to a flow that it calls.
    Parent,
    /// The addresses that a flow hands out for signals.
    Signal,
    /// Nothing: the random numbers of a flow's code follow from this key.
    Random,
    /// Requests that send a signal to a run.
    Send,
}

impl Purpose {
    /// All of them.
    pub(super) const ALL: [Purpose; 8] = [
        Purpose::Event,
        Purpose::Callback,
        Purpose::Read,
        Purpose::Answer,
        Purpose::Parent,
        Purpose::Signal,
        Purpose::Random,
        Purpose::Send,
    ];

    const fn info(self) -> &'static str {
        match self {
            Purpose::Event => "event",
            Purpose::Callback => "callback",
            Purpose::Read => "read",
            Purpose::Answer => "answer",
            Purpose::Parent => "parent",
            Purpose::Signal => "signal",
            Purpose::Random => "random",
            Purpose::Send => "send",
        }
    }
}

/// A secret with its derived keys.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) raw: Vec<u8>,
    event: String,
    callback: String,
    read: String,
    answer: String,
    parent: String,
    signal: String,
    random: String,
    send: String,
}

impl Secret {
    pub(super) fn new(raw: Vec<u8>) -> Self {
        let [event, callback, read, answer, parent, signal, random, send] =
            Purpose::ALL.map(|purpose| derived(&raw, purpose));
        Self { raw, event, callback, read, answer, parent, signal, random, send }
    }

    pub(super) fn key(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Event => &self.event,
            Purpose::Callback => &self.callback,
            Purpose::Read => &self.read,
            Purpose::Answer => &self.answer,
            Purpose::Parent => &self.parent,
            Purpose::Signal => &self.signal,
            Purpose::Random => &self.random,
            Purpose::Send => &self.send,
        }
    }

    /// An HMAC under the key of this purpose.
    pub(super) fn mac(&self, purpose: Purpose) -> Hmac<Sha256> {
        keyed(self.key(purpose).as_bytes())
    }
}

/// An HMAC under this key.
pub(super) fn keyed<M: KeyInit + Mac>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

fn derived(secret: &[u8], purpose: Purpose) -> String {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(Some(SALT), secret).expand(purpose.info().as_bytes(), &mut key);
    expanded.unwrap_or_else(|_| unreachable!("HKDF-SHA256 expands to 8,160 bytes"));
    base16ct::lower::encode_string(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_the_documented_ones() {
        let secret = Secret::new(b"sixteen bytes ok".to_vec());
        let page = include_str!("../../../../docs/http.md");
        for purpose in Purpose::ALL {
            let row = format!("| `{}` | `{}` |", purpose.info(), secret.key(purpose));
            assert!(page.contains(&row), "docs/http.md lacks\n{row}");
        }
    }
}

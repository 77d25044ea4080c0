//! Why an event, a signature or a secret was not accepted, each reason with its code.

use super::{Event, SIGNATURE, SIGNATURE_PARAMETER, TIME};
use crate::child::PARENT;
use faas_flow_core::{Code, Millis, SecretFlaw};
use std::io;
use std::path::PathBuf;

/// Why an event, a signature or a secret was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An event is larger than [`Event::LIMIT`].
    #[error("the event has {size} bytes, but at most {limit} are allowed", limit = Event::LIMIT)]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
    },
    /// The body of an event is not one.
    #[error("the event is malformed: {reason}")]
    Malformed {
        /// Why, in at most 200 characters.
        reason: String,
    },
    /// An event came without its signature, or without the time of it.
    #[error("the event is not signed: it lacks {SIGNATURE} or {TIME}")]
    UnsignedEvent,
    /// A request came without a signature.
    #[error("the request is not signed: it lacks X-Hub-Signature-256 (or X-Hub-Signature)")]
    UnsignedRequest,
    /// A request for a result or a state came without a signature, or without the time of it.
    #[error("it lacks {SIGNATURE} or {TIME}")]
    UnsignedRead,
    /// The address of an answer came without its signature.
    #[error("the address of the answer is not signed: it lacks the parameter {SIGNATURE_PARAMETER}")]
    UnsignedAnswer,
    /// The address of a signal came without its signature.
    #[error("the address of the signal is not signed: it lacks the parameter {SIGNATURE_PARAMETER}")]
    UnsignedSignal,
    /// A request that sends a signal came without a signature, or without the time of it.
    #[error(
        "the signal is not signed: it lacks {SIGNATURE} or {TIME}; the signature of a body alone would be good for every run"
    )]
    UnsignedSend,
    /// A run called a flow without signing that.
    #[error("the call by another flow is not signed: give both flows the same secret `faasflow-hmac-secret`")]
    UnsignedParent,
    /// What a run says of itself to a flow that it calls cannot be read.
    #[error("the header {PARENT} is malformed")]
    MalformedParent,
    /// An event was signed with the secret itself, as older releases did.
    #[error(
        "the event was signed by a replica of an older release: update all replicas, or set hmac_migration to accept \
         until they are"
    )]
    OldSignature,
    /// A signature was made with another secret, or for something else.
    #[error("the signature is wrong: it was made with another secret, or the request was changed on its way")]
    BadSignature,
    /// An event or a request was signed too long ago, or in the future.
    #[error("it was signed at {signed}, and it is {now} now: that is too long ago, or the clocks differ")]
    BadTime {
        /// When it was signed.
        signed: Millis,
        /// When it was checked.
        now: Millis,
    },
    /// A secret is too short to be one.
    #[error("the secret has {size} bytes, but needs at least {least}")]
    ShortSecret {
        /// Its length, in bytes.
        size: usize,
        /// How long it must be, in bytes.
        least: usize,
    },
    /// The file of a secret does not hold one line of text.
    #[error("the secret {} {flaw}", path.display())]
    BadSecret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: SecretFlaw,
    },
    /// A folder has a previous secret, but no current one.
    #[error("{} contains {previous}, but no {current}", folder.display())]
    NoCurrentSecret {
        /// The folder.
        folder: PathBuf,
        /// The name of the file that is there.
        previous: &'static str,
        /// The name of the file that is missing.
        current: &'static str,
    },
    /// The file of a secret cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    UnreadableSecret {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::TooLarge { .. } | Error::Malformed { .. } => Code::BAD_EVENT,
            Error::UnsignedEvent
            | Error::UnsignedRequest
            | Error::UnsignedAnswer
            | Error::UnsignedSignal
            | Error::UnsignedSend
            | Error::UnsignedParent => Code::UNSIGNED,
            Error::MalformedParent => Code::BAD_REQUEST,
            Error::UnsignedRead => Code::READ_DENIED,
            Error::OldSignature => Code::OLD_SIGNATURE,
            Error::BadSignature => Code::BAD_SIGNATURE,
            Error::BadTime { .. } => Code::EVENT_TOO_OLD,
            Error::ShortSecret { .. }
            | Error::BadSecret { .. }
            | Error::NoCurrentSecret { .. }
            | Error::UnreadableSecret { .. } => Code::BAD_SECRET,
        }
    }
}

//! What is known of one version of a flow.

use super::active::Origin;
use crate::Error;
use faas_flow_core::{Code, Digest, Millis};
use serde::{Deserialize, Serialize};

/// One version of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Version {
    /// The sha256 of its module.
    pub digest: Digest,
    /// The size of the module, in bytes.
    pub size: u64,
    /// The version of the contract that it was made for: `0.1.0`.
    pub wit: String,
    /// How it came here.
    pub origin: Origin,
    /// Who brought it, when and why.
    #[serde(flatten)]
    pub by: By,
    /// The line of its signature, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Whether its bytes are stored. They are not while somebody is about to store them, and when that was broken off.
    pub stored: bool,
    /// When `gc` removed its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Millis>,
    /// Which copy of its bytes is stored. Whoever stores them anew after `gc` stores another one, in another place: what is
    /// being removed is nobody else's.
    #[serde(default, skip_serializing_if = "is_first")]
    pub copy: u32,
    /// When a replica last said that it came with this module, if one ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<Millis>,
}

fn is_first(copy: &u32) -> bool {
    *copy == 0
}

impl Version {
    /// The document that holds it.
    pub(super) fn doc(digest: &Digest) -> String {
        format!("{DOC}{digest}")
    }

    /// Whether runs can begin with it.
    pub fn is_there(&self) -> bool {
        self.stored && self.removed.is_none()
    }

    /// The copy of its bytes that is to be stored, where it is not there.
    pub(super) fn next_copy(&self) -> u32 {
        self.copy + u32::from(self.removed.is_some())
    }
}

/// The documents of versions begin so.
pub(super) const DOC: &str = "version/";

/// Who did something to a flow's versions, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// A name, as they gave it: nobody checks it.
    pub who: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When, in milliseconds since the Unix epoch.
    pub at: Millis,
}

impl By {
    /// The longest name, in bytes.
    pub const LONGEST_WHO: usize = 200;
    /// The longest message, in bytes.
    pub const LONGEST_MESSAGE: usize = 1000;

    /// Takes a name and a message that fit on a line each.
    pub fn new(who: &str, message: &str, at: Millis) -> Result<Self, Error> {
        for (what, text, longest) in [("who", who, Self::LONGEST_WHO), ("message", message, Self::LONGEST_MESSAGE)] {
            if text.len() > longest || text.chars().any(char::is_control) {
                let said = format!("`{what}` must have at most {longest} bytes and no control characters");
                return Err(Error::new(Code::BAD_REQUEST, said));
            }
        }
        let who = if who.is_empty() { "somebody" } else { who };
        Ok(Self { who: who.to_owned(), message: message.to_owned(), at })
    }

    /// What the host does by itself.
    pub(super) fn host(why: &str, at: Millis) -> Self {
        Self { who: "faas-flow".to_owned(), message: why.to_owned(), at }
    }
}

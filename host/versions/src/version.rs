//! What is stored about one version of a flow.

use super::error::Error;
use faas_flow_core::{Digest, Millis};
use serde::{Deserialize, Serialize};

/// Where a version comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From the replicas themselves: their image, or the file that they were started with.
    Image,
    /// From an operator who pushed it.
    Push,
}

/// One version of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Version {
    /// The sha256 of its module.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// The size of the module, in bytes.
    pub size: u64,
    /// The version of the contract that the module was made for: `0.1.0`.
    pub wit: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Who stored it, when and why.
    #[serde(flatten)]
    pub by: By,
    /// The line of its signature, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Whether its bytes are stored. They are not while a push is still storing them, or after it was interrupted.
    pub stored: bool,
    /// When `gc` removed its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    pub removed: Option<Millis>,
    /// Which copy of the bytes is stored. Bytes that are stored again after `gc` removed them are a new copy with another key,
    /// so that a removal that is still going on cannot delete them.
    #[serde(default, skip_serializing_if = "is_first")]
    pub copy: u32,
    /// When a replica last announced that it came with this module, if one ever did.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "brought")]
    #[schema(value_type = u64)]
    pub announced: Option<Millis>,
}

fn is_first(copy: &u32) -> bool {
    *copy == 0
}

impl Version {
    /// The document that holds it.
    pub(super) fn doc(digest: &Digest) -> String {
        format!("{DOC}{digest}")
    }

    /// Whether its bytes are stored, so that runs can begin with it.
    pub fn is_there(&self) -> bool {
        self.stored && self.removed.is_none()
    }

    /// The number of the copy to store when its bytes are not there.
    pub(super) fn next_copy(&self) -> u32 {
        self.copy + u32::from(self.removed.is_some())
    }
}

/// What the names of the documents of versions begin with.
pub(super) const DOC: &str = "version/";

/// Who changed a flow's versions, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct By {
    /// The name that they gave. It is not authenticated.
    pub who: String,
    /// Why, in their own words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    pub at: Millis,
}

impl By {
    /// The longest name, in bytes.
    pub const LONGEST_WHO: usize = 200;
    /// The longest message, in bytes.
    pub const LONGEST_MESSAGE: usize = 1000;

    /// Takes a name and a message, each of which must fit on a line. An empty name becomes `somebody`.
    pub fn new(who: &str, message: &str, at: Millis) -> Result<Self, Error> {
        for (field, text, longest) in [("who", who, Self::LONGEST_WHO), ("message", message, Self::LONGEST_MESSAGE)] {
            if text.len() > longest || text.chars().any(char::is_control) {
                return Err(Error::BadNote { field, longest });
            }
        }
        let who = if who.is_empty() { "somebody" } else { who };
        Ok(Self { who: who.to_owned(), message: message.to_owned(), at })
    }

    /// For what the host does by itself.
    pub(super) fn host(why: &str, at: Millis) -> Self {
        Self { who: "faas-flow".to_owned(), message: why.to_owned(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[test]
    fn what_earlier_releases_stored_is_read_and_written_back_the_same() {
        let digest = Digest::of(b"x");
        let json = serde_json::json!({
            "digest": digest, "size": 1, "wit": "0.1.0", "origin": "image", "who": "faas-flow", "at": 3, "stored": true,
            "removed": 9, "copy": 2, "brought": 7,
        });
        let version: Version = serde_json::from_value(json.clone()).unwrap();
        assert_eq!((version.announced, version.copy, version.is_there()), (Some(7), 2, false));
        assert_eq!(serde_json::to_value(&version).unwrap(), json);
    }

    #[test]
    fn bytes_that_are_stored_again_after_gc_are_another_copy() {
        let by = By::new("me", "", 0).unwrap();
        let (digest, wit) = (Digest::of(b"x"), "0.1.0".to_owned());
        let interrupted = Version {
            digest,
            size: 1,
            wit,
            origin: Origin::Push,
            by,
            signature: None,
            stored: false,
            removed: None,
            copy: 1,
            announced: None,
        };
        assert_eq!(interrupted.next_copy(), 1);
        assert_eq!(Version { removed: Some(5), ..interrupted }.next_copy(), 2);
    }

    #[test]
    fn a_name_and_a_message_fit_on_a_line_each() {
        assert_eq!(By::new("", "", 0).unwrap().who, "somebody");
        let (long_name, long_message) = ("x".repeat(201), "x".repeat(1001));
        for (who, message) in [("a\nb", ""), ("a", "b\0"), (&*long_name, ""), ("a", &*long_message)] {
            assert_eq!(By::new(who, message, 0).unwrap_err().code(), Code::BAD_REQUEST);
        }
    }
}

//! Names: each kind is a type whose one constructor validates it.

mod partition;

pub use partition::Partition;

use crate::Millis;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A name that breaks the rule for names of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{}` is malformed: {rule}", .text.escape_debug())]
pub struct Malformed {
    /// What the text was meant to name.
    pub kind: NameKind,
    /// The text, cut to 80 characters.
    pub text: String,
    /// What the text must look like.
    pub rule: &'static str,
}

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A [`RunId`].
    RequestId,
    /// A [`FlowName`].
    FlowName,
    /// A [`NodeId`].
    NodeId,
    /// A [`HandlerId`].
    HandlerId,
    /// A [`BranchKey`].
    BranchKey,
    /// A [`SignalName`].
    SignalName,
    /// A [`Digest`].
    Digest,
    /// A [`NodePath`] or [`ScopePath`].
    Path,
    /// A [`Status`](crate::Status).
    Status,
    /// The key of a value in a data store.
    DataKey,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameKind::RequestId => "request id",
            NameKind::FlowName => "flow name",
            NameKind::NodeId => "node id",
            NameKind::HandlerId => "handler id",
            NameKind::BranchKey => "branch key",
            NameKind::SignalName => "signal name",
            NameKind::Digest => "digest",
            NameKind::Path => "path",
            NameKind::Status => "status",
            NameKind::DataKey => "data key",
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text if it follows the rule for this kind of name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Malformed> {
                let text = text.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(Malformed { kind: NameKind::$kind, text: text.chars().take(80).collect(), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn of(text: &str, longest: usize, more: &[u8]) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
}

name! {
    /// The id of a run: the request id of `X-Faas-Flow-Reqid`.
    RunId, RequestId, "1 to 64 characters out of A-Z a-z 0-9 _ -", |text| of(text, 64, b"_-")
}
name! {
    /// The name under which a flow is deployed: a function's name.
    FlowName, FlowName, "1 to 63 characters out of a-z 0-9 -, with a letter or digit at both ends",
    |text| of(text, 63, b"-") && !text.starts_with('-') && !text.ends_with('-') && !text.bytes().any(|b| b.is_ascii_uppercase())
}
name! {
    /// The id of a node, unique within its dag.
    NodeId, NodeId, "1 to 64 characters out of A-Z a-z 0-9 _ . -",
    |text| of(text, 64, b"_.-") || NodeId::RESERVED.contains(&text)
}
name! {
    /// The id of one of a flow's own functions.
    HandlerId, HandlerId, "1 to 256 bytes without control characters",
    |text| (1..=256).contains(&text.len()) && !text.chars().any(char::is_control)
}
name! {
    /// The key of a branch: of a condition's choice or a for-each's item.
    BranchKey, BranchKey, "1 to 128 bytes", |text| (1..=128).contains(&text.len())
}
name! {
    /// The name of a signal: of a message to a run that a node waits for.
    SignalName, SignalName, "1 to 64 characters out of A-Z a-z 0-9 _ . -", |text| of(text, 64, b"_.-")
}
name! {
    /// The sha256 of a module, as 64 lower-case hexadecimal digits.
    Digest, Digest, "64 hexadecimal digits in lower case",
    |text| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Digest {
    /// The digest of a module's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(bytes);
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }
}

impl RunId {
    /// The id of a run that begins now: 33 characters out of 0-9 and a-v, 5 bits each. The first nine are the lower 45 bits
    /// of the time, the others the lower 120 of `bits`. If those are random, nobody can guess the id, even from the ids of
    /// other runs.
    ///
    /// Ids of later milliseconds sort after those of earlier ones. So a store that sorts its keys, as SQLite does, writes the
    /// documents of new runs beside each other, and not all over its file.
    pub fn of_time_and_bits(now: Millis, bits: u128) -> Self {
        let digit =
            |bits: u128, place: u32| char::from_digit((bits >> (5 * place)) as u32 & 31, 32).unwrap_or_default();
        let time = (0..9).rev().map(|place| digit(now.into(), place));
        let random = (0..24).rev().map(|place| digit(bits, place));
        let mut text = String::with_capacity(33);
        text.extend(time.chain(random));
        Self(text.into())
    }
}

impl Digest {
    /// The first twelve digits, which are enough to distinguish the versions of a flow.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or_default()
    }
}

impl NodeId {
    /// The nodes that join the ends of a dag, catch what fails in it, and run the flow's failure handler and its finally handler.
    const RESERVED: [&'static str; 4] = ["(end)", "(recover)", "(failure)", "(finally)"];

    /// The node that joins the several ends of a dag.
    pub fn end() -> Self {
        Self("(end)".into())
    }
    /// The node that catches what fails in a dag.
    pub fn recover() -> Self {
        Self("(recover)".into())
    }
    /// The node that runs the flow's failure handler.
    pub fn failure() -> Self {
        Self("(failure)".into())
    }
    /// The node that runs the flow's finally handler.
    pub fn finally() -> Self {
        Self("(finally)".into())
    }
    /// Whether an author may not use this id.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('(')
    }
}

const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-');

/// One instance of a dag in a run: the root (empty text), or one branch, `C[c1]/F[f2]`. The dag of a sub-dag node is
/// its only branch and has no key: `S`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScopePath(Arc<str>);

/// One step down a [`ScopePath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeStep {
    /// The node whose branch it is.
    pub node: NodeId,
    /// The branch's key; none for a sub-dag.
    pub key: Option<BranchKey>,
}

impl ScopePath {
    /// The scope of the outermost dag.
    pub fn root() -> Self {
        Self("".into())
    }

    /// Whether this is the outermost dag.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The scope of one branch of a node of this scope.
    pub fn branch(&self, node: &NodeId, key: Option<&BranchKey>) -> Self {
        let mut text = String::with_capacity(self.0.len() + node.as_str().len() + 16);
        text.push_str(&self.0);
        if !text.is_empty() {
            text.push('/');
        }
        text.push_str(node.as_str());
        if let Some(key) = key {
            text.push('[');
            text.extend(utf8_percent_encode(key.as_str(), KEY));
            text.push(']');
        }
        Self(text.into())
    }

    /// A node of this scope.
    pub fn node(&self, node: &NodeId) -> NodePath {
        NodePath { scope: self.clone(), node: node.clone() }
    }

    /// The node whose branch this scope is, and the branch's key; none for the root.
    pub fn parent(&self) -> Option<(NodePath, Option<BranchKey>)> {
        if self.is_root() {
            return None;
        }
        let (scope, step) = match self.0.rsplit_once('/') {
            Some((scope, step)) => (Self(scope.into()), step),
            None => (Self::root(), self.0.as_ref()),
        };
        let step = parse_step(step)?;
        Some((scope.node(&step.node), step.key))
    }

    /// The nodes around this scope, from the inside out, each with the key of the branch that this scope is in.
    pub fn around(&self) -> impl Iterator<Item = (NodePath, Option<BranchKey>)> {
        std::iter::successors(self.parent(), |(parent, _)| parent.scope.parent())
    }

    /// Whether this is the other scope, or one inside it.
    pub fn is_within(&self, outer: &ScopePath) -> bool {
        let rest = self.0.strip_prefix(&*outer.0);
        outer.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The texts of what [`ScopePath::parent`] yields, without its key and without a copy: the path of the scope above, and the id of
    /// the node there. None for the root.
    pub fn above(&self) -> Option<(&str, &str)> {
        let (scope, step) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        let node = step.split_once('[').map_or(step, |(node, _)| node);
        (!self.is_root()).then_some((scope, node))
    }

    /// The steps from the root down to this scope.
    pub fn steps(&self) -> impl Iterator<Item = ScopeStep> + '_ {
        self.0.split('/').filter(|step| !step.is_empty()).filter_map(parse_step)
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a path's text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() || text.split('/').all(|step| parse_step(step).is_some()) {
            Ok(Self(text.into()))
        } else {
            Err(malformed_path(text))
        }
    }
}

fn malformed_path(text: &str) -> Malformed {
    Malformed { kind: NameKind::Path, text: text.chars().take(80).collect(), rule: "as in C[c1]/F[f2]/n1" }
}

fn parse_step(step: &str) -> Option<ScopeStep> {
    let Some((node, key)) = step.split_once('[') else {
        return Some(ScopeStep { node: NodeId::new(step).ok()?, key: None });
    };
    let key = percent_decode_str(key.strip_suffix(']')?).decode_utf8().ok()?;
    Some(ScopeStep { node: NodeId::new(node).ok()?, key: Some(BranchKey::new(key).ok()?) })
}

impl Borrow<str> for ScopePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The position of a node in a run: `C[c1]/F[f2]/n1`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodePath {
    /// The dag instance that the node belongs to.
    pub scope: ScopePath,
    /// Its id there.
    pub node: NodeId,
}

impl NodePath {
    /// Reads a path's text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (scope, node) = text.rsplit_once('/').unwrap_or(("", text));
        let node = NodeId::new(node).map_err(|_| malformed_path(text))?;
        Ok(ScopePath::parse(scope)?.node(&node))
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scope.is_root() { write!(f, "{}", self.node) } else { write!(f, "{}/{}", self.scope, self.node) }
    }
}

impl fmt::Debug for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for NodePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_where_they_enter() {
        assert!(RunId::new("d7ca-x_9").is_ok());
        for bad in ["", "a/b", "..", "a\0", &"x".repeat(65)] {
            assert!(RunId::new(bad).is_err(), "{bad:?}");
        }
        assert!(FlowName::new("sync-chain").is_ok());
        assert!(FlowName::new("-x").is_err());
        assert!(BranchKey::new("any / thing ] %").is_ok());
    }

    #[test]
    fn the_first_twelve_digits_of_a_digest_stand_for_it() {
        let digest = Digest::of(b"module");
        assert_eq!((digest.short().len(), digest.as_str().starts_with(digest.short())), (12, true));
    }

    #[test]
    fn paths_read_back_whatever_the_keys() {
        let key = BranchKey::new("a/b]c%5D ü").unwrap();
        let c = NodeId::new("C").unwrap();
        let scope = ScopePath::root().branch(&c, Some(&key)).branch(&NodeId::new("S").unwrap(), None);
        let path = scope.node(&NodeId::new("n1").unwrap());
        assert_eq!(path.to_string(), "C[a%2Fb%5Dc%255D%20%C3%BC]/S/n1");
        assert_eq!(scope.as_str(), "C[a%2Fb%5Dc%255D%20%C3%BC]/S");
        assert_eq!(NodePath::parse(&path.to_string()).unwrap(), path);
        let (parent, none) = scope.parent().unwrap();
        assert_eq!((parent.node.as_str(), none), ("S", None));
        assert_eq!(parent.scope.parent().unwrap(), (ScopePath::root().node(&c), Some(key)));
        assert_eq!(scope.above(), Some((parent.scope.as_str(), "S")));
        assert_eq!((parent.scope.above(), ScopePath::root().above()), (Some(("", "C")), None));
    }
}

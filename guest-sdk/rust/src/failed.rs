use crate::failure::Result;
use std::fmt;

/// A failure after all retries, as closures that catch failures see it: those of
/// [`Node::recover_from`](crate::Node::recover_from), [`Call::recover_from`](crate::Call::recover_from),
/// [`Dag::recover_from`](crate::Dag::recover_from), [`Dag::recover_node`](crate::Dag::recover_node) and
/// [`ForEach::gather`](crate::ForEach::gather).
///
/// Shown as text, it reads as the host writes it: `FF0207 at charge: function charge answered with status 402`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failed {
    pub(crate) code: String,
    pub(crate) kind: FailureKind,
    pub(crate) status: Option<u16>,
    pub(crate) message: String,
    pub(crate) path: String,
    pub(crate) tries: u32,
    pub(crate) input: Vec<u8>,
    pub(crate) body: Option<Vec<u8>>,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The flow's code has rejected its data, or asked for a retry when none was left.
    Rejected,
    /// A call was answered with an error status, or with an answer that cannot be used.
    Answered,
    /// A call could not be made: there was no connection, or no such function.
    Unreachable,
    /// A call, a node or an answer took too long.
    TimedOut,
    /// The flow's code crashed or exceeded a limit.
    Crashed,
    /// A flow that was called did not succeed.
    Child,
    /// Anything else.
    Other,
}

impl Failed {
    /// A failure with this code and kind at one try, without a response. Flows do not need this, but their tests do.
    ///
    /// ```
    /// use faas_flow::{Failed, FailureKind};
    ///
    /// let declined = Failed::new("FF0207", FailureKind::Answered).with_response(402, "card declined");
    /// assert_eq!((declined.status(), declined.body()), (Some(402), Some(&b"card declined"[..])));
    /// ```
    pub fn new(code: impl Into<String>, kind: FailureKind) -> Self {
        let (message, path) = (String::new(), String::new());
        Self { code: code.into(), kind, status: None, message, path, tries: 1, input: Vec::new(), body: None }
    }

    /// The error code, such as `FF0207`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The status of the response, from 100 to 599, if a call failed because of it.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The text of the failure, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The path of the node that failed: `F[f2]/charge`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many tries of the call, or attempts of the node, there were. At least 1.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// The input of the failed operation, or of the failed node if none of its operations had begun. Empty in a
    /// [`ForEach::gather`](crate::ForEach::gather) closure.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// The input of the failed operation, without copying it.
    pub fn into_input(self) -> Vec<u8> {
        self.input
    }

    /// The body of the response, if a call failed because of its status. None in a
    /// [`ForEach::gather`](crate::ForEach::gather) closure.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// Replaces the text and the path.
    #[must_use]
    pub fn with_message(self, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), ..self }
    }

    /// Replaces the status and the body of the response.
    #[must_use]
    pub fn with_response(self, status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status: Some(status), body: Some(body.into()), ..self }
    }

    /// Replaces the input of the failed operation.
    #[must_use]
    pub fn with_input(self, input: impl Into<Vec<u8>>) -> Self {
        Self { input: input.into(), ..self }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "" => write!(f, "{}: {}", self.code, self.message),
            path => write!(f, "{} at {path}: {}", self.code, self.message),
        }
    }
}

/// One item of a for-each and how it ended, as a [`ForEach::gather`](crate::ForEach::gather) closure sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gathered {
    /// The key of the item.
    pub key: String,
    /// The result of the item, or why it has none, which the for-each tolerates.
    pub ended: Result<Vec<u8>, Failed>,
}

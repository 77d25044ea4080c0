//! What an error of Redis means to us.

use super::target::Target;
use crate::StoreError;
use ::redis::{ErrorKind, RedisError, ServerErrorKind};

impl Target {
    pub(super) fn error(&self, error: &RedisError) -> StoreError {
        let place = self.to_string();
        match code(error).as_str() {
            "OOM" => StoreError::Full { place },
            "READONLY" | "MISCONF" => StoreError::ReadOnly { place },
            "WRONGTYPE" | "FFCORRUPT" => self.corrupt("a key has a value of another kind"),
            _ if is_refusal(error) => self.unavailable("it refuses the user or the password"),
            _ => match error.kind() {
                ErrorKind::UnexpectedReturnType => self.corrupt("an answer of another kind"),
                _ => self.unavailable(error),
            },
        }
    }

    pub(super) fn corrupt(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { place: self.to_string(), reason: reason.into() }
    }

    pub(super) fn unavailable(&self, reason: impl ToString) -> StoreError {
        StoreError::Unavailable { place: self.to_string(), reason: reason.to_string() }
    }
}

/// The server's code for the error. Before version 7 an error within a script hides it in the text.
fn code(error: &RedisError) -> String {
    const HIDDEN: [&str; 5] = ["OOM", "READONLY", "MISCONF", "WRONGTYPE", "FFCORRUPT"];
    let text = error.detail().unwrap_or_default();
    let hidden = HIDDEN.into_iter().find(|code| text.split_whitespace().any(|word| word.trim_matches('-') == *code));
    hidden.or(error.code()).unwrap_or_default().to_owned()
}

/// Whether the server said that it did not even try, and may well a moment later.
pub(super) fn is_passing(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Moved | Ask | TryAgain | ClusterDown | MasterDown | BusyLoading))
}

/// Whether the server knows us, and does not want us.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || matches!(&*code(error), "NOAUTH" | "WRONGPASS" | "NOPERM")
}

/// Whether the server only takes reads: of several, another one has become the master.
pub(super) fn is_read_only(error: &RedisError) -> bool {
    code(error) == "READONLY"
}

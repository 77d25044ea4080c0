//! Maps errors of Redis to errors of the store.

use super::target::Target;
use crate::StoreError;
use ::redis::{ErrorKind, RedisError, ServerErrorKind};

impl Target {
    pub(super) fn error(&self, error: &RedisError) -> StoreError {
        let place = self.to_string();
        match code(error).as_str() {
            "OOM" => StoreError::Full { place },
            "READONLY" | "MISCONF" => StoreError::ReadOnly { place },
            "WRONGTYPE" | "FFCORRUPT" => self.corrupt("a key has a value of another type"),
            "NOPERM" => StoreError::Denied { place, reason: error.detail().unwrap_or("NOPERM").to_owned() },
            _ if is_denied(error) => self.unavailable("it rejects the user or the password"),
            _ => match error.kind() {
                ErrorKind::UnexpectedReturnType => self.corrupt("an answer has another type"),
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

/// The server's code of the error. Before Redis 7, the code of an error within a script is only part of the text.
fn code(error: &RedisError) -> String {
    const HIDDEN: [&str; 6] = ["OOM", "READONLY", "MISCONF", "WRONGTYPE", "NOPERM", "FFCORRUPT"];
    let text = error.detail().unwrap_or_default();
    let hidden = HIDDEN.into_iter().find(|code| text.split_whitespace().any(|word| word.trim_matches('-') == *code));
    hidden.or(error.code()).unwrap_or_default().to_owned()
}

/// Whether the server did not execute the command, but may do so a moment later.
pub(super) fn is_transient(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Moved | Ask | TryAgain | ClusterDown | MasterDown | BusyLoading))
}

/// Whether the server denies access to the user.
pub(super) fn is_denied(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || matches!(&*code(error), "NOAUTH" | "WRONGPASS" | "NOPERM")
}

/// Whether the server is a replica, so that it did not execute the command. Another one has become the master then, and a
/// new connection leads to it, be it through sentinels, a cluster, or an address that the operator moves.
pub(super) fn is_demoted(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::MasterDown)) || code(error) == "READONLY"
}

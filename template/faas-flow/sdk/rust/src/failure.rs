use std::fmt;

/// What the SDK's closures return.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a closure produced no value, and what the host should do about it. The text is shown to people.
///
/// Texts and the errors of parsing turn into [`Failure::Reject`] by `?` or `into()`: the same input fails again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Trying again may help: the host retries as far as the retry policy in force allows.
    Retry(String),
    /// Trying again cannot help: what called the closure fails now.
    Reject(String),
}

impl Failure {
    /// A failure that may pass.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry(message.into())
    }

    /// A failure that another try cannot mend.
    pub fn reject(message: impl Into<String>) -> Self {
        Self::Reject(message.into())
    }

    /// What happened.
    pub fn message(&self) -> &str {
        match self {
            Self::Retry(message) | Self::Reject(message) => message,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Failure {}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Reject(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Reject(message.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Reject(error.to_string())
    }
}

impl From<std::str::Utf8Error> for Failure {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::Reject(error.to_string())
    }
}

impl From<std::string::FromUtf8Error> for Failure {
    fn from(error: std::string::FromUtf8Error) -> Self {
        Self::Reject(error.to_string())
    }
}

impl From<std::num::ParseIntError> for Failure {
    fn from(error: std::num::ParseIntError) -> Self {
        Self::Reject(error.to_string())
    }
}

impl From<std::num::ParseFloatError> for Failure {
    fn from(error: std::num::ParseFloatError) -> Self {
        Self::Reject(error.to_string())
    }
}

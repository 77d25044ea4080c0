use std::error::Error;
use std::fmt;

/// The result type of `define` and of every closure that a flow names.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a closure produced no value, and whether the host should try again.
///
/// The message appears in the run's history, in the logs and in the caller's answer, so write it for people.
///
/// # The `?` operator
///
/// `?` and `into()` turn text and any [`std::error::Error`] into [`Failure::Reject`], because code that runs again on
/// the same input fails again. The message contains the error and its sources, separated by colons. Where trying again
/// may help, say so with [`Failure::retry`]:
///
/// ```
/// use faas_flow::{Failure, Response, Result};
///
/// fn stock(response: Response) -> Result<String> {
///     if response.status() == 503 {
///         return Err(Failure::retry("the warehouse is closed for a moment"));
///     }
///     let items: Vec<u32> = serde_json::from_slice(response.body())?;
///     if items.is_empty() {
///         return Err("the warehouse has nothing in stock".into());
///     }
///     Ok(items.iter().sum::<u32>().to_string())
/// }
///
/// assert_eq!(stock(Response::new(200).with_body("[1, 2]")), Ok("3".to_owned()));
/// assert_eq!(stock(Response::new(200).with_body("[]")), Err(Failure::reject("the warehouse has nothing in stock")));
/// assert!(matches!(stock(Response::new(200).with_body("{}")), Err(Failure::Reject(_))));
/// assert!(matches!(stock(Response::new(503)), Err(Failure::Retry(_))));
/// ```
///
/// For this conversion to be possible, `Failure` itself does not implement [`std::error::Error`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use = "a failure does nothing until it is returned"]
#[non_exhaustive]
pub enum Failure {
    /// Trying again may help: the host retries as often as the retry policy of the call or node allows.
    Retry(String),
    /// Trying again cannot help: the host does not retry.
    Reject(String),
    /// As `Reject`; if the run fails with it, its caller is answered with this status.
    RejectWithStatus {
        /// From 400 to 499.
        status: u16,
        /// What happened.
        message: String,
    },
}

impl Failure {
    /// A failure that may go away by itself.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry(message.into())
    }

    /// A failure that happens again on the next try.
    pub fn reject(message: impl Into<String>) -> Self {
        Self::Reject(message.into())
    }

    /// A failure that happens again on the next try, and the status with which the caller is answered if the run fails
    /// with it, from 400 to 499.
    ///
    /// ```
    /// use faas_flow::{Failure, Response, Result};
    ///
    /// fn order(response: Response) -> Result<Vec<u8>> {
    ///     match response.status() {
    ///         404 => Err(Failure::reject_with_status(404, "there is no such order")),
    ///         _ => Ok(response.into_body()),
    ///     }
    /// }
    /// # assert_eq!(order(Response::new(404)).unwrap_err().message(), "there is no such order");
    /// ```
    ///
    /// Without a status, the caller gets 422 if the closure rejects the body of the request itself, that is, in the node
    /// that gets it, before the node has called anything; and otherwise 500.
    pub fn reject_with_status(status: u16, message: impl Into<String>) -> Self {
        Self::RejectWithStatus { status, message: message.into() }
    }

    /// What happened.
    pub fn message(&self) -> &str {
        match self {
            Self::Retry(message) | Self::Reject(message) | Self::RejectWithStatus { message, .. } => message,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

// `Box<dyn Error>` is made from text as well as from errors, so this one conversion covers both. It cannot exist beside
// an implementation of `Error` for `Failure`: `From<Failure> for Failure` would be defined twice.
impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    // Inlined, so that the compiler sees which error it is and leaves out the rest of the trait object: without it, a
    // small module grows by 4 KB.
    #[inline(always)]
    fn from(error: E) -> Self {
        let error = error.into();
        let message = error.to_string();
        Self::Reject(match error.source() {
            Some(source) => with_sources(message, source),
            None => message,
        })
    }
}

#[cold]
fn with_sources(mut message: String, source: &dyn Error) -> String {
    let mut source = Some(source);
    while let Some(error) = source {
        let cause = error.to_string();
        // Some errors already end with the text of their source.
        if !message.ends_with(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
        source = error.source();
    }
    message
}

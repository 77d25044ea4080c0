//! Maps the errors of a service.

use crate::StoreError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// How much of a service's message is passed on, in characters.
const LONGEST: usize = 200;

/// The address of the store for messages: bucket, prefix and endpoint.
#[derive(Debug, Clone)]
pub(super) struct Place(pub(super) String);

impl Place {
    /// The error of a failed call.
    pub(super) fn error<E>(&self, error: &SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => self.unavailable("it did not answer in time"),
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16().to_string();
                self.refusal(answer.err().code().unwrap_or(&status), answer.err().message())
            }
            _ => self.unavailable(innermost(error)),
        }
    }

    /// The error with a code of S3, or with the status of an answer that has no code.
    pub(super) fn refusal(&self, code: &str, message: Option<&str>) -> StoreError {
        let place = self.0.clone();
        let reason = match message.map(|message| message.chars().take(LONGEST).collect::<String>()) {
            Some(message) => format!("{code}: {}", message.trim_end_matches('.')),
            None => code.to_owned(),
        };
        match code {
            "NoSuchBucket" | "404" => StoreError::NotFound { place },
            "AccessDenied"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "NotSignedUp"
            | "ExpiredToken"
            | "InvalidToken"
            | "RequestTimeTooSkewed"
            | "AccountProblem"
            | "AllAccessDisabled"
            | "Forbidden"
            | "401"
            | "403" => StoreError::Denied { place, reason },
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "InvalidBucketName"
            | "301"
            | "307" => {
                StoreError::BadUrl { url: place, rule: format!("its region, endpoint or bucket is wrong, {reason}") }
            }
            "QuotaExceeded" | "StorageFull" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "507" => {
                StoreError::Full { place }
            }
            "SlowDown" | "ServiceUnavailable" | "TooManyRequests" | "503" | "429" => {
                self.unavailable(format!("it is overloaded, {reason}"))
            }
            _ => self.unavailable(reason),
        }
    }

    pub(super) fn unavailable(&self, reason: impl ToString) -> StoreError {
        StoreError::Unavailable { place: self.0.clone(), reason: reason.to_string() }
    }
}

/// The innermost cause, which says most: the SDK's own message is "dispatch failure".
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[test]
    fn codes_of_s3_are_mapped_to_errors() {
        let place = Place("s3://bucket".into());
        for (code, expected) in [
            ("NoSuchBucket", Code::STORE_NOT_FOUND),
            ("AccessDenied", Code::STORE_DENIED),
            ("SignatureDoesNotMatch", Code::STORE_DENIED),
            ("403", Code::STORE_DENIED),
            ("PermanentRedirect", Code::BAD_STORE_URL),
            ("QuotaExceeded", Code::STORE_FULL),
            ("SlowDown", Code::STORE_UNAVAILABLE),
            ("InternalError", Code::STORE_UNAVAILABLE),
        ] {
            let error = place.refusal(code, Some("Why."));
            assert_eq!(error.code(), expected, "{code}");
            assert!(error.to_string().contains("s3://bucket"), "{error}");
        }
    }
}

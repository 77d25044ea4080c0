//! What a button sends.

use super::error::Error;
use crate::Error as HttpError;
use crate::request::Query;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};

/// The longest form, in bytes. It is more than anyone types.
const LONGEST: usize = 1 << 20;

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let form = to_bytes(request.into_body(), LONGEST).await.map_err(Error::UnreadableForm)?;
        Ok(Self(form_urlencoded::parse(&form).into_owned().collect()))
    }
}

impl Form {
    #[cfg(test)]
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// A field; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The fields as a query.
    pub fn query(&self) -> Query {
        Query::of_pairs(self.0.clone())
    }
}

//! What a button sends.

use super::error::Error;
use crate::Error as HttpError;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use std::collections::HashMap;

/// The longest form, in bytes. It is more than anyone types.
const LONGEST: usize = 1 << 20;

/// The fields of a form.
pub(super) struct Form(HashMap<String, String>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let form = to_bytes(request.into_body(), LONGEST).await.map_err(Error::UnreadableForm)?;
        Ok(Self(form_urlencoded::parse(&form).into_owned().collect()))
    }
}

impl Form {
    /// A field; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

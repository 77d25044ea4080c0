//! What a button sends.

use axum::body::to_bytes;
use axum::extract::Request;
use faas_flow_core::Code;
use faas_flow_replica::Error;
use std::collections::HashMap;

/// The longest form, in bytes: what somebody types fits in.
const MOST: usize = 1 << 20;

/// The fields of a form.
pub(super) struct Form(HashMap<String, String>);

impl Form {
    pub async fn read(request: Request) -> Result<Self, Error> {
        let form = to_bytes(request.into_body(), MOST).await;
        let form =
            form.map_err(|error| Error::new(Code::BAD_REQUEST, format!("no form of this dashboard: {error}")))?;
        Ok(Self(form_urlencoded::parse(&form).into_owned().collect()))
    }

    /// A field; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

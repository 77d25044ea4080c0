//! What a button sends.

use super::Dashboard;
use super::error::Error;
use crate::Error as HttpError;
use crate::access::{Head, reason};
use crate::request::Query;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use faas_flow_core::run::Actor;
use std::sync::Arc;

/// The longest form, in bytes. It is more than anyone types.
const LONGEST: usize = 1 << 20;

/// The fields of a form, and who sends it.
pub(super) struct Form {
    fields: Vec<(String, String)>,
    /// Who sends it, from where, and why, if a field says that.
    pub actor: Actor,
    /// The token that they have.
    pub token: Option<String>,
}

impl FromRequest<Arc<Dashboard>> for Form {
    type Rejection = HttpError;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, HttpError> {
        let mut actor = dashboard.access.actor(Head::from(&request))?;
        let token = dashboard.access.token(request.headers());
        let form = to_bytes(request.into_body(), LONGEST).await.map_err(Error::UnreadableForm)?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
        let said = fields.iter().rev().find(|(name, _)| name == "reason").map_or("", |(_, said)| said);
        actor.reason = reason(said)?.or(actor.reason);
        Ok(Self { fields, actor, token })
    }
}

impl Form {
    /// A field; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().rev().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The fields as a query.
    pub fn query(&self) -> Query {
        Query::of_pairs(self.fields.clone())
    }
}

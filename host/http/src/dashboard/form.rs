//! What a button sends.

use super::Dashboard;
use super::error::Error;
use crate::Error as HttpError;
use crate::access::{Head, reason};
use crate::request::Query;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use faas_flow_core::run::Actor;
use std::sync::Arc;

/// The longest form, in bytes. It is more than anyone types.
const LONGEST: usize = 1 << 20;

/// The field for the reason, which the audit log and the histories of runs have.
pub(super) const REASON: &str =
    "<input name=\"reason\" maxlength=\"1000\" placeholder=\"Reason (optional)\" aria-label=\"Reason\">";

/// Before all other buttons of a form: the Enter key in a field presses the first button, which is not to do anything.
pub(super) const NO_BUTTON: &str = "<button hidden disabled></button>";

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
        let (head, body) = request.into_parts();
        let form = to_bytes(body, LONGEST).await.map_err(Error::UnreadableForm)?;
        Self::of(dashboard, &head, form_urlencoded::parse(&form).into_owned().collect())
    }
}

impl Form {
    /// These fields, which came with a request.
    pub fn of(dashboard: &Dashboard, head: &Parts, fields: Vec<(String, String)>) -> Result<Self, HttpError> {
        let actor = dashboard.access.actor(Head::from(head))?;
        let mut form = Self { fields, actor, token: dashboard.access.token(&head.headers) };
        form.actor.reason = reason(form.field("reason"))?.or(form.actor.reason);
        Ok(form)
    }

    #[cfg(test)]
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        let fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { fields, actor: Actor::default(), token: None }
    }

    /// A field; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().rev().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The fields as a query.
    pub fn query(&self) -> Query {
        Query::of_pairs(self.fields.clone())
    }
}

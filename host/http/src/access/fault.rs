//! Why somebody is not let in.

use super::right::{Right, Rights};
use faas_flow_core::{Millis, moment};
use std::sync::Arc;

/// Why a token does not let its bearer in, and what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("runs cannot be changed here, since the host has neither a `faasflow-admin-token` nor `faasflow-tokens`")]
    /// Nobody may change runs, since no token is configured.
    NobodyChanges,
    #[error(
        "this needs `Authorization: Bearer` with the host's `faasflow-admin-token`, or with one of its `faasflow-tokens`"
    )]
    /// The bearer token is missing or wrong.
    Bearer,
    #[error(
        "the dashboard cannot be seen here, since the host has neither a `faasflow-admin-token` nor `faasflow-tokens`"
    )]
    /// Nobody may see the dashboard, since no token is configured.
    NobodySees,
    #[error(
        "the password is the host's `faasflow-admin-token`, or one of its `faasflow-tokens`; any user name will do"
    )]
    /// The password of the dashboard is missing or wrong.
    Password,
    #[error("the token `{name}` expired at {}: ask the operator for another one", moment(*at))]
    /// The token is not valid any more.
    Expired {
        /// Its name.
        name: Arc<str>,
        /// Since when.
        at: Millis,
    },
}

/// Somebody does not have the right that a request needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this needs the right {}, which the {of} `{name}` does not have; what it has: {has}", named(needed))]
pub struct RightMissing {
    /// Whose rights they are.
    pub of: Holder,
    /// The name.
    pub name: Arc<str>,
    /// The rights of which one would do.
    pub needed: &'static [Right],
    /// Those that it has.
    pub has: Rights,
}

/// What has rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Holder {
    #[error("token")]
    /// A token.
    Token,
    #[error("user")]
    /// Somebody who has signed in.
    User,
}

fn named(rights: &[Right]) -> String {
    let names: Vec<String> = rights.iter().map(|right| format!("`{right}`")).collect();
    names.join(" or ")
}

//! Who asks.

use super::fault::{Holder, RightMissing, TokenFault};
use super::right::{Right, Rights};
use super::tokens::{ADMIN, Bearer, Tokens};
use crate::error::Error;
use faas_flow_core::Millis;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who may see and change more than their own runs.
#[derive(Debug, Clone, Default)]
pub enum Admin {
    /// Everybody: for a server that only its own machine can reach.
    #[default]
    Anybody,
    /// Nobody, since there is no token.
    Nobody,
    /// The bearers of these tokens, each according to its rights.
    Tokens(Arc<Tokens>),
}

/// Where somebody asks, which decides how an error tells what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// At the routes, which take a bearer token.
    Routes,
    /// At the dashboard, which takes it as a password.
    Pages,
}

/// Who asks, and what they may do.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The name of their token; `None` where no token is needed.
    name: Option<Arc<str>>,
    rights: Rights,
    credential: Credential,
}

/// How it is known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    /// It is not known.
    None,
    Admin,
    Token,
    /// A provider has said who it is.
    SignedIn,
}

impl Admin {
    /// Who it is that gave this token.
    pub(crate) fn caller(&self, given: Option<&str>, at: Entrance) -> Result<Caller, Error> {
        let fault = match self {
            Admin::Anybody => return Ok(Caller { name: None, rights: Rights::ALL, credential: Credential::None }),
            Admin::Nobody if at == Entrance::Pages => TokenFault::NobodySees,
            Admin::Nobody => TokenFault::NobodyChanges,
            Admin::Tokens(tokens) => match given.and_then(|given| tokens.bearer(given, now())) {
                Some(Bearer::Admin) => {
                    let name = Some(ADMIN.into());
                    return Ok(Caller { name, rights: Rights::ALL, credential: Credential::Admin });
                }
                Some(Bearer::Named(token)) => {
                    let name = Some(token.name().clone());
                    return Ok(Caller { name, rights: token.rights, credential: Credential::Token });
                }
                Some(Bearer::Expired(token, at)) => TokenFault::Expired { name: token.name().clone(), at },
                None if at == Entrance::Pages => TokenFault::Password,
                None => TokenFault::Bearer,
            },
        };
        Err(Error::TokenNeeded(fault))
    }

    /// The admin token.
    pub fn token(&self) -> Option<&str> {
        match self {
            Admin::Tokens(tokens) => tokens.admin(),
            Admin::Anybody | Admin::Nobody => None,
        }
    }
}

impl Caller {
    /// Somebody who has signed in with a provider.
    pub fn signed_in(name: &str, rights: Rights) -> Self {
        Caller { name: Some(name.into()), rights, credential: Credential::SignedIn }
    }

    /// Their name, if it is known.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How it is known who asks.
    pub fn via(&self) -> Option<&'static str> {
        match self.credential {
            Credential::None => None,
            Credential::Admin => Some("admin-token"),
            Credential::Token => Some("token"),
            Credential::SignedIn => Some("sign-in"),
        }
    }

    /// Whether they may say for whom they ask: who has the admin token may do everything anyway.
    pub fn speaks_for_others(&self) -> bool {
        matches!(self.credential, Credential::None | Credential::Admin)
    }

    /// Whether they may do this.
    pub fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// Refuses those who have none of these rights.
    pub fn require(&self, rights: &'static [Right]) -> Result<(), Error> {
        if rights.iter().any(|right| self.may(*right)) {
            return Ok(());
        }
        let name = self.name.clone().unwrap_or_default();
        let of = if self.credential == Credential::SignedIn { Holder::User } else { Holder::Token };
        Err(RightMissing { of, name, needed: rights, has: self.rights }.into())
    }
}

/// The time by the clock of the system, which is what the end of a token means.
pub(crate) fn now() -> Millis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(now.as_millis()).unwrap_or(Millis::MAX)
}

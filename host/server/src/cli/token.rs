//! The option for the token of a server's operator.

use clap::Args;
use faas_flow_core::secret_of;
use faas_flow_http::remote::Asking;
use std::convert::Infallible;

/// The token that proves to a server that its operator asks.
#[derive(Args)]
pub(super) struct AdminToken {
    /// Admin token (the secret faasflow-admin-token), or one of faasflow-tokens; required by servers that are not loopback-only
    #[arg(long, env = "FAAS_FLOW_ADMIN_TOKEN", hide_env_values = true, value_parser = cleaned, global = true)]
    token: Option<String>,
    /// Reason for the change, for the history and the audit log
    #[arg(long, value_name = "TEXT", global = true)]
    reason: Option<String>,
}

impl AdminToken {
    /// With which token something is asked, and why.
    pub(super) fn asking(self) -> Asking {
        Asking { reason: self.reason, ..Asking::with(self.token) }
    }
}

/// The token without what surrounds it in a file. The server says whether it is right; clap would repeat it in an error.
fn cleaned(token: &str) -> Result<String, Infallible> {
    Ok(secret_of(token.as_bytes()).unwrap_or(token).to_owned())
}

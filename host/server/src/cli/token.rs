//! The option for the token of a server's operator.

use clap::Args;

/// The token that proves to a server that its operator asks.
#[derive(Args)]
pub(super) struct AdminToken {
    /// Admin token (the secret faasflow-admin-token); required by servers that are not loopback-only
    #[arg(long, env = "FAAS_FLOW_ADMIN_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

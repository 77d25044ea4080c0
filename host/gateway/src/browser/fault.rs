//! Why a request is refused that a page in a browser may have sent.

use axum::response::{IntoResponse, Response};
use faas_flow_core::Code;
use http::StatusCode;

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The request is for a host name that is not the server's. After DNS rebinding, it is the name of an attacker's site.
    #[error(
        "this server does not answer requests for the host `{host}`: use http://{own}, or start the server with \
         --allowed-host {host} (allowed_hosts)"
    )]
    Host {
        /// The name, cut to 100 characters.
        host: String,
        /// A name that is the server's.
        own: String,
    },
    /// The request does not say for which host it is.
    #[error("the request must have one `Host` header, which names this server: http://{own}")]
    NoHost {
        /// A name that is the server's.
        own: String,
    },
    /// A page of another origin sent the request.
    #[error(
        "a page of another site ({origin}) sent this request, and this server answers only its own pages: open {own} \
         itself; to let pages of another origin start runs here, list the origin in cors_origins"
    )]
    Page {
        /// The page's origin, or what the browser says instead; cut to 100 characters.
        origin: String,
        /// Where the server is.
        own: String,
    },
    /// A browser opens an address that is more than something to read.
    #[error(
        "a browser cannot open this address by a link of another site: it does more than show something. Send the request \
         with curl, or from one of this server's own pages"
    )]
    Link,
    /// A page of a listed origin asks for more than such pages may have.
    #[error(
        "pages of origins in cors_origins and allowed_origins may only start runs and read their states and results"
    )]
    Listed,
}

impl Fault {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Fault::Host { .. } | Fault::NoHost { .. } => Code::FOREIGN_HOST,
            Fault::Page { .. } | Fault::Link | Fault::Listed => Code::FOREIGN_PAGE,
        }
    }
}

/// As text, for the gateway itself, which has no other form for errors, and no key that lets pages of other sites in.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match self.code() {
            Code::FOREIGN_HOST => StatusCode::MISDIRECTED_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        let text = match &self {
            Fault::Page { origin, own } => {
                format!(
                    "a page of another site ({origin}) sent this request: open {own} itself, or send the request with curl"
                )
            }
            fault => fault.to_string(),
        };
        (status, format!("{}: {text}\n", self.code())).into_response()
    }
}

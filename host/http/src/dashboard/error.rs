//! What can go wrong on the dashboard and nowhere else.

use axum::http::HeaderName;
use faas_flow_core::{Code, FlowName, RunId};

/// Why a page is not shown, or a form does nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no page at this path.
    #[error("the dashboard has no page `{}`", shown(path))]
    NoPage {
        /// The path, as it came.
        path: String,
    },
    /// The dashboard knows flows by their runs.
    #[error("the dashboard knows no flow `{flow}`: it has no runs yet")]
    NoFlow {
        /// The flow that was asked for.
        flow: FlowName,
    },
    /// The store has no such run.
    #[error("the store has no run {run}")]
    NoRun {
        /// The run that was asked for.
        run: RunId,
    },
    /// The body of a form cannot be read.
    #[error("cannot read the form: {0}")]
    UnreadableForm(axum::Error),
    /// A form with a file is not as browsers send it.
    #[error("cannot read the form: it is not `multipart/form-data`, or it ended early")]
    NoMultipart,
    /// The form is from another site, or from before the last start.
    #[error("this form has expired; reload the page and try again")]
    ExpiredForm,
    /// Changes cannot be made, since there is no gateway to send them to.
    #[error("this dashboard is read-only, since it has no `gateway` to send changes to")]
    ReadOnly,
    /// A gateway answered with something that no flow says.
    #[error("what answers for flow `{flow}` behind the gateway is not a flow")]
    ForeignAnswer {
        /// The flow that was asked.
        flow: FlowName,
    },
    /// A line of the field for headers is no header.
    #[error("`{}` is not a header: write `Name: value`", shown(line))]
    BadHeaderLine {
        /// The line.
        line: String,
    },
    /// A run that the dashboard starts cannot have this header.
    #[error("the header `{name}` cannot be given here; start the run with an HTTP request instead")]
    HeaderNotHere {
        /// Its name.
        name: HeaderName,
    },
    /// There are as many streams as there may be.
    #[error("{most} pages already get their changes by a stream; ask for the page itself instead")]
    TooManyStreams {
        /// How many there may be.
        most: usize,
    },
    /// The provider has not said who somebody is.
    #[error("signing in failed, since the provider cannot be used: {why}")]
    SignIn {
        /// What is wrong.
        why: String,
    },
    /// A sign-in took too long, or was begun in another browser.
    #[error("this sign-in has expired, or was begun elsewhere; begin again on the first page of the dashboard")]
    ExpiredSignIn,
    /// There is no key for forms.
    #[error("the system has no random numbers")]
    NoRandomness,
}

fn shown(path: &str) -> String {
    path.escape_debug().take(100).collect()
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::NoPage { .. } | Error::ReadOnly => Code::ROUTE_UNKNOWN,
            Error::NoFlow { .. } | Error::ForeignAnswer { .. } => Code::FLOW_UNKNOWN,
            Error::NoRun { .. } => Code::RUN_UNKNOWN,
            Error::BadHeaderLine { .. }
            | Error::HeaderNotHere { .. }
            | Error::NoMultipart
            | Error::UnreadableForm(_) => Code::BAD_REQUEST,
            Error::ExpiredForm | Error::ExpiredSignIn => Code::BAD_SIGNATURE,
            Error::SignIn { .. } => Code::SIGN_IN_FAILED,
            Error::TooManyStreams { .. } => Code::TOO_MANY_REQUESTS,
            Error::NoRandomness => Code::INTERNAL,
        }
    }
}

//! Requests about one run: events, control, state and result.

use super::Surface;
use super::answer::{self, REQUEST_ID, insert, plain};
use super::ask::{Control, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::RunView;
use faas_flow_core::{Code, NodePath, RunId};
use faas_flow_replica::events::Event;
use faas_flow_replica::{Ended, Error, Forwarded, Ignored};

impl Surface {
    /// An event: 202 if this replica took it, 200 if there was nothing to do.
    pub(super) async fn forward(&self, request: &Request<'_>, run: &RunId) -> Result<Response, Error> {
        let checked = self.guards.check_event(request, run, self.host.now());
        let event = checked.and_then(|()| Event::parse(&request.body)).inspect_err(|error| {
            self.host.counters().event_ignored(match error.code() {
                Code::UNSIGNED => Ignored::Unsigned,
                Code::EVENT_TOO_OLD => Ignored::TooOld,
                Code::BAD_EVENT => Ignored::Malformed,
                _ => Ignored::BadSignature,
            });
        })?;
        if event.run != *run {
            self.host.counters().event_ignored(Ignored::Foreign);
            let message = format!("the event is about run {}, and its path about {run}", event.run);
            return Err(Error::new(Code::BAD_EVENT, message));
        }
        match self.host.forward(request.flow, run, &event.path).await {
            Ok(Forwarded::Taken) => {
                self.host.counters().event_taken();
                Ok(StatusCode::ACCEPTED.into_response())
            }
            Ok(Forwarded::Ignored(why)) => {
                self.host.counters().event_ignored(Ignored::Stale);
                Ok(plain(format!("ignored: {why}\n")))
            }
            Ok(Forwarded::UnknownRun) => {
                self.host.counters().event_ignored(Ignored::UnknownRun);
                Err(unknown(request, run))
            }
            Ok(Forwarded::Foreign) => {
                self.host.counters().event_ignored(Ignored::Foreign);
                Err(unknown(request, run))
            }
            // Sending it again would not bring the version; once it is there, the run is found due.
            Err(error) if error.code() == Code::MODULE_MISSING => {
                self.host.counters().event_ignored(Ignored::UnknownVersion);
                Ok(plain(format!("ignored: {error}\n")))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn control(&self, request: &Request<'_>, what: Control, run: &RunId) -> Result<Response, Error> {
        self.of_flow(request, run).await?;
        match what {
            Control::Pause => self.host.pause(run).await?,
            Control::Resume => self.host.resume(run).await?,
            Control::Stop => self.host.stop(run).await?,
        }
        Ok(done(run, what.done()))
    }

    /// `/flow/ID/rerun?node=PATH`
    pub(super) async fn rerun(&self, request: &Request<'_>, run: &RunId) -> Result<Response, Error> {
        let Some(path) = request.parameter("node") else {
            return Err(Error::new(Code::BAD_REQUEST, "which node is to run again? add ?node=PATH"));
        };
        let path = NodePath::parse(path)?;
        self.of_flow(request, run).await?;
        self.host.rerun(run, &path).await?;
        Ok(done(run, "restarted"))
    }

    pub(super) async fn state(&self, request: &Request<'_>, run: &RunId) -> Result<Response, Error> {
        let view = self.view(request, run).await?;
        let waits_for = self.host.versions().missing_module(&view).await?;
        Ok(answer::state(run, &view, waits_for.as_ref(), request.caller))
    }

    /// The result once there is one, and 202 until then.
    pub(super) async fn result(&self, request: &Request<'_>, run: &RunId) -> Result<Response, Error> {
        let wait = self.wait_of(request)?;
        if let Some(wait) = wait {
            self.of_flow(request, run).await?;
            self.host.wait(run, wait).await?;
        }
        let view = self.view(request, run).await?;
        let result = if view.status.is_final() { self.host.result(run).await? } else { None };
        Ok(answer::ended(run, &Ended { status: view.status, result, failure: view.failure }, request.caller))
    }

    async fn view(&self, request: &Request<'_>, run: &RunId) -> Result<RunView, Error> {
        let view = self.host.view(run).await?.filter(|view| view.flow == *request.flow);
        view.ok_or_else(|| unknown(request, run))
    }

    /// Only runs of the flow that is asked are touched.
    async fn of_flow(&self, request: &Request<'_>, run: &RunId) -> Result<(), Error> {
        let entry = self.host.state().entry(run).await?;
        match entry.is_some_and(|entry| entry.flow == *request.flow) {
            true => Ok(()),
            false => Err(unknown(request, run)),
        }
    }
}

fn unknown(request: &Request<'_>, run: &RunId) -> Error {
    Error::new(Code::RUN_UNKNOWN, format!("flow {} has no run {run}", request.flow))
}

fn done(run: &RunId, what: &str) -> Response {
    let mut response = plain(format!("Successfully {what} request {run}"));
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

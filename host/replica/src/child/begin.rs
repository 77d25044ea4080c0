//! Begins the run that a node of another run waits for.

use super::header::Calling;
use super::outcome::response;
use crate::host::Host;
use crate::submit::{Submission, Waits};
use crate::{Ended, Error};
use faas_flow_core::run::{Request, WaitId};
use faas_flow_core::{Code, Content, FlowName, MediaType, RunId};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_session::run_exists;
use std::sync::Arc;
use std::time::Duration;
use url::{Url, form_urlencoded};

/// What came of a call of a flow.
#[derive(Debug)]
pub enum Begun {
    /// The run has not ended. Its end ends this wait, which an earlier try of the same call may have begun.
    Running(WaitId),
    /// An earlier try of the same call had begun the run, and it has ended.
    Ended(Arc<Ended>),
}

impl Host {
    /// Begins the run of a call, unless an earlier try of the same call has begun it.
    pub async fn begin_child(
        self: &Arc<Self>,
        flow: &FlowName,
        calling: Calling,
        (body, request): (Content, Request),
    ) -> Result<Begun, Error> {
        let id = calling.child.clone();
        let parent = Some(Box::new(calling.parent.clone()));
        let submission =
            Submission { id: Some(id.clone()), body, request, callback: None, parent, ..Submission::default() };
        match self.submit(flow, submission, Waits::No).await {
            Ok(_) => Ok(Begun::Running(calling.parent.to)),
            Err(error) if error.code() == Code::RUN_EXISTS => {
                let to = self.began(flow, &calling).await?;
                Ok(self.child_end(&id).await?.map_or(Begun::Running(to), Begun::Ended))
            }
            Err(error) => Err(error),
        }
    }

    /// How a run ended that was called; `None` if it has not. Fails if it does not exist.
    pub(crate) async fn child_ended(self: &Arc<Self>, run: &RunId) -> Result<Option<HttpResponse>, Error> {
        if self.entry(run).await?.is_none() {
            return Err(Error::UnknownRun { run: run.clone() });
        }
        Ok(self.child_end(run).await?.map(|ended| response(run, &ended)))
    }

    async fn child_end(self: &Arc<Self>, run: &RunId) -> Result<Option<Arc<Ended>>, Error> {
        let ended = self.wait(run, Duration::ZERO).await?;
        Ok(ended.filter(|ended| ended.status.is_final()))
    }

    /// The wait that the end of a run ends. Refuses a run that something else than this call has begun.
    async fn began(&self, flow: &FlowName, calling: &Calling) -> Result<WaitId, Error> {
        let run = self.begun(&calling.child).await?.ok_or_else(|| run_exists(&calling.child))?;
        let parent = run.parent.as_deref().filter(|parent| run.flow == *flow && calling.began(parent));
        parent.map(|parent| parent.to).ok_or_else(|| run_exists(&calling.child).into())
    }
}

/// The input of a run, and what it keeps of the request, from a call of a flow that this host serves itself.
pub(crate) fn kept(request: HttpRequest, keeps: impl Fn(&str) -> bool) -> (Content, Request) {
    let HttpRequest { url, headers, body, .. } = request;
    let query = Url::parse(&url).ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let headers: Vec<_> = headers.filter(|(name, _)| keeps(name)).collect();
    (Content::new(body, MediaType::of_message(&headers)), Request { query, headers })
}

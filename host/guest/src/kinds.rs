//! Which kinds of handlers a module has.

use crate::{Failed, GuestError, HttpRequest, HttpResponse, Instance, Module, NoContext, Outcome};
use bytes::Bytes;
use faas_flow_core::definition::HandlerKind;
use faas_flow_core::{Code, Content, Failure};
use std::sync::Arc;

/// An id that no handler has.
const NOBODY: &str = "(nobody)";

impl Module {
    /// Those of the kinds that the module seems to lack: a call of one crashes, although it should be rejected since no
    /// handler has the id. A module exports all kinds in any case, but compilers for JavaScript and Python export a crash for
    /// those that the author left out.
    ///
    /// This executes the flow's code, under the usual limits.
    pub async fn lacks(&self, kinds: impl IntoIterator<Item = HandlerKind>) -> Result<Vec<HandlerKind>, GuestError> {
        let mut lacking = Vec::new();
        let mut idle: Option<Instance> = None;
        for kind in kinds {
            let mut instance = match idle.take() {
                Some(instance) => instance,
                None => self.instantiate(Arc::new(NoContext::new("check")), Arc::default()).await?,
            };
            instance.enter(Arc::default(), Vec::new());
            let is_missing = match kind {
                HandlerKind::RecoverFrom => self.functions().recover_from.is_none(),
                HandlerKind::Gather => self.functions().gather.is_none(),
                HandlerKind::Moment => self.functions().moment.is_none(),
                HandlerKind::Again => self.functions().again.is_none(),
                HandlerKind::SignalName => self.functions().signal_name.is_none(),
                HandlerKind::Key => self.functions().key.is_none(),
                _ => false,
            };
            let traps = |failure: Failure| failure.code == Code::GUEST_TRAPPED;
            if is_missing || instance.call_nobody(kind).await.is_err_and(traps) {
                lacking.push(kind);
            }
            idle = Some(instance).filter(Instance::usable);
        }
        Ok(lacking)
    }
}

impl Instance {
    async fn call_nobody(&mut self, kind: HandlerKind) -> Result<(), Failure> {
        let data = Content::default();
        match kind {
            HandlerKind::Modify => self.modify(NOBODY, data).await.map(drop),
            HandlerKind::Aggregate => self.aggregate(NOBODY, Vec::new()).await.map(drop),
            HandlerKind::Condition => self.condition(NOBODY, &data).await.map(drop),
            HandlerKind::ForEach => self.for_each(NOBODY, data).await.map(drop),
            HandlerKind::Forward => self.forward(NOBODY, data).await.map(drop),
            HandlerKind::Prepare => {
                let (method, url) = ("POST".to_owned(), "http://localhost/".to_owned());
                let request = HttpRequest { method, url, headers: Vec::new(), body: Bytes::new() };
                self.prepare(NOBODY, request).await.map(drop)
            }
            HandlerKind::Receive => {
                let response = HttpResponse { status: 200, headers: Vec::new(), body: Bytes::new() };
                self.receive(NOBODY, response).await.map(drop)
            }
            HandlerKind::Recover => self.recover(NOBODY, "").await.map(drop),
            HandlerKind::Finally => self.finally(NOBODY, Outcome::Success).await,
            HandlerKind::RecoverFrom => {
                let what = Failed { failure: Failure::reject(Code::INTERNAL, ""), status: None };
                self.recover_from(NOBODY, &what, data, None).await.map(drop)
            }
            HandlerKind::Gather => self.gather(NOBODY, Vec::new()).await.map(drop),
            HandlerKind::Moment => self.moment(NOBODY, &data).await.map(drop),
            HandlerKind::Again => self.again(NOBODY, &data, 1).await.map(drop),
            HandlerKind::SignalName => self.signal_name(NOBODY, &data).await.map(drop),
            HandlerKind::Key => self.key(NOBODY, &data).await.map(drop),
        }
    }
}

//! Starting, pausing, resuming, stopping and re-running runs, and sending their callbacks again: by the host itself, or by
//! the replica that the gateway chooses.

use super::Dashboard;
use super::error::Error;
use super::form::Form;
use crate::Error as HttpError;
use crate::remote::{self, Action, Asking, Rerun, accepted, control, flow_at};
use bytes::Bytes;
use faas_flow_core::run::Actor;
use faas_flow_core::{Content, FlowName, RunId};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_replica::Signal;
use faas_flow_replica::network::{ChosenBy, Network};
use faas_flow_replica::schedules::ScheduleChange;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::sync::Arc;

/// Who changes runs when a button is pressed.
pub enum Control {
    /// The host that serves the dashboard.
    Here,
    /// Replicas behind this gateway, which ask for their token.
    Gateway {
        /// What reaches the gateway.
        network: Arc<dyn Network>,
        /// The gateway's address.
        gateway: String,
        /// The admin token of the replicas behind it.
        token: Option<String>,
    },
    /// Nobody, so there are no buttons.
    Nobody,
}

impl Dashboard {
    pub(super) fn has_buttons(&self) -> bool {
        !matches!(self.control, Control::Nobody)
    }

    /// Pauses or resumes a schedule.
    pub(super) async fn change_schedule(
        &self,
        flow: &FlowName,
        schedule: &str,
        change: ScheduleChange,
        form: &Form,
    ) -> Result<(), HttpError> {
        let action = match change {
            ScheduleChange::Pause => "pause",
            ScheduleChange::Resume => "resume",
        };
        if let Control::Here = &self.control {
            let changed = self.host.change_schedule(flow, schedule, change).await.map(drop).map_err(HttpError::from);
            self.record(&format!("{action}-schedule"), form, (Some(flow), None, schedule), &changed).await;
            return changed;
        }
        self.ask_schedule(flow, schedule, (action, form)).await.map(drop)
    }

    /// Begins a run of a schedule.
    pub(super) async fn trigger_schedule(
        &self,
        flow: &FlowName,
        schedule: &str,
        form: &Form,
    ) -> Result<RunId, HttpError> {
        #[derive(Deserialize)]
        struct Begun {
            run: RunId,
        }
        if let Control::Here = &self.control {
            let begun = self.host.trigger_schedule(flow, schedule).await.map_err(HttpError::from);
            self.record("trigger-schedule", form, (Some(flow), begun.as_ref().ok(), schedule), &begun).await;
            return begun;
        }
        let answer = self.ask_schedule(flow, schedule, ("trigger", form)).await?;
        let begun = serde_json::from_slice::<Begun>(&answer.body);
        Ok(begun.map_err(|_| Error::ForeignAnswer { flow: flow.clone() })?.run)
    }

    /// Asks a replica behind the gateway about a schedule.
    async fn ask_schedule(
        &self,
        flow: &FlowName,
        schedule: &str,
        (action, form): (&str, &Form),
    ) -> Result<HttpResponse, HttpError> {
        let Control::Gateway { network, gateway, token } = &self.control else { return Err(Error::ReadOnly.into()) };
        let schedule = utf8_percent_encode(schedule, NON_ALPHANUMERIC);
        let url = format!("{}/schedules/{schedule}/{action}", flow_at(gateway, flow));
        let headers = form.asking(token.as_deref()).headers();
        let request = HttpRequest { method: "POST".to_owned(), url, headers, body: Bytes::new() };
        accepted(network.send(request, ChosenBy::Operator).await?)
    }

    pub(super) async fn control(&self, run: &RunId, action: Action, form: &Form) -> Result<(), HttpError> {
        match &self.control {
            Control::Here => {
                let (name, target) = (action.operation(), action.target());
                let changed = self.control_here(run, action, &form.actor).await;
                let flow = self.host.entry(run).await.ok().flatten().map(|entry| entry.flow);
                self.record(name, form, (flow.as_ref(), Some(run), &target), &changed).await;
                changed
            }
            Control::Gateway { network, gateway, token } => {
                let entry = self.host.entry(run).await?;
                let flow = entry.ok_or_else(|| Error::NoRun { run: run.clone() })?.flow;
                let asking = form.asking(token.as_deref());
                control(&**network, &flow_at(gateway, &flow), run, &action, &asking).await.map(drop)
            }
            Control::Nobody => Err(Error::ReadOnly.into()),
        }
    }

    async fn control_here(&self, run: &RunId, action: Action, actor: &Actor) -> Result<(), HttpError> {
        let by = Some(actor);
        let changed = match action {
            Action::Pause => self.host.pause(run, by).await,
            Action::Resume => self.host.resume(run, by).await,
            Action::Stop => self.host.stop(run, by).await.map(drop),
            Action::Rerun(Rerun { node, .. }) => self.host.rerun(run, node.as_ref(), None, by).await,
            Action::Callback => self.host.send_callback(run, by).await,
            Action::Signal(remote::Signal { name, body, media_type, key, .. }) => {
                let entry = self.host.entry(run).await?.ok_or_else(|| Error::NoRun { run: run.clone() })?;
                let key = key.map(|key| format!("key:{key}"));
                let signal = Signal { name, key, body: Content::new(body, media_type.unwrap_or_default()) };
                self.host.signal(&entry.flow, run, &signal, by).await.map(drop)
            }
        };
        Ok(changed?)
    }
}

impl Form {
    /// What tells a replica who sends the form: with the admin token, if the dashboard has it, on their behalf.
    pub(super) fn asking(&self, admin: Option<&str>) -> Asking {
        let Actor { who, from, reason, .. } = self.actor.clone();
        match admin {
            Some(admin) => Asking { token: Some(admin.to_owned()), user: who, from, reason },
            None => Asking { token: self.token.clone(), user: None, from: None, reason },
        }
    }
}

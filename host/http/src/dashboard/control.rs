//! Starting, pausing, resuming, stopping and re-running runs, and sending their callbacks again: by the host itself, or by
//! the replica that the gateway chooses.

use super::Dashboard;
use super::error::Error;
use crate::Error as HttpError;
use crate::remote::{self, Action, Rerun, accepted, control, flow_at};
use bytes::Bytes;
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
    ) -> Result<(), HttpError> {
        if let Control::Here = &self.control {
            self.host.change_schedule(flow, schedule, change).await?;
            return Ok(());
        }
        let action = match change {
            ScheduleChange::Pause => "pause",
            ScheduleChange::Resume => "resume",
        };
        self.ask_schedule(flow, schedule, action).await.map(drop)
    }

    /// Begins a run of a schedule.
    pub(super) async fn trigger_schedule(&self, flow: &FlowName, schedule: &str) -> Result<RunId, HttpError> {
        #[derive(Deserialize)]
        struct Begun {
            run: RunId,
        }
        if let Control::Here = &self.control {
            return Ok(self.host.trigger_schedule(flow, schedule).await?);
        }
        let answer = self.ask_schedule(flow, schedule, "trigger").await?;
        let begun = serde_json::from_slice::<Begun>(&answer.body);
        Ok(begun.map_err(|_| Error::ForeignAnswer { flow: flow.clone() })?.run)
    }

    /// Asks a replica behind the gateway about a schedule.
    async fn ask_schedule(&self, flow: &FlowName, schedule: &str, action: &str) -> Result<HttpResponse, HttpError> {
        let Control::Gateway { network, gateway, token } = &self.control else { return Err(Error::ReadOnly.into()) };
        let schedule = utf8_percent_encode(schedule, NON_ALPHANUMERIC);
        let url = format!("{}/schedules/{schedule}/{action}", flow_at(gateway, flow));
        let headers = token.iter().map(|token| ("Authorization".to_owned(), format!("Bearer {token}"))).collect();
        let request = HttpRequest { method: "POST".to_owned(), url, headers, body: Bytes::new() };
        accepted(network.send(request, ChosenBy::Operator).await?)
    }

    pub(super) async fn control(&self, run: &RunId, action: Action) -> Result<(), HttpError> {
        match &self.control {
            Control::Here => {
                let changed = match action {
                    Action::Pause => self.host.pause(run).await,
                    Action::Resume => self.host.resume(run).await,
                    Action::Stop => self.host.stop(run).await.map(drop),
                    Action::Rerun(Rerun { node, .. }) => self.host.rerun(run, node.as_ref(), None).await,
                    Action::Callback => self.host.send_callback(run).await,
                    Action::Signal(remote::Signal { name, body, media_type, key, .. }) => {
                        let entry = self.host.entry(run).await?.ok_or_else(|| Error::NoRun { run: run.clone() })?;
                        let key = key.map(|key| format!("key:{key}"));
                        let signal = Signal { name, key, body: Content::new(body, media_type.unwrap_or_default()) };
                        self.host.signal(&entry.flow, run, &signal).await.map(drop)
                    }
                };
                Ok(changed?)
            }
            Control::Gateway { network, gateway, token } => {
                let entry = self.host.entry(run).await?;
                let flow = entry.ok_or_else(|| Error::NoRun { run: run.clone() })?.flow;
                control(&**network, &flow_at(gateway, &flow), run, &action, token.as_deref()).await.map(drop)
            }
            Control::Nobody => Err(Error::ReadOnly.into()),
        }
    }
}

//! The document with the schedules of a flow.

use crate::Error;
use crate::host::Host;
use faas_flow_core::schedule::Schedules;
use faas_flow_core::{FlowName, Millis, Partition};
use faas_flow_store::{Change, CommitError, Expect, Put};
use std::time::Duration;

/// How often a change is tried that must not be lost.
const TRIES: usize = 20;
/// The longest wait before another try, in milliseconds.
const BETWEEN: Millis = 20;

impl Host {
    /// The stored schedules of a flow, and the version of their document, which is 0 if there is none.
    pub(super) async fn read_schedules(&self, flow: &FlowName) -> Result<(Schedules, u64), Error> {
        let docs = [Schedules::DOC.to_owned()];
        let found = self.services.state.read(&Partition::of_flow(flow), &docs).await?;
        let Some(document) = found.into_iter().next().flatten() else {
            return Ok((Schedules::new(self.draw_id().to_string()), 0));
        };
        let schedules = serde_json::from_slice(&document.bytes)
            .map_err(|error| Error::SchedulesUnreadable { flow: flow.clone(), reason: error.to_string() })?;
        Ok((schedules, document.version))
    }

    /// Replaces them, if nobody else has since they were read.
    pub(super) async fn write_schedules(
        &self,
        flow: &FlowName,
        schedules: &Schedules,
        at: u64,
    ) -> Result<(), CommitError> {
        // Names and numbers are always written.
        let bytes = serde_json::to_vec(schedules).unwrap_or_default();
        let put = Put { doc: Schedules::DOC.to_owned(), expect: Expect::Version(at), bytes: bytes.into() };
        let change = Change { puts: vec![put], ..Change::default() };
        self.services.state.commit(&Partition::of_flow(flow), change).await.map(drop)
    }

    /// Changes them, again if somebody else has changed them at the same moment.
    pub(super) async fn change_schedules<T>(
        &self,
        flow: &FlowName,
        mut change: impl FnMut(&mut Schedules) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 0..TRIES {
            let (mut schedules, at) = self.read_schedules(flow).await?;
            let before = schedules.clone();
            let changed = change(&mut schedules)?;
            if schedules == before {
                return Ok(changed);
            }
            match self.write_schedules(flow, &schedules, at).await {
                Ok(()) => return Ok(changed),
                Err(CommitError::Conflict) => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=BETWEEN))).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::SchedulesConflict { flow: flow.clone() })
    }
}

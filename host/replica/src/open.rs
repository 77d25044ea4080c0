//! Opens stored runs on this replica.

use super::host::Host;
use super::live::Live;
use crate::Error;
use faas_flow_core::run::RunState;
use faas_flow_session::{Role, Session};
use faas_flow_versions::Pinned;
use std::sync::Arc;

impl Host {
    /// Adds a loaded run to those that this replica works on. If another task was faster, answers with that one's.
    pub(super) async fn open(self: &Arc<Self>, state: RunState, role: Role) -> Result<Arc<Live>, Error> {
        let pinned = self.versions().pinned(state.run()).await?;
        let run = state.run().id.clone();
        let live = self.live(pinned, state, role);
        Ok(self.runs.lock().entry(run).or_insert(live).clone())
    }

    /// A loaded run that this replica works on for a moment only.
    pub(super) fn live(&self, (flow, plan): Pinned, state: RunState, role: Role) -> Arc<Live> {
        let session = Session::open(plan.clone(), self.services.rules.clone(), fastrand::u64(..), state, role);
        Live::new((self.services.clone(), self.runs.clone()), (flow, plan), session)
    }
}

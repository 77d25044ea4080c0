//! The host's side of the WIT interface `builder`: the calls of `define` are recorded in an arena, which becomes a
//! [`Definition`](faas_flow_core::Definition).
//!
//! The handles that a flow holds are indices into the arena. A flow cannot forge them, since wasmtime checks them, and
//! cannot use them in another instance, since each has an arena of its own.

mod arena;
mod dag;
mod limits;
mod node;

pub(crate) use arena::Arena;

use crate::bindings::faas_flow::flow::builder::{self, Workflow};
use crate::state::State;
use arena::{Inside, handle, part};
use faas_flow_core::definition as plain;
use faas_flow_core::schedule::{Missed, Overlap, Schedule, ScheduleInput};
use limits::{Part, Text};
use wasmtime::Result;
use wasmtime::component::Resource;

impl builder::Host for State {}

impl builder::HostWorkflow for State {
    fn dag(&mut self, _flow: Resource<Workflow>) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[])?;
        if self.arena.dags.is_empty() {
            self.arena.add_dag(Inside { depth: 1, path: 0 })?;
        }
        Ok(handle(0))
    }

    fn handlers(&mut self, _flow: Resource<Workflow>, ids: Vec<String>) -> Result<()> {
        self.arena.count(&[])?;
        for id in &ids {
            self.arena.counts.part(Part::Handler)?;
            self.arena.counts.text(Text::HandlerId, id)?;
        }
        self.arena.root.handlers.extend(ids);
        Ok(())
    }

    fn on_failure(&mut self, _flow: Resource<Workflow>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        self.arena.root.on_failure = Some(recover);
        Ok(())
    }

    fn finally(&mut self, _flow: Resource<Workflow>, finally: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &finally)])?;
        self.arena.root.finally = Some(finally);
        Ok(())
    }

    fn deadline(&mut self, _flow: Resource<Workflow>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        self.arena.root.deadline_ms = Some(ms);
        Ok(())
    }

    fn schedule(
        &mut self,
        _flow: Resource<Workflow>,
        name: String,
        when: String,
    ) -> Result<Resource<builder::Schedule>> {
        self.arena.count(&[(Text::Schedule, &name), (Text::Schedule, &when)])?;
        self.arena.counts.part(Part::Schedule)?;
        let index = self.arena.root.schedules.len();
        self.arena.root.schedules.push(Schedule { name, when, ..Schedule::default() });
        Ok(handle(index))
    }

    fn on_exhausted(&mut self, _flow: Resource<Workflow>, then: builder::Exhausted) -> Result<()> {
        self.arena.count(&[])?;
        self.arena.root.on_exhausted = match then {
            builder::Exhausted::Fail => plain::Exhausted::Fail,
            builder::Exhausted::Pause => plain::Exhausted::Pause,
        };
        Ok(())
    }

    fn drop(&mut self, _flow: Resource<Workflow>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostSchedule for State {
    fn time_zone(&mut self, schedule: Resource<builder::Schedule>, name: String) -> Result<()> {
        self.arena.count(&[(Text::Schedule, &name)])?;
        part(&mut self.arena.root.schedules, &schedule)?.time_zone = Some(name);
        Ok(())
    }

    fn missed(&mut self, schedule: Resource<builder::Schedule>, then: builder::Missed) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.root.schedules, &schedule)?.missed = match then {
            builder::Missed::Skip => Missed::Skip,
            builder::Missed::One => Missed::One,
            builder::Missed::All => Missed::All,
        };
        Ok(())
    }

    fn overlap(&mut self, schedule: Resource<builder::Schedule>, then: builder::Overlap) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.root.schedules, &schedule)?.overlap = match then {
            builder::Overlap::Skip => Overlap::Skip,
            builder::Overlap::Allow => Overlap::Allow,
            builder::Overlap::Queue => Overlap::Queue,
            builder::Overlap::Replace => Overlap::Replace,
        };
        Ok(())
    }

    fn input(&mut self, schedule: Resource<builder::Schedule>, body: Vec<u8>, media_type: String) -> Result<()> {
        self.arena.count(&[(Text::Schedule, &media_type)])?;
        self.arena.counts.input(body.len())?;
        part(&mut self.arena.root.schedules, &schedule)?.input = Some(ScheduleInput { body, media_type });
        Ok(())
    }

    fn drop(&mut self, _schedule: Resource<builder::Schedule>) -> Result<()> {
        Ok(())
    }
}

//! Who has asked something of a run.

use super::events::Event;
use super::state::RunState;
use crate::{Millis, moment};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many actions a run remembers: the latest ones.
const REMEMBERED: usize = 50;

/// Who asks for something, from where, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The name of their token, or what a trusted proxy says. Unknown where nobody needs a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// How the server knows: `token`, `admin-token` or `proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The address from which they asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Why, in their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `by alice (token) from 10.0.0.7: the order was wrong`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}", self.who.as_deref().unwrap_or("somebody"))?;
        if let Some(via) = &self.via {
            write!(f, " ({via})")?;
        }
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// Something that somebody has asked of a run and that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// When.
    pub at: Millis,
    /// `pause`, `resume`, `stop`, `rerun`, `callback` or `signal`.
    pub action: String,
    /// Who, from where, and why.
    #[serde(flatten)]
    pub actor: Actor,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", moment(self.at), self.action, self.actor)
    }
}

impl Event {
    /// The same event, asked for by somebody.
    pub fn by(self, actor: Option<&Actor>) -> Self {
        match actor {
            Some(actor) => Event::Asked { actor: Box::new(actor.clone()), event: Box::new(self) },
            None => self,
        }
    }

    /// The event itself, without who asked for it.
    pub fn what(&self) -> &Event {
        match self {
            Event::Asked { event, .. } => event.what(),
            event => event,
        }
    }

    /// The word for it among the actions of a run.
    fn action(&self) -> &'static str {
        match self.what() {
            Event::Pause => "pause",
            Event::Resume => "resume",
            Event::Stop => "stop",
            Event::Rerun { .. } => "rerun",
            Event::SendCallback => "callback",
            Event::Signal(_) => "signal",
            _ => "change",
        }
    }
}

impl RunState {
    /// Notes that an event was asked for.
    pub(super) fn note_action(&mut self, event: &Event, actor: &Actor, now: Millis) {
        let actions = &mut self.change_run().actions;
        actions.push(Action { at: now, action: event.action().to_owned(), actor: actor.clone() });
        let surplus = actions.len().saturating_sub(REMEMBERED);
        actions.drain(..surplus);
    }
}

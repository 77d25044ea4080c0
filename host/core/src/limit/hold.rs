//! Who holds permits of a limit, and who waits for one.

use crate::run::WaitId;
use crate::{FlowName, Millis, NodePath, RunId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The node of a run, and the operation of it, that holds a permit or waits for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// The flow of the run.
    #[serde(rename = "f")]
    pub flow: FlowName,
    /// The run.
    #[serde(rename = "r")]
    pub run: RunId,
    /// The node.
    #[serde(rename = "n")]
    pub node: NodePath,
    /// Which operation of the node; `None` if the limit is that of the node.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.node)?;
        self.operation.map_or(Ok(()), |operation| write!(f, "/{operation}"))
    }
}

/// Permits that somebody holds until a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The replica that holds them, and renews them in time.
    #[serde(rename = "w")]
    pub owner: String,
    /// How many.
    #[serde(rename = "p")]
    pub permits: u32,
    /// The share of the rate that the replica may use without asking, in calls per second.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub share: f64,
    /// When it ends unless it is renewed.
    #[serde(rename = "u")]
    pub until: Millis,
    /// What the permit is for; `None` if the replica has leased permits in advance.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// Whether nobody renews it, since the node waits for an answer from outside. It ends then, too, once the node does not
    /// wait any more.
    #[serde(rename = "k", default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// The flow whose limit it is; `None` if only the operator limits the function that is called.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowName>,
}

impl Hold {
    /// Whether it is a lease: permits that a replica holds in advance, for a flow's next nodes and calls.
    pub(super) fn is_lease(&self, owner: &str, flow: &Option<FlowName>) -> bool {
        self.ticket.is_none() && self.owner == owner && self.flow == *flow
    }
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// Somebody who waits for a permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Who.
    #[serde(rename = "t")]
    pub ticket: Ticket,
    /// When it came.
    #[serde(rename = "a")]
    pub since: Millis,
    /// When it gives up its place unless its replica renews that. Without effect if it is asleep.
    #[serde(rename = "u")]
    pub until: Millis,
    /// Its replica.
    #[serde(rename = "w")]
    pub owner: String,
    /// The wait of its node that the permit ends, if the node is suspended, so that nobody has it in memory.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub asleep: Option<WaitId>,
    /// The flow whose limit it is; `None` if only the operator limits the function that is called.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowName>,
}

//! Scenarios: tests of flows that say what goes in, what functions answer, and what is to come out. The real module runs on the
//! real engine, with stores in memory and in virtual time.
//!
//! | file | what is in it |
//! |---|---|
//! | `form` | the form of scenario files |
//! | `scenario`, `reading` | scenarios, and how they are read and checked against the flow |
//! | `canned` | the functions of a scenario |
//! | `play` | plays a scenario |
//! | `judge` | compares how it went with what is expected |
//! | `explore` | plays it again with faults |
//! | `case` | which faults there are, and how each is written |
//! | `coverage` | which parts of the flow scenarios reach |
//! | `update` | writes how it went into the file |
//! | `world` | replicas, stores and the network under virtual time, which the simulation shares |

mod canned;
mod case;
mod coverage;
mod error;
mod explore;
mod form;
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing;
mod judge;
mod logs;
mod nodes;
mod places;
mod play;
mod reading;
mod scenario;
mod story;
mod update;
pub mod world;

pub use canned::{Call, Reply};
pub use case::{Case, NotAFault, SetUp, SingleFault};
pub use coverage::{Coverage, Covered};
pub use error::Error;
pub use explore::{Asked, Deviation, Exploration, Went};
pub use judge::Mismatch;
pub use logs::Line;
pub use nodes::Node;
pub use play::{Done, Ended, Played};
pub use reading::{files, read};
pub use scenario::Scenario;
pub use story::story;
pub use update::update;

use faas_flow_core::FlowName;
use faas_flow_versions::Flow;
use places::Places;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::Faults;

/// A flow with its scenarios.
pub struct Suite {
    flow: Flow,
    places: Places,
    scenarios: Vec<Arc<Scenario>>,
}

/// How a scenario did.
pub struct Tested {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// How it went.
    pub played: Played,
    /// What is not as expected; nothing if it has passed.
    pub wrong: Vec<Mismatch>,
    /// The nodes that ran, by their paths and by their places.
    ran: BTreeSet<String>,
    /// The real time that it took.
    pub real: Duration,
}

impl Tested {
    /// Whether a node ran, by its path or its place.
    fn ran(&self, node: &str) -> bool {
        self.ran.contains(node)
    }
}

impl Suite {
    /// The scenarios of a flow.
    pub fn new(flow: Flow, scenarios: Vec<Arc<Scenario>>) -> Self {
        Self { places: Places::of(&flow), flow, scenarios }
    }

    /// The flow.
    pub fn flow(&self) -> &FlowName {
        &self.flow.name
    }

    /// The scenarios.
    pub fn scenarios(&self) -> &[Arc<Scenario>] {
        &self.scenarios
    }

    /// Plays a scenario, and compares how it went with what it expects. Takes a thread of its own.
    pub fn test(&self, scenario: &Arc<Scenario>) -> Result<Tested, Error> {
        let began = Instant::now();
        let played = play::play(&self.flow, scenario, play::PLAIN, Faults::None, None)?;
        let wrong = judge::judge(scenario, &played, &self.places);
        let ran = judge::ran(&played, &self.places);
        Ok(Tested { scenario: scenario.clone(), played, wrong, ran, real: began.elapsed() })
    }
}

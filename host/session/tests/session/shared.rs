//! A store that replicas share, and sessions that a test drives by hand.

use crate::replica::{Fate, circumstances, perform, rules};
use faas_flow_core::definition::{Branches, Call, Dag, Definition, Node, NodeKind, Operation, Operations};
use faas_flow_core::run::{
    Attempt, Awaited, Event, NodeState, Outcome, Report, RunState, Said, Start, Suspended, Try, Wait, WaitId, Work,
};
use faas_flow_core::testing::{flow, for_each, graph, path, payload, reported, the_start};
use faas_flow_core::{Code, Failure, Partition, Plan};
use faas_flow_session::{Circumstances, Dispatch, Documents, Durability, Input, Ready, Role, Session, load_all};
use faas_flow_store::{RunEntry, StateStore, open_state};
use futures_executor::block_on;
use std::sync::Arc;

pub const HERE: (usize, Dispatch) = (8, Dispatch::Local);

pub const SENT: (usize, Dispatch) = (8, Dispatch::Everything);

/// A node that calls a function.
pub fn calling(id: &str) -> Node {
    let call = Operation::Apply(Call { target: "f".to_owned(), ..Call::default() });
    Node { id: id.to_owned(), kind: NodeKind::Operations(Operations { list: vec![call], ..Operations::default() }) }
}

/// `f1`, then `f2`.
pub fn chain() -> Definition {
    flow(graph(vec![calling("f1"), calling("f2")], [("f1", "f2")]))
}

/// `f1`, then `f2`, `f3` and `f4` side by side.
pub fn fan() -> Dag {
    let nodes = ["f1", "f2", "f3", "f4"].map(calling).into();
    graph(nodes, [("f1", "f2"), ("f1", "f3"), ("f1", "f4")])
}

/// A for-each of which two branches may run at a time.
pub fn limited() -> Definition {
    let dag = graph(vec![calling("n")], []);
    flow(graph(vec![for_each("F", dag, Branches { max_parallel: Some(2), ..Branches::default() })], []))
}

/// A store that replicas share.
pub struct Shared {
    pub store: Arc<dyn StateStore>,
    pub plan: Arc<Plan>,
}

impl Shared {
    pub fn new(definition: Definition) -> Self {
        Self { store: block_on(open_state("memory")).unwrap(), plan: Arc::new(Plan::new(definition).unwrap()) }
    }

    /// Replica 0 begins the run at 1 and owns it.
    pub fn begin(&self, room: (usize, Dispatch)) -> (Session, Ready) {
        let start = Start { callback: Some("http://127.0.0.1/done".to_owned()), ..the_start() };
        let begun = RunState::start(&self.plan, start);
        let circumstances = circumstances(1, room);
        let session = (self.plan.clone(), rules(0), 7);
        let mut session = Session::begin(session, begun, Documents::new(), Durability::Beginning, &circumstances);
        let ready = self.settle(&mut session, 1, room);
        (session, ready)
    }

    /// A replica loads the run as it is stored.
    pub fn open(&self, replica: usize) -> Session {
        Session::open(self.plan.clone(), rules(replica), 7 + replica as u64, self.stored(), Role::Helper)
    }

    /// Performs the I/O that a session asks for.
    pub fn settle(&self, session: &mut Session, now: u64, room: (usize, Dispatch)) -> Ready {
        while let Some(io) = session.io() {
            let answer = perform(&session.state().run().id.clone(), io, &*self.store, Fate::Answered);
            session.answer(answer, &circumstances(now, room));
        }
        session.ready()
    }

    /// With a clock that may be wrong.
    pub fn input_in(&self, session: &mut Session, circumstances: &Circumstances, input: Input) -> Ready {
        session.input(input, circumstances);
        while let Some(io) = session.io() {
            let answer = perform(&session.state().run().id.clone(), io, &*self.store, Fate::Answered);
            session.answer(answer, circumstances);
        }
        session.ready()
    }

    pub fn input(&self, session: &mut Session, now: u64, input: Input) -> Ready {
        self.input_with(session, now, HERE, input)
    }

    pub fn input_with(&self, session: &mut Session, now: u64, room: (usize, Dispatch), input: Input) -> Ready {
        session.input(input, &circumstances(now, room));
        self.settle(session, now, room)
    }

    pub fn stored(&self) -> RunState {
        load_all(block_on(self.store.read_all(&Partition::of_run(&the_start().id))).unwrap()).unwrap().unwrap()
    }

    pub fn node(&self, node: &str) -> NodeState {
        let path = path(node);
        self.stored().scope(&path.scope).unwrap().node(&path.node).unwrap().clone()
    }

    pub fn entry(&self) -> RunEntry {
        block_on(self.store.entry(&the_start().id)).unwrap().unwrap()
    }
}

pub fn report(work: &Work, outcome: Outcome) -> Input {
    let attempts = vec![Attempt { started: 1, ended: 2, failure: None, next: None }];
    let report = Report { attempts, ..reported(outcome) };
    Input::Event(Event::Complete { path: work.path.clone(), token: work.token, report }, Documents::new())
}

pub fn done(work: &Work) -> Input {
    report(work, Outcome::Done(payload("out")))
}

pub fn command(event: Event) -> Input {
    Input::Event(event, Documents::new())
}

pub fn paths(works: &[Work]) -> Vec<String> {
    works.iter().map(|work| work.path.to_string()).collect()
}

pub fn wait(until: u64) -> Outcome {
    Outcome::Suspended(Suspended {
        until,
        operation: 1,
        tries: 2,
        begun: None,
        data: Some(payload("so far")),
        wait: None,
        asleep: None,
        failed: 0,
    })
}

/// A try of the call of a piece of work that failed, after which the next one is due at this moment.
pub fn tried(work: &Work, number: u32, next: u64) -> Input {
    let failure = Failure::retry(Code::CALL_STATUS, "busy");
    let one = Try { next: Some(next), ..Try::begin(0, number, 9, 1).failed(2, Some(503), &failure) };
    command(Event::Tried { path: work.path.clone(), token: work.token, attempts: Vec::new(), tries: vec![one] })
}

/// Waits for an answer until a moment.
pub fn asks(work: &Work, until: u64) -> Outcome {
    let id = WaitId { claim: work.token, operation: 0 };
    let of = Awaited::Function { name: "f".to_owned() };
    let wait = Some(Box::new(Wait { id, of, since: 2, limit: Some(until), looks: 0 }));
    Outcome::Suspended(Suspended {
        until,
        operation: 0,
        tries: 0,
        begun: None,
        data: Some(payload("so far")),
        wait,
        asleep: None,
        failed: 0,
    })
}

/// The answer to what a piece of work asked.
pub fn answer(work: &Work) -> Input {
    let to = WaitId { claim: work.token, operation: 0 };
    let said = Said::Response { status: 200, headers: Vec::new(), body: payload("answer") };
    command(Event::Answer { path: work.path.clone(), to, said })
}

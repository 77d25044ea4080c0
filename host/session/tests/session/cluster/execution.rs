//! What replicas execute, and how it ends.

use super::*;

impl Cluster {
    /// A node with a wait for a signal waits until it has got one.
    pub(super) fn awaits_signal(&mut self, work: &Work) -> Option<Suspended> {
        use faas_flow_core::definition::Operation;
        let Task::Operations(operations) = &work.task else { return None };
        let waits = matches!(operations.list.first(), Some(Operation::WaitFor(_))) && work.signals.is_empty();
        if !waits {
            return None;
        }
        let signal = signal_of(&work.path);
        if !self.signals.contains(&signal) {
            self.signals.push(signal.clone());
        }
        let known = work.suspended.as_ref().and_then(|suspended| suspended.wait.clone());
        let wait = known.filter(|wait| matches!(wait.of, Awaited::Signal { .. })).unwrap_or_else(|| {
            let id = WaitId { claim: work.token, operation: 0 };
            Box::new(Wait { id, of: Awaited::Signal { signal }, since: self.now, limit: None, looks: 0 })
        });
        let until = self.now + 5 * LEASE;
        Some(Suspended { data: Some(payload("so far")), wait: Some(wait), ..Suspended::until(until) })
    }

    /// What a replica executes has failed, and goes on.
    pub(super) fn fail_a_try(&mut self, number: usize, nth: usize) {
        let Work { path, token, .. } = self.replicas[number].works[nth].clone();
        let number_of = self.tried.values().map(Vec::len).sum::<usize>() as u32 + 1;
        let claim = (path.to_string(), token);
        self.tried.entry(claim).or_default().push(number_of);
        let failure = Failure::retry(Code::CALL_STATUS, "busy");
        let tries = vec![Try::begin(0, number_of, u32::MAX, self.now).failed(self.now, Some(503), &failure)];
        let event = Event::Tried { path, token, attempts: Vec::new(), tries };
        self.input(number, Input::Event(event, Documents::new()));
    }

    /// A replica has executed something.
    pub(super) fn finish(&mut self, number: usize, nth: usize) {
        let work = self.replicas[number].works.swap_remove(nth);
        let (outcome, documents) = self.outcome(number, &work);
        if calls(&work.task)
            && matches!(outcome, Outcome::Suspended(_))
            && let Some(count) = self.calls.get_mut(&work.path.to_string())
        {
            *count -= 1;
        }
        let failure = match &outcome {
            Outcome::Failed(failure) => Some(failure.clone()),
            _ => None,
        };
        let attempts = vec![Attempt { started: self.now, ended: self.now, failure, next: None }];
        let report = Report { response: work::response(&work.path).map(Box::new), attempts, ..reported(outcome) };
        for (name, bytes) in &documents {
            self.replicas[number].cached.insert(name.clone(), bytes.clone());
        }
        let event = Event::Complete { path: work.path, token: work.token, report };
        self.input(number, Input::Event(event, documents));
    }

    pub(super) fn outcome(&mut self, number: usize, work: &Work) -> (Outcome, Documents) {
        let merges = matches!(work.task, Task::Merge { .. });
        let catches = matches!(work.task, Task::Catch { .. });
        let fails = |(path, when): &(String, bool)| *path == work.path.to_string() && *when == merges && !catches;
        if self.failing.as_ref().is_some_and(fails) {
            let failure = Failure::reject(Code::GUEST_REJECTED, "as the test wants");
            return (Outcome::Failed(failure), Documents::new());
        }
        if let Some(suspended) = self.awaits_signal(work) {
            return (Outcome::Suspended(suspended), Documents::new());
        }
        if self.chance(self.faults.waits) {
            let until = self.now + self.random.below(100) as u64;
            let wait = (self.random.below(2) == 0).then(|| Box::new(self.question(work)));
            let wait = Suspended {
                until,
                operation: 0,
                tries: 1,
                begun: None,
                data: Some(payload("so far")),
                wait,
                asleep: None,
                failed: 0,
            };
            return (Outcome::Suspended(wait), Documents::new());
        }
        let replica = &self.replicas[number];
        // As long as nothing of the run is stored, its outputs have no documents of their own.
        let is_stored = replica.session.as_ref().is_some_and(|session| session.durability() != Durability::Memory);
        let set = |started_by| self.set(replica, &set_of(&work.path, started_by), &work.path);
        match work::outcome(work, &|payload| self.text(Some(replica), payload), &set) {
            Outcome::Done(Payload { place: Place::Inline(bytes), media_type }) if is_stored && bytes.len() > INLINE => {
                let doc = format!("{DATA}{}/{}/0", work.path, work.token);
                let kept = Payload::kept(&doc, bytes.len() as u64).of_type(media_type);
                (Outcome::Done(kept), vec![(doc, bytes)])
            }
            outcome => (outcome, Documents::new()),
        }
    }

    /// Asks something outside, whose answer may be lost, or come twice. If it has not come when the wait is over, the node
    /// goes on without it.
    pub(super) fn question(&mut self, work: &Work) -> Wait {
        let id = WaitId { claim: work.token, operation: 0 };
        if !self.chance(self.faults.events) {
            self.answers.push((work.path.clone(), id));
        }
        if self.chance(self.faults.events) {
            self.answers.push((work.path.clone(), id));
        }
        Wait { id, of: Awaited::Function { name: "slow".to_owned() }, since: self.now, limit: None, looks: 0 }
    }

    /// What has arrived in a set, in the order of the branches.
    pub(super) fn set(&self, replica: &Replica, set: &str, node: &NodePath) -> Vec<(String, Ended)> {
        let session = replica.session.as_ref().unwrap();
        let unsaved: Vec<_> =
            session.unsaved_arrivals(set).map(|one| (one.member.clone(), one.bytes.clone())).collect();
        let members = if session.branches_of(node) == Some(unsaved.len() as u32) {
            unsaved
        } else {
            block_on(self.store.arrivals(&Partition::of_run(&self.id), set)).unwrap()
        };
        let mut all: Vec<_> = members
            .into_iter()
            .map(|(key, bytes)| {
                let (index, ended) = read_arrival(&bytes).unwrap();
                (index, (key, ended))
            })
            .collect();
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, branch)| branch).collect()
    }

    /// The text of a payload, wherever it is.
    pub(super) fn text(&self, replica: Option<&Replica>, payload: &Payload) -> String {
        let bytes = match &payload.place {
            Place::Inline(bytes) => bytes.clone(),
            Place::Kept { doc, .. } => match replica.and_then(|replica| replica.cached.get(doc)) {
                Some(bytes) => bytes.clone(),
                None => {
                    let stored =
                        block_on(self.store.read(&Partition::of_run(&self.id), std::slice::from_ref(doc))).unwrap();
                    stored[0].clone().unwrap_or_else(|| panic!("{doc} is not stored")).bytes
                }
            },
            Place::Stored { .. } => unreachable!("the simulation has no data store"),
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(payload.media_type, work::media_type_of(&text), "{text:?} has kept its media type");
        text
    }
}

/// The signal for which a node waits: each for its own.
fn signal_of(node: &NodePath) -> SignalName {
    let hash = node.to_string().bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    SignalName::new(format!("{hash:x}")).unwrap()
}

/// Whether a task has effects beyond the flow's own code.
pub(super) fn calls(task: &Task) -> bool {
    use faas_flow_core::definition::Operation;
    match task {
        Task::Operations(operations) => operations.list.iter().any(Operation::is_call),
        Task::Recover { .. } | Task::Finally { .. } => true,
        _ => false,
    }
}

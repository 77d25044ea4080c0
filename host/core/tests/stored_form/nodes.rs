//! Nodes that wait, and what was repeated, run again or caught.

use super::*;

#[test]
fn nodes_that_wait_for_answers_are_stored_as_their_golden_file() {
    let id = WaitId { claim: ClaimToken::new(7), operation: 2 };
    let waiting = |node: &str, of, limit, looks| {
        let wait = Wait { id, of, since: 17, limit, looks };
        let suspended = Suspended {
            until: 90_000,
            operation: 2,
            tries: 1,
            begun: None,
            data: Some(payload("x")),
            wait: Some(Box::new(wait)),
            asleep: None,
            failed: 0,
        };
        NodeState {
            id: NodeId::new(node).unwrap(),
            progress: Progress::Ready,
            since: 18,
            token: ClaimToken::new(7),
            suspended: Some(suspended),
            started: Some(11),
            lease: None,
            branches: None,
            given: None,
            round: 0,
            answer: None,
            signals: Vec::new(),
            called: Vec::new(),
            caught: None,
            output: None,
            input_size: 0,
            attempts: Vec::new(),
            tries: None,
            logs: Vec::new(),
            operations: Vec::new(),
        }
    };
    let said = |said| Some(Box::new(Answer { to: id, at: 40, said }));
    let function = |name: &str| Awaited::Function { name: name.to_owned() };
    let run = Awaited::Run { flow: "child".to_owned(), run: RunId::new("r-1").unwrap() };
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    let response = Said::Response { status: 200, headers, body: payload("out") };
    let scope = Scope {
        path: ScopePath::root(),
        input: payload("in"),
        index: 0,
        siblings: 1,
        started_by: ClaimToken::NONE,
        caught: None,
        nodes: vec![
            waiting("n1", function("slow"), Some(90_000), 0),
            waiting("n2", run, None, 3),
            NodeState { answer: said(response), ..waiting("n3", function("slow"), Some(90_000), 0) },
            NodeState { answer: said(Said::Failed(failure())), ..waiting("n4", function("slow"), None, 0) },
        ],
    };
    check("waiting", &scope);
}

/// HIST-2, HIST-7, HIST-9. Documents without tries, and without the times of what follows, are those of the other tests.
#[test]
fn what_failed_and_was_tried_again_is_stored_as_its_golden_file() {
    let exhausted = Some(Spent { policy: PolicyOf::Call, tries: 3 });
    let busy = Try { next: Some(40), ..Try::begin(1, 1, 3, 12).failed(14, Some(503), &failure()) };
    let last = Try::begin(1, 3, 3, 90).failed(95, None, &Failure { exhausted, ..failure() });
    let mut tries = Tries::default();
    tries.push(busy);
    tries.push(Try { recovered: true, ..last });
    tries.push(Try { status: Some(200), ..Try::begin(2, 2, 3, 99) });
    tries.left_out = 7;
    let suspended = Suspended {
        until: 200,
        operation: 2,
        tries: 3,
        begun: Some(12),
        data: Some(payload("x")),
        wait: None,
        asleep: None,
        failed: 0,
    };
    let node = NodeState {
        id: NodeId::new("n1").unwrap(),
        progress: Progress::Ready,
        since: 100,
        token: ClaimToken::new(2),
        lease: None,
        branches: None,
        given: None,
        round: 0,
        suspended: Some(suspended),
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: None,
        started: Some(1),
        input_size: 3,
        attempts: vec![Attempt { started: 2, ended: 9, failure: Some(failure()), next: Some(12) }],
        tries: Some(Box::new(tries)),
        logs: Vec::new(),
        operations: Vec::new(),
    };
    let scope = Scope {
        path: ScopePath::root(),
        input: payload("in"),
        index: 0,
        siblings: 1,
        started_by: ClaimToken::NONE,
        caught: None,
        nodes: vec![node],
    };
    check("scope-tries", &scope);
    let exhausted = Some(Spent { policy: PolicyOf::Node, tries: 2 });
    let run = Run {
        id: RunId::new("run-1").unwrap(),
        flow: FlowName::new("greet").unwrap(),
        digest: Digest::of(b"module"),
        started: 1_790_000_000_000,
        start_at: None,
        ended: None,
        rerun: Some(1_790_000_000_500),
        deadline: None,
        labels: Labels::new(),
        actions: Vec::new(),
        request: Request::default(),
        definition: None,
        phase: Phase::Failure,
        paused: false,
        verdict: Some(Status::Failed),
        result: None,
        response: None,
        failure_response: None,
        failure: Some(Failure { exhausted, ..failure() }),
        hooks: Vec::new(),
        callback: None,
        parent: None,
    };
    check("run-again", &run);
}

#[test]
fn the_progress_of_a_node_is_shown_as_it_is_stored() {
    use Progress::{Branching, Done, Failed, Ready, Running, Waiting};
    for progress in [Waiting, Ready, Running, Branching, Done, Failed] {
        assert_eq!(serde_json::to_value(progress).unwrap(), progress.as_str());
    }
}

/// REPEAT-4.
#[test]
fn a_repeat_is_stored_as_its_golden_file() {
    let branches = Branches { round: 3, ..only_branch(("3".to_owned(), payload("of round 3"))) };
    let suspended = Suspended { begun: Some(40), data: Some(payload("of round 3")), ..Suspended::until(60) };
    let repeat = NodeState {
        id: NodeId::new("R").unwrap(),
        progress: Progress::Ready,
        since: 50,
        token: ClaimToken::new(7),
        lease: None,
        branches: Some(branches),
        given: None,
        round: 0,
        suspended: Some(suspended),
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: None,
        started: Some(11),
        input_size: 3,
        attempts: vec![Attempt { started: 11, ended: 12, failure: None, next: None }],
        tries: None,
        logs: Vec::new(),
        operations: Vec::new(),
    };
    let (path, input) = (ScopePath::parse("R[3]").unwrap(), payload("of round 2"));
    let round =
        Scope { path, input, index: 2, siblings: 1, started_by: ClaimToken::new(2), nodes: Vec::new(), caught: None };
    let root = ScopePath::root();
    let around = Scope { path: root, input: payload("in"), index: 0, nodes: vec![repeat], ..round.clone() };
    check("scope-repeat", &around);
    check("scope-round", &round);
}

/// RERUN-4, RERUN-5, RERUN-6.
#[test]
fn what_was_run_again_is_stored_as_its_golden_file() {
    let state = |id: &str, progress| NodeState {
        id: NodeId::new(id).unwrap(),
        progress,
        since: 17,
        token: ClaimToken::new(2),
        lease: None,
        branches: None,
        given: None,
        round: 2,
        suspended: None,
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: None,
        started: Some(11),
        input_size: 3,
        attempts: Vec::new(),
        tries: None,
        logs: Vec::new(),
        operations: Vec::new(),
    };
    let redone = |key: &str, result| Redone { key: key.to_owned(), result, failure: None };
    let branches = Branches {
        total: 3,
        started_by: ClaimToken::new(2),
        only: None,
        only_failure: None,
        failed: 0,
        full: true,
        round: 0,
        redone: vec![redone("a", Some(payload("new"))), redone("b", None)],
    };
    let scope = Scope {
        path: ScopePath::root(),
        input: payload("in"),
        index: 0,
        siblings: 1,
        started_by: ClaimToken::NONE,
        caught: None,
        nodes: vec![
            NodeState { given: Some(payload("{}").of_type(MediaType::JSON)), ..state("n1", Progress::Ready) },
            NodeState { branches: Some(branches), ..state("F", Progress::Branching) },
        ],
    };
    check("scope-run-again", &scope);
    let sent_again = Callback { tries: 3, before: 2, ..Callback::new("http://127.0.0.1:8080/done".to_owned()) };
    check("callback-sent-again", &sent_again);
    check("callback-run-again", &Callback { round: 1, ..Callback::new("http://127.0.0.1:8080/done".to_owned()) });
}

/// CATCH-1, CATCH-2, TOLERATE-1.
#[test]
fn what_was_caught_is_stored_as_its_golden_file() {
    let body = payload("busy").of_type(MediaType::JSON);
    let evidence = Evidence { input: payload("in"), body: Some(body), status: Some(503) };
    let caught = |evidence| Some(Box::new(Caught { failure: failure(), at: 9, evidence }));
    let plan = Plan::new(flow(graph(vec![node("n1"), node("F")], [("n1", "F")]))).unwrap();
    let mut scope = Scope::new(plan.root(), ScopePath::root(), payload("in"), (0, 1), ClaimToken::NONE, 1);
    scope.caught = caught(Evidence::default());
    scope.nodes[0].caught = caught(evidence);
    scope.nodes[1].branches = Some(Branches {
        failed: 2,
        redone: vec![Redone { key: "a".to_owned(), result: None, failure: Some(failure()) }],
        only_failure: Some(failure()),
        ..only_branch(("b".to_owned(), Payload::empty()))
    });
    check("scope-caught", &scope);
    let member = |ended: &Ended| decode_member(&encode_member(3, ended)).unwrap();
    let (well, ill) = (Ok(payload("out")), Err(failure()));
    assert_eq!((member(&well), member(&ill)), ((3, well.clone()), (3, ill.clone())));
    assert_eq!(encode_member(3, &well), encode(&(3, payload("out"))), "what succeeded is stored as before");
    let answered = Err(Failure { answered: Some(404), ..failure() });
    assert_eq!(member(&answered), (3, answered.clone()));
}

/// SLEEP-3. Documents of nodes that do not sleep are those of the other tests.
#[test]
fn a_node_that_sleeps_is_stored_as_its_golden_file() {
    let suspended = Suspended {
        until: 1_790_172_800_000,
        operation: 2,
        tries: 0,
        begun: Some(1_790_000_000_000),
        data: Some(payload("so far")),
        wait: None,
        asleep: Some(1_790_000_000_001),
        failed: 1,
    };
    check("suspended-asleep", &suspended);
}

/// SIGNAL-7.
#[test]
fn signals_are_stored_as_their_golden_files() {
    let to = WaitId { claim: ClaimToken::new(7), operation: 1 };
    let node = NodePath::parse("F[a%2Fb]/n").unwrap();
    let kept = Came { id: 5, key: Some("key:k".to_owned()), at: 20, body: Some(payload("yes")), by: None };
    let taken = Came { id: u64::MAX, key: None, at: 10, body: None, by: Some(node.clone()) };
    check("signal", &Signal { came: vec![taken, kept], waiters: vec![Waiter { path: node, to }] });
    check("early-signals", &EarlySignals { count: 1, bytes: 3 });
    let wait = Wait {
        id: to,
        of: Awaited::Signal { signal: SignalName::new("ok").unwrap() },
        since: 9,
        limit: None,
        looks: 0,
    };
    check(
        "suspended-signal",
        &Suspended { data: Some(payload("x")), wait: Some(Box::new(wait)), ..Suspended::until(60) },
    );
    let signal = SignalName::new("ok").unwrap();
    check("taken-signal", &Taken { operation: 1, signal, at: 10, body: payload("yes") });
}

/// LIMIT-4.
#[test]
fn a_node_that_waits_for_a_permit_is_stored_as_its_golden_file() {
    let id = WaitId { claim: ClaimToken::new(7), operation: 1 };
    let wait = |key: &str| {
        let of = Awaited::Limit { name: "payments".to_owned(), key: key.to_owned() };
        Some(Box::new(Wait { id, of, since: 1_790_000_000_000, limit: None, looks: 1 }))
    };
    let suspended = |key| Suspended { operation: 1, data: Some(payload("in")), wait: wait(key), ..Suspended::until(9) };
    check("suspended-limit", &suspended(""));
    check("suspended-limit-key", &suspended("acme"));
}

/// HIST-11.
#[test]
fn what_was_logged_is_stored_as_its_golden_file() {
    let path = NodePath::parse("C[a%2Fb]/n1").unwrap();
    let line = |at, level, message: &str| LogLine { at, level, attempt: 2, message: message.to_owned() };
    let lines = vec![line(17, LogLevel::Info, "42 orders"), line(18, LogLevel::Error, "out of paper")];
    check("log", &LogPart { path, trace: Some("0af7651916cd43dd8448eb211c80319c".to_owned()), lines });
    let root = NodeState {
        id: NodeId::new("n1").unwrap(),
        progress: Progress::Done,
        since: 50,
        token: ClaimToken::new(7),
        lease: None,
        branches: None,
        given: None,
        round: 0,
        suspended: None,
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: Some(payload("out")),
        started: Some(11),
        input_size: 3,
        attempts: vec![Attempt { started: 11, ended: 12, failure: None, next: None }],
        tries: None,
        logs: vec![KeptLog { mark: u64::MAX, lines: 2, dropped: 0 }, KeptLog { mark: 1, lines: 0, dropped: 9 }],
        operations: Vec::new(),
    };
    let scope = Scope {
        path: ScopePath::root(),
        input: payload("in"),
        index: 0,
        siblings: 1,
        started_by: ClaimToken::NONE,
        caught: None,
        nodes: vec![root],
    };
    check("scope-log", &scope);
}

/// HIST-13.
#[test]
fn what_operations_got_and_yielded_is_stored_as_its_golden_file() {
    let data = |at, side, preview| OperationData {
        at,
        attempt: 2,
        kind: OperationKind::Apply,
        operation: Some(0),
        target: Some("wc".to_owned()),
        number: Some(1),
        side,
        from: String::new(),
        of: 0,
        status: None,
        preview,
    };
    let yielded = OperationData { status: Some(503), ..data(18, Side::Output, 1) };
    let (operation, target, number) = (None, None, None);
    let of_branch =
        OperationData { from: "a".to_owned(), of: 9, operation, target, number, ..data(19, Side::Input, 2) };
    let of_branch = OperationData { kind: OperationKind::Aggregate, ..of_branch };
    let preview = |bytes: &'static str, hidden| {
        let (media_type, bytes) = (MediaType::JSON, Bytes::from(bytes));
        Preview { media_type, size: bytes.len() as u64, bytes, hidden }
    };
    let whole = Preview { media_type: MediaType::OCTET_STREAM, ..preview("two words", Hidden::Nothing) };
    let parts = Preview { size: 70_000, ..preview("{\"card\":\"***\",\"a\":1", Hidden::Parts) };
    let all = Preview { size: 7, ..preview("", Hidden::All) };
    let part = OperationsPart {
        path: NodePath::parse("C[a%2Fb]/n1").unwrap(),
        redact: vec!["/**/card".to_owned()],
        data: vec![data(17, Side::Input, 0), yielded, of_branch],
        previews: vec![whole, parts, all],
    };
    assert_eq!(part.previews.iter().map(Preview::is_cut).collect::<Vec<_>>(), [false, true, false]);
    check("operations", &part);
    let parts = [(u64::MAX, 3, 0), (1, 0, 9)].map(|(mark, kept, dropped)| KeptOperations { mark, kept, dropped });
    check("node-operations", &parts.to_vec());
}

/// HIST-13: what a newer build says of an operation is read by this one.
#[test]
fn an_operation_of_an_unknown_kind_is_another_one() {
    let json = r#"{"at":1,"attempt":1,"kind":"dream","side":"input","preview":0,"colour":"green"}"#;
    let read: OperationData = serde_json::from_str(json).unwrap();
    assert_eq!((read.kind, read.kind.as_str()), (OperationKind::Other, "other"));
}

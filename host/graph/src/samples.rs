//! Flows for the tests: the shapes of the examples, and what goes wrong.

use faas_flow_core::definition::{
    AggregateInputs, Backoff, Branch, Branches, Call, Carries, Dag, Definition, Edge, Limit, Node, NodeKind, Operation,
    Operations, RecoverNode, Repeat, SignalSource, Tolerate, WaitFor,
};
use faas_flow_core::limit::Figures;
use faas_flow_core::schedule::Schedule;

pub(crate) fn apply(target: &str) -> Operation {
    Operation::Apply(Call { target: target.into(), ..Call::default() })
}

pub(crate) fn request(target: &str) -> Operation {
    Operation::Request(Call { target: target.into(), ..Call::default() })
}

fn modify(handler: &str) -> Operation {
    Operation::Modify(handler.into())
}

fn node(id: &str, kind: NodeKind) -> Node {
    Node { id: id.into(), kind }
}

fn operations(id: &str, list: Vec<Operation>) -> Node {
    node(id, NodeKind::Operations(Operations { list, ..Operations::default() }))
}

fn functions(ids: &[&str]) -> Vec<Node> {
    ids.iter().map(|id| operations(id, vec![apply(&format!("func-{id}"))])).collect()
}

fn edges(pairs: &[(&str, &str)]) -> Vec<Edge> {
    pairs.iter().map(|(from, to)| edge(from, to, Carries::Output)).collect()
}

fn edge(from: &str, to: &str, carries: Carries) -> Edge {
    Edge { from: from.into(), to: to.into(), carries }
}

fn dag(nodes: Vec<Node>, edges: Vec<Edge>) -> Dag {
    Dag { nodes, edges, ..Dag::default() }
}

fn branches(handler: &str, dags: Vec<(&str, Dag)>, aggregator: Option<&str>) -> Branches {
    let dags = dags.into_iter().map(|(key, dag)| Branch { key: key.into(), dag }).collect();
    Branches { handler: handler.into(), dags, aggregator: aggregator.map(Into::into), ..Branches::default() }
}

fn flow(dag: Dag) -> Definition {
    Definition { dag, ..Definition::default() }
}

pub(crate) fn single() -> Definition {
    flow(dag(vec![operations("n1", vec![apply("func1"), modify("n1/2"), apply("func2")])], vec![]))
}

fn chain() -> Definition {
    let retry = Backoff { attempts: 5, first_delay_ms: 100, factor: 2.0, max_delay_ms: 1000 };
    let mut second =
        Operations { list: vec![apply("func2")], retry: Some(retry), timeout_ms: Some(30_000), limit: None };
    second.list.push(request("https://api.example.org/v1/resources/with/a/rather/long/path?and=query"));
    let nodes = vec![
        operations("n1", vec![apply("func1")]),
        node("n2", NodeKind::Operations(second)),
        operations("n3", vec![]),
    ];
    let edges = vec![edge("n1", "n2", Carries::Output), edge("n2", "n3", Carries::Nothing)];
    let on_failure = Some("on-failure".into());
    Definition { on_failure, deadline_ms: Some(90_000), ..flow(dag(nodes, edges)) }
}

fn parallel() -> Definition {
    let nodes = functions(&["n1", "n2", "n3", "n4", "n5", "n6"]);
    let mut edges = edges(&[("n1", "n2"), ("n1", "n3"), ("n3", "n4"), ("n2", "n6"), ("n4", "n6"), ("n1", "n6")]);
    edges.push(edge("n1", "n5", Carries::Forwarded("n1/to-n5".into())));
    edges.push(edge("n5", "n6", Carries::Nothing));
    let aggregate_inputs = vec![AggregateInputs { node: "n6".into(), aggregator: "n6/aggregate".into() }];
    flow(Dag { aggregate_inputs, ..dag(nodes, edges) })
}

pub(crate) fn parallel_ends(aggregator: Option<&str>) -> Definition {
    let aggregate_ends = aggregator.map(Into::into);
    flow(Dag { aggregate_ends, ..dag(functions(&["a", "b", "c"]), edges(&[("a", "b"), ("a", "c")])) })
}

pub(crate) fn dynamic() -> Definition {
    let inner = dag(functions(&["f1", "f2"]), edges(&[("f1", "f2")]));
    let each = branches("F/split", vec![("", inner)], Some("F/merge"));
    let each = Branches { max_parallel: Some(4), ..each };
    let nodes = vec![
        operations("n1", vec![apply("func1")]),
        node("F", NodeKind::ForEach(each)),
        operations("n2", vec![apply("func2")]),
    ];
    flow(dag(nodes, edges(&[("n1", "F"), ("F", "n2")])))
}

pub(crate) fn conditional() -> Definition {
    let diamond = dag(functions(&["a", "b", "c", "d"]), edges(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]));
    let each = branches("F/split", vec![("", dag(functions(&["m1", "m2"]), edges(&[("m1", "m2")])))], Some("F/merge"));
    let looped =
        dag(vec![operations("n1", vec![modify("prep")]), node("F", NodeKind::ForEach(each))], edges(&[("n1", "F")]));
    let simple = dag(vec![node("S", NodeKind::SubDag(dag(functions(&["s1", "s2"]), edges(&[("s1", "s2")]))))], vec![]);
    let choice = branches("C/condition", vec![("c1", diamond), ("c2", looped), ("fall back", simple)], Some("C/merge"));
    let nodes = vec![
        operations("n1", vec![apply("func1"), modify("n1/2")]),
        node("C", NodeKind::Condition(choice)),
        operations("log", vec![request("https://log.example.org/")]),
        operations("n2", vec![apply("func2")]),
    ];
    let mut edges = edges(&[("n1", "C"), ("C", "n2"), ("n1", "log")]);
    edges.push(edge("log", "n2", Carries::Nothing));
    Definition { finally: Some("finally".into()), ..flow(dag(nodes, edges)) }
}

/// A job that is polled.
pub(crate) fn repeated() -> Definition {
    let round = dag(functions(&["poll", "log"]), edges(&[("poll", "log")]));
    let repeat = Repeat { handler: "R/again".into(), dag: round, most: 10, wait_ms: 30_000 };
    let nodes = vec![
        operations("n1", vec![apply("func1")]),
        node("R", NodeKind::Repeat(repeat)),
        operations("n2", vec![apply("func2")]),
    ];
    flow(dag(nodes, edges(&[("n1", "R"), ("R", "n2")])))
}

/// The flow whose export was measured on the original.
pub(crate) fn measured() -> Definition {
    let m = dag(vec![operations("m", vec![request("http://example.com/callback/url")])], vec![]);
    let c1 = dag(vec![node("F", NodeKind::ForEach(branches("F/split", vec![("", m)], None)))], vec![]);
    let mut first = Call { target: "func1".into(), ..Call::default() };
    first.recover = Some("n1/recover".into());
    let nodes = vec![
        operations("n1", vec![Operation::Apply(first), modify("n1/2")]),
        node("C", NodeKind::Condition(branches("C/condition", vec![("c1", c1)], Some("C/merge")))),
        operations("n2", vec![]),
    ];
    flow(dag(nodes, vec![edge("n1", "C", Carries::Output), edge("C", "n2", Carries::Nothing)]))
}

/// Failures that are caught, and items that may fail.
pub(crate) fn catching() -> Definition {
    let each = branches("F/split", vec![("", dag(functions(&["f1"]), vec![]))], None);
    let each = Branches { tolerate: Some(Tolerate::Share(0.05)), gather: Some("F/gather".into()), ..each };
    let nodes = vec![operations("n1", vec![apply("func1")]), node("F", NodeKind::ForEach(each))];
    let recover_nodes = vec![RecoverNode { node: "n1".into(), recover: "n1/recover".into() }];
    let recover = Some("(recover)".into());
    flow(Dag { recover_nodes, recover, ..dag(nodes, edges(&[("n1", "F")])) })
}

/// Everything with which a flow waits, forgives and repeats.
pub(crate) fn everything() -> Definition {
    let figures = Figures { concurrent: Some(10), per_second: None };
    let limit = Limit { name: "payments".into(), figures, key: Some("tenant".into()) };
    let charge = Call { target: "charge".into(), recover_from: Some("declined".into()), ..Call::default() };
    let charge = Operations { list: vec![Operation::Apply(charge)], limit: Some(limit), ..Operations::default() };
    let wait = WaitFor {
        signal: SignalSource::Named("approval".into()),
        timeout_ms: Some(48 * 3600 * 1000),
        recover_from: Some("nobody".into()),
    };
    let ask = vec![
        Operation::Sleep(24 * 3600 * 1000),
        apply("remind"),
        Operation::WaitFor(wait),
        Operation::SleepUntil("delivery".into()),
    ];
    let each = branches("items/split", vec![("", dag(functions(&["ship"]), vec![]))], None);
    let each = Branches { tolerate: Some(Tolerate::Items(2)), gather: Some("items/gather".into()), ..each };
    let round = dag(functions(&["poll"]), vec![]);
    let repeat = Repeat { handler: "until/again".into(), dag: round, most: 10, wait_ms: 30_000 };
    let nodes = vec![
        node("charge", NodeKind::Operations(charge)),
        operations("ask", ask),
        node("items", NodeKind::ForEach(each)),
        node("until", NodeKind::Repeat(repeat)),
    ];
    let recover_nodes = vec![RecoverNode { node: "ask".into(), recover: "ask/recover".into() }];
    let schedule = Schedule { name: "nightly".into(), when: "@daily".into(), ..Schedule::default() };
    let chain = dag(nodes, edges(&[("charge", "ask"), ("ask", "items"), ("items", "until")]));
    let chain = Dag { recover_nodes, recover: Some("(recover)".into()), ..chain };
    Definition { schedules: vec![schedule], ..flow(chain) }
}

/// Names that every format must escape.
pub(crate) fn awkward() -> Definition {
    let nodes = vec![operations("say \"hi\" [<ü>]", vec![]), operations("b", vec![modify("日本語 & <script>")])];
    flow(dag(nodes, vec![edge("say \"hi\" [<ü>]", "b", Carries::Forwarded("f <x>".into()))]))
}

pub(crate) fn all() -> Vec<(&'static str, Definition)> {
    vec![
        ("single", single()),
        ("chain", chain()),
        ("parallel", parallel()),
        ("parallel-ends", parallel_ends(Some("ends"))),
        ("dynamic", dynamic()),
        ("conditional", conditional()),
        ("measured", measured()),
        ("catching", catching()),
        ("repeated", repeated()),
        ("everything", everything()),
    ]
}

pub(crate) fn wrong() -> Vec<(&'static str, Definition)> {
    let cycle = dag(functions(&["a", "b", "c"]), edges(&[("a", "b"), ("b", "c"), ("c", "b"), ("a", "a")]));
    let nowhere = dag(functions(&["a", "a"]), edges(&[("a", "x"), ("x", "a")]));
    let hollow = dag(
        vec![
            node("C", NodeKind::Condition(branches("c", vec![], None))),
            node("F", NodeKind::ForEach(branches("f", vec![("", Dag::default())], None))),
        ],
        edges(&[("C", "F")]),
    );
    let mut deep = Dag::default();
    for _ in 0..100 {
        deep = dag(vec![node("S", NodeKind::SubDag(deep))], vec![]);
    }
    vec![
        ("empty", Definition::default()),
        ("cycle", flow(cycle)),
        ("nowhere", flow(nowhere)),
        ("hollow", flow(hollow)),
        ("deep", flow(deep)),
        ("awkward", awkward()),
    ]
}

/// The paths of all nodes, as the pictures name them.
pub(crate) fn paths(dag: &Dag, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for node in &dag.nodes {
        let path = format!("{prefix}{}", node.id);
        match &node.kind {
            NodeKind::Operations(_) => {}
            NodeKind::SubDag(dag) | NodeKind::Repeat(Repeat { dag, .. }) => {
                found.extend(paths(dag, &format!("{path}/")));
            }
            NodeKind::Condition(branches) => {
                for branch in &branches.dags {
                    let key = branch.key.replace(' ', "%20");
                    found.extend(paths(&branch.dag, &format!("{path}[{key}]/")));
                }
            }
            NodeKind::ForEach(branches) => {
                found.extend(branches.dags.iter().flat_map(|branch| paths(&branch.dag, &format!("{path}/"))));
            }
        }
        found.push(path);
    }
    found
}

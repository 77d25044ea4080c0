use super::difference::{Change, Detail, Difference, EdgeChange, HandlerChange, NodeChange};
use super::text::Colours;
use crate::samples;
use faas_flow_core::definition::{
    Branch, Branches, Call, Carries, Dag, Edge, Node, NodeKind, Operation, Operations, Repeat,
};
use faas_flow_core::run::{NodeView, Progress, RunView, Tries};
use faas_flow_core::schedule::Schedule;
use faas_flow_core::{Definition, Digest, FlowName, NodePath, RunId, Status};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn arbitrary_operations() -> impl Strategy<Value = Operations> {
    let call = ("[ab]", proptest::option::of(1..3_u64)).prop_map(|(target, timeout_ms)| Call {
        target,
        timeout_ms,
        ..Call::default()
    });
    let operation = prop_oneof![
        call.clone().prop_map(Operation::Apply),
        call.prop_map(Operation::Request),
        "[hi]".prop_map(Operation::Modify),
        (0..3u64).prop_map(Operation::Sleep),
        "[hi]".prop_map(Operation::SleepUntil)
    ];
    (proptest::collection::vec(operation, 0..4), proptest::option::of(1..3_u64))
        .prop_map(|(list, timeout_ms)| Operations { list, retry: None, timeout_ms, limit: None })
}

/// Dags of a few ids, so that two of them have much in common; some are not valid.
fn arbitrary_dag() -> impl Strategy<Value = Dag> {
    let leaf = arbitrary_operations().prop_map(NodeKind::Operations).boxed();
    dag_of(leaf).prop_recursive(2, 24, 4, |inner| {
        let branches = (proptest::collection::vec(("[cd]", inner.clone()), 0..3), proptest::option::of("m"));
        let branches = branches.prop_map(|(dags, aggregator)| Branches {
            handler: "h".into(),
            dags: dags.into_iter().map(|(key, dag)| Branch { key, dag }).collect(),
            aggregator,
            ..Branches::default()
        });
        let each = (inner.clone()).prop_map(|dag| {
            NodeKind::ForEach(Branches { dags: vec![Branch { key: String::new(), dag }], ..Branches::default() })
        });
        let repeat = (inner.clone(), 1..3_u32)
            .prop_map(|(dag, most)| NodeKind::Repeat(Repeat { handler: "h".into(), dag, most, ..Repeat::default() }));
        let kind = prop_oneof![
            2 => arbitrary_operations().prop_map(NodeKind::Operations),
            1 => inner.prop_map(NodeKind::SubDag),
            1 => branches.prop_map(NodeKind::Condition),
            1 => each,
            1 => repeat
        ];
        dag_of(kind.boxed()).boxed()
    })
}

fn dag_of(kind: BoxedStrategy<NodeKind>) -> BoxedStrategy<Dag> {
    let node = ("[xyz]", kind).prop_map(|(id, kind)| Node { id, kind });
    let carries = prop_oneof![Just(Carries::Output), Just(Carries::Nothing), "f".prop_map(Carries::Forwarded)];
    let edge = ("[xyz]", "[xyz]", carries).prop_map(|(from, to, carries)| Edge { from, to, carries });
    (proptest::collection::vec(node, 0..4), proptest::collection::vec(edge, 0..4), proptest::option::of("e"))
        .prop_map(|(nodes, edges, aggregate_ends)| Dag { nodes, edges, aggregate_ends, ..Dag::default() })
        .boxed()
}

fn arbitrary() -> impl Strategy<Value = Definition> {
    (arbitrary_dag(), proptest::collection::vec("[a-d]", 0..3), proptest::option::of(1..3_u64))
        .prop_map(|(dag, handlers, deadline_ms)| Definition { dag, handlers, deadline_ms, ..Definition::default() })
}

/// The difference seen from the other side, in an order that both sides agree on.
fn mirrored(difference: &Difference) -> Vec<String> {
    let turn = |change: Change| match change {
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        Change::Changed => Change::Changed,
    };
    let detail =
        |Detail { property, was, is }: &Detail| Detail { property: property.clone(), was: is.clone(), is: was.clone() };
    facts(&Difference {
        flow: difference.flow.iter().map(detail).collect(),
        nodes: difference
            .nodes
            .iter()
            .map(|node| NodeChange {
                path: node.path.clone(),
                change: turn(node.change),
                details: node.details.iter().map(detail).collect(),
            })
            .collect(),
        edges: difference
            .edges
            .iter()
            .map(|edge| EdgeChange {
                from: edge.from.clone(),
                to: edge.to.clone(),
                change: turn(edge.change),
                was: edge.is.clone(),
                is: edge.was.clone(),
            })
            .collect(),
        handlers: difference
            .handlers
            .iter()
            .map(|handler| HandlerChange { id: handler.id.clone(), change: turn(handler.change) })
            .collect(),
        ..Difference::default()
    })
}

fn facts(difference: &Difference) -> Vec<String> {
    let detail = |of: &str, detail: &Detail| format!("{of} {detail:?}");
    let mut facts: Vec<String> = difference.flow.iter().map(|one| detail("flow", one)).collect();
    for node in &difference.nodes {
        facts.push(format!("{} {:?}", node.path, node.change));
        facts.extend(node.details.iter().map(|one| detail(&node.path, one)));
    }
    facts.extend(difference.edges.iter().map(|edge| format!("{edge:?}")));
    facts.extend(difference.handlers.iter().map(|handler| format!("{handler:?}")));
    facts.sort();
    facts
}

/// The nodes of the old dag that are the nearest after an added one, found from each added node on its own.
fn after_added(old: &Dag, new: &Dag) -> BTreeSet<String> {
    let is_old = |id: &str| old.nodes.iter().any(|node| node.id == id);
    let mut found = BTreeSet::new();
    for added in new.nodes.iter().filter(|node| !is_old(&node.id)) {
        let mut seen = BTreeSet::from([added.id.as_str()]);
        let mut open = vec![added.id.as_str()];
        while let Some(id) = open.pop() {
            for edge in new.edges.iter().filter(|edge| edge.from == id && !seen.contains(&*edge.to)).collect::<Vec<_>>()
            {
                seen.insert(&edge.to);
                if is_old(&edge.to) {
                    found.insert(edge.to.clone());
                } else if new.nodes.iter().any(|node| node.id == edge.to) {
                    open.push(&edge.to);
                }
            }
        }
    }
    found
}

proptest! {
    #[test]
    fn what_follows_added_nodes_is_found_edge_by_edge(a in arbitrary(), b in arbitrary()) {
        let difference = Difference::between(&a, &b);
        let next: BTreeSet<String> = difference.next.into_iter().filter(|path| !path.contains('/')).collect();
        prop_assert_eq!(next, after_added(&a.dag, &b.dag));
    }

    #[test]
    fn in_long_lists_of_operations_those_at_both_ends_are_the_same(
        first in 0..300_usize, was in 1..300_usize, is in 1..300_usize, last in 0..300_usize
    ) {
        let list = |middle: &str, count: usize| -> Vec<Operation> {
            let same = |name: &'static str, count| (0..count).map(move |at| Operation::Modify(format!("{name}{at}")));
            let own = (0..count).map(|at| Operation::Modify(format!("{middle}{at}")));
            same("first", first).chain(own).chain(same("last", last)).collect()
        };
        let flow = |list| {
            let kind = NodeKind::Operations(Operations { list, ..Operations::default() });
            Definition { dag: Dag { nodes: vec![Node { id: "n".into(), kind }], ..Dag::default() }, ..Definition::default() }
        };
        let difference = Difference::between(&flow(list("was", was)), &flow(list("is", is)));
        let details = &difference.nodes[0].details;
        let expected = if was == is { was } else { was + is };
        prop_assert_eq!(details.len(), expected);
    }

    #[test]
    fn a_version_does_not_differ_from_itself(definition in arbitrary()) {
        let difference = Difference::between(&definition, &definition.clone());
        prop_assert!(difference.is_empty(), "{:?}", difference);
        prop_assert!(difference.changed_nodes().is_empty());
    }

    #[test]
    fn the_way_back_is_the_mirror_of_the_way_there(a in arbitrary(), b in arbitrary()) {
        let there = Difference::between(&a, &b);
        prop_assert_eq!(facts(&Difference::between(&b, &a)), mirrored(&there));
        prop_assert_eq!(there.is_empty(), Difference::between(&b, &a).is_empty());
    }

    #[test]
    fn every_change_is_drawn_and_marked(a in arbitrary(), b in arbitrary()) {
        let difference = Difference::between(&a, &b);
        let svg = difference.svg(&a, &b, "x");
        prop_assert_eq!(svg.matches("<g ").count() + svg.matches("<g>").count(), svg.matches("</g>").count());
        let marked = difference.nodes.iter().filter(|node| svg.contains(&format!("data-path=\"{}\"", node.path))).count();
        // What stood in a node that is of another kind now is not drawn; everything else is.
        let kinds = difference.nodes.iter().any(|node| node.details.iter().any(|detail| detail.property == "kind"));
        prop_assert!(kinds || marked == difference.nodes.len());
    }
}

#[test]
fn every_sample_differs_from_every_other() {
    let all = samples::all();
    for (at, (name, a)) in all.iter().enumerate() {
        for (other, b) in all.iter().skip(at + 1) {
            assert!(!Difference::between(a, b).is_empty(), "{name} {other}");
        }
    }
    for (_, wrong) in samples::wrong() {
        assert!(Difference::between(&wrong, &wrong.clone()).is_empty());
    }
}

/// A flow of two versions with one of each change.
fn versions() -> (Definition, Definition) {
    let old = samples::conditional();
    let mut new = old.clone();
    new.deadline_ms = Some(60_000);
    new.handlers = vec!["C/condition".into(), "n1/2".into(), "extra".into()];
    let old = Definition { handlers: vec!["C/condition".into(), "n1/2".into(), "prep".into()], ..old };
    let NodeKind::Operations(first) = &mut new.dag.nodes[0].kind else { panic!("n1 has operations") };
    first.list[0] = samples::apply("func1-v2");
    first.list.push(samples::apply("audit"));
    let NodeKind::Condition(choice) = &mut new.dag.nodes[1].kind else { panic!("C is a condition") };
    choice.max_parallel = Some(2);
    // In c1, `c` makes room for `e`.
    let diamond = &mut choice.dags[0].dag;
    diamond.nodes[2].id = "e".into();
    for edge in &mut diamond.edges {
        for end in [&mut edge.from, &mut edge.to] {
            if end == "c" {
                *end = "e".into();
            }
        }
    }
    // The log is no longer called before n2.
    new.dag.nodes.remove(2);
    new.dag.edges.retain(|edge| edge.from != "log" && edge.to != "log");
    new.dag.edges[1].carries = Carries::Forwarded("C/to-n2".into());
    (old, new)
}

#[test]
fn added_removed_and_changed_nodes_are_told_apart_at_any_depth() {
    let (old, new) = versions();
    let difference = Difference::between(&old, &new);
    let of = |change: Change| -> Vec<&str> {
        difference.nodes.iter().filter(|node| node.change == change).map(|node| node.path.as_str()).collect()
    };
    assert_eq!(of(Change::Added), ["C[c1]/e"]);
    assert_eq!(of(Change::Removed), ["C[c1]/c", "log"]);
    assert_eq!(of(Change::Changed), ["n1", "C"]);
    let touched: Vec<&str> = difference.changed_nodes().into_iter().collect();
    assert_eq!(touched, ["C", "C[c1]/c", "C[c1]/d", "C[c1]/e", "log", "n1", "n2"]);
    assert_eq!(difference.warnings(), ["handler prep was removed: runs on the new version cannot call it"]);
}

#[test]
fn a_difference_reads_and_looks_as_it_did() {
    let (old, new) = versions();
    let difference = Difference::between(&old, &new);
    insta::assert_snapshot!("difference.txt", difference.text(Colours::Off));
    insta::assert_snapshot!("difference.json", serde_json::to_string_pretty(&difference).unwrap());
    insta::assert_snapshot!("difference.svg", difference.svg(&old, &new, "conditional"));
    let coloured = difference.text(Colours::On);
    assert!(coloured.contains("\x1b[32m+ C[c1]/e\x1b[0m") && coloured.contains("\x1b[31m- log\x1b[0m"), "{coloured}");
}

#[test]
fn the_same_graph_says_so() {
    let difference = Difference::between(&samples::single(), &samples::single());
    assert_eq!(difference.text(Colours::Off), "the graph is the same\n");
    let svg = difference.svg(&samples::single(), &samples::single(), "single");
    assert_eq!(svg.matches("class=\"mark ").count(), 3, "only the legend has marks");
}

#[test]
fn only_operations_that_differ_are_named() {
    let (old, mut new) = (samples::single(), samples::single());
    let NodeKind::Operations(operations) = &mut new.dag.nodes[0].kind else { panic!("n1 has operations") };
    operations.list.insert(1, samples::apply("between"));
    let text = Difference::between(&old, &new).text(Colours::Off);
    assert_eq!(text, "~ n1\n~     operations/list/1: added (between)\nnodes: 1 changed\n");
}

/// A run of the old version, with its nodes as far as this.
fn run(status: Status, nodes: &[(&str, Progress)]) -> RunView {
    let node = |(path, progress): &(&str, Progress)| NodeView {
        path: NodePath::parse(path).unwrap(),
        progress: *progress,
        started: None,
        since: None,
        waits_until: None,
        sleeps_since: None,
        waits_for: None,
        rounds: 0,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        tolerated: 0,
        input_size: 0,
        output_size: None,
        attempts: Vec::new(),
        tries: Tries::default(),
        log_lines: 0,
        operation_data: 0,
    };
    RunView {
        request_id: RunId::new("run").unwrap(),
        flow: FlowName::new("flow").unwrap(),
        digest: Digest::of(b"old"),
        status,
        started: 0,
        start_at: None,
        ended: None,
        rerun: None,
        labels: faas_flow_core::Labels::new(),
        result_size: None,
        response: None,
        failure: None,
        callback: None,
        parent: None,
        actions: Vec::new(),
        nodes: nodes.iter().map(node).collect(),
    }
}

use Progress::{Branching, Done, Ready, Running, Waiting};

fn concerns(difference: &Difference, nodes: &[(&str, Progress)]) -> bool {
    difference.concerns(&run(Status::Running, nodes))
}

#[test]
fn a_run_is_concerned_until_it_is_past_what_changed() {
    let old = samples::dynamic();
    let mut new = old.clone();
    new.dag.nodes[0].kind = samples::single().dag.nodes[0].kind.clone();
    let first = Difference::between(&old, &new);
    for progress in [Ready, Running, Progress::Failed] {
        assert!(concerns(&first, &[("n1", progress), ("F", Waiting), ("n2", Waiting)]));
    }
    assert!(!concerns(&first, &[("n1", Done), ("F", Ready), ("n2", Waiting)]));
    let ended = run(Status::Failed, &[("n1", Progress::Failed), ("F", Waiting), ("n2", Waiting)]);
    assert!(!first.concerns(&ended));
    assert!(first.concerns(&run(Status::Paused, &[("n1", Ready), ("F", Waiting), ("n2", Waiting)])));
    // A change of the flow as a whole concerns every run in flight.
    let mut hurried = old.clone();
    hurried.deadline_ms = Some(1);
    let whole = Difference::between(&old, &hurried);
    assert!(concerns(&whole, &[("n1", Done), ("F", Done), ("n2", Running)]));
}

#[test]
fn a_schedule_that_changes_is_shown_and_concerns_no_run_in_flight() {
    let schedule = |name: &str, when: &str| Schedule { name: name.into(), when: when.into(), ..Schedule::default() };
    let with = |schedules: Vec<Schedule>| Definition { schedules, ..samples::dynamic() };
    let old = with(vec![schedule("nightly", "@daily"), schedule("poll", "every 10m")]);
    let new = with(vec![schedule("poll", "every 5m"), schedule("nightly", "@daily")]);
    let difference = Difference::between(&old, &new);
    assert!(difference.text(Colours::Off).starts_with("~ flow: schedules/poll/when: every 10m → every 5m\n"));
    assert!(!concerns(&difference, &[("n1", Progress::Running), ("F", Progress::Waiting), ("n2", Progress::Waiting)]));
    assert!(!Difference::between(&with(Vec::new()), &old).is_empty());
}

#[test]
fn the_picture_of_a_difference_shows_schedules_and_which_of_them_differ() {
    let schedule = |name: &str, when: &str| Schedule { name: name.into(), when: when.into(), ..Schedule::default() };
    let with = |schedules: Vec<Schedule>| Definition { schedules, ..samples::dynamic() };
    let old = with(vec![schedule("nightly", "@daily"), schedule("poll", "every 10m"), schedule("same", "@weekly")]);
    let mut new = with(vec![schedule("poll", "every 5m"), schedule("same", "@weekly"), schedule("soon", "@hourly")]);
    let picture = |old: &Definition, new: &Definition| Difference::between(old, new).svg(old, new, "dynamic");
    let svg = picture(&old, &new);
    for (name, class) in [("nightly", " removed"), ("poll", " changed"), ("soon", " added"), ("same", "")] {
        let shape = format!("<g class=\"node schedule{class}\" id=\"node:(schedule {name})\"");
        assert_eq!(svg.matches(&shape).count(), 1, "{shape} in {svg}");
    }
    assert!(svg.contains("flow: schedules/poll/when: every 10m → every"), "{svg}");
    for drawn in ["flow: schedules/nightly", "flow: schedules/soon"] {
        assert!(!svg.contains(drawn), "it is drawn: {drawn}");
    }
    let arrows =
        |svg: &str, change: &str| svg.matches(&format!("class=\"edge order {change}\" data-from=\"(schedule ")).count();
    assert_eq!((arrows(&svg, "removed"), arrows(&svg, "added")), (1, 1), "{svg}");
    // All of them lead to another node now.
    new.dag.nodes.insert(0, Node { id: "first".into(), ..new.dag.nodes[0].clone() });
    new.dag.edges.insert(0, Edge { from: "first".into(), to: "n1".into(), carries: Carries::Output });
    let svg = picture(&old, &new);
    assert_eq!((arrows(&svg, "removed"), arrows(&svg, "added")), (3, 3), "{svg}");
    assert!(!picture(&samples::dynamic(), &new).contains("flow: schedules"));
}

#[test]
fn what_is_inside_a_for_each_is_ahead_until_all_of_it_is_done() {
    let old = samples::dynamic();
    let mut new = old.clone();
    let NodeKind::ForEach(each) = &mut new.dag.nodes[1].kind else { panic!("F is a for-each") };
    each.dags[0].dag.nodes[1].kind = samples::single().dag.nodes[0].kind.clone();
    let difference = Difference::between(&old, &new);
    assert_eq!(difference.changed_nodes().into_iter().collect::<Vec<_>>(), ["F/f2"]);
    let at = |f: Progress, inside: &[(&'static str, Progress)]| {
        let nodes = [("n1", Done), ("F", f), ("n2", Waiting)];
        concerns(&difference, &nodes.iter().chain(inside).copied().collect::<Vec<_>>())
    };
    assert!(at(Waiting, &[]));
    assert!(at(Branching, &[("F[a]/f1", Done), ("F[a]/f2", Done), ("F[b]/f1", Running), ("F[b]/f2", Waiting)]));
    assert!(!at(Done, &[("F[a]/f1", Done), ("F[a]/f2", Done)]));
}

#[test]
fn a_new_node_is_ahead_of_runs_that_have_not_begun_what_follows_it() {
    let (old, mut new) = (samples::dynamic(), samples::dynamic());
    new.dag.nodes.push(Node { id: "n0".into(), kind: NodeKind::Operations(Operations::default()) });
    new.dag.edges = [("n1", "n0"), ("n0", "F"), ("F", "n2")]
        .map(|(from, to)| Edge { from: from.into(), to: to.into(), carries: Carries::Output })
        .into();
    let difference = Difference::between(&old, &new);
    assert!(concerns(&difference, &[("n1", Done), ("F", Ready), ("n2", Waiting)]));
    assert!(!concerns(&difference, &[("n1", Done), ("F", Done), ("n2", Running)]));
}

#[test]
fn a_branch_that_may_still_be_chosen_is_ahead() {
    let (old, new) = {
        let old = samples::conditional();
        let mut new = old.clone();
        let NodeKind::Condition(choice) = &mut new.dag.nodes[1].kind else { panic!("C is a condition") };
        choice.dags[0].dag.nodes[0].kind = samples::single().dag.nodes[0].kind.clone();
        (old, new)
    };
    let difference = Difference::between(&old, &new);
    assert_eq!(difference.changed_nodes().into_iter().collect::<Vec<_>>(), ["C[c1]/a"]);
    let around = |c: Progress, a: Option<Progress>| {
        let mut nodes = vec![("n1", Done), ("log", Done), ("C", c), ("n2", Waiting)];
        nodes.extend(a.map(|a| ("C[c1]/a", a)));
        concerns(&difference, &nodes)
    };
    assert!(around(Ready, None));
    assert!(around(Branching, Some(Running)));
    assert!(!around(Branching, Some(Done)));
    assert!(!around(Done, None));
}

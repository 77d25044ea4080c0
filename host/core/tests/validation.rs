//! Every way in which a definition can be wrong is found, where it is, and named.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use faas_flow_core::definition::*;
use faas_flow_core::*;

fn node(id: &str) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::Operations(Operations::default()) }
}

fn operations(id: &str, operations: Operations) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::Operations(operations) }
}

fn runs(id: &str, operation: Operation) -> Node {
    operations(id, Operations { list: vec![operation], ..Operations::default() })
}

fn applies(id: &str, call: Call) -> Node {
    runs(id, Operation::Apply(Call { target: "f".to_owned(), ..call }))
}

fn edge(from: &str, to: &str) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), carries: Carries::Output }
}

fn dag(nodes: impl IntoIterator<Item = Node>) -> Dag {
    Dag { nodes: nodes.into_iter().collect(), ..Dag::default() }
}

fn chain(nodes: impl IntoIterator<Item = Node>) -> Dag {
    let dag = dag(nodes);
    let edges = dag.nodes.windows(2).map(|pair| edge(&pair[0].id, &pair[1].id)).collect();
    Dag { edges, ..dag }
}

fn condition(id: &str, branches: &[(&str, Dag)]) -> Node {
    let dags = branches.iter().map(|(key, dag)| Branch { key: (*key).to_owned(), dag: dag.clone() }).collect();
    Node {
        id: id.to_owned(),
        kind: NodeKind::Condition(Branches { handler: "h".to_owned(), dags, ..Branches::default() }),
    }
}

fn for_each(id: &str, branches: Branches) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::ForEach(Branches { handler: "h".to_owned(), ..branches }) }
}

fn flow(dag: Dag) -> Definition {
    Definition { dag, handlers: vec!["h".to_owned()], ..Definition::default() }
}

fn problems(definition: Definition) -> Vec<Problem> {
    Plan::new(definition).err().unwrap_or_default()
}

/// The definition has this one problem, here, and its message says all of these.
#[track_caller]
fn refused(definition: Definition, code: Code, path: &str, says: &[&str]) {
    let found = problems(definition);
    let [problem] = found.as_slice() else { panic!("expected one problem {code}, found {found:?}") };
    assert_eq!((problem.code, problem.path.as_str()), (code, path), "{}", problem.message);
    for part in says {
        assert!(problem.message.contains(part), "`{}` does not say `{part}`", problem.message);
    }
}

#[test]
fn a_dag_has_nodes() {
    refused(flow(dag([])), Code::EMPTY_DAG, "", &["no nodes"]);
    refused(flow(dag([condition("C", &[("k", dag([]))])])), Code::EMPTY_DAG, "C[k]", &["no nodes"]);
}

#[test]
fn node_ids_are_unique_within_their_dag_only() {
    let twice = Dag { edges: vec![edge("start", "a")], ..dag([node("start"), node("a"), node("a")]) };
    refused(flow(twice), Code::DUPLICATE_NODE, "a", &["same id"]);
    assert_eq!(problems(flow(dag([condition("a", &[("k", dag([node("a")]))])]))), []);
}

/// DAG-2.
#[test]
fn two_nodes_are_joined_by_one_edge() {
    let twice = Dag { edges: vec![edge("a", "b"), edge("a", "b")], ..dag([node("a"), node("b")]) };
    refused(flow(twice), Code::DUPLICATE_EDGE, "", &["a → b"]);
}

#[test]
fn edges_join_nodes_that_exist() {
    let astray = Dag { edges: vec![edge("fetch", "stroe")], ..dag([node("fetch"), node("store")]) };
    refused(flow(astray), Code::EDGE_TO_NOWHERE, "", &["fetch → stroe", "did you mean `store`?"]);
}

#[test]
fn an_edge_to_nowhere_hides_no_other_problem() {
    let codes = |nodes: &[&str], edges: &[(&str, &str)]| {
        let edges = edges.iter().map(|(from, to)| edge(from, to)).collect();
        let nodes = nodes.iter().map(|id| node(id));
        problems(flow(Dag { edges, ..dag(nodes) })).iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    let round = codes(&["start", "a", "b"], &[("start", "a"), ("a", "b"), ("b", "a"), ("b", "away")]);
    assert_eq!(round, [Code::EDGE_TO_NOWHERE, Code::CYCLE]);
    // One of the starts may be the node that the edge was meant for, but not both.
    assert_eq!(codes(&["a", "b"], &[("a", "away")]), [Code::EDGE_TO_NOWHERE]);
    assert_eq!(codes(&["a", "b", "c"], &[("a", "away")]), [Code::EDGE_TO_NOWHERE, Code::SEVERAL_STARTS]);
}

/// DAG-2.
#[test]
fn edges_form_no_cycle() {
    let nodes = dag([node("start"), node("a"), node("b"), node("c")]);
    let round = Dag { edges: vec![edge("start", "a"), edge("a", "b"), edge("b", "c"), edge("c", "a")], ..nodes };
    let found = problems(flow(round));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::CYCLE);
    let rotations = ["a → b → c → a", "b → c → a → b", "c → a → b → c"];
    assert!(rotations.iter().any(|cycle| found[0].message.contains(cycle)), "{}", found[0].message);
    let nodes = dag([node("start"), node("before"), node("a"), node("b"), node("after")]);
    let around = [("start", "before"), ("before", "a"), ("a", "b"), ("b", "a"), ("b", "after")];
    let found = problems(flow(Dag { edges: around.map(|(from, to)| edge(from, to)).into(), ..nodes }));
    assert!(found[0].message.contains("a → b → a") || found[0].message.contains("b → a → b"), "{found:?}");
    let itself = Dag { edges: vec![edge("a", "a")], ..dag([node("a")]) };
    refused(flow(itself), Code::CYCLE, "", &["a → a"]);
}

/// DAG-1.
#[test]
fn a_dag_has_one_start() {
    let apart = Dag { edges: vec![edge("a", "c")], ..dag([node("a"), node("b"), node("c")]) };
    refused(flow(apart), Code::SEVERAL_STARTS, "", &["a, b"]);
}

/// DAG-3.
#[test]
fn dags_nest_so_deep_and_no_deeper() {
    let sub_dag = |inner: Dag| Node { id: "s".to_owned(), kind: NodeKind::SubDag(inner) };
    let chooses = |inner: Dag| condition("C", &[("k", inner)]);
    let splits = |inner: Dag| {
        for_each("F", Branches { dags: vec![Branch { key: String::new(), dag: inner }], ..Branches::default() })
    };
    let kinds: [&dyn Fn(Dag) -> Node; 3] = [&sub_dag, &chooses, &splits];
    for kind in kinds {
        let nested = |depth: usize| (1..depth).fold(dag([node("n")]), |inner, _| dag([kind(inner)]));
        assert_eq!(problems(flow(nested(MAX_DEPTH))), []);
        let found = problems(flow(nested(MAX_DEPTH + 1)));
        assert_eq!(found.iter().map(|problem| problem.code).collect::<Vec<_>>(), [Code::NESTED_TOO_DEEP]);
        assert!(found[0].message.contains(&MAX_DEPTH.to_string()));
    }
}

#[test]
fn handlers_are_declared() {
    let wrong = Definition {
        handlers: vec!["trim".to_owned()],
        ..flow(dag([runs("n", Operation::Modify("tirm".to_owned()))]))
    };
    refused(wrong, Code::UNKNOWN_HANDLER, "n/0", &["`tirm`", "did you mean `trim`?"]);
    let finally = Definition { finally: Some("gone".to_owned()), ..flow(dag([node("n")])) };
    refused(finally, Code::UNKNOWN_HANDLER, "", &["`gone`"]);
}

#[test]
fn node_ids_are_well_formed_and_not_reserved() {
    let long = "n".repeat(65);
    for bad in ["", "a b", "a/b", "é", &long] {
        refused(flow(dag([node(bad)])), Code::BAD_NODE_ID, bad, &["node id"]);
    }
    refused(flow(dag([node("(end)")])), Code::BAD_NODE_ID, "(end)", &["reserved"]);
}

#[test]
fn branch_keys_are_unique() {
    let one = || dag([node("n")]);
    refused(flow(dag([condition("C", &[("k", one()), ("k", one())])])), Code::DUPLICATE_BRANCH, "C", &["`k`"]);
}

#[test]
fn a_for_each_has_one_dag() {
    let each = || Branch { key: String::new(), dag: dag([node("n")]) };
    let two = for_each("F", Branches { dags: vec![each(), each()], ..Branches::default() });
    refused(flow(dag([two])), Code::DUPLICATE_BRANCH, "F", &["several"]);
}

#[test]
fn conditions_and_for_eaches_have_dags() {
    refused(flow(dag([condition("C", &[])])), Code::NO_BRANCHES, "C", &["condition"]);
    refused(flow(dag([for_each("F", Branches::default())])), Code::NO_BRANCHES, "F", &["for-each"]);
}

#[test]
fn retry_policies_are_in_range() {
    let good = Backoff { attempts: 3, first_delay_ms: 100, factor: 2.0, max_delay_ms: 1000 };
    let wrong = [
        (Backoff { attempts: 0, ..good }, "`attempts` is 0,"),
        (Backoff { attempts: 101, ..good }, "`attempts` is 101,"),
        (Backoff { factor: 0.5, ..good }, "`factor` is 0.5,"),
        (Backoff { factor: f32::NAN, ..good }, "`factor` is NaN,"),
        (Backoff { max_delay_ms: 86_400_001, ..good }, "`max-delay-ms` is 86400001,"),
    ];
    let longest = Backoff { attempts: 100, factor: 100.0, max_delay_ms: 86_400_000, ..good };
    assert_eq!(problems(flow(dag([applies("n", Call { retry: Some(longest), ..Call::default() })]))), []);
    for (retry, says) in wrong {
        let whole = operations("n", Operations { retry: Some(retry), ..Operations::default() });
        refused(flow(dag([whole])), Code::BAD_RETRY, "n", &[says]);
        let call = applies("n", Call { retry: Some(retry), ..Call::default() });
        refused(flow(dag([call])), Code::BAD_RETRY, "n/0", &[says]);
    }
    for status in [0, 99, 600] {
        let call = applies("n", Call { retry_on: vec![404, status], ..Call::default() });
        refused(flow(dag([call])), Code::BAD_RETRY, "n/0", &[&format!("status {status}, but statuses are 100 to 599")]);
    }
}

#[test]
fn times_are_in_range() {
    let node_timeout = |ms| operations("n", Operations { timeout_ms: Some(ms), ..Operations::default() });
    refused(flow(dag([node_timeout(0)])), Code::BAD_TIMEOUT, "n", &["timeout is 0 ms"]);
    refused(flow(dag([node_timeout(86_400_001)])), Code::BAD_TIMEOUT, "n", &["86400001"]);
    let call = applies("n", Call { timeout_ms: Some(0), ..Call::default() });
    refused(flow(dag([call])), Code::BAD_TIMEOUT, "n/0", &["timeout is 0 ms"]);
    let deadline = Definition { deadline_ms: Some(0), ..flow(dag([node("n")])) };
    refused(deadline, Code::BAD_TIMEOUT, "", &["deadline is 0 ms"]);
    let year = 366 * 86_400_000;
    let deadline = |ms| Definition { deadline_ms: Some(ms), ..flow(dag([node("n")])) };
    assert_eq!(problems(deadline(year)), []);
    refused(deadline(year + 1), Code::BAD_TIMEOUT, "", &["1 to 31622400000"]);
}

/// SLEEP-6.
#[test]
fn a_sleep_is_not_longer_than_366_days_and_its_handler_is_declared() {
    let sleeps = |ms: u64| flow(dag([runs("n", Operation::Sleep(ms))]));
    for good in [0, 1, 366 * 86_400_000] {
        assert_eq!(problems(sleeps(good)), [], "{good}");
    }
    for bad in [366 * 86_400_000 + 1, u64::MAX] {
        refused(sleeps(bad), Code::BAD_TIMEOUT, "n/0", &["sleep", "366 days"]);
    }
    let until = flow(dag([runs("n", Operation::SleepUntil("gone".to_owned()))]));
    let kinds: Vec<String> = until.kinds().keys().map(ToString::to_string).collect();
    assert_eq!(kinds, ["moment"]);
    refused(until, Code::UNKNOWN_HANDLER, "n/0", &["`gone`"]);
}

#[test]
fn calls_are_well_formed() {
    let target = |target: &str| Call { target: target.to_owned(), ..Call::default() };
    for good in ["f", "f.namespace", "f/path?query=1", "f/a..b"] {
        assert_eq!(problems(flow(dag([runs("n", Operation::Apply(target(good)))]))), [], "{good}");
    }
    for bad in ["", "/path", "a b", "..", ".", "f\\g", "f%2e", "http://elsewhere/f"] {
        refused(flow(dag([runs("n", Operation::Apply(target(bad)))])), Code::BAD_CALL, "n/0", &["function's name"]);
    }
    for bad in ["f/../g", "f.ns/%2e%2E/g", "f/a\\..\\g", "f/%252e%252e/g", "f/..?x"] {
        let call = flow(dag([runs("n", Operation::Apply(target(bad)))]));
        refused(call, Code::PATH_LEAVES_FUNCTION, "n/0", &["leaves function f"]);
    }
    for good in ["http://host/", "https://host/"] {
        assert_eq!(problems(flow(dag([runs("n", Operation::Request(target(good)))]))), [], "{good}");
    }
    for bad in ["", "f", "ftp://host/", "file:///etc/passwd"] {
        refused(flow(dag([runs("n", Operation::Request(target(bad)))])), Code::BAD_CALL, "n/0", &["URL"]);
    }
    let method = Call { method: Some("GET /".to_owned()), ..Call::default() };
    refused(flow(dag([applies("n", method)])), Code::BAD_CALL, "n/0", &["`GET /`", "method"]);
    let header = |(name, value): (&str, &str)| {
        flow(dag([applies("n", Call { headers: vec![(name.to_owned(), value.to_owned())], ..Call::default() })]))
    };
    for good in [("x-name", ""), ("x", "a value\twith a tab, and ü")] {
        assert_eq!(problems(header(good)), [], "{good:?}");
    }
    for bad in [("", "v"), ("a b", "v"), ("x", "a\r\nSet-Cookie: b"), ("x", "\0"), ("x", "\u{7f}")] {
        refused(header(bad), Code::BAD_CALL, "n/0", &["header"]);
    }
}

#[test]
fn handler_ids_are_well_formed() {
    for bad in ["", "a\nb"] {
        refused(
            flow(dag([runs("n", Operation::Modify(bad.to_owned()))])),
            Code::BAD_HANDLER_ID,
            "n/0",
            &["handler id"],
        );
    }
}

#[test]
fn a_name_is_suggested_only_if_it_is_similar() {
    let names = |handler: &str| flow(dag([runs("n", Operation::Modify(handler.to_owned()))]));
    let declares = |handler: &str, declared: &str| Definition { handlers: vec![declared.to_owned()], ..names(handler) };
    refused(declares("report", "reprot"), Code::UNKNOWN_HANDLER, "n/0", &[": did you mean `reprot`?"]);
    for (handler, declared) in [("report", "total"), ("ab", "cd")] {
        let found = problems(declares(handler, declared));
        assert_eq!((found.len(), found[0].code), (1, Code::UNKNOWN_HANDLER));
        assert!(!found[0].message.contains("did you mean"), "{}", found[0].message);
    }
}

#[test]
fn aggregators_have_a_node() {
    let inputs = AggregateInputs { node: "gone".to_owned(), aggregator: "h".to_owned() };
    let lone = Dag { aggregate_inputs: vec![inputs], ..dag([node("n")]) };
    refused(flow(lone), Code::AGGREGATOR_WITHOUT_NODE, "", &["`gone`"]);
}

#[test]
fn recover_handlers_have_a_node_and_are_declared() {
    let recover = |node: &str, recover: &str| RecoverNode { node: node.to_owned(), recover: recover.to_owned() };
    let lone = |recover| Dag { recover_nodes: vec![recover], ..dag([node("n")]) };
    refused(flow(lone(recover("gone", "h"))), Code::RECOVER_WITHOUT_NODE, "", &["`gone`"]);
    refused(flow(lone(recover("n", "other"))), Code::UNKNOWN_HANDLER, "n", &["`other`"]);
    let of_dag = Dag { recover: Some("other".to_owned()), ..dag([node("n")]) };
    refused(flow(of_dag), Code::UNKNOWN_HANDLER, "", &["`other`"]);
}

/// TOLERATE-1.
#[test]
fn the_share_of_items_that_may_fail_is_from_0_to_1() {
    let each = |tolerate| {
        let branches = Branches { tolerate: Some(tolerate), aggregator: Some("h".to_owned()), ..Branches::default() };
        flow(dag([testing::for_each("F", testing::lone(), branches)]))
    };
    for share in [5.0, -0.1, f32::NAN, f32::INFINITY] {
        refused(each(Tolerate::Share(share)), Code::BAD_TOLERANCE, "F", &["from 0 to 1"]);
    }
    for fine in [Tolerate::Share(0.0), Tolerate::Share(1.0), Tolerate::Items(0), Tolerate::Items(u32::MAX)] {
        assert_eq!(problems(each(fine)), []);
    }
}

#[test]
fn branch_keys_are_well_formed() {
    let long = "k".repeat(129);
    for bad in ["", &long] {
        refused(
            flow(dag([condition("C", &[(bad, dag([node("n")]))])])),
            Code::BAD_BRANCH_KEY,
            "C",
            &["1 to 128 bytes"],
        );
    }
}

#[test]
fn branches_may_run() {
    let each = Branch { key: String::new(), dag: dag([node("n")]) };
    let none = for_each("F", Branches { dags: vec![each], max_parallel: Some(0), ..Branches::default() });
    refused(flow(dag([none])), Code::BAD_MAX_PARALLEL, "F", &["max-parallel is 0"]);
}

#[test]
fn problems_and_warnings_say_where_they_are() {
    let found = problems(flow(dag([condition("C", &[("k", dag([]))])])));
    assert_eq!(found[0].to_string(), format!("{} at C[k]: {}", Code::EMPTY_DAG, found[0].message));
    let found = problems(flow(dag([])));
    assert_eq!(found[0].to_string(), format!("{}: {}", Code::EMPTY_DAG, found[0].message));
    let warning = |path: &str| Warning { path: path.to_owned(), message: "it yields nothing".to_owned() };
    assert_eq!(warning("F").to_string(), "F: it yields nothing");
    assert_eq!(warning("").to_string(), "it yields nothing");
}

#[test]
fn every_problem_is_reported_at_once() {
    let inner = dag([runs("n", Operation::Modify("gone".to_owned())), node("n")]);
    let method = Call { method: Some(String::new()), timeout_ms: Some(0), ..Call::default() };
    let outer = chain([condition("C", &[("k", inner), ("k", dag([]))]), applies("bad id", method)]);
    let definition = Definition { deadline_ms: Some(0), ..flow(Dag { edges: vec![edge("C", "away")], ..outer }) };
    let found = problems(definition);
    let mut found: Vec<(Code, &str)> = found.iter().map(|problem| (problem.code, problem.path.as_str())).collect();
    found.sort();
    let expected = [
        (Code::EMPTY_DAG, "C[k]"),
        (Code::DUPLICATE_NODE, "C[k]/n"),
        (Code::EDGE_TO_NOWHERE, ""),
        (Code::SEVERAL_STARTS, "C[k]"),
        (Code::UNKNOWN_HANDLER, "C[k]/n/0"),
        (Code::BAD_NODE_ID, "bad id"),
        (Code::DUPLICATE_BRANCH, "C"),
        (Code::BAD_TIMEOUT, ""),
        (Code::BAD_TIMEOUT, "bad id/0"),
        (Code::BAD_CALL, "bad id/0"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn probable_mistakes_are_warnings() {
    let each = Branch { key: String::new(), dag: dag([node("n")]) };
    let items = for_each("F", Branches { dags: vec![each], ..Branches::default() });
    let nodes = dag([node("a"), node("b"), node("c"), node("join"), items]);
    let edges =
        ["b", "c", "F"].map(|side| edge("a", side)).into_iter().chain(["b", "c"].map(|side| edge(side, "join")));
    let plan = Plan::new(flow(Dag { edges: edges.collect(), ..nodes })).unwrap();
    let warnings: Vec<(&str, bool)> = plan
        .warnings()
        .iter()
        .map(|warning| {
            (warning.path.as_str(), warning.message.contains("nothing") || warning.message.contains("no data"))
        })
        .collect();
    assert_eq!(warnings.len(), 3, "{:?}", plan.warnings());
    for path in ["", "join", "F"] {
        assert!(warnings.contains(&(path, true)), "{path}: {:?}", plan.warnings());
    }
}

#[test]
fn intended_definitions_give_no_warning() {
    let each = Branch { key: String::new(), dag: dag([node("n")]) };
    let quiet = |definition| Plan::new(definition).unwrap().warnings().is_empty();
    let items = Branches { dags: vec![each], ..Branches::default() };
    let merged = Branches { aggregator: Some("h".to_owned()), ..items.clone() };
    assert!(quiet(flow(dag([for_each("F", merged)]))));
    assert!(quiet(flow(dag([for_each("F", Branches { carries_nothing: true, ..items })]))));

    let nodes = || dag([node("a"), node("b"), node("c"), node("join")]);
    let edges = |last: Carries| {
        let last = Edge { carries: last, ..edge("c", "join") };
        vec![edge("a", "b"), edge("a", "c"), edge("b", "join"), last]
    };
    let given = AggregateInputs { node: "join".to_owned(), aggregator: "h".to_owned() };
    let merged = Dag { edges: edges(Carries::Output), aggregate_inputs: vec![given.clone()], ..nodes() };
    assert!(quiet(flow(merged)));
    assert!(quiet(flow(Dag { edges: edges(Carries::Nothing), ..nodes() })));
    let other = AggregateInputs { node: "b".to_owned(), ..given };
    let unmerged = Dag { edges: edges(Carries::Output), aggregate_inputs: vec![other], ..nodes() };
    assert!(!quiet(flow(unmerged)), "the aggregator is another node's");
    let ends = Dag { edges: vec![edge("a", "b"), edge("a", "c")], ..dag([node("a"), node("b"), node("c")]) };
    assert!(quiet(flow(Dag { aggregate_ends: Some("h".to_owned()), ..ends })));
}

fn limited(limit: Limit) -> Node {
    applies("a", Call { limit: Some(limit), ..Call::default() })
}

fn limit(name: &str, concurrent: Option<u32>, per_second: Option<f64>) -> Limit {
    let figures = faas_flow_core::limit::Figures { concurrent, per_second };
    Limit { name: name.to_owned(), figures, key: None }
}

/// LIMIT-9.
#[test]
fn a_limit_that_lets_nothing_through_or_is_malformed_is_refused() {
    let with = |limit| flow(dag([limited(limit)]));
    refused(with(limit("l", Some(0), None)), Code::BAD_LIMIT, "a/0", &["limit l", "allow at least 1"]);
    refused(with(limit("l", Some(1), Some(0.0))), Code::BAD_LIMIT, "a/0", &["0 per second are not possible"]);
    refused(with(limit("l", None, Some(f64::NAN))), Code::BAD_LIMIT, "a/0", &["NaN per second"]);
    refused(with(limit("l", None, None)), Code::BAD_LIMIT, "a/0", &["neither"]);
    refused(with(limit("a b", Some(1), None)), Code::BAD_LIMIT, "a/0", &["`a b` is not a limit's name"]);
    let keyed = Limit { key: Some("missing".to_owned()), ..limit("l", Some(1), None) };
    refused(with(keyed), Code::UNKNOWN_HANDLER, "a/0", &["missing"]);
    let of_node = Operations { limit: Some(limit("l", Some(0), None)), ..Operations::default() };
    refused(flow(dag([operations("n", of_node)])), Code::BAD_LIMIT, "n", &["allow at least 1"]);
}

/// LIMIT-9.
#[test]
fn one_name_of_a_limit_means_the_same_everywhere_in_a_flow() {
    let of_node = |most| Operations { limit: Some(limit("l", Some(most), None)), ..Operations::default() };
    let both = |most| flow(chain([limited(limit("l", Some(2), None)), operations("n", of_node(most))]));
    refused(both(3), Code::LIMITS_DIFFER, "n", &["`3 at a time` here, but `2 at a time`"]);
    assert!(problems(both(2)).is_empty());
    let key = Some("h".to_owned());
    let keyed = Operations { limit: Some(Limit { key, ..limit("l", Some(2), None) }), ..Operations::default() };
    let one = flow(chain([limited(limit("l", Some(2), None)), operations("n", keyed)]));
    refused(one, Code::LIMITS_DIFFER, "n", &["a key here, but none elsewhere"]);
}

/// LIMIT-6.
#[test]
fn limits_for_which_nodes_may_wait_for_each_other_are_a_warning() {
    let at_a_time = |name: &str| limit(name, Some(2), None);
    let rate = |name: &str| limit(name, None, Some(2.0));
    let node = |id: &str, outer: Limit, inner: Limit| {
        let call = Call { target: "f".to_owned(), limit: Some(inner), ..Call::default() };
        let list = vec![Operation::Modify("h".to_owned()), Operation::Apply(call)];
        operations(id, Operations { list, limit: Some(outer), ..Operations::default() })
    };
    let warnings = |nodes: [Node; 2]| {
        let plan = Plan::new(flow(chain(nodes))).unwrap();
        plan.warnings().iter().map(|warning| warning.to_string()).collect::<Vec<_>>()
    };
    let opposite =
        warnings([node("a", at_a_time("gpu"), at_a_time("tenant")), node("b", at_a_time("tenant"), at_a_time("gpu"))]);
    let [said] = &opposite[..] else { panic!("{opposite:?}") };
    assert!(said.starts_with("b/1: the call needs limit gpu while its node holds limit tenant"), "{said}");
    assert!(said.contains("at a/1 it is the other way round"), "{said}");
    // In one order nobody waits for who waits, and a rate is used and not held.
    let one_order = ["a", "b"].map(|id| node(id, at_a_time("gpu"), at_a_time("tenant")));
    assert_eq!(warnings(one_order), [""; 0]);
    let of_rates = [node("a", rate("gpu"), at_a_time("tenant")), node("b", at_a_time("tenant"), rate("gpu"))];
    assert_eq!(warnings(of_rates), [""; 0]);
    let same = warnings([node("a", at_a_time("gpu"), at_a_time("gpu")), applies("b", Call::default())]);
    assert!(same[0].starts_with("a/1: the call needs a permit of limit gpu while its node holds one"), "{same:?}");
}

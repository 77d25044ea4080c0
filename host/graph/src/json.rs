//! The original's `?export-dag=true`, key for key with its quirks: `in-degree` and `out-degree` are always 0, nested
//! `is-valid` is always false, the virtual end has no `unique-id`. What is true instead stands in the `real-…` keys.

use faas_flow_core::definition::{
    Branches, Call, Carries, Dag, Definition, Edge, Limit, Node, NodeKind, Operation, SignalSource,
};
use faas_flow_core::{MAX_DEPTH, redact};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct ExportedDag {
    id: String,
    start_node: String,
    end_node: String,
    has_branch: bool,
    has_edge: bool,
    exec_only_dag: bool,
    nodes: Option<BTreeMap<String, ExportedNode>>,
    is_valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_error: Option<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct ExportedNode {
    id: String,
    node_index: usize,
    unique_id: String,
    is_dynamic: bool,
    is_condition: bool,
    is_foreach: bool,
    has_aggregator: bool,
    has_sub_aggregator: bool,
    has_subdag: bool,
    in_degree: usize,
    out_degree: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_dag: Option<ExportedDag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreach_dag: Option<ExportedDag>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    conditional_dags: BTreeMap<String, ExportedDag>,
    dynamic_exec_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<ExportedOperation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    childrens: Vec<String>,
    child_exec_only: BTreeMap<String, bool>,
    real_unique_id: String,
    real_in_degree: usize,
    real_out_degree: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    real_limit: Option<Limit>,
}

#[derive(Serialize)]
struct ExportedOperation {
    name: String,
    properties: BTreeMap<&'static str, [&'static str; 1]>,
    #[serde(rename = "real-target", skip_serializing_if = "Option::is_none")]
    real_target: Option<String>,
    #[serde(rename = "real-limit", skip_serializing_if = "Option::is_none")]
    real_limit: Option<Limit>,
}

/// The original's DAG JSON. `validation_error` is what is wrong with the definition, if anything is.
pub fn render_json(definition: &Definition, validation_error: Option<&str>) -> String {
    let mut root = export(&definition.dag, "0".into(), 0);
    root.is_valid = validation_error.is_none();
    root.validation_error = validation_error.map(str::to_owned);
    indented(&root)
}

/// JSON indented by 4, as Go's `MarshalIndent` was told to.
pub(crate) fn indented(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    // Writing to memory cannot fail, and all our keys are strings.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format));
    String::from_utf8(bytes).unwrap_or_default()
}

fn export(dag: &Dag, id: String, depth: usize) -> ExportedDag {
    if depth >= MAX_DEPTH {
        return ExportedDag { id, exec_only_dag: true, ..ExportedDag::default() };
    }
    let known: HashSet<&str> = dag.nodes.iter().map(|node| node.id.as_str()).collect();
    let edges: Vec<&Edge> = dag.edges.iter().filter(|edge| known.contains(edge.from.as_str())).collect();
    let mut leaving: HashMap<&str, Vec<&Edge>> = HashMap::new();
    let mut reaching: HashMap<&str, usize> = HashMap::new();
    for edge in &edges {
        leaving.entry(&edge.from).or_default().push(edge);
        *reaching.entry(&edge.to).or_default() += 1;
    }
    let free = |is_busy: &dyn Fn(&str) -> bool| -> Vec<String> {
        dag.nodes.iter().filter(|node| !is_busy(&node.id)).map(|node| node.id.clone()).collect()
    };
    let ends = free(&|id| leaving.contains_key(id));
    let aggregated: HashSet<&str> = dag.aggregate_inputs.iter().map(|inputs| inputs.node.as_str()).collect();

    let mut nodes = BTreeMap::new();
    for (at, node) in dag.nodes.iter().enumerate() {
        if nodes.contains_key(&node.id) {
            continue;
        }
        let mut exported = export_node(node, &id, at + 1, depth);
        exported.has_aggregator = aggregated.contains(node.id.as_str());
        for edge in leaving.get(node.id.as_str()).into_iter().flatten() {
            exported.childrens.push(edge.to.clone());
            exported.child_exec_only.insert(edge.to.clone(), edge.carries == Carries::Nothing);
        }
        exported.real_out_degree = exported.childrens.len();
        exported.real_in_degree = reaching.get(node.id.as_str()).copied().unwrap_or_default();
        nodes.insert(node.id.clone(), exported);
    }

    let nested = || nodes.values().flat_map(ExportedNode::dags);
    let dynamic = nodes.values().any(|node| node.is_dynamic);
    let carries = edges.iter().any(|edge| edge.carries != Carries::Nothing)
        || nodes.values().any(|node| node.is_dynamic && !node.dynamic_exec_only)
        || nested().any(|dag| !dag.exec_only_dag);
    let forks = nodes.values().any(|node| node.childrens.len() > 1);
    let mut exported = ExportedDag {
        start_node: free(&|id| reaching.contains_key(id)).into_iter().next().unwrap_or_default(),
        end_node: ends.first().cloned().unwrap_or_default(),
        has_branch: dynamic || forks || nested().any(|dag| dag.has_branch),
        has_edge: dynamic || !edges.is_empty() || nested().any(|dag| dag.has_edge),
        exec_only_dag: !carries,
        nodes: None,
        is_valid: false,
        validation_error: None,
        id,
    };
    if ends.len() > 1 {
        exported.end_node = join_ends(dag, &exported.id, ends, &mut nodes);
    }
    exported.nodes = (!nodes.is_empty()).then_some(nodes);
    exported
}

/// Adds the original's virtual end behind several ends; returns its id.
fn join_ends(dag: &Dag, dag_id: &str, ends: Vec<String>, nodes: &mut BTreeMap<String, ExportedNode>) -> String {
    let id = format!("end_{dag_id}");
    let node_index = dag.nodes.len() + 1;
    let operations = vec![ExportedOperation {
        name: "end".into(),
        properties: BTreeMap::new(),
        real_target: None,
        real_limit: None,
    }];
    let end = ExportedNode {
        id: id.clone(),
        node_index,
        has_aggregator: dag.aggregate_ends.is_some(),
        operations,
        real_unique_id: format!("{dag_id}_{node_index}_{id}"),
        real_in_degree: ends.len(),
        ..ExportedNode::default()
    };
    for from in ends.iter().filter_map(|end| nodes.get_mut(end).map(|_| end.clone())).collect::<Vec<_>>() {
        if let Some(node) = nodes.get_mut(&from) {
            node.childrens.push(id.clone());
            node.child_exec_only.insert(id.clone(), dag.aggregate_ends.is_none());
            node.real_out_degree += 1;
        }
    }
    nodes.insert(id.clone(), end);
    id
}

fn export_node(node: &Node, dag_id: &str, index: usize, depth: usize) -> ExportedNode {
    let unique = format!("{dag_id}_{index}_{}", node.id);
    let below = if dag_id == "0" { index.to_string() } else { format!("{dag_id}_{index}") };
    let mut exported = ExportedNode {
        id: node.id.clone(),
        node_index: index,
        unique_id: unique.clone(),
        real_unique_id: unique,
        ..ExportedNode::default()
    };
    let dynamic = |exported: &mut ExportedNode, branches: &Branches| {
        exported.is_dynamic = true;
        exported.has_sub_aggregator = branches.aggregator.is_some();
        exported.dynamic_exec_only = branches.carries_nothing;
    };
    match &node.kind {
        NodeKind::Operations(operations) => {
            exported.operations = operations.list.iter().map(operation).collect();
            exported.real_limit.clone_from(&operations.limit);
        }
        NodeKind::SubDag(dag) => {
            exported.has_subdag = true;
            exported.sub_dag = Some(export(dag, below, depth + 1));
        }
        // The original had no loops: the dag is shown as it runs in each round.
        NodeKind::Repeat(repeat) => {
            exported.has_subdag = true;
            exported.sub_dag = Some(export(&repeat.dag, below, depth + 1));
        }
        NodeKind::Condition(branches) => {
            dynamic(&mut exported, branches);
            exported.is_condition = true;
            for branch in &branches.dags {
                let nested = export(&branch.dag, format!("{below}_{}", branch.key), depth + 1);
                exported.conditional_dags.insert(branch.key.clone(), nested);
            }
        }
        NodeKind::ForEach(branches) => {
            dynamic(&mut exported, branches);
            exported.is_foreach = true;
            exported.foreach_dag = branches.dags.first().map(|branch| export(&branch.dag, below, depth + 1));
        }
    }
    exported
}

impl ExportedNode {
    fn dags(&self) -> impl Iterator<Item = &ExportedDag> {
        self.sub_dag.iter().chain(&self.foreach_dag).chain(self.conditional_dags.values())
    }
}

fn operation(operation: &Operation) -> ExportedOperation {
    let text = |value: bool| [if value { "true" } else { "false" }];
    let properties = |is: &str, call: Option<&Call>| {
        BTreeMap::from([
            ("hasFailureHandler", text(call.is_some_and(|call| call.recover.is_some()))),
            ("hasResponseHandler", text(call.is_some_and(|call| call.receive.is_some()))),
            ("isFunction", text(is == "function")),
            ("isHttpRequest", text(is == "request")),
            ("isMod", text(is == "modifier")),
        ])
    };
    let (name, properties, real_target) = match operation {
        Operation::Apply(call) => (redact::url(&call.target), properties("function", Some(call)), None),
        Operation::Request(call) => {
            let target = redact::url(&call.target);
            let characters = target.chars().count();
            let last: String = target.chars().skip(characters.saturating_sub(16)).collect();
            (format!("http-req-{last}"), properties("request", Some(call)), Some(target))
        }
        Operation::Modify(handler) => ("modifier".into(), properties("modifier", None), Some(handler.clone())),
        Operation::Sleep(_) => ("sleep".into(), properties("sleep", None), None),
        Operation::WaitFor(wait) => {
            let name = match &wait.signal {
                SignalSource::Named(name) | SignalSource::Handler(name) => name.clone(),
            };
            ("wait-for".into(), properties("wait-for", None), Some(name))
        }
        Operation::SleepUntil(handler) => ("sleep".into(), properties("sleep", None), Some(handler.clone())),
    };
    let real_limit = match operation {
        Operation::Apply(call) | Operation::Request(call) => call.limit.clone(),
        _ => None,
    };
    ExportedOperation { name, properties, real_target, real_limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::*;
    use serde_json::{Value, json};

    fn exported(definition: &Definition, error: Option<&str>) -> Value {
        serde_json::from_str(&render_json(definition, error)).unwrap()
    }

    #[test]
    fn the_measured_flow_of_the_original_comes_out_the_same() {
        let value = exported(&measured(), None);
        let at = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_else(|| json!("absent"));
        for (pointer, expected) in [
            ("/id", json!("0")),
            ("/start-node", json!("n1")),
            ("/end-node", json!("n2")),
            ("/has-branch", json!(true)),
            ("/has-edge", json!(true)),
            ("/exec-only-dag", json!(false)),
            ("/is-valid", json!(true)),
            ("/validation-error", json!("absent")),
            ("/nodes/n1/unique-id", json!("0_1_n1")),
            ("/nodes/n1/in-degree", json!(0)),
            ("/nodes/C/in-degree", json!(0)),
            ("/nodes/C/real-in-degree", json!(1)),
            ("/nodes/n1/childrens", json!(["C"])),
            ("/nodes/n1/child-exec-only", json!({"C": false})),
            ("/nodes/n1/operations/0/name", json!("func1")),
            (
                "/nodes/n1/operations/0/properties",
                json!({"hasFailureHandler": ["true"], "hasResponseHandler": ["false"], "isFunction": ["true"],
                       "isHttpRequest": ["false"], "isMod": ["false"]}),
            ),
            ("/nodes/n1/operations/1/name", json!("modifier")),
            ("/nodes/n1/operations/1/properties/isMod", json!(["true"])),
            ("/nodes/C/is-dynamic", json!(true)),
            ("/nodes/C/is-condition", json!(true)),
            ("/nodes/C/has-sub-aggregator", json!(true)),
            ("/nodes/C/operations", json!("absent")),
            ("/nodes/C/child-exec-only", json!({"n2": true})),
            ("/nodes/C/conditional-dags/c1/id", json!("2_c1")),
            ("/nodes/C/conditional-dags/c1/is-valid", json!(false)),
            ("/nodes/C/conditional-dags/c1/has-branch", json!(true)),
            ("/nodes/C/conditional-dags/c1/has-edge", json!(true)),
            ("/nodes/C/conditional-dags/c1/exec-only-dag", json!(false)),
            ("/nodes/C/conditional-dags/c1/nodes/F/unique-id", json!("2_c1_1_F")),
            ("/nodes/C/conditional-dags/c1/nodes/F/child-exec-only", json!({})),
            ("/nodes/C/conditional-dags/c1/nodes/F/foreach-dag/id", json!("2_c1_1")),
            ("/nodes/C/conditional-dags/c1/nodes/F/foreach-dag/exec-only-dag", json!(true)),
            ("/nodes/C/conditional-dags/c1/nodes/F/foreach-dag/nodes/m/unique-id", json!("2_c1_1_1_m")),
            (
                "/nodes/C/conditional-dags/c1/nodes/F/foreach-dag/nodes/m/operations/0/name",
                json!("http-req-com/callback/url"),
            ),
        ] {
            assert_eq!(at(pointer), expected, "{pointer}");
        }
        let text = render_json(&measured(), None);
        assert!(text.starts_with("{\n    \"id\": \"0\",\n    \"start-node\": \"n1\",\n    \"end-node\": \"n2\",\n"));
    }

    #[test]
    fn several_ends_get_the_virtual_end() {
        let value = exported(&parallel_ends(None), None);
        assert_eq!(value["end-node"], "end_0");
        assert_eq!(value["nodes"]["end_0"]["unique-id"], "");
        assert_eq!(value["nodes"]["end_0"]["operations"], json!([{"name": "end", "properties": {}}]));
        assert_eq!(value["nodes"]["b"]["child-exec-only"], json!({"end_0": true}));
        let value = exported(&parallel_ends(Some("ends")), None);
        assert_eq!(value["nodes"]["b"]["child-exec-only"], json!({"end_0": false}));
    }

    #[test]
    fn an_invalid_flow_says_why_and_an_empty_one_has_null_nodes() {
        let value = exported(&Definition::default(), Some("dag has no vertex set"));
        assert_eq!(value["is-valid"], false);
        assert_eq!(value["validation-error"], "dag has no vertex set");
        assert_eq!(value["nodes"], Value::Null);
    }

    #[test]
    fn short_and_non_ascii_urls_are_cut_by_characters() {
        let name = |url: &str| operation(&request(url)).name;
        assert_eq!(name("http://a"), "http-req-http://a");
        assert_eq!(name("http://example.org/ünïcödé"), "http-req-mple.org/ünïcödé");
    }
}

//! What commands print: pictures of flows, a run's view of its options, and the board of a run on a terminal.

use faas_flow_e2e::command::{Done, run};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_e2e::{machine, program};
use faas_flow_test_support::modules::module;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn graph(format: &str) -> String {
    graph_of("conditional-branching", format)
}

fn graph_of(flow: &str, format: &str) -> String {
    let module = module(flow);
    run(Path::new("/"), ["graph", "--format", format, module.to_str().unwrap()]).ok()
}

/// The paths of all nodes of `conditional-branching`.
const PATHS: [&str; 11] = [
    "n1",
    "C",
    "C[c1]/F",
    "C[c1]/F/n1",
    "C[c1]/X",
    "C[c1]/X[x1]/n1",
    "C[c1]/X[x2]/n1",
    "C[c1]/X[x2]/n2",
    "C[c1]/X[x3]/n1",
    "C[c2]/n1",
    "n2",
];

#[test]
fn an_svg_is_xml_and_has_every_node_once() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("flow.svg");
    fs::write(&file, graph("svg")).unwrap();
    let script = "import sys, xml.etree.ElementTree as tree\n\
        root = tree.parse(sys.argv[1]).getroot()\n\
        print(root.tag)\n\
        [print(element.get('data-path')) for element in root.iter() if element.get('data-path') is not None]";
    let read = Command::new("python3").args(["-c", script]).arg(&file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let read = String::from_utf8(read.stdout).unwrap();
    let root = read.lines().next().unwrap();
    let mut paths = read.lines().skip(1).collect::<Vec<_>>();
    assert_eq!(root, "{http://www.w3.org/2000/svg}svg");
    let mut expected = PATHS;
    expected.sort_unstable();
    paths.sort_unstable();
    assert_eq!(paths, expected);
}

#[test]
fn a_dot_graph_has_every_node_and_edge() {
    let dot = graph("dot");
    assert!(dot.starts_with("digraph \"conditional-branching\" {\n") && dot.ends_with("}\n"), "{dot}");
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    for path in PATHS {
        assert_eq!(dot.matches(&format!("\"{path}\" [")).count(), 1, "{path}: {dot}");
    }
    for edge in ["\"n1\" -> \"C\"", "\"C/(out)\" -> \"n2\"", "\"C[c1]/X[x2]/n1\" -> \"C[c1]/X[x2]/n2\""] {
        assert!(dot.contains(edge), "{edge}: {dot}");
    }
}

#[test]
fn a_mermaid_diagram_nests_as_the_flow_does() {
    let mermaid = graph("mermaid");
    assert!(mermaid.starts_with("---\ntitle: \"conditional-branching\"\n---\nflowchart TD\n"), "{mermaid}");
    let lines = || mermaid.lines().map(str::trim);
    let (opened, closed) =
        (lines().filter(|line| line.starts_with("subgraph ")), lines().filter(|line| *line == "end"));
    // A condition, a for-each, the condition in it, and the dags of their branches.
    assert_eq!((opened.count(), closed.count()), (9, 9), "{mermaid}");
    assert_eq!(lines().filter(|line| line.contains("[\"n")).count(), 8, "{mermaid}");
    assert_eq!(lines().filter(|line| line.contains(" --> ")).count(), 4, "{mermaid}");
}

#[test]
fn an_order_is_drawn_with_all_that_it_waits_for_and_forgives_in_every_format() {
    for format in ["svg", "dot", "mermaid"] {
        let picture = graph_of("order", format);
        for text in [
            "nightly · 0 0 2 ",
            "wait for signal approval, recover ",
            ", timeout 24 h",
            "charge, recover ",
            "3 tries, limit payments: 10 per second",
            "of the items may fail",
            "gather results and failures ",
            "at most 100 rounds",
            "1 h between rounds",
        ] {
            assert!(picture.contains(text), "{format}: {text}: {picture}");
        }
    }
}

#[test]
fn the_exported_json_nests_as_the_original_does() {
    let dag: Value = serde_json::from_str(&graph("json")).unwrap();
    let nodes = |dag: &Value| dag["nodes"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (nodes(&dag), &dag["start-node"], &dag["end-node"]),
        (vec!["C".into(), "n1".into(), "n2".into()], &"n1".into(), &"n2".into())
    );
    let c1 = &dag["nodes"]["C"]["conditional-dags"]["c1"];
    assert_eq!(nodes(c1), ["F", "X"]);
    assert_eq!(nodes(&c1["nodes"]["F"]["foreach-dag"]), ["n1"]);
    let x = &c1["nodes"]["X"]["conditional-dags"];
    assert_eq!(x.as_object().unwrap().keys().collect::<Vec<_>>(), ["x1", "x2", "x3"]);
    assert_eq!(nodes(&x["x2"]), ["n1", "n2"]);
    let module = module("conditional-branching");
    let short = run(Path::new("/"), ["graph", "--json", module.to_str().unwrap()]).json();
    assert_eq!(short, dag);
}

/// `faas-flow run` of the fixture, with a request made from these options.
fn fixture(options: &[&str]) -> Done {
    let module = module("fixture");
    let folder = TempDir::new().unwrap();
    run(folder.path(), ["run", module.to_str().unwrap(), "--quiet", "--data", "in"].iter().chain(options))
}

#[test]
fn a_run_sees_query_and_headers_as_those_of_a_request() {
    let query = ["--query", "case=request-seen", "--query", "x=1", "--query", "x=a=b c"];
    let headers = ["--header", "X-TEAM=blue", "--request-id", "mine"];
    let seen = fixture(&[&query[..], &headers].concat()).ok();
    assert_eq!(seen, r#"mine fixture n ["1", "a=b c"] ["blue"] []"#);
    fixture(&["--query", "case"]).failed("FF0217", &["`case`", "name=value"]);
    fixture(&["--query", "case=none", "--header", ":"]).failed("FF0217", &["`:`", "name=value"]);
}

/// A terminal of 40 columns and 10 lines.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs a command line in it.
    fn run(folder: &Path, line: &str) -> Self {
        let terminal = Self { socket: folder.join("tmux").to_str().unwrap().to_owned() };
        let keep = ["-f", "/dev/null", "start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";"];
        let new = ["new-session", "-d", "-x", "40", "-y", "10", line];
        assert!(terminal.tmux(&[&keep[..], &new].concat()).1, "tmux begins");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> (String, bool) {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    }

    fn has_ended(&self) -> bool {
        self.tmux(&["list-panes", "-F", "#{pane_dead}"]).0.trim() == "1"
    }

    /// What it shows and what has scrolled away, with colours.
    fn shows(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e", "-S", "-"]).0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[tokio::test]
async fn the_nodes_of_a_run_light_up_in_place_however_small_the_terminal() {
    let lacking = Command::new("tmux").arg("-V").output().is_err();
    if !machine::can_run(lacking.then_some("there is no tmux, the terminal of this test: run `cargo xtask setup --ci`"))
    {
        return;
    }
    for (environment, coloured) in [("env -u NO_COLOR", true), ("env NO_COLOR=1", false)] {
        let folder = TempDir::new().unwrap();
        let program = program::path().display();
        let module = module("conditional-branching");
        let functions = "--function func1=echo --function func2=echo --function fake-storage=echo";
        let line = format!("{environment} {program} run {} --data hi --request-id board {functions}", module.display());
        let terminal = Terminal::run(folder.path(), &line);
        until("the run has ended", async || terminal.has_ended()).await;
        let shown = terminal.shows();
        assert_eq!(shown.contains("\x1b[32m●"), coloured, "{shown}");
        assert!(coloured || !shown.contains('\x1b'), "{shown}");
        let plain: Vec<String> = shown.lines().map(without_colours).collect();
        let board: Vec<&String> =
            plain.iter().skip_while(|line| *line != "board").take_while(|line| line.trim() != "succeeded").collect();
        // The id, the number of hidden rows, and as many rows as fit above the cursor.
        assert_eq!(board.len(), 10, "{shown}");
        assert!(board[1].starts_with("  … ") && board[1].ends_with(" more"), "{shown}");
        assert!(board[2..].iter().all(|row| row.contains(" ● done ") || row.contains(" branches")), "{shown}");
        assert!(board[9].starts_with("  n2 "), "{shown}");
        // Nothing is left of earlier drawings.
        assert_eq!(plain.iter().filter(|line| line.contains('●') || line.contains('◆')).count(), 8, "{shown}");
        assert!(!shown.contains("running"), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_is_watched_prints_each_step_as_json() {
    let folder = TempDir::new().unwrap();
    let serve = Serve::flows(&["greet"]).flag("--watch").flag("--json").command_in(folder.path());
    let file = folder.path().join("steps");
    // A shell redirects stdout, which `Server::start` discards.
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path()).args(["-c", "exec \"$@\" > steps", "sh"]).arg(serve.get_program());
    shell.args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let server = Server::start(shell);
    let answer = server.result("greet", "Ada").await;
    let id = answer.id.clone().expect("a request id");
    assert_eq!(answer.ok(), "Hello, Ada!");
    let steps = || fs::read_to_string(&file).unwrap();
    until("the end is printed", async || steps().contains("\"ended\"")).await;
    let steps: Vec<Value> = steps().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(steps.iter().all(|step| step["request_id"] == id.as_str()), "{steps:?}");
    let kinds: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "running", "done", "ended"]);
    assert_eq!((&steps[2]["path"], &steps[2]["size"]), (&"greet".into(), &11.into()));
    assert_eq!(steps[3]["status"], "succeeded");
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest)).trim_end().to_owned()
}

//! Bad input to commands: each mistake ends in an error with a code, which says what is wrong.

use faas_flow_e2e::command::{Done, faas_flow, run, script};
use faas_flow_test_support::double;
use faas_flow_test_support::hostile::{self, DECLARED, REJECT, TRAP};
use faas_flow_test_support::modules::module;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

/// Runs the flow `sync-chain`, which applies `func1` and `func2`.
fn chain(folder: &Path, func1: &str, more: &[&str]) -> Done {
    let module = module("sync-chain");
    let func1 = format!("func1={func1}");
    let arguments = ["run", module.to_str().unwrap(), "--quiet", "--data", "hi", "--function", &func1];
    run(folder, arguments.iter().chain(&["--function", "func2=echo"]).chain(more))
}

#[test]
fn what_is_not_a_component_is_refused() {
    let folder = folder();
    let files: [(&str, &[u8]); 3] = [("text.wasm", b"hello"), ("empty.wasm", b""), ("core.wasm", b"\0asm\x01\0\0\0")];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
        run(folder.path(), ["check", name]).failed("FF0001", &[]);
        run(folder.path(), ["serve", "--listen", "127.0.0.1:0", name]).failed("FF0001", &[]);
        let checked = run(folder.path(), ["check", "--json", name]);
        assert_eq!(checked.code, Some(1));
        let checked: Value = serde_json::from_str(&checked.stdout).unwrap();
        assert_eq!((&checked["valid"], &checked["problems"][0]["code"]), (&Value::from(false), &Value::from("FF0001")));
    }
}

#[test]
fn a_component_that_is_cut_short_is_refused() {
    let folder = folder();
    let whole = fs::read(module("greet")).unwrap();
    fs::write(folder.path().join("cut.wasm"), &whole[..whole.len() / 2]).unwrap();
    run(folder.path(), ["check", "cut.wasm"]).failed("FF0011", &[]);
}

#[test]
fn a_definition_that_cannot_run_is_refused_and_its_culprit_named() {
    let folder = folder();
    let module = module("fixture");
    for (case, code, says) in [
        ("cycle", "FF0105", &["a → b → a"][..]),
        ("duplicate-node", "FF0102", &["FF0102 at twin"]),
        ("duplicate-edge", "FF0103", &["a → b"]),
        ("edge-to-nowhere", "FF0104", &["a → nowhere"]),
        ("several-starts", "FF0106", &["left, right"]),
        ("no-nodes", "FF0101", &["add at least one"]),
        ("no-nodes-in-a-branch", "FF0101", &["C[empty]"]),
        ("dag-in-itself", "FF0005", &["`S/again` contains itself"]),
        ("deep", "FF0107", &["32"]),
        ("aggregator-of-nowhere", "FF0117", &["`nowhere`"]),
    ] {
        let case = format!("case={case}");
        run(folder.path(), ["run", module.to_str().unwrap(), "--quiet", "--query", &case]).failed(code, says);
    }
}

#[test]
fn a_flow_that_goes_wrong_while_it_describes_itself_is_refused() {
    let folder = folder();
    for (name, define, code, says) in [
        ("missing", hostile::ONE_NODE, "FF0108", "`no`"),
        ("trap", hostile::TRAP, "FF0006", "unreachable"),
        ("loop", hostile::LOOP, "FF0007", "time limit"),
        ("grow", hostile::GROW, "FF0008", "memory"),
        ("table", hostile::GROW_TABLE, "FF0008", "memory"),
        ("recurse", hostile::RECURSE, "FF0009", "recurse"),
        ("handle", hostile::NO_HANDLE, "FF0016", "handle"),
        ("text", hostile::NO_TEXT, "FF0016", "utf-8"),
        ("deep", hostile::DEEP, "FF0107", "32"),
        ("refuse", hostile::REFUSE, "FF0005", "no"),
    ] {
        let file = format!("{name}.wasm");
        fs::write(folder.path().join(&file), hostile::flow(define, hostile::ECHO)).unwrap();
        for command in ["check", "run"] {
            let hasty: &[&str] = if define == hostile::LOOP { &["--guest-timeout", "1s"] } else { &[] };
            run(folder.path(), [command, &file].iter().chain(hasty)).failed(code, &[says]);
        }
    }
}

#[test]
fn a_module_that_is_not_there_is_named() {
    let folder = folder();
    for command in ["check", "graph", "run"] {
        run(folder.path(), [command, "gone.wasm"]).failed("FF0014", &["gone.wasm"]);
        run(folder.path(), [command, "."]).failed("FF0014", &[". is a folder", "faas-flow build ."]);
    }
}

#[test]
fn a_flow_is_described_by_check() {
    let folder = folder();
    let module = module("sync-chain");
    let checked = run(folder.path(), ["check", "--json", module.to_str().unwrap()]).json();
    assert_eq!(checked["valid"], true);
    assert_eq!(checked["flow"], "sync-chain");
    assert_eq!(checked["per-request"], false);
    assert_eq!(checked["handlers"], serde_json::json!(["sync/2"]));
    assert_eq!(checked["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn kinds_of_handlers_that_a_module_lacks_are_named_by_check() {
    let folder = folder();
    // Compilers for JavaScript and Python make such modules if a kind of handler is left out.
    fs::write(folder.path().join("lacks.wasm"), hostile::flow(DECLARED, TRAP)).unwrap();
    fs::write(folder.path().join("rejects.wasm"), hostile::flow(DECLARED, REJECT)).unwrap();
    let warnings = |module: &str| run(folder.path(), ["check", "--json", module]).json()["warnings"].clone();
    let said = warnings("lacks.wasm");
    assert!(said[0]["message"].as_str().unwrap().contains("no handlers of the kind `modify`, as `no` is"), "{said}");
    assert_eq!(warnings("rejects.wasm"), serde_json::json!([]));
    assert_eq!(warnings(module("sync-chain").to_str().unwrap()), serde_json::json!([]));
}

#[test]
fn a_function_that_nobody_has_is_named_with_those_that_are_there() {
    let folder = folder();
    let module = module("sync-chain");
    let arguments = ["run", module.to_str().unwrap(), "--quiet", "--function", "func9=echo"];
    run(folder.path(), arguments).failed("FF0205", &["`func1`", "func9", "--function func1="]);
}

#[test]
fn a_command_that_fails_is_quoted() {
    let folder = folder();
    let fails = script(folder.path(), "fails.sh", "cat > /dev/null; echo 'disk on fire' >&2; exit 3");
    chain(folder.path(), fails.to_str().unwrap(), &[]).failed("FF0216", &["func1", "3", "disk on fire"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_answers_with_an_error_is_quoted() {
    let folder = folder();
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    let broken = axum::Router::new().fallback(move || async move { (status, "out of paper") });
    let url = double::serve(broken).await;
    let path = folder.path().to_owned();
    let done = tokio::task::spawn_blocking(move || chain(&path, &url, &[])).await.unwrap();
    done.failed("FF0207", &["func1", "500", "out of paper"]);
}

#[test]
fn a_function_that_cannot_be_reached_is_named() {
    let folder = folder();
    // Bound and closed again, so nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    chain(folder.path(), &format!("http://{address}"), &[]).failed("FF0208", &[&address.to_string()]);
}

#[test]
fn an_address_is_free_and_well_formed() {
    let folder = folder();
    let module = module("greet");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let serve = |listen: &str| run(folder.path(), ["serve", module.to_str().unwrap(), "--listen", listen]);
    serve(&address).failed("FF0401", &[&address, "--listen"]);
    serve("nowhere").failed("FF0408", &["nowhere"]);
}

#[test]
fn a_function_says_what_is_to_be_set_and_shows_no_password() {
    let folder = folder();
    let module = format!("greet={}", module("greet").display());
    let start = |environment: &[(&str, &str)]| {
        let mut function = faas_flow(folder.path());
        function.args(["function", &module, "--listen", "127.0.0.1:0"]).envs(environment.iter().copied());
        let output = function.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    start(&[]).failed("FF0409", &["set state_store"]);
    start(&[("state_stroe", "redis://r")]).failed("FF0410", &["did you mean `state_store`?"]);
    start(&[("exec_timeout", "soon")]).failed("FF0409", &["exec_timeout", "1m30s"]);
    start(&[("state_store", "memory"), ("secret_mount_path", "/nowhere")]).failed("FF0505", &["/nowhere"]);
    let wrong = start(&[("state_store", "memory"), ("gateway", "http://u:s3cret@gateway")]);
    assert!(!wrong.stderr.contains("s3cret"), "{}", wrong.stderr);
    wrong.failed("FF0409", &["gateway must be"]);
    fs::write(folder.path().join("flow.yml"), "environment:\n  state_store: redis://u:s3cret@r\n").unwrap();
    let shown = run(folder.path(), ["config", "--file", "flow.yml"]).ok();
    assert!(shown.contains("redis://***@r") && !shown.contains("s3cret"), "{shown}");
    fs::write(folder.path().join("flow.yml"), "environment:\n  colour: red\n").unwrap();
    run(folder.path(), ["config", "--file", "flow.yml"]).failed("FF0410", &["colour"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_no_flow_is_is_named() {
    let folder = folder();
    let other = double::serve(axum::Router::new().fallback(async || "hello")).await;
    let flow = format!("{other}/function/greet");
    let module = module("greet");
    let module = module.to_str().unwrap();
    for command in [["modules", "list"].as_slice(), &["modules", "rollback"], &["push", module]] {
        let arguments = [command, &["--to", &flow]].concat();
        run(folder.path(), &arguments).failed("FF0214", &[&flow]);
    }
    run(folder.path(), ["config", "--file", "gone.yml"]).failed("FF0404", &["gone.yml"]);
}

/// A server of raw bytes, which answers each connection so.
fn raw(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = listener.accept() {
            let _ = connection.read(&mut [0; 64 * 1024]);
            let _ = connection.write_all(&answer);
        }
    });
    url
}

/// CALL-1.
#[test]
fn a_function_whose_answer_is_no_http_is_named() {
    let folder = folder();
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(4 << 20));
    for answer in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\na header without a colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n x-injected: 1\r\n\r\n",
        &huge,
    ] {
        let url = raw(answer.as_bytes().to_vec());
        chain(folder.path(), &url, &[]).failed("FF0208", &[&url]);
    }
}

#[test]
fn malformed_options_are_quoted() {
    let folder = folder();
    for bad in ["./no-such-program", ""] {
        chain(folder.path(), bad, &[]).failed("FF0402", &["func1="]);
    }
    chain(folder.path(), "echo", &["--function", "nothing"]).failed("FF0402", &["`nothing`"]);
    chain(folder.path(), "echo", &["--state", "paper:"]).failed("FF0308", &["paper:"]);
    chain(folder.path(), "echo", &["--data-store", "paper:"]).failed("FF0308", &["paper:"]);
    chain(folder.path(), "echo", &["--request-id", "a b"]).failed("FF0213", &["a b"]);
    let greet = module("greet");
    let greet = greet.to_str().unwrap();
    run(folder.path(), ["run", greet, "--data", "@gone.json"]).failed("FF0404", &["gone.json"]);
    let serve = |flows: &[&str]| run(folder.path(), ["serve", "--listen", "127.0.0.1:0"].iter().chain(flows));
    serve(&[greet, greet]).failed("FF0405", &["greet"]);
    serve(&[&format!("Bad_Name={greet}")]).failed("FF0406", &["Bad_Name"]);
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let folder = folder();
    for arguments in [&["run"][..], &["dance"], &["requests", "list", "--status", "happy"]] {
        assert_eq!(run(folder.path(), arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_store_that_a_newer_version_wrote_is_left_alone() {
    let folder = folder();
    chain(folder.path(), "echo", &["--state", "sqlite:state.db"]).ok();
    let database = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    chain(folder.path(), "echo", &["--state", "sqlite:state.db"]).failed("FF0304", &["state.db"]);
    run(folder.path(), ["requests", "list", "--state", "sqlite:state.db"]).failed("FF0304", &["state.db"]);
}

#[test]
fn a_file_that_is_not_a_store_is_left_alone() {
    let folder = folder();
    let text = "no database at all. ".repeat(100);
    fs::write(folder.path().join("state.db"), &text).unwrap();
    chain(folder.path(), "echo", &["--state", "sqlite:state.db"]).failed("FF0305", &["state.db"]);
    assert_eq!(fs::read_to_string(folder.path().join("state.db")).unwrap(), text);
}

#[test]
fn a_store_is_opened_where_it_is_asked_to_be() {
    let folder = folder();
    run(folder.path(), ["requests", "list"]).failed("FF0309", &[".faas-flow/state.db"]);
    for limits in [&["list"][..], &["set", "job", "1"], &["unset", "job"]] {
        run(folder.path(), [&["limits"], limits].concat()).failed("FF0309", &[".faas-flow/state.db"]);
    }
    let options = ["--state-store", "sqlite:state.db?synchronous=full"];
    run(folder.path(), [&["limits", "set", "job", "1"], &options[..]].concat()).failed("FF0309", &["state.db"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no store has been created");
    // Each process has a store in memory for itself.
    for command in [
        &["limits", "set", "job", "1"][..],
        &["limits", "list"],
        &["requests", "list"],
        &["requests", "show", "r1"],
        &["dashboard", "--listen", "127.0.0.1:0"],
    ] {
        run(folder.path(), [command, &["--state-store", "memory"]].concat()).failed("FF0309", &["`memory`"]);
    }
    chain(folder.path(), "echo", &["--state", "sqlite:state.db"]).ok();
    chain(folder.path(), "echo", &["--state", "sqlite:state.db?mode=ro"]).failed("FF0302", &["state.db"]);
}

#[test]
fn a_store_where_nothing_can_be_written_is_named() {
    let folder = folder();
    let (shut, cases) = (folder.path().join("shut"), |store: &str| {
        chain(folder.path(), "echo", &["--state", store]).failed("FF0302", &["state.db"]);
        chain(folder.path(), "echo", &["--state", &store.replace("state.db", "new/state.db")])
            .failed("FF0302", &["state.db"]);
    });
    fs::create_dir(&shut).unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).unwrap();
    match fs::File::create_new(shut.join("new")) {
        Err(_) => cases("sqlite:shut/state.db"),
        // Permissions do not stop root, but even root cannot create files in /sys.
        Ok(_) => cases("sqlite:/sys/state.db"),
    }
}

#[test]
fn a_store_that_another_process_has_locked_is_named() {
    let folder = folder();
    chain(folder.path(), "echo", &["--state", "sqlite:state.db"]).ok();
    let database = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let locked = chain(folder.path(), "echo", &["--state", "sqlite:state.db?busy_timeout_ms=10"]);
    locked.failed("FF0301", &["state.db"]);
    database.execute_batch("ROLLBACK").unwrap();
    chain(folder.path(), "echo", &["--state", "sqlite:state.db"]).ok();
}

#[test]
fn a_store_that_is_full_is_named() {
    let folder = folder();
    let much = script(folder.path(), "much.sh", "cat > /dev/null; head -c 30000 /dev/zero");
    chain(folder.path(), "echo", &["--state", "sqlite:state.db?max_pages=40", "--request-id", "small"]).ok();
    let full = chain(folder.path(), much.to_str().unwrap(), &["--state", "sqlite:state.db?max_pages=8"]);
    full.failed("FF0303", &["state.db"]);
    run(folder.path(), ["requests", "show", "small", "--state", "sqlite:state.db"]).ok();
}

#[test]
fn a_function_that_answers_with_too_much_is_named() {
    let folder = folder();
    let much = script(folder.path(), "much.sh", "cat > /dev/null; head -c 70000000 /dev/zero");
    chain(folder.path(), much.to_str().unwrap(), &[]).failed("FF0219", &["func1"]);
}

#[test]
fn a_run_that_the_store_does_not_know_is_named() {
    let folder = folder();
    chain(folder.path(), "echo", &["--state", "sqlite:state.db", "--request-id", "known"]).ok();
    run(folder.path(), ["requests", "show", "known", "--state", "sqlite:state.db"]).ok();
    let unknown = run(folder.path(), ["requests", "show", "unknown", "--state", "sqlite:state.db"]);
    unknown.failed("FF0212", &["unknown", "requests list"]);
}

#[test]
fn codes_are_explained() {
    let folder = folder();
    let page = run(folder.path(), ["explain", "FF0012"]).ok();
    assert!(page.starts_with("# FF0012: ") && page.contains("## What to do"), "{page}");
    assert_eq!(run(folder.path(), ["explain", "12"]).ok(), page);
    run(folder.path(), ["explain", "FF9999"]).failed("FF0403", &["FF9999"]);
    assert!(run(folder.path(), ["explain"]).ok().contains("FF0499"));
}

#[test]
fn a_run_reads_its_input_and_prints_its_result_and_no_more() {
    let folder = folder();
    fs::write(folder.path().join("input"), "from a file").unwrap();
    let module = module("greet");
    let module = module.to_str().unwrap();
    assert_eq!(run(folder.path(), ["run", module, "--data", "@input"]).ok(), "Hello, from a file!");
    let mut piped = faas_flow(folder.path());
    piped.args(["run", module, "--data", "@-"]).stdin(fs::File::open(folder.path().join("input")).unwrap());
    assert_eq!(piped.output().unwrap().stdout, b"Hello, from a file!");
    let json = run(folder.path(), ["run", module, "--data", "Ada", "--json", "--request-id", "mine"]).json();
    assert_eq!((&json["status"], &json["result"]), (&Value::from("succeeded"), &Value::from("Hello, Ada!")));
    assert_eq!(json["run"]["request_id"], "mine");
}

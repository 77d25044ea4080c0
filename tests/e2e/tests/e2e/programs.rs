//! Programs used as functions: `--function NAME=./program`.

use faas_flow_e2e::command::{Done, faas_flow, run, script};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::module;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A script that writes its own process's id and that of a child to the file `pids`, and then waits for the child.
const BUSY: &str = "sleep 600 & echo $$ $! > pids.new; mv pids.new pids; wait";

/// The processes of the script [`BUSY`], once they run.
async fn processes(folder: &Path) -> Vec<Pid> {
    until("the program runs", async || folder.join("pids").exists()).await;
    let pids = fs::read_to_string(folder.join("pids")).unwrap();
    fs::remove_file(folder.join("pids")).unwrap();
    pids.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

/// Waits until processes have ended, or have at least become zombies that wait for their new parent.
async fn ended(pids: &[Pid]) {
    let is_alive = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
        test_kill_process(*pid).is_ok() && !stat.contains(") Z ")
    };
    until("all of the program has ended", async || !pids.iter().any(is_alive)).await;
}

fn serve(folder: &TempDir, flow: &str, name: &str, body: &str) -> Serve {
    Serve::flows(&[flow]).function(name, script(folder.path(), "program.sh", body))
}

fn in_folder(folder: &TempDir, body: &str) -> String {
    format!("cd '{}'; {body}", folder.path().display())
}

#[tokio::test]
async fn a_program_may_say_as_much_as_it_likes_and_an_error_has_its_last_lines() {
    let folder = TempDir::new().unwrap();
    let says = "cat > /dev/null; i=0; while [ $i -lt 3000 ]; do echo \"line $i of a program that says a lot and a lot\" >&2; i=$((i+1)); done";
    let server = serve(&folder, "fixture", "wordy", &format!("{says}; echo done")).start();
    assert_eq!(server.post("/function/wordy", "").await.ok(), "done\n");
    assert!(!server.log().contains("line 1"), "only --watch shows it");
    let fails = script(folder.path(), "fails.sh", &format!("{says}; echo 'disk on fire' >&2; exit 3"));
    let server = Serve::flows(&["fixture"]).function("wordy", fails).flag("--watch").start();
    let said = server.post("/function/wordy", "").await.failed(502, "FF0216");
    assert!(said.contains("line 2999 ") && said.contains("disk on fire") && !said.contains("line 2000 "), "{said}");
    until("all of it is shown", async || server.log().contains("wordy: disk on fire")).await;
    let log = server.log();
    assert_eq!(log.lines().filter(|line| line.starts_with("wordy: line ")).count(), 3000);
}

/// CALL-4.
#[tokio::test]
async fn a_call_that_takes_too_long_fails_with_what_its_program_has_said() {
    let folder = TempDir::new().unwrap();
    let says = "echo 'waiting for the disk' >&2; printf 'password: ' >&2; exec sleep 600";
    let server = serve(&folder, "fixture", "step", says).with("--call-timeout", "3s").flag("--watch").start();
    let said = server.result("fixture?case=call", "").await.failed(504, "FF0206");
    let quoted = "did not answer within 3000 ms: waiting for the disk";
    assert!(said.contains(quoted) && said.contains("password:"), "{said}");
    until("the line that has no end is shown, too", async || server.log().contains("step: password:")).await;
}

/// FAIL-8: the time limit of a node is no reason to say less than that of a call.
#[tokio::test]
async fn a_node_that_takes_too_long_fails_with_what_its_program_has_said() {
    let folder = TempDir::new().unwrap();
    let says = "echo 'waiting for the disk' >&2; printf 'password: ' >&2; exec sleep 600";
    let server = serve(&folder, "fixture", "step", says).start();
    let answer = server.result("fixture?case=slow-node&timeout=3000", "").await;
    let id = answer.id.clone().unwrap();
    let said = answer.failed(504, "FF0209");
    let quoted = "took longer than its timeout of 3000 ms: waiting for the disk";
    assert!(said.contains(quoted) && said.contains("password:"), "{said}");
    let shown = server.shown(&id);
    let message = shown["nodes"][0]["attempts"][0]["failure"]["message"].as_str().unwrap();
    assert!(message.contains("waiting for the disk"), "{shown}");
}

fn chain(folder: &TempDir, options: &[&str]) -> Done {
    let program = script(folder.path(), "program.sh", "echo 'I am \u{1b}[31mhere' >&2; cat");
    let module = module("sync-chain");
    let functions = [format!("func1={}", program.display()), "func2=echo".to_owned()];
    let arguments = ["run", module.to_str().unwrap(), "--data", "hi", "--function", &functions[0]];
    run(folder.path(), arguments.iter().copied().chain(["--function", &functions[1]]).chain(options.iter().copied()))
}

#[test]
fn run_shows_what_programs_say_unless_it_is_quiet() {
    let folder = TempDir::new().unwrap();
    let done = chain(&folder, &[]);
    assert!(done.stderr.contains("func1: I am \\u{1b}[31mhere\n"), "{}", done.stderr);
    done.ok();
    let quiet = chain(&folder, &["--quiet"]);
    assert_eq!(quiet.stderr, "");
    quiet.ok();
}

#[tokio::test]
async fn a_process_that_a_program_leaves_behind_does_not_hold_the_call() {
    let folder = TempDir::new().unwrap();
    let leaves = in_folder(&folder, "sleep 600 & echo $! > pids; echo 'bye' >&2; echo done; exit 0");
    let server = serve(&folder, "fixture", "leaves", &leaves).flag("--watch").start();
    assert_eq!(server.post("/function/leaves", "in").await.ok(), "done\n");
    let pids = processes(folder.path()).await;
    assert!(test_kill_process(pids[0]).is_ok(), "it still runs");
    until("what it said is shown", async || server.log().contains("leaves: bye\n")).await;
    kill_process(pids[0], Signal::KILL).unwrap();
}

/// CALL-4, END-2.
#[tokio::test]
async fn a_call_that_ends_early_ends_all_processes_of_its_program() {
    let folder = TempDir::new().unwrap();
    let serve = serve(&folder, "async-chain", "func1", &in_folder(&folder, BUSY)).function("func2", "echo");
    let server = serve.function("fake-storage", "echo").start();
    let request = server.request("/function/async-chain", "").header("X-Faas-Flow-Reqid", "r");
    assert_eq!(server.send(request).await.status, 202);
    let pids = processes(folder.path()).await;
    server.post("/function/async-chain/flow/r/stop", "").await.ok();
    ended(&pids).await;

    // One that does not obey SIGTERM.
    let stubborn = in_folder(&folder, &format!("trap '' TERM; {BUSY}; wait"));
    let limited = Serve::flows(&["fixture"]).function("step", script(folder.path(), "stubborn.sh", &stubborn));
    let server = limited.with("--call-timeout", "300ms").start();
    server.result("fixture?case=call", "").await.failed(504, "FF0206");
    ended(&processes(folder.path()).await).await;
}

/// `faas-flow run` of a chain whose first function runs until it is ended.
fn busy_run(folder: &TempDir) -> Child {
    let program = script(folder.path(), "busy.sh", &in_folder(folder, BUSY));
    let mut command = faas_flow(folder.path());
    command.arg("run").arg(module("sync-chain")).arg("--function").arg(format!("func1={}", program.display()));
    command.args(["--function", "func2=echo"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_and_sigterm_end_a_run_with_all_its_processes() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = TempDir::new().unwrap();
        let child = busy_run(&folder);
        let pids = processes(folder.path()).await;
        kill_process(Pid::from_child(&child), signal).unwrap();
        let done = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
        assert_eq!(done.status.code(), Some(code));
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains("is not finished: it was interrupted"), "{said}");
        ended(&pids).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_what_it_waits_for_and_a_second_signal_ends_it_at_once() {
    let folder = TempDir::new().unwrap();
    let serve = serve(&folder, "async-chain", "func1", &in_folder(&folder, BUSY)).function("func2", "echo");
    let mut server: Server = serve.function("fake-storage", "echo").start();
    let request = server.request("/function/async-chain", "").header("X-Faas-Flow-Reqid", "r");
    assert_eq!(server.send(request).await.status, 202);
    let pids = processes(folder.path()).await;
    server.terminate();
    until("it says so", async || server.log().contains("stopping: waiting for n1 of run r, at most ")).await;
    assert!(pids.iter().all(|pid| test_kill_process(*pid).is_ok()), "the program may finish");
    server.terminate();
    assert_eq!(server.end().await, Some(143));
    ended(&pids).await;
}

/// FAIL-1.
#[tokio::test]
async fn the_exit_status_says_whether_a_call_is_tried_again() {
    for (status, tries) in [(75, 3), (1, 3), (65, 1)] {
        let folder = TempDir::new().unwrap();
        let body = in_folder(&folder, &format!("cat > /dev/null; echo >> tries; exit {status}"));
        let server = serve(&folder, "fixture", "step", &body).start();
        let said = server.result("fixture?case=retried-call", "").await.failed(502, "FF0216");
        assert!(said.contains(&format!("exit status: {status}")), "{said}");
        assert_eq!(fs::read_to_string(folder.path().join("tries")).unwrap().len(), tries, "{status}");
    }
}

/// TYPE-4, CALL-1.
#[tokio::test]
async fn a_program_may_answer_with_a_status_and_headers() {
    let folder = TempDir::new().unwrap();
    let start = |body: &str| {
        let program = script(folder.path(), "program.sh", &format!("cat > /dev/null; printf '{body}'"));
        Serve::flows(&["fixture"]).function("step", format!("headers:{}", program.display())).start()
    };
    let server = start("Content-Type: application/json\\nX-Own: 1\\n\\n{}");
    let answer = server.request("/function/step", "").send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (answer.status().as_u16(), header("content-type"), header("x-own")),
        (200, "application/json".into(), "1".into())
    );
    assert_eq!(answer.text().await.unwrap(), "{}");

    let server = start("Status: 404 Not Found\\r\\n\\r\\nno such order");
    assert_eq!(server.post("/function/step", "").await.status, 404);
    let said = server.result("fixture?case=call", "").await.failed(502, "FF0207");
    assert!(said.contains("status 404: no such order"), "{said}");

    let server = start("no headers at all");
    let said = server.result("fixture?case=call", "").await.failed(502, "FF0216");
    assert!(said.contains("does not begin with a header block"), "{said}");
}

//! A server whose disk is full for a while.

use axum::Router;
use faas_flow_e2e::machine;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double::serve;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

const FLOW: &str = "async-chain";
/// How many runs are under way while the disk is full.
const RUNS: usize = 3;

/// Why this process may not have a disk of its own: in a namespace of mounts, as the root of a namespace of users.
fn cannot_mount() -> Option<String> {
    let tried =
        Command::new("unshare").args(["--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    let why = match tried {
        Ok(tried) if tried.status.success() => return None,
        Ok(tried) => String::from_utf8_lossy(&tried.stderr).trim().to_owned(),
        Err(error) => format!("unshare: {error}"),
    };
    Some(format!("to mount a disk of its own, this needs Linux and namespaces of users and mounts ({why})"))
}

/// Makes the command run where a small disk is mounted at a folder, which nobody else sees.
fn on_a_disk(command: &Command, disk: &Path) -> Command {
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$@\"";
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "--map-root-user", "sh", "-c", mount]).arg(disk);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// Fills the disk to its last page, and returns the file that does.
fn fill(server: &Server, disk: &Path) -> PathBuf {
    let path = PathBuf::from(format!("/proc/{}/root{}/ballast", server.process(), disk.display()));
    let mut ballast = File::create(&path).unwrap();
    while ballast.write_all(&[b'x'; 4096]).is_ok() {}
    path
}

async fn is_unready(server: &Server) {
    until("it is not ready", async || server.get("/_/ready").await.status == 503).await;
    let said = server.get("/_/ready").await.failed(503, "FF0303");
    assert!(said.contains("not ready: ") && said.contains("state.db"), "{said}");
    assert_eq!(server.get("/_/health").await.ok(), "OK", "a restart would not help");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_not_ready_while_its_disk_is_full_and_loses_nothing() {
    if !machine::can_run(cannot_mount().as_deref()) {
        return;
    }
    let begun = Arc::new(AtomicUsize::new(0));
    let goes_on = watch::Sender::new(false);
    let step = {
        let (begun, goes_on) = (begun.clone(), goes_on.clone());
        Router::new().fallback(async move |body: String| {
            begun.fetch_add(1, Ordering::SeqCst);
            goes_on.subscribe().wait_for(|goes_on| *goes_on).await.unwrap();
            body
        })
    };
    let step = serve(step).await;
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let state = format!("sqlite:{}/state.db", disk.display());
    let serve = Serve::flows(&[FLOW]).with("--state", &state).with("--lease", "1s");
    let serve = serve.function("func1", &step).function("func2", "echo").function("fake-storage", "echo");
    let server = Server::start(on_a_disk(&serve.command_in(folder.path()), &disk));
    until("it is ready", async || server.get("/_/ready").await.status == 200).await;
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let body = format!("{number}{}", "x".repeat(8 << 10));
        let id = server.post(&format!("/function/{FLOW}"), body.clone()).await.id.unwrap();
        runs.push((id, body));
    }
    until("all runs call", async || begun.load(Ordering::SeqCst) >= RUNS).await;
    let ballast = fill(&server, &disk);
    goes_on.send_replace(true);
    is_unready(&server).await;
    let refused = server.request(&format!("/function/{FLOW}"), "more").header("X-Faas-Flow-Reqid", "refused");
    server.send(refused).await.failed(503, "FF0303");
    // What was stored can be read.
    for (id, _) in &runs {
        server.get(&format!("/function/{FLOW}/flow/{id}/state")).await.ok();
    }
    fs::remove_file(ballast).unwrap();
    until("it is ready again", async || server.get("/_/ready").await.status == 200).await;
    for (id, body) in &runs {
        assert!(server.result_of(FLOW, id).await.ok().contains(body.as_str()));
    }
    assert!(server.result(FLOW, "hi").await.ok().contains("hi"));
}

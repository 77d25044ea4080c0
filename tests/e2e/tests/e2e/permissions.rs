//! Who may read the files that the program creates.

use faas_flow_e2e::server::{Serve, Server};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Everything in a folder with its mode, the folder first.
fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    let found = fs::metadata(path).unwrap();
    let mut modes = vec![(path.to_owned(), found.permissions().mode() & 0o777)];
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            modes.extend(modes_of_entry(&entry.unwrap().path()));
        }
    }
    modes
}

/// As [`modes`], of something that may have vanished meanwhile: the program's temporary files.
fn modes_of_entry(path: &Path) -> Vec<(PathBuf, u32)> {
    if path.exists() { modes(path) } else { Vec::new() }
}

/// Starts a server that would let everybody read and write what it creates.
fn start(folder: &Path) -> Server {
    let serve = Serve::flows(&["versions"]).with("--cache", "code").command_in(folder);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    command.current_dir(serve.get_current_dir().unwrap());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Server::start(command)
}

#[tokio::test]
async fn only_the_user_may_read_what_a_server_stores() {
    let folder = TempDir::new().unwrap();
    let [stores, code] = [".faas-flow", "code"].map(|name| folder.path().join(name));
    let server = start(folder.path());
    let found = [modes(&stores), modes(&code)].concat();
    for (path, mode) in &found {
        assert_eq!(*mode, if path.is_dir() { 0o700 } else { 0o600 }, "{} has mode {mode:o}", path.display());
    }
    for name in ["state.db", "state.db-wal", "state.db-shm", "flow.wasm"] {
        assert!(found.iter().any(|(path, _)| path.ends_with(name)), "{name} is not in {found:?}");
    }
    server.kill();

    // As older releases left them.
    for (path, _) in [modes(&stores), modes(&code)].concat() {
        fs::set_permissions(&path, Permissions::from_mode(if path.is_dir() { 0o755 } else { 0o644 })).unwrap();
    }
    let server = start(folder.path());
    let closed = [
        (stores.clone(), 0o700),
        (stores.join("data"), 0o700),
        (code, 0o700),
        (stores.join("state.db"), 0o600),
        (stores.join("state.db-wal"), 0o600),
        (stores.join("state.db-shm"), 0o600),
    ];
    for (path, mode) in closed {
        assert_eq!(modes(&path)[0].1, mode, "{}", path.display());
    }
    server.kill();
}

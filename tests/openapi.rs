//! The OpenAPI document is true: schemathesis finds nothing in a real server that it does not say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod harness;

use harness::{Serve, root};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The id that the document has as an example.
const RUN: &str = "d7ca4bhj0q8g00f3k1v0";

/// Where `cargo xtask setup` puts the version that it pins.
fn schemathesis() -> PathBuf {
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache"));
    let setup = std::fs::read_to_string(root().join("xtask/src/setup.rs")).unwrap();
    let version = setup.split("\"schemathesis\", \"").nth(1).and_then(|rest| rest.split('"').next());
    let folder = format!("faas-flow/tools/schemathesis-{}", version.expect("a pinned version"));
    let program = cache.join(folder).join("bin/schemathesis");
    assert!(program.is_file(), "{} is missing: run `cargo xtask setup --ci`", program.display());
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let program = schemathesis();
    let serve = Serve::flows(&["async-chain"]).function("func1", "echo").function("func2", "echo");
    let server = serve.function("fake-storage", "echo").start();
    let flow = "/function/async-chain";
    let begun = server.request(flow, "hi").header("X-Faas-Flow-Reqid", RUN).header("X-Faas-Flow-Wait", "60s");
    server.send(begun).await.ok();
    // Further query parameters are the flow's own: none is wrong.
    std::fs::write(server.folder().join("schemathesis.toml"), "[generation]\nallow-extra-parameters = false\n")
        .unwrap();
    // What is under a flow's path, and what is the host's own. A callback that is well-formed may still not be allowed.
    for (base, paths) in [(flow, "--exclude-path-regex"), ("", "--include-path-regex")] {
        let mut run = Command::new(&program);
        run.arg("run").arg(server.url("/_/openapi.json")).arg("--url").arg(server.url(base)).args([paths, "^/_/"]);
        run.args(["--exclude-checks", "positive_data_acceptance", "--max-examples", "20", "--seed", "1", "--no-color"]);
        run.args(["--generation-database", "none"]).current_dir(server.folder());
        let run = tokio::task::spawn_blocking(move || run.output());
        let run = tokio::time::timeout(Duration::from_secs(300), run).await.unwrap().unwrap().unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    }
}

//! Keys, signatures, and hosts that accept only signed modules.

use faas_flow_e2e::command::{faas_flow, run};
use faas_flow_e2e::server::Server;
use faas_flow_e2e::versions::{FLOW, World, begin, digest, tell};
use faas_flow_test_support::modules::module;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A folder with the flow `greet` and a key pair.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::copy(module("greet"), folder.path().join("greet.wasm")).unwrap();
    run(folder.path(), ["keygen", "release"]).ok();
    folder
}

fn sign(folder: &Path, key: &str, flow: &str) -> Value {
    run(folder, ["sign", "greet.wasm", "--key", key, "--flow", flow, "--json"]).json()
}

/// Runs the flow on a host that trusts these keys.
fn greets(folder: &Path, keys: &[&str]) -> faas_flow_e2e::command::Done {
    let keys = keys.iter().flat_map(|key| ["--module-key", key]);
    run(folder, ["run", "greet.wasm", "--data", "Ada", "--quiet"].into_iter().chain(keys))
}

#[test]
fn a_signed_module_is_taken_and_an_unsigned_one_is_not() {
    let folder = folder();
    let folder = folder.path();
    assert_eq!(greets(folder, &[]).ok(), "Hello, Ada!");
    greets(folder, &["release.pub"]).failed("FF0030", &["greet.wasm", "faas-flow sign"]);
    let signed = sign(folder, "release.key", "greet");
    assert_eq!(signed["wit"], "0.2.0");
    assert_eq!(fs::read_to_string(folder.join("greet.wasm.sig")).unwrap().trim_end(), signed["signature"]);
    assert_eq!(greets(folder, &["release.pub"]).ok(), "Hello, Ada!");
    let verified = run(folder, ["verify", "greet.wasm", "--keys", "release.pub", "--flow", "greet", "--json"]).json();
    assert_eq!((&verified["valid"], &verified["key"]), (&Value::from(true), &signed["key"]));
}

#[test]
fn a_signature_that_cannot_be_read_or_written_is_named() {
    let folder = folder();
    let folder = folder.path();
    fs::create_dir(folder.join("greet.wasm.sig")).unwrap();
    let sign = ["sign", "greet.wasm", "--key", "release.key", "--flow", "greet"];
    run(folder, sign).failed("FF0411", &["greet.wasm.sig"]);
    greets(folder, &["release.pub"]).failed("FF0404", &["greet.wasm.sig"]);
    let verify = ["verify", "greet.wasm", "--keys", "release.pub", "--flow", "greet", "--signature", "gone.sig"];
    run(folder, verify).failed("FF0404", &["gone.sig"]);
    let push = ["push", "greet.wasm", "--signature", "gone.sig", "--to", "http://127.0.0.1:1/function/greet"];
    run(folder, push).failed("FF0404", &["gone.sig"]);
}

#[test]
fn a_signature_for_something_else_is_refused() {
    let folder = folder();
    let folder = folder.path();
    let refused = |says: &[&str]| {
        greets(folder, &["release.pub"]).failed("FF0031", says);
        run(folder, ["verify", "greet.wasm", "--keys", "release.pub", "--flow", "greet"]).failed("FF0031", says);
    };
    sign(folder, "release.key", "another");
    refused(&["is not valid", "another flow"]);
    let signed = sign(folder, "release.key", "greet");
    let line = signed["signature"].as_str().unwrap();
    fs::write(folder.join("greet.wasm.sig"), &line[..line.len() - 9]).unwrap();
    refused(&["signature"]);
    run(folder, ["keygen", "stranger"]).ok();
    sign(folder, "stranger.key", "greet");
    refused(&["not one of module_keys"]);
    // The signature of one module beside another module.
    sign(folder, "release.key", "greet");
    fs::copy(module("sync-chain"), folder.join("greet.wasm")).unwrap();
    refused(&["is not valid", "other bytes"]);
    let verified = run(folder, ["verify", "greet.wasm", "--keys", "release.pub", "--flow", "greet", "--json"]);
    assert_eq!(verified.code, Some(1));
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!((&verified["valid"], &verified["problems"][0]["code"]), (&Value::from(false), &Value::from("FF0031")));
}

#[test]
fn a_key_that_is_none_is_said() {
    let folder = folder();
    let folder = folder.path();
    sign(folder, "release.key", "greet");
    greets(folder, &["release.key"]).failed("FF0032", &["release.key", "private key"]);
    greets(folder, &["gone.pub"]).failed("FF0032", &["gone.pub"]);
    let signed = |key: &str| run(folder, ["sign", "greet.wasm", "--key", key, "--flow", "greet"]);
    signed("release.pub").failed("FF0032", &["public key", "private one"]);
    signed("greet.wasm").failed("FF0032", &["contains no PEM key"]);
    run(folder, ["keygen", "release"]).failed("FF0032", &["release.key", "not overwritten"]);
    fs::set_permissions(folder.join("release.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = signed("release.key");
    assert!(exposed.stderr.contains("warning: other users can read release.key"), "{}", exposed.stderr);
    exposed.ok();
}

#[test]
fn a_key_may_be_a_secret_and_replace_another() {
    let folder = folder();
    let folder = folder.path();
    run(folder, ["keygen", "next"]).ok();
    let secrets = folder.join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::rename(folder.join("next.pub"), secrets.join("greet-modules")).unwrap();
    for key in ["release.key", "next.key"] {
        sign(folder, key, "greet");
        let mut command = faas_flow(folder);
        command.env("module_keys", "release.pub,greet-modules").env("secret_mount_path", &secrets);
        command.args(["serve", "greet.wasm", "--listen", "127.0.0.1:0"]);
        drop(Server::start(command));
    }
}

#[tokio::test]
async fn a_function_takes_only_what_is_signed_for_its_name() {
    let folder = folder();
    let folder = folder.path();
    let function = || {
        let mut command = faas_flow(folder);
        command.env("module_keys", "release.pub").env("metrics_port", "0").env("TMPDIR", folder);
        command.args(["function", "hello=greet.wasm", "--listen", "127.0.0.1:0", "--state-store", "memory"]);
        command
    };
    sign(folder, "release.key", "greet");
    let refused = function().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("error FF0031"), "{said}");
    sign(folder, "release.key", "hello");
    let server = Server::start(function());
    assert_eq!(server.post("/", "Ada").await.ok(), "Hello, Ada!");
}

#[tokio::test]
async fn a_host_takes_only_versions_that_are_signed() {
    let folder = folder();
    let folder = folder.path();
    sign(folder, "release.key", "greet");
    fs::copy(module("sync-chain"), folder.join("next.wasm")).unwrap();
    let serve = |keys: &str| {
        let mut command = faas_flow(folder);
        command.env("module_keys", keys).args(["serve", "greet.wasm", "--listen", "127.0.0.1:0", "--cache", "code"]);
        command.args(["--function", "func1=echo", "--function", "func2=echo"]);
        command
    };
    let server = Server::start(serve("release.pub"));
    let tell = |server: &Server, what| run(folder, [what, "next.wasm", "--to", &server.url("/function/greet")]);
    let push = |server: &Server| tell(server, "push");
    let compiled = || fs::read_dir(folder.join("code")).unwrap().count();
    assert_eq!(compiled(), 2, "the code of the one version, and its checksum");
    push(&server).failed("FF0030", &["403", "not signed"]);
    tell(&server, "plan").failed("FF0030", &["403", "not signed"]);
    let sign_next = |key| run(folder, ["sign", "next.wasm", "--key", key, "--flow", "greet"]).ok();
    run(folder, ["keygen", "later"]).ok();
    sign_next("later.key");
    push(&server).failed("FF0031", &["not one of module_keys"]);
    tell(&server, "plan").failed("FF0031", &["not one of module_keys"]);
    assert_eq!(compiled(), 2, "nothing is left of what was refused");
    assert_eq!(server.result("greet", "Ada").await.ok(), "Hello, Ada!");
    sign_next("release.key");
    push(&server).ok();
    assert_eq!(server.result("greet", "Ada").await.ok(), "you said \"Ada\"");
    drop(server);
    // A replica that loads a module from the store checks the signature again.
    sign(folder, "later.key", "greet");
    let refused = serve("later.pub").output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("error FF0031"), "{said}");
    // While both keys are trusted the module is signed again; then the old key can go.
    let server = Server::start(serve("release.pub,later.pub"));
    sign_next("later.key");
    push(&server).ok();
    drop(server);
    let server = Server::start(serve("later.pub"));
    assert_eq!(server.result("greet", "Ada").await.ok(), "you said \"Ada\"");
}

#[tokio::test]
async fn a_plan_says_which_runs_are_of_versions_that_no_key_holds_for() {
    let world = World::new().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    run(world.path(), ["keygen", "release"]).ok();
    for module in [&second, &third] {
        let module = module.to_str().unwrap();
        run(world.path(), ["sign", module, "--key", "release.key", "--flow", "versions"]).ok();
    }
    let server = world.start(&first);
    let unsigned = begin(&server, "in").await;
    world.begun(1).await;
    server.kill();
    let server = world.serve(&second).with("--module-key", "release.pub").start_in(world.path());
    let signed = begin(&server, "in").await;
    world.begun(2).await;
    let planned = tell(&server, &["plan"], &[&third]).await.json();
    assert_eq!(planned["runs"]["unloadable"], serde_json::json!([unsigned]), "{planned}");
    assert_eq!(planned["runs"]["unaffected"], serde_json::json!([signed]), "{planned}");
    assert!(planned["unloadable"][digest(&first)].as_str().unwrap().starts_with("FF0030: "), "{planned}");
    let words = ["plan".to_owned(), third.display().to_string(), "--to".to_owned(), server.url(FLOW)];
    let folder = world.path().to_owned();
    let text = tokio::task::spawn_blocking(move || run(&folder, words).ok()).await.unwrap();
    assert!(text.contains("1 run  of a version that is stored but cannot be loaded"), "{text}");
    assert!(text.contains(&format!("{}: FF0030: ", &digest(&first)[..12])), "{text}");
}

/// OpenSSL, as installed by `cargo xtask setup`.
fn openssl(folder: &Path, arguments: &str) -> String {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
    let output = output.expect("openssl runs: `cargo xtask setup --ci` installs it");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn keys_and_signatures_are_those_of_openssl() {
    let folder = folder();
    let folder = folder.path();
    openssl(folder, "genpkey -algorithm ed25519 -out other.key");
    openssl(folder, "pkey -in other.key -pubout -out other.pub");
    sign(folder, "other.key", "greet");
    assert_eq!(greets(folder, &["other.pub"]).ok(), "Hello, Ada!");
    // OpenSSL makes the same two files from the private key.
    assert_eq!(openssl(folder, "pkey -in release.key"), fs::read_to_string(folder.join("release.key")).unwrap());
    assert_eq!(
        openssl(folder, "pkey -in release.key -pubout"),
        fs::read_to_string(folder.join("release.pub")).unwrap()
    );
    // OpenSSL verifies our signature.
    let signed = sign(folder, "release.key", "greet");
    let text = format!(
        "faas-flow module signature 1\ndigest {}\nflow greet\ncontract 0.2.0\n",
        signed["digest"].as_str().unwrap()
    );
    fs::write(folder.join("text"), text).unwrap();
    let line = signed["signature"].as_str().unwrap();
    fs::write(folder.join("base64"), format!("{}\n", line.rsplit(' ').next().unwrap())).unwrap();
    openssl(folder, "base64 -d -A -in base64 -out signature");
    openssl(folder, "pkeyutl -verify -pubin -inkey release.pub -rawin -in text -sigfile signature");
    // A key for another algorithm is refused.
    openssl(folder, "genpkey -algorithm x25519 -out wrong.key");
    run(folder, ["sign", "greet.wasm", "--key", "wrong.key", "--flow", "greet"]).failed("FF0032", &["Ed25519"]);
}

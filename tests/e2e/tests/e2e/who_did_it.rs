//! Tokens with names and rights, and what is recorded of those who use them.

use faas_flow_e2e::command::{faas_flow, run};
use faas_flow_e2e::gateway::Gateway;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Creates a token in the folder's secrets.
fn token(folder: &Path, name: &str, rights: &str) -> String {
    fs::create_dir_all(folder.join("secrets")).unwrap();
    let create = ["token", "create", "--name", name, "--rights", rights, "--file", "secrets/faasflow-tokens"];
    run(folder, create).ok().trim().to_owned()
}

struct Team {
    server: Server,
    viewer: String,
    alice: String,
    ci: String,
}

/// A server with a viewer, somebody who controls runs, and a program that deploys.
fn team(flows: &[&str]) -> Team {
    let folder = TempDir::new().unwrap();
    let of = |name, rights| token(folder.path(), name, rights);
    let (viewer, alice, ci) = (of("viewer", "see"), of("alice", "see,control"), of("ci", "deploy"));
    let mut server = Serve::flows(flows).with("--state", "memory").with("--secrets", "secrets").start_in(folder.path());
    server.own(folder);
    Team { server, viewer, alice, ci }
}

impl Team {
    async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let method = method.parse().unwrap();
        let request = self.server.client.request(method, self.server.url(path)).bearer_auth(token);
        self.server.send(request.body(body.to_owned())).await
    }

    async fn audit(&self) -> Vec<Value> {
        let list = self.ask("GET", "/function/greet/audit", &self.viewer, "").await.ok();
        serde_json::from_str::<Value>(&list).unwrap()["entries"].as_array().unwrap().clone()
    }

    fn command(&self, arguments: &[&str], token: &str) -> Command {
        let mut command = faas_flow(self.server.folder());
        command.args(arguments).args(["--to", &self.server.url("/function/greet")]);
        command.env("FAAS_FLOW_ADMIN_TOKEN", token);
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_its_rights_say_and_learns_nothing_else() {
    let team = team(&["greet"]);
    let Team { server, viewer, alice, ci } = &team;
    server.send(server.request("/function/greet", "Ada").header("X-Faas-Flow-Reqid", "r1")).await.ok();
    let flow = "/function/greet";
    for (token, method, path) in [
        (viewer, "GET", "/flow"),
        (viewer, "GET", "/flow/r1"),
        (viewer, "GET", "/modules"),
        (alice, "GET", "/flow/r1"),
        (alice, "POST", "/flow/r1/rerun?node=greet"),
        (ci, "GET", "/modules"),
    ] {
        let answer = team.ask(method, &format!("{flow}{path}"), token, "").await;
        assert_ne!(answer.status, 401, "{method} {path}");
        assert_ne!(answer.status, 403, "{method} {path}");
    }
    for (token, method, path, missing) in [
        (viewer, "POST", "/flow/r1/stop", "`control`"),
        (viewer, "GET", "/flow/r1/pause", "`control`"),
        (viewer, "GET", "/flow/r1/output?node=greet", "`see-payloads`"),
        (viewer, "POST", "/modules/rollback", "`deploy`"),
        (alice, "POST", "/modules/gc", "`deploy`"),
        (ci, "GET", "/flow", "`see`"),
        (ci, "DELETE", "/flow/r1", "`control`"),
    ] {
        let said = team.ask(method, &format!("{flow}{path}"), token, "").await.failed(403, "FF0518");
        assert!(said.contains(missing), "{method} {path}: {said}");
    }
    // What is there and what is not are answered alike.
    for path in ["/flow/r1", "/flow/none", "/flow/r1/logs", "/flow/none/logs"] {
        let said = team.ask("GET", &format!("{flow}{path}"), ci, "").await.failed(403, "FF0518");
        assert!(!said.contains("none") && !said.contains("r1"), "{said}");
        team.ask("GET", &format!("/function/nothing{path}"), ci, "").await.failed(403, "FF0518");
        team.ask("GET", &format!("{flow}{path}"), "wrong", "").await.failed(401, "FF0506");
        server.get(&format!("{flow}{path}")).await.failed(401, "FF0506");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_has_buttons_for_those_who_may_press_them() {
    let team = team(&["greet"]);
    let server = &team.server;
    server.send(server.request("/function/greet", "Ada").header("X-Faas-Flow-Reqid", "r1")).await.ok();
    let page = async |token: &str, path: &str| {
        server.send(server.client.get(server.url(path)).basic_auth("me", Some(token))).await
    };
    let flow = "/dashboard/flows/greet";
    assert!(page(&team.alice, flow).await.ok().contains("<form"));
    let seen = page(&team.viewer, flow).await.ok();
    assert!(!seen.contains("ticket"), "{seen}");
    page(&team.ci, flow).await.failed(403, "FF0518");
    page("wrong", flow).await.failed(401, "FF0506");
    team.ask("POST", "/dashboard/flows/greet/run", &team.viewer, "body=x").await.failed(403, "FF0518");
    let entries = team.audit().await;
    assert_eq!((&entries[0]["action"], &entries[0]["outcome"]), (&"start".into(), &"refused".into()), "{entries:?}");
    let log = page(&team.viewer, "/dashboard/audit").await.ok();
    assert!(log.contains("viewer") && log.contains("refused") && log.contains("FF0518"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_is_recorded_with_who_and_why() {
    let team = team(&["greet"]);
    let Team { server, alice, viewer, .. } = &team;
    server.send(server.request("/function/greet", "Ada").header("X-Faas-Flow-Reqid", "r1")).await.ok();
    let rerun = ["requests", "rerun", "r1", "--node", "greet", "--reason", "the name was wrong"];
    let done = team.command(&rerun, alice).output().unwrap();
    let shown = team.command(&["requests", "show", "r1"], viewer).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(shown.contains("rerun by alice (token) from 127.0.0.1: the name was wrong"), "{shown}");
    let stop = format!("/function/greet/flow/r1/stop?reason={}", "me");
    team.ask("POST", &stop, viewer, "").await.failed(403, "FF0518");
    team.ask("POST", "/function/greet/?stop-flow=r1&who=alice", viewer, "").await.failed(403, "FF0518");
    team.ask("DELETE", "/function/greet/flow/none", alice, "").await.failed(404, "FF0212");
    let entries = team.audit().await;
    let of = |at: usize, name: &str| entries[at][name].as_str().unwrap_or_default().to_owned();
    let told = |at| ["action", "who", "run", "outcome", "code", "reason"].map(|name| of(at, name)).join(" ");
    assert_eq!(told(0), "delete-run alice none failed FF0212 ");
    assert_eq!(told(1), "stop viewer r1 refused FF0518 ");
    assert_eq!(told(2), "stop viewer r1 refused FF0518 me");
    assert_eq!(told(3), "rerun alice r1 done  the name was wrong");
    assert_eq!((entries.len(), of(3, "via").as_str(), of(3, "from").as_str()), (4, "token", "127.0.0.1"));
    assert!(of(3, "target").contains("node=greet"), "{:?}", entries[3]);
    server.until_logged("the name was wrong").await;
    let listed = team.command(&["audit", "list", "--limit", "2"], viewer).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("failed FF0212: delete-run none by alice (token)"), "{listed}");
    assert!(listed.contains("--after") && listed.lines().count() == 3, "{listed}");
}

/// A function behind a gateway whose users have signed in somewhere: the gateway's address is trusted, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_who_the_user_is_and_nobody_else_does() {
    let folder = TempDir::new().unwrap();
    let alice = token(folder.path(), "alice", "see,control");
    fs::write(folder.path().join("secrets/faasflow-admin-token"), "a token of more than sixteen").unwrap();
    let function = Serve::replica("greet").with("--state", "memory").with("--secrets", "secrets");
    let function = function.with("--trusted-proxy", "127.0.0.1/32").with("--user-header", "X-Forwarded-User");
    let function = function.start_in(folder.path());
    let gateway = Gateway::of("greet", &function.url("")).await;
    function.send(function.request("/", "Ada").header("X-Faas-Flow-Reqid", "r1")).await.ok();
    // The gateway's own address is 127.0.0.1. This is another one, as that of a caller who goes round the gateway.
    let elsewhere = Client::builder().no_proxy().local_address(IpAddr::from([127, 0, 0, 2])).build().unwrap();
    let through = |path: &str| function.client.post(format!("{}/function/greet{path}", gateway.url));
    let round = |path: &str| elsewhere.post(function.url(path));
    let claims = |request: RequestBuilder, user: &str| {
        let request = request.header("X-Forwarded-User", user).header("X-Forwarded-For", "192.0.2.7");
        request.header("X-Faas-Flow-User", "somebody")
    };
    let rerun = "/flow/r1/rerun?node=greet";
    for request in [
        claims(through(rerun), "carol").bearer_auth(&alice).header("X-Faas-Flow-Reason", "through the gateway"),
        claims(round(rerun), "mallory").bearer_auth(&alice).header("X-Faas-Flow-Reason", "round it"),
    ] {
        function.send(request).await.ok();
        until("it has ended again", async || {
            let asked = function.client.get(function.url("/flow/r1")).bearer_auth(&alice);
            function.send(asked).await.body.contains("\"status\":\"succeeded\"")
        })
        .await;
    }
    // A name is no right, and the token is needed all the same.
    function.send(claims(through(rerun), "carol")).await.failed(401, "FF0506");
    function.send(claims(round("/flow/none/stop"), "mallory").bearer_auth(&alice)).await.failed(404, "FF0212");
    let read = async |path: &str| -> Value {
        let asked = function.client.get(function.url(path)).bearer_auth(&alice);
        serde_json::from_str(&function.send(asked).await.ok()).unwrap()
    };
    let told = |entry: &Value| {
        ["who", "via", "from", "reason"].map(|name| entry[name].as_str().unwrap_or_default().to_owned())
    };
    let (carol, alice_herself) = (
        ["carol", "proxy", "192.0.2.7", "through the gateway"].map(str::to_owned),
        ["alice", "token", "127.0.0.2", "round it"].map(str::to_owned),
    );
    let history = read("/flow/r1").await["actions"].as_array().unwrap().iter().map(told).collect::<Vec<_>>();
    assert_eq!(history, [carol.clone(), alice_herself.clone()]);
    let audit = read("/audit").await["entries"].as_array().unwrap().iter().map(told).collect::<Vec<_>>();
    let failed = ["alice", "token", "127.0.0.2", ""].map(str::to_owned);
    assert_eq!(audit, [failed, alice_herself, carol]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_tokens_that_cannot_be_meant_stops_the_server() {
    let folder = TempDir::new().unwrap();
    token(folder.path(), "alice", "see");
    let file = folder.path().join("secrets/faasflow-tokens");
    let good = fs::read_to_string(&file).unwrap();
    for (bad, line) in
        [(format!("{good}{good}"), "line 2"), (good.replace('\n', "\r\n"), "line 1"), ("x".into(), "line 1")]
    {
        fs::write(&file, bad).unwrap();
        let serve = Serve::flows(&["greet"]).with("--state", "memory").with("--secrets", "secrets");
        let ended = serve.command_in(folder.path()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("FF0505") && said.contains(line), "{said}");
    }
    let listed = run(folder.path(), ["token", "list", "--file", "secrets/faasflow-tokens"]);
    listed.failed("FF0505", &["line 1"]);
}

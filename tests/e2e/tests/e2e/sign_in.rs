//! Signing in to the dashboard with a real OpenID provider.

use faas_flow_e2e::command::faas_flow;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::servers::free_port;
use faas_flow_test_support::{modules, servers};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

const TOKEN: &str = "a token of more than sixteen";

/// The provider, which `cargo xtask setup` installs.
fn package() -> PathBuf {
    let setup = include_str!("../../../../xtask/src/tool.rs");
    let version = setup.split("\"oidc-provider\", \"").nth(1).and_then(|rest| rest.split('"').next());
    let folder = format!("tools/oidc-provider-{}", version.expect("a pinned version"));
    let folder = modules::cache().join(folder).join("node_modules/oidc-provider");
    assert!(folder.is_dir(), "{} is missing: run `cargo xtask setup --ci`", folder.display());
    folder
}

struct Provider {
    child: Child,
    /// Open as long as the provider writes to it.
    _said: BufReader<ChildStdout>,
    issuer: String,
}

impl Provider {
    fn start(redirects: &[String]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc_provider.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(package()).args(redirects).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut issuer = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut issuer).unwrap();
        Self { child, _said: said, issuer: issuer.trim().to_owned() }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser without scripts: it keeps cookies, and follows redirects one by one.
struct Browser {
    client: Client,
    /// By origin and name.
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    fn new() -> Self {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { client, cookies: BTreeMap::new() }
    }

    async fn ask(&mut self, method: Method, url: Url, body: &str) -> Response {
        let origin = url.origin().ascii_serialization();
        let of_origin = self.cookies.iter().filter(|((of, _), _)| *of == origin);
        let cookies: Vec<String> = of_origin.map(|((_, name), value)| format!("{name}={value}")).collect();
        let mut request =
            self.client.request(method, url).header("Accept", "text/html").header("Cookie", cookies.join("; "));
        if !body.is_empty() {
            request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        for set in response.headers().get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert((origin.clone(), name.to_owned()), value.to_owned());
        }
        response
    }

    /// Follows redirects until there is a page: its address, status and text.
    async fn follow(&mut self, mut response: Response) -> (Url, u16, String) {
        for _ in 0..10 {
            let Some(to) = response.headers().get("location") else { break };
            let to = response.url().join(to.to_str().unwrap()).unwrap();
            response = self.ask(Method::GET, to, "").await;
        }
        (response.url().clone(), response.status().as_u16(), response.text().await.unwrap())
    }

    async fn open(&mut self, url: &str) -> (Url, u16, String) {
        let response = self.ask(Method::GET, url.parse().unwrap(), "").await;
        self.follow(response).await
    }

    async fn send(&mut self, url: Url, form: &str) -> (Url, u16, String) {
        let response = self.ask(Method::POST, url, form).await;
        self.follow(response).await
    }

    /// Opens a page of the dashboard and signs in on the way.
    async fn sign_in(&mut self, url: &str, name: &str) -> (Url, u16, String) {
        let (login, _, page) = self.open(url).await;
        assert!(page.contains("password"), "{login}: {page}");
        let (consent, _, page) = self.send(login, &format!("prompt=login&login={name}&password=x")).await;
        assert!(page.contains("consent"), "{consent}: {page}");
        self.send(consent, "prompt=consent").await
    }
}

/// A server with a store, and dashboards of it behind which it stands.
struct Cluster {
    folder: TempDir,
    server: Server,
    store: String,
    _redis: servers::Server,
}

impl Cluster {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
        fs::write(folder.path().join("secrets/faasflow-oidc-secret"), "a secret: with /?&% in it\n").unwrap();
        let redis = servers::redis(&[]);
        let store = format!("redis://127.0.0.1:{}", redis.port());
        let serve = Serve::flows(&["greet"]).with("--secrets", "secrets");
        let serve = serve.with("--state-store", &store).with("--data-store", &store);
        let server = serve.start_in(folder.path());
        Self { folder, server, store, _redis: redis }
    }

    fn dashboard(&self, issuer: &str, address: &str) -> Server {
        let mut command = faas_flow(self.folder.path());
        command.args(["dashboard", "--listen", address, "--secrets", "secrets", "--cache", address]);
        command.args(["--state-store", &self.store, "--data-store", &self.store, "--gateway", &self.server.url("")]);
        command.args(["--dashboard-url", &format!("http://{address}"), "--oidc-issuer", issuer]);
        command.args(["--oidc-client-id", "dashboard", "--oidc-right", "groups=operators: control"]);
        command.args(["--oidc-right", "groups=guests: see"]);
        Server::start(command)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_a_provider_and_do_what_their_groups_may() {
    let cluster = Cluster::start();
    let addresses = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let redirects = addresses.clone().map(|address| format!("http://{address}/sign-in/callback"));
    let provider = Provider::start(&redirects);
    let dashboards = addresses.clone().map(|address| cluster.dashboard(&provider.issuer, &address));
    let run = cluster.server.result("greet", "Ada").await.id.unwrap();
    let page = format!("http://{}/runs/{run}", addresses[0]);

    let mut operator = Browser::new();
    let (at, status, shown) = operator.sign_in(&page, "operator-1").await;
    assert_eq!((at.as_str(), status), (page.as_str(), 200), "{shown}");
    assert!(shown.contains("operator-1@example.com") && shown.contains("Sign out"), "{shown}");
    let flow = format!("http://{}/flows/greet", addresses[0]);
    let (_, _, shown) = operator.open(&flow).await;
    let ticket = shown.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let begin = format!("{flow}/run").parse().unwrap();
    let (at, status, shown) = operator.send(begin, &format!("ticket={ticket}&body=Bob&reason=why+not")).await;
    assert!(at.path().starts_with("/runs/") && status == 200, "{at}: {shown}");

    // Another replica takes the session, and a program the token.
    let session = operator.cookies.iter().find(|((_, name), _)| name == "faasflow-session").unwrap();
    let cookie = format!("{}={}", session.0.1, session.1);
    let other = dashboards[1].client.get(dashboards[1].url("/audit")).header("Accept", "application/json");
    let audit: Value = serde_json::from_str(&dashboards[1].send(other.header("Cookie", &cookie)).await.ok()).unwrap();
    let entry = &audit["entries"][0];
    let told = ["action", "who", "via", "reason", "outcome"].map(|name| entry[name].as_str().unwrap_or_default());
    assert_eq!(told, ["start", "operator-1@example.com", "sign-in", "why not", "done"]);
    dashboards[0].get("/").await.failed(401, "FF0506");
    let forged = format!("{}x", cookie);
    let request = dashboards[0].client.get(dashboards[0].url("/")).header("Accept", "application/json");
    dashboards[0].send(request.header("Cookie", forged)).await.failed(401, "FF0506");

    let (_, status, shown) = operator.send(format!("http://{}/sign-out", addresses[0]).parse().unwrap(), "x=y").await;
    assert!(status == 200 && shown.contains("signed out"), "{shown}");
    let (at, ..) = operator.open(&page).await;
    assert!(at.as_str().starts_with(&provider.issuer) || at.path() == "/runs/r" || at.as_str() == page, "{at}");

    let mut guest = Browser::new();
    let (_, status, shown) = guest.sign_in(&flow, "guest").await;
    assert!(status == 200 && !shown.contains("ticket"), "{shown}");
    let (_, status, shown) =
        guest.send(format!("{flow}/run").parse().unwrap(), &format!("ticket={ticket}&body=x")).await;
    assert!(status == 403 && shown.contains("FF0518"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_was_begun_elsewhere_leads_nowhere() {
    let cluster = Cluster::start();
    let address = format!("127.0.0.1:{}", free_port());
    let provider = Provider::start(&[format!("http://{address}/sign-in/callback")]);
    let dashboard = cluster.dashboard(&provider.issuer, &address);
    let callback = format!("http://{address}/sign-in/callback?code=x&state=y");
    let mut browser = Browser::new();
    let (_, status, shown) = browser.open(&callback).await;
    assert!(status == 401 && shown.contains("FF0502"), "{shown}");
    // A code that the provider has not given.
    let begun = browser.ask(Method::GET, format!("http://{address}/sign-in").parse().unwrap(), "").await;
    let at: Url = begun.headers()["location"].to_str().unwrap().parse().unwrap();
    let state = at.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    assert!(at.query_pairs().any(|(name, value)| name == "code_challenge_method" && value == "S256"), "{at}");
    let (_, status, shown) = browser.open(&format!("http://{address}/sign-in/callback?code=x&state={state}")).await;
    assert!(status == 502 && shown.contains("FF0519"), "{shown}");
    dashboard.get("/").await.failed(401, "FF0506");
}

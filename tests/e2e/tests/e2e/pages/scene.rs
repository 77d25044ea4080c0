//! A local server, and the page of an attacker.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::Html;
use axum::routing::get;
use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, modules};
use serde_json::Value;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A page whose script marks it, if it is executed.
pub const PAGE: &str = "<!doctype html><title>harmless</title><p>shown</p><script>document.title = 'executed'</script>";
/// The functions of an attacker's page. Each ends when the browser has an answer of any kind.
pub const TOOLS: &str = "
    const ended = (element, place) => new Promise(done => {
        element.onload = element.onerror = () => done('ended');
        place.append(element);
    });
    const with_ = (name, fields) => Object.assign(document.createElement(name), fields);
    const image = url => ended(with_('img', { src: url }), document.body);
    const style = url => ended(with_('link', { rel: 'stylesheet', href: url }), document.head);
    const link = href => document.body.append(with_('a', { href, textContent: 'a link' }));
    const frame = url => ended(with_('iframe', { src: url }), document.body);
    const form = (method, action) => {
        const target = with_('iframe', { name: 'target' });
        const form = with_('form', { method, action, target: 'target' });
        document.body.append(target, form);
        const sent = new Promise(done => target.onload = () => done('ended'));
        form.submit();
        return sent;
    };
    const send = (method, url, body) => fetch(url, { method, body, mode: 'no-cors' }).then(() => 'ended', () => 'failed');
    const read = url => fetch(url).then(answer => answer.text()).catch(() => null);
    ";

/// A local server, with a run that waits and a function whose calls are counted; and the site of an attacker.
pub struct Scene {
    pub folder: TempDir,
    pub server: Server,
    /// The attacker's site, by its port.
    pub site: String,
    pub calls: Arc<AtomicUsize>,
}

/// What an attack may change.
#[derive(Debug, PartialEq)]
pub struct Effects {
    pub waiting_run: String,
    pub runs: usize,
    pub calls: usize,
}

impl Scene {
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let module = fs::read(modules::module("greet")).unwrap();
        let counted = calls.clone();
        let count = async move || {
            counted.fetch_add(1, Ordering::Relaxed);
            "counted"
        };
        let site = Router::new()
            .route("/", get(async || Html("<!doctype html><body>an attacker's page</body>")))
            .route("/module", get(async || ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], module)))
            .route("/count", axum::routing::any(count))
            .route("/html", axum::routing::any(async || ([(CONTENT_TYPE, "text/html")], PAGE)))
            .route("/wait", axum::routing::any(std::future::pending::<Bytes>));
        let site = double::serve(site).await;
        let page = script(folder.path(), "page.sh", &format!("cat <<'END'\n{PAGE}\nEND"));
        let url = |path: &str| format!("{site}/{path}");
        let server = Serve::flows(&["async-chain", "greet"]).function("func1", url("wait")).function("func2", "echo");
        let server = server.function("count", url("count")).function("html", url("html")).function("page", page);
        let server = server.function("fake-storage", "echo").with("--call-timeout", "1h").start_in(folder.path());
        let waits = server.request("/function/async-chain", "hi").header("X-Faas-Flow-Reqid", "waits");
        assert_eq!(server.send(waits).await.status, 202);
        let site = site.split_once("127.0.0.1:").unwrap().1.to_owned();
        Self { folder, server, site, calls }
    }

    pub async fn effects(&self) -> Effects {
        let json = async |path: &str| -> Value {
            let request = self.server.client.get(self.server.url(path)).header("Accept", "application/json");
            serde_json::from_str(&self.server.send(request).await.ok()).unwrap()
        };
        Effects {
            waiting_run: json("/function/async-chain/flow/waits/state").await["state"].as_str().unwrap().to_owned(),
            runs: json("/dashboard/flows/async-chain").await["runs"].as_array().unwrap().len(),
            calls: self.calls.load(Ordering::Relaxed),
        }
    }

    /// Opens a page in the browser, and waits until it is what the browser shows.
    pub async fn until_shown(&self, browser: &Browser, path: &str) {
        let shown = "return [location.href, document.readyState]";
        let url = self.server.url(path);
        until("the browser shows the answer", async || {
            browser.script(shown).await == serde_json::json!([url, "complete"])
        })
        .await;
    }
}

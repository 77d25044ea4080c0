//! Secrets, tokens and payloads appear in no log and in no error, at any log level.

use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use faas_flow_test_support::s3;
use faas_flow_test_support::servers;
use std::fs;
use tempfile::TempDir;

/// Every secret, token and payload contains this, and nothing else does.
const MARK: &str = "dont-tell-";
/// The secret key of the tests' S3 server.
const S3_SECRET: &str = "well-hidden";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_payload_or_token_is_logged_or_said_in_an_error() {
    let folder = TempDir::new().unwrap();
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    for name in ["faasflow-hmac-secret", "faasflow-hmac-secret-previous", "faasflow-admin-token"] {
        fs::write(secrets.join(name), format!("{MARK}{name}-0123456789abcdef")).unwrap();
    }
    let mut redis = servers::redis(&["--requirepass", &format!("{MARK}password")]);
    let state = format!("redis://:{MARK}password@127.0.0.1:{}", redis.port());
    let s3 = s3::Server::start().await;
    s3.secret("s3-access-key", "somebody");
    let data = s3.url("bucket", "");
    let fails = script(folder.path(), "fails.sh", "cat >&2; exit 1");
    let parrot = parrot().await;
    let function = |func1: &str| {
        let serve = Serve::replica("sync-chain")
            .with("--state", &state)
            .with("--secrets", "secrets")
            .with("--data-store", &data);
        // Every payload goes to S3.
        let serve = serve.with("--inline-limit", "1").with("--callback-host", "127.0.0.1");
        let serve = serve.with("--healthcheck-interval", "0").function("func1", func1).function("func2", "echo");
        let mut command = serve.command_in(folder.path());
        command.env("RUST_LOG", "trace");
        command
    };
    let mut log = String::new();
    for func1 in ["echo", &fails.display().to_string(), &parrot] {
        let mut server = Server::start(function(func1));
        let ask = async |path: &str| {
            let request = server.request(path, format!("{MARK}payload"));
            let request =
                request.header("Authorization", format!("Bearer {MARK}token")).header("X-Own", format!("{MARK}own"));
            server.send(request.header("X-Hub-Signature", format!("sha1={MARK}signature"))).await
        };
        let calls_back = async |url: String| {
            let request = server.request("/", format!("{MARK}payload"));
            server.send(request.header("X-Faas-Flow-Callback-Url", url)).await
        };
        let query = format!("/?key={MARK}query");
        let answers = [
            ask(&query).await,
            server.send(server.request("/", format!("{MARK}payload")).header("X-Faas-Flow-Reqid", "chosen")).await,
            calls_back(format!("{parrot}/called?token={MARK}callback")).await,
            calls_back(format!("http://ann:{MARK}password@127.0.0.1/?token={MARK}callback")).await,
            ask("/flow/unknown/stop").await,
            ask("/flow/unknown/forward").await,
            ask(&format!("/nowhere?key={MARK}query")).await,
        ];
        until("the callback fails, and that is logged", async || server.log().contains("callback failed")).await;
        redis.kill();
        let away = [ask("/flow/unknown/forward").await, server.get("/flow/unknown/state").await];
        redis.run();
        for answer in answers.iter().chain(&away).filter(|answer| answer.code.is_some()) {
            assert!(!answer.body.contains(MARK), "{answer:?}");
        }
        assert_eq!(away[1].code.as_deref(), Some("FF0306"));
        assert_eq!(answers[0].status == 200, func1 == "echo", "{answers:?}");
        server.terminate();
        assert_eq!(server.end().await, Some(0));
        log.push_str(&server.log());
    }
    assert!(
        log.contains("TRACE") && log.contains("answered") && s3.seen().iter().any(|seen| seen.starts_with("PUT")),
        "{log}"
    );
    let told: Vec<&str> = log.lines().filter(|line| line.contains(MARK) || line.contains(S3_SECRET)).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// A function that fails, with its input as the message.
async fn parrot() -> String {
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    let repeats = axum::Router::new().fallback(async move |body: String| (status, body));
    double::serve(repeats).await
}

//! Metrics, as Prometheus reads them.

use faas_flow_e2e::server::Serve;
use faas_flow_e2e::wait::until;
use faas_flow_test_support::servers;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A Prometheus that reads the metrics of this address, with the alert rules of the chart.
fn prometheus(address: &str) -> servers::Server {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/chart/files/alerts.yaml");
    let config = format!(
        "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
         rule_files: ['{}']\n\
         scrape_configs:\n\
         - {{job_name: flows, metrics_path: /_/metrics, static_configs: [{{targets: ['{address}']}}]}}\n",
        rules.display()
    );
    servers::Server::start("prometheus", move |port, folder| {
        let file = folder.join("prometheus.yml");
        fs::write(&file, &config).unwrap();
        let data = folder.join("data");
        [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--enable-feature=exemplar-storage".to_owned(),
        ]
        .to_vec()
    })
}

/// Has `promtool check metrics` look at a document in Prometheus' text format.
fn check(metrics: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by `cargo xtask setup --ci`");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{metrics}");
}

#[tokio::test]
async fn prometheus_reads_them_and_has_a_trace_for_each_bucket_and_accepts_the_alert_rules() {
    // The tracing server is away, which harms nobody.
    let serve = Serve::flows(&["fixture", "greet"]).flag("--enable-tracing");
    let server = serve.with("--trace-server", "http://127.0.0.1:9").start();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let answer = server.send(server.request("/function/greet", "you").header("traceparent", parent)).await;
    // Who asks for a run waits until its history is written.
    server.get(&format!("/function/greet/flow/{}/state", answer.id.clone().unwrap())).await.ok();
    answer.ok();
    server.result("fixture?case=logs", "").await.ok();
    // The permit of a node is free a moment after its run has ended.
    let metrics = async || server.get("/_/metrics").await.ok();
    until("no node is executed", async || metrics().await.contains("\nfaas_flow_nodes_executing 0\n")).await;
    let metrics = metrics().await;
    check(&metrics);
    assert!(!metrics.contains("trace_id"), "{metrics}");
    for line in [
        "faas_flow_run_duration_seconds_count{flow=\"greet\",end=\"succeeded\"} 1",
        "faas_flow_node_duration_seconds_count{flow=\"fixture\",node=\"n\",end=\"done\"} 1",
        "faas_flow_handler_duration_seconds_count{flow=\"fixture\"} 1",
        "faas_flow_stored_runs{flow=\"greet\",status=\"succeeded\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    let asked = server.client.get(server.url("/_/metrics")).header("Accept", "application/openmetrics-text");
    let answer = server.send(asked).await;
    assert_eq!(answer.header("content-type"), ["application/openmetrics-text; version=1.0.0; charset=utf-8"]);
    assert!(answer.ok().ends_with("\n# EOF\n"));

    let address = server.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let prometheus = prometheus(&address);
    let ask = async |path: &str| {
        let url = format!("{}/api/v1/{path}", prometheus.url("http"));
        let answer = server.client.get(url).send().await.unwrap().text().await.unwrap();
        // It answers with a text until it is ready.
        serde_json::from_str::<Value>(&answer).unwrap_or_default()["data"].clone()
    };
    until("Prometheus has read the metrics", async || {
        ask("query?query=faas_flow_run_duration_seconds_count").await["result"]
            .as_array()
            .is_some_and(|it| it.len() == 2)
    })
    .await;
    let exemplars = "query_exemplars?query=faas_flow_run_duration_seconds_bucket&start=0&end=9999999999";
    until("Prometheus has the trace", async || ask(exemplars).await.to_string().contains(trace)).await;
    let targets = ask("targets").await;
    assert_eq!(targets["activeTargets"][0]["health"], "up", "{targets}");
    until("the rules were evaluated", async || {
        let rules = ask("rules").await;
        let rules = rules["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        rules.len() > 10 && rules.iter().all(|rule| rule["health"] == "ok")
    })
    .await;
}

#[tokio::test]
async fn retries_waits_and_failed_calls_are_counted_by_node() {
    let server = Serve::flows(&["sync-chain"])
        .function("func1", "http://127.0.0.1:9")
        .function("func2", "http://127.0.0.1:9")
        .start();
    let answer = server.result("sync-chain", "hi").await;
    assert!(answer.status >= 400, "{}", answer.status);
    let metrics = server.get("/_/metrics").await.ok();
    check(&metrics);
    let failed = metrics.lines().find(|line| {
        line.starts_with("faas_flow_call_duration_seconds_count{flow=\"sync-chain\"") && line.contains("end=\"failed\"")
    });
    assert!(failed.is_some(), "{metrics}");
    assert!(
        metrics.contains("faas_flow_run_duration_seconds_count{flow=\"sync-chain\",end=\"failed\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("\nfaas_flow_retries_waiting 0\n"), "{metrics}");
}

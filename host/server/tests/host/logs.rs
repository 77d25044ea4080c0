//! What the host logs about a run, as objects.

use crate::history::Unreachable;
use crate::slow::Slow;
use faas_flow_core::FlowName;
use faas_flow_core::run::Request;
use faas_flow_gateway::log::Json;
use faas_flow_guest::{Guests, Limits};
use faas_flow_replica::{Function, Functions, Host, Parts, Settings, Submission, Waits};
use faas_flow_store::open_data;
use faas_flow_test_support::modules::module;
use faas_flow_versions::load_flow;
use serde_json::Value;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

/// What was written so far.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The lines about a run, without what differs from time to time; those that follow each other and are alike only once.
    fn about(&self, run: &str, digest: &str) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines: Vec<String> = Vec::new();
        for mut object in objects.filter(|object| object["run"] == run) {
            let fields = object.as_object_mut().unwrap();
            fields.remove("timestamp").unwrap();
            fields.remove("tries");
            lines.push(object.to_string().replace(digest, "DIGEST").replace(run, "RUN"));
        }
        lines.dedup();
        lines.join("\n")
    }
}

#[tokio::test(start_paused = true)]
async fn lines_about_runs_and_nodes_have_all_that_identifies_them() {
    let written = Written::default();
    let (writer, layer) = (written.clone(), fmt::layer().event_format(Json));
    let logs = tracing_subscriber::registry().with(layer.with_writer(move || writer.clone()));
    let _logs = tracing::subscriber::set_default(logs);
    let guests = Arc::new(Guests::new(Limits { tick: Duration::from_secs(3600), ..Limits::default() }, None).unwrap());
    let name = FlowName::new("fixture").unwrap();
    let flow = load_flow(guests, &module("fixture"), Some(name.clone())).await.unwrap();
    let digest = flow.digest().to_string();
    let settings = Settings { longest_sleep: Duration::ZERO, ..Settings::default() };
    let step = Function::parse("step=http://127.0.0.1").unwrap();
    let functions = Functions::new([step], None, &settings, Arc::new(Unreachable));
    let host = Host::new(Parts::new(settings, Slow::away().await, open_data("memory").await.unwrap(), functions));
    host.versions().deploy(flow);
    // Its call fails, and it may not wait for its next try without being stored.
    let query = vec![("case".to_owned(), "values-of-attempts".to_owned())];
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = vec![("traceparent".to_owned(), traceparent.to_owned())];
    let submission = Submission { request: Request { query, headers }, ..Submission::default() };
    let submitted = host.submit(&name, submission, Waits::ForOneNode).await.unwrap();
    let lines = || written.about(submitted.id.as_str(), &digest);
    assert!(submitted.end(Duration::from_secs(3600)).await.unwrap().is_some(), "{}", lines());
    let is_told = async {
        while !lines().contains("history") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), is_told).await.expect("the history cannot be written");
    insta::assert_snapshot!(lines());
}

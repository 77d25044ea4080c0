//! A flow: its picture, and its latest runs.

use super::Dashboard;
use super::flows::table;
use super::page::Page;
use crate::Error;
use crate::graph::{Format, escaped, render};
use faas_flow_core::{Code, Digest, FlowName};
use faas_flow_store::RunQuery;
use serde_json::json;

/// The latest runs that are listed.
const LISTED: usize = 100;

impl Dashboard {
    pub(super) async fn flow(&self, flow: &FlowName) -> Result<Page, Error> {
        let runs = self.host.state().runs(&RunQuery { flow: Some(flow.clone()), status: None, limit: LISTED }).await?;
        let served = self.host.flow(flow).map(|served| served.module.digest().clone());
        let version: Option<Digest> = served.or_else(|| runs.first().map(|run| run.digest.clone()));
        let Some(version) = version else {
            return Err(Error::new(
                Code::FLOW_UNKNOWN,
                format!("the dashboard knows no flow `{flow}`: it has no runs yet"),
            ));
        };
        let picture = match self.definitions.of(flow, &version).await {
            Ok(definition) => {
                format!("<div class=\"picture\">{}</div>", render(&definition, flow.as_str(), Format::Svg))
            }
            Err(error) => format!("<p class=\"quiet\">No picture: {}</p>", escaped(&error.to_string())),
        };
        let list = match runs.is_empty() {
            true => "<p class=\"quiet\">No runs yet.</p>".to_owned(),
            false => table(runs.iter(), "../", self.host.now()),
        };
        let main = format!(
            "<h1>{}</h1>\n<p class=\"quiet\">version <code>{}</code></p>\n{picture}\n<h1>Latest runs</h1>\n{list}",
            escaped(flow.as_str()),
            version.short()
        );
        let entries: Vec<_> = runs
            .iter()
            .map(|run| {
                json!({
                    "request_id": run.run, "status": run.status, "digest": run.digest,
                    "started": run.started, "ended": run.ended,
                })
            })
            .collect();
        let json = json!({ "flow": flow, "version": version, "runs": entries });
        let trail = vec![("flows".to_owned(), "../".to_owned())];
        Ok(Page { title: flow.to_string(), trail, main, live: true, depth: 2, json })
    }
}

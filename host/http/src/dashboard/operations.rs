//! What the operations of a node got and yielded, on the page of the node.

use super::Dashboard;
use super::node::Drawn;
use super::page::{Size, time};
use super::payload::preview;
use crate::OperationPayload;
use crate::payload_access::{Admitted, ShownOperation, ShownOperations, ShownPreview};
use faas_flow_core::{NodePath, RunId};
use faas_flow_graph::escaped;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many of the latest pieces of data are shown.
const PIECES: usize = 100;
/// Up to how many of them are unfolded.
const UNFOLDED: usize = 12;

impl Dashboard {
    /// What is kept of the operations of a node; answers with the same for programs, without the data.
    pub(super) async fn operations(
        &self,
        drawn: &mut Drawn,
        (run, node): (&RunId, &NodePath),
        admitted: Admitted<'_>,
    ) -> Value {
        drawn.html.push_str("<section id=\"operations\">\n<h2>Operations</h2>\n");
        let json = match admitted.operations(&self.host, run, node).await {
            Ok(shown) => {
                drawn.html.push_str(&pieces(&shown));
                let list = shown.list.into_iter().map(|one| {
                    let payload = OperationPayload::from(one);
                    OperationPayload { text: None, base64: None, ..payload }
                });
                json!({ "dropped": shown.dropped, "data": list.collect::<Vec<_>>() })
            }
            Err(error) => {
                drawn.failed(&error);
                Value::Null
            }
        };
        drawn.html.push_str("</section>\n");
        json
    }
}

fn pieces(shown: &ShownOperations) -> String {
    let mut html = String::new();
    if shown.dropped > 0 {
        let _ = writeln!(
            html,
            "<p class=\"quiet\">{} pieces of data were not kept, since they exceed run_payloads.</p>",
            shown.dropped
        );
    }
    let earlier = shown.list.len().saturating_sub(PIECES);
    if earlier > 0 {
        let _ = writeln!(html, "<p class=\"quiet\">{earlier} earlier pieces of data are not shown here.</p>");
    }
    let open = if shown.list.len() <= UNFOLDED { " open" } else { "" };
    let mut before: Option<&ShownPreview> = None;
    for one in shown.list.iter().skip(earlier) {
        let is_same =
            before.is_some_and(|before| before.content == one.preview.content && before.size == one.preview.size);
        let _ = write!(
            html,
            "<details{open}><summary>{}</summary>\n{}</details>\n",
            whose(one),
            data(&one.preview, is_same)
        );
        before = Some(&one.preview);
    }
    html
}

/// Whose data it is: `operation 0: apply wc, try 2, output, status 503`.
fn whose(ShownOperation { data, .. }: &ShownOperation) -> String {
    let mut facts = Vec::new();
    facts.extend(data.operation.map(|index| format!("operation {index}")));
    let target = data.target.as_ref().map_or(String::new(), |target| format!(" <code>{}</code>", escaped(target)));
    facts.push(format!("{}{target}", data.kind.as_str()));
    facts.extend(data.number.map(|number| format!("try {number}")));
    facts.extend((data.attempt > 1).then(|| format!("attempt {}", data.attempt)));
    let of = if data.of > 1 { format!(" (of {})", data.of) } else { String::new() };
    let of = if data.from.is_empty() { of } else { format!(" <code>{}</code>{of}", escaped(&data.from)) };
    facts.push(format!("<b>{}</b>{of}", data.side.as_str()));
    facts.extend(data.status.map(|status| format!("status {status}")));
    facts.push(time(data.at));
    facts.join(" · ")
}

fn data(ShownPreview { content, size, is_redacted, withheld }: &ShownPreview, is_same: bool) -> String {
    let hidden = if *is_redacted { " · parts of it are hidden (<code>***</code>)" } else { "" };
    let (kind, all) = (escaped(content.media_type.as_str()), Size(*size));
    if let Some(why) = withheld {
        return format!("<p class=\"quiet\"><code>{kind}</code> · {all} · not shown: {}</p>\n", escaped(why));
    }
    if is_same {
        return format!("<p class=\"quiet\"><code>{kind}</code> · {all}, the same as before</p>\n");
    }
    let kept = content.bytes.len() as u64;
    let cut = if kept < *size { format!(", of which the first {} are kept", Size(kept)) } else { String::new() };
    format!("<p class=\"quiet\"><code>{kind}</code> · {all}{cut}{hidden}</p>\n{}", preview(content))
}

//! The conformance flow in Rust: the query parameter `case` selects a case. The flows in the other languages have the same
//! cases, in files of the same names.

mod calls;
mod constructs;
mod context;
mod data;
mod failures;

use faas_flow::{Context, Failed, Failure, Inputs, Result, Workflow, flow};

/// Describes the case that the request selects.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let case = context.query("case").concat();
    if case.is_empty() {
        // The host asks for a definition without a request when it loads the module.
        workflow.dag().node("n");
        return Ok(());
    }
    let known = constructs::define(&case, workflow, context)
        || calls::define(&case, workflow)
        || context::define(&case, workflow, context)
        || failures::define(&case, workflow, context)
        || data::define(&case, workflow, context);
    if known { Ok(()) } else { Err(format!("there is no case `{case}`").into()) }
}

flow!(crate::define);

/// Adds a text to the data.
fn add(text: &'static str) -> impl Fn(Vec<u8>) -> Result<Vec<u8>> {
    move |data| Ok([data.as_slice(), text.as_bytes()].concat())
}

/// `[a=1, b=2]`
fn join(inputs: Inputs) -> Result<Vec<u8>> {
    let parts: Vec<_> = inputs.iter().map(|(name, data)| [name.as_bytes(), b"=", data].concat()).collect();
    Ok([b"[", parts.join(&b", "[..]).as_slice(), b"]"].concat())
}

/// An item for each word, with the word as its key.
fn words(data: Vec<u8>) -> Result<Vec<(String, String)>> {
    Ok(text(&data).split_whitespace().map(|word| (word.to_owned(), word.to_owned())).collect())
}

/// Rejects the data.
fn refuse(data: Vec<u8>) -> Result<Vec<u8>> {
    Err(Failure::reject(format!("no {}", text(&data))))
}

/// Rejects data that begins with `bad`.
fn picky(data: Vec<u8>) -> Result<Vec<u8>> {
    if data.starts_with(b"bad") { refuse(data) } else { Ok(data) }
}

/// All that is known of a failure.
fn shown(failed: Failed) -> Result<String> {
    let status = failed.status().map_or("none".to_owned(), |status| status.to_string());
    let body = failed.body().map_or("none".to_owned(), text);
    let (kind, input) = (kind(&failed), text(failed.input()));
    let (code, path, tries, message) = (failed.code(), failed.path(), failed.tries(), failed.message());
    Ok(format!("{code} {kind} at {path}, tries {tries}, status {status}, input {input}, body {body}: {message}"))
}

fn kind(failed: &Failed) -> &'static str {
    use faas_flow::FailureKind as Kind;
    match failed.kind() {
        Kind::Rejected => "rejected",
        Kind::Answered => "answered",
        Kind::Unreachable => "unreachable",
        Kind::TimedOut => "timed-out",
        Kind::Crashed => "crashed",
        Kind::Child => "child",
        _ => "other",
    }
}

/// The state of the run, as all languages write it.
fn state(context: &Context) -> String {
    format!("{:?}", context.state()).to_lowercase()
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

//! The page behind the address of a signal. It needs no script, loads nothing, and cannot be embedded.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_flow_core::{Code, Content, FlowName, MediaType, Millis, RunId, SignalName, moment};
use faas_flow_graph::escaped;
use serde_json::{Map, Value};

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:10vh auto;padding:0 1rem;\
color:#1c2128;background:#fff}h1{font-size:1.4rem}dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem}\
dt{color:#57606a}dd{margin:0;overflow-wrap:anywhere}label{display:block;margin-top:1rem}\
textarea{box-sizing:border-box;width:100%;min-height:5rem;font:inherit;padding:.5rem;border:1px solid #8c959f;\
border-radius:6px;background:inherit;color:inherit}button{font:inherit;padding:.5rem 1.4rem;border-radius:6px;\
border:1px solid #8c959f;margin:1rem .6rem 0 0;cursor:pointer;background:#f6f8fa;color:#1c2128}\
button.approve{background:#1a7f37;border-color:#1a7f37;color:#fff}.quiet{color:#57606a;font-size:.9rem}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}dt,.quiet{color:#9198a1}}";

/// The page with which somebody approves or rejects.
pub(super) fn form(flow: &FlowName, run: &RunId, signal: &SignalName, expires: Millis) -> Response {
    let until = moment(expires).replace('T', " ").replace('Z', " UTC");
    let main = format!(
        "<h1>{flow} waits for your decision</h1>\
         <dl><dt>Signal</dt><dd>{signal}</dd><dt>Request</dt><dd>{run}</dd><dt>Valid until</dt><dd>{until}</dd></dl>\
         <form method=\"post\"><label for=\"comment\">Comment (optional)</label>\
         <textarea id=\"comment\" name=\"comment\" maxlength=\"4000\"></textarea>\
         <button class=\"approve\" name=\"decision\" value=\"approve\">Approve</button>\
         <button name=\"decision\" value=\"reject\">Reject</button></form>\
         <p class=\"quiet\">This address works once. Anyone who has it can decide, so do not share it.</p>"
    );
    page(StatusCode::OK, &format!("{flow}: {signal}"), &main)
}

/// The page behind the form.
pub(super) fn thanks(signal: &SignalName) -> Response {
    let main =
        format!("<h1>Thank you</h1><p>Your answer to <b>{signal}</b> has been stored. You can close this page.</p>");
    page(StatusCode::OK, "Thank you", &main)
}

/// The page that says why nothing was sent.
pub(super) fn refusal(status: StatusCode, code: Code, text: &str) -> Response {
    let main = format!("<h1>Nothing was sent</h1><p>{}</p><p class=\"quiet\">{code}</p>", escaped(text));
    page(status, "Nothing was sent", &main)
}

fn page(status: StatusCode, title: &str, main: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{}</title><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head>\n<body><main>{main}</main></body></html>\n",
        escaped(title)
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // The address is a secret.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, html).into_response()
}

/// The fields of a form as a JSON object of texts. Of fields with the same name, the last one counts.
pub(super) fn fields(form: &Bytes) -> Content {
    let fields =
        form_urlencoded::parse(form).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
    let object = Value::Object(fields.collect::<Map<_, _>>());
    let media_type = MediaType::parse("application/json").unwrap_or_default();
    Content::new(object.to_string(), media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_json_object() {
        let content = fields(&Bytes::from_static(b"comment=a+%22b%22%0D%0Ac&decision=approve"));
        assert_eq!(&content.bytes[..], br#"{"comment":"a \"b\"\r\nc","decision":"approve"}"#);
        assert_eq!(content.media_type.as_str(), "application/json");
    }
}

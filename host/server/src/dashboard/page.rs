//! What all pages share: the frame around them, words for times, and answers in HTML and JSON.

use crate::http::Caller;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use faas_flow_core::{Millis, ShownDuration, Status, moment};
use faas_flow_graph::escaped;
use faas_flow_replica::Error;
use serde_json::{Value, json};
use std::fmt::{self, Display};
use std::time::Duration;

/// A page, twice.
pub(super) struct Page {
    pub title: String,
    /// What leads up from here: names and relative links.
    pub trail: Vec<(String, String)>,
    /// HTML, which is renewed where the page changes by itself.
    pub main: String,
    /// HTML below it, which stays.
    pub aside: String,
    /// Whether it changes by itself.
    pub live: bool,
    pub json: Value,
}

impl Page {
    /// So many folders lie above it.
    pub fn of_error(error: &Error, depth: usize) -> Self {
        let (code, message) = (error.code().to_string(), error.to_string());
        let main = format!(
            "<section class=\"card error\"><h1>{code}</h1><p>{}</p><p class=\"quiet\"><code>faas-flow explain {code}</code> \
             says more.</p></section>",
            escaped(&message)
        );
        let up = up(depth);
        let trail = vec![("flows".to_owned(), if up.is_empty() { "./".to_owned() } else { up })];
        let json = json!({ "code": code, "message": message });
        Self { title: code, trail, main, aside: String::new(), live: false, json }
    }

    /// So many folders lie above it.
    pub fn answer(self, caller: Caller, depth: usize) -> Response {
        match caller {
            Caller::Json => ([(header::CONTENT_TYPE, "application/json")], self.json.to_string()).into_response(),
            Caller::Text => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], self.html(depth)).into_response(),
        }
    }

    fn html(&self, depth: usize) -> String {
        let (up, title, main, aside) = (up(depth), escaped(&self.title), &self.main, &self.aside);
        let live = if self.live { " data-live=\"yes\"" } else { "" };
        let trail =
            self.trail.iter().map(|(name, link)| format!("<a href=\"{}\">{}</a>", escaped(link), escaped(name)));
        let trail: String = trail.collect::<Vec<_>>().join(" / ");
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title} · faas-flow</title><link rel=\"icon\" href=\"data:,\">\
             <link rel=\"stylesheet\" href=\"{up}style.css\"><script defer src=\"{up}live.js\"></script></head>\n\
             <body><header><strong>faas-flow</strong> <nav>{trail}</nav></header>\n<main{live}>\n{main}\n</main><aside>{aside}</aside></body></html>\n"
        )
    }
}

/// The way to the first page from one in this many folders.
fn up(depth: usize) -> String {
    "../".repeat(depth.saturating_sub(1))
}

/// A state as a badge.
pub(super) fn badge(status: Status) -> String {
    format!("<span class=\"badge {0}\">{0}</span>", status.as_str())
}

/// A moment in UTC, which machines read too.
pub(super) fn time(at: Millis) -> String {
    let at = moment(at);
    format!("<time datetime=\"{at}\">{}</time>", at.replace('T', " ").replace('Z', ""))
}

/// A duration, as short as it may be.
pub(super) struct Took(pub Millis);

impl Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ShownDuration(Duration::from_millis(self.0)).fmt(f)
    }
}

/// So many bytes.
pub(super) struct Size(pub u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1024 => write!(f, "{bytes} B"),
            bytes @ 1024..1_048_576 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            bytes => write!(f, "{:.1} MiB", bytes as f64 / 1_048_576.0),
        }
    }
}

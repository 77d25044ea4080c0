//! What all pages share: the frame around them, how times and sizes are written, and answers in HTML and JSON.

use super::Dashboard;
use crate::access::SEE_VERSIONS;
use crate::{Accept, Right, forwarded_prefix};
use axum::Extension;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::{Failure, Millis, ShownDuration, Status, moment};
use faas_flow_graph::escaped;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

/// How a page is to be shown.
#[derive(Debug, Clone)]
pub(super) struct View {
    accept: Accept,
    /// What its links to the dashboard's pages begin with: the way up to the first page.
    up: String,
    /// Whether who looks at it may change runs.
    buttons: bool,
    /// Whether who looks at it may push and activate versions.
    deploys: bool,
    /// Who has signed in.
    user: Option<String>,
    /// Whether who looks at it may see which versions there are.
    versions: bool,
}

impl View {
    /// What a request asks for, of a dashboard with this prefix.
    pub fn of(request: &Request, prefix: &str) -> Self {
        Self::new(request.headers(), request.uri().path(), prefix)
    }

    fn new(headers: &HeaderMap, path: &str, prefix: &str) -> Self {
        let depth = path.strip_prefix(prefix).unwrap_or_default().matches('/').count().saturating_sub(1);
        let up = match forwarded_prefix(headers) {
            // A proxy may have added the slash to which the links of the first page are relative.
            Some(removed) if depth == 0 => format!("{removed}{prefix}/"),
            _ => "../".repeat(depth),
        };
        Self { accept: Accept::of(headers), up, buttons: false, deploys: false, versions: false, user: None }
    }

    /// Whether who looks at the page may change runs, so that it has buttons.
    pub fn has_buttons(&self) -> bool {
        self.buttons
    }

    /// Whether who looks at the page may push and activate versions, so that it has buttons for that.
    pub fn deploys(&self) -> bool {
        self.deploys
    }

    /// Whether who looks at the page may see which versions there are.
    pub fn sees_versions(&self) -> bool {
        self.versions
    }

    /// The form that the caller reads.
    pub fn accept(&self) -> Accept {
        self.accept
    }

    /// The way up to the first page: empty, or with a slash at its end.
    pub fn up(&self) -> &str {
        &self.up
    }
}

impl FromRequestParts<Arc<Dashboard>> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, Infallible> {
        let buttons = dashboard.has_buttons() && dashboard.access.may(&parts.headers, Right::Control);
        let deploys = dashboard.has_buttons() && dashboard.access.may(&parts.headers, Right::Deploy);
        let user = dashboard.access.user(&parts.headers);
        let versions = dashboard.access.require(&parts.headers, SEE_VERSIONS).is_ok();
        let view = Self::new(&parts.headers, parts.uri.path(), dashboard.prefix);
        Ok(Self { buttons, deploys, versions, user, ..view })
    }
}

/// A page, as HTML and as JSON. One that costs much has only the form that the caller reads.
pub(super) struct Page {
    pub title: String,
    /// What leads up from here: names and relative links.
    pub trail: Vec<(String, String)>,
    /// HTML that is renewed if the page is live.
    pub main: String,
    /// HTML below it that is not renewed.
    pub aside: String,
    /// Whether what it shows may still change.
    pub live: bool,
    pub json: Value,
}

/// Kept with the answer that is a page: what `streams.rs` makes events of.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub main: Arc<str>,
    /// Whether it may still change.
    pub is_live: bool,
}

impl Page {
    /// A page that reports a failure.
    pub fn of_failure(failure: &Failure, view: &View) -> Self {
        let code = failure.code.to_string();
        let main = format!(
            "<section class=\"card error\"><h1>{code}</h1><p>{}</p><p class=\"quiet\">For details, run \
             <code>faas-flow explain {code}</code>.</p></section>",
            escaped(&failure.message)
        );
        let up = view.up();
        let trail = vec![("Flows".to_owned(), if up.is_empty() { "./" } else { up }.to_owned())];
        let json = json!({ "code": code, "message": failure.message });
        Self { title: code, trail, main, aside: String::new(), live: false, json }
    }

    /// The page in the form that the caller reads.
    pub fn answer(self, view: &View) -> Response {
        match view.accept {
            Accept::Json => ([(header::CONTENT_TYPE, "application/json")], self.json.to_string()).into_response(),
            Accept::Text => {
                let html = self.html(view);
                let rendered = Rendered { main: self.main.into(), is_live: self.live };
                let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
                (kind, Extension(rendered), html).into_response()
            }
        }
    }

    fn html(&self, view: &View) -> String {
        let Self { main, aside, .. } = self;
        let up = escaped(view.up());
        let title = escaped(&self.title);
        let live = if self.live { " data-live=\"yes\"" } else { "" };
        let trail =
            self.trail.iter().map(|(name, link)| format!("<a href=\"{}\">{}</a>", escaped(link), escaped(name)));
        let trail: String = trail.collect::<Vec<_>>().join(" / ");
        let user = view.user.as_ref().map_or(String::new(), |user| {
            let user = escaped(user);
            format!(
                "<form class=\"sign-out\" method=\"post\" action=\"{up}sign-out\">{user} <button class=\"small\">Sign out</button></form>"
            )
        });
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title} · faas-flow</title><link rel=\"icon\" href=\"data:,\">\
             <link rel=\"stylesheet\" href=\"{up}style.css\"><script defer src=\"{up}idiomorph.js\"></script>\
             <script defer src=\"{up}live.js\"></script></head>\n\
             <body><header><strong>faas-flow</strong> <nav aria-label=\"Breadcrumb\">{trail}</nav>{user}<span role=\"status\"></span></header>\n<main{live}>\n{main}\n</main><aside>{aside}</aside></body></html>\n"
        )
    }
}

/// A state as a badge.
pub(super) fn badge(status: Status) -> String {
    badge_of(status.as_str())
}

/// The word for a state of a run or a node as a badge.
pub(super) fn badge_of(word: &'static str) -> String {
    format!("<span class=\"badge {word}\">{word}</span>")
}

/// A moment in UTC, for people and machines.
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

/// A number of bytes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn links_lead_up_to_the_first_page_wherever_a_proxy_has_put_it() {
        let up = |path: &str, prefix: &str, removed: Option<&str>| {
            let removed = removed.map(|removed| (HeaderName::from_static("x-forwarded-prefix"), removed));
            let headers = removed.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
            View::new(&headers, path, prefix).up().to_owned()
        };
        assert_eq!(up("/", "", None), "");
        assert_eq!(up("/runs/r", "", None), "../");
        assert_eq!(up("/dashboard/runs/r", "/dashboard", Some("/x")), "../");
        assert_eq!(up("/", "", Some("/flows")), "/flows/");
        assert_eq!(up("/dashboard/", "/dashboard", Some("/x/")), "/x/dashboard/");
        assert_eq!(up("/", "", Some("//evil.example")), "");
    }
}

//! Signing in with a provider, and out again.

use super::Dashboard;
use super::error::Error;
use super::oidc::{Begun, Provider};
use super::sealed::{Cookie, Seal, Session};
use crate::Error as HttpError;
use crate::request::Query;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What signing in needs.
pub(super) struct SignIn {
    pub provider: Provider,
    pub seal: Seal,
}

/// The longest address of a page to come back to, in bytes.
const LONGEST: usize = 1000;

/// Leads to the provider: `?to=runs/r1`.
pub(super) async fn begin(State(dashboard): State<Arc<Dashboard>>, query: Query) -> Result<Response, HttpError> {
    let SignIn { provider, seal } = dashboard.sign_in()?;
    let to = query.first("to").filter(|to| is_page(to)).unwrap_or_default().to_owned();
    let (url, begun) = provider.begin(to).await?;
    let set = seal.set(Cookie::SignIn, &begun, dashboard.host.now());
    Ok(lead(url.into(), [set]))
}

/// Where the provider sends the browser back: `?code=…&state=…`.
pub(super) async fn end(
    State(dashboard): State<Arc<Dashboard>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let SignIn { provider, seal } = dashboard.sign_in()?;
    let now = dashboard.host.now();
    let begun: Option<Begun> = seal.open(Cookie::SignIn, &headers, now);
    let begun = begun.filter(|begun| query.first("state") == Some(begun.state.secret())).ok_or(Error::ExpiredSignIn)?;
    let Some(code) = query.first("code") else {
        let why = query.first("error").unwrap_or("without a code").escape_debug().take(100).collect::<String>();
        return Err(Error::SignIn { why: format!("it refused: {why}") }.into());
    };
    let to = format!("{}{}", provider.settings.dashboard_url, begun.to);
    let user = provider.end(begun, code.to_owned()).await?;
    tracing::info!(target: "audit", action = "sign-in", who = user.name, rights = %user.rights, "signed in");
    let session = seal.set(Cookie::Session, &Session::new(user.name, user.rights), now);
    Ok(lead(to, [session, seal.clear(Cookie::SignIn)]))
}

/// Ends the session.
pub(super) async fn out(State(dashboard): State<Arc<Dashboard>>, headers: HeaderMap) -> Result<Response, HttpError> {
    let SignIn { seal, .. } = dashboard.sign_in()?;
    if let Some(Session { name, .. }) = seal.open(Cookie::Session, &headers, dashboard.host.now()) {
        tracing::info!(target: "audit", action = "sign-out", who = name, "signed out");
    }
    let page = "<!doctype html><title>Signed out</title><p>You have signed out. <a href=\"./\">Sign in again</a></p>";
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    set_cookies(response.headers_mut(), [seal.clear(Cookie::Session)]);
    Ok(response)
}

impl Dashboard {
    fn sign_in(&self) -> Result<&SignIn, HttpError> {
        let none = || Error::NoPage { path: "/sign-in".to_owned() };
        Ok(self.access.sign_in.as_ref().ok_or_else(none)?)
    }
}

/// The address that leads to the provider, and afterwards to the page that was asked for.
pub(super) fn address(up: &str, prefix: &str, uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let page = path.strip_prefix(prefix).unwrap_or_default().trim_start_matches('/');
    let to: String = form_urlencoded::byte_serialize(page.as_bytes()).collect();
    format!("{up}sign-in?to={to}")
}

/// Whether an address is that of a page of the dashboard, relative to its first one: not of another server.
fn is_page(to: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && c != '\\';
    to.len() <= LONGEST
        && !to.starts_with('/')
        && to.chars().all(fits)
        && !to.split(['?', '#']).next().unwrap_or_default().contains("..")
}

fn lead(to: String, cookies: impl IntoIterator<Item = Option<HeaderValue>>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    set_cookies(response.headers_mut(), cookies);
    response
}

fn set_cookies(headers: &mut HeaderMap, cookies: impl IntoIterator<Item = Option<HeaderValue>>) {
    for cookie in cookies.into_iter().flatten() {
        headers.append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_back_to_pages_of_the_dashboard_only() {
        for good in ["", "runs/r1", "flows/greet?status=failed&label=a%2Fb"] {
            assert!(is_page(good), "{good}");
        }
        for bad in ["/evil.example", "//evil.example", "\\evil", "../x", "a/../../x", "a b", "a\r\nb"] {
            assert!(!is_page(bad), "{bad}");
        }
        let uri = "/dashboard/runs/r1?failed=true".parse().unwrap();
        assert_eq!(address("../", "/dashboard", &uri), "../sign-in?to=runs%2Fr1%3Ffailed%3Dtrue");
    }
}

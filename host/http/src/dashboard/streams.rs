//! Pages that renew themselves: a page that may change is also a stream of events (`Accept: text/event-stream`), which says what
//! becomes of its main part.
//!
//! All who look at the same page with the same rights share one renewal: once a second a task asks the dashboard's own routes for
//! the page, as one of them would, and makes the events that all of them get. So a viewer costs what writing an event costs, and
//! nothing as long as nothing changes.

use super::error::Error;
use super::page::Rendered;
use super::patch::patch;
use crate::Error as HttpError;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_flow_core::Digest;
use faas_flow_gateway::Stopping;
use futures_util::stream::unfold;
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt;

/// How many streams there may be. Pages that get none ask once a second instead.
const MOST: usize = 256;
/// From one renewal of a page to the next.
const PACE: Duration = Duration::from_secs(1);
/// After so long a time without an event there is one that says nothing, so that neither side takes the connection for dead.
const BEAT: Duration = Duration::from_secs(15);
/// What a page does when the stream breaks off, and how long it waits for the next event: browsers come again after a second.
const HELLO: &str = "retry: 1000\nevent: hello\ndata: 15\n\n";
const HEARTBEAT: &str = "event: beat\ndata: 1\n\n";
/// After it the browser does not come again.
const END: &str = "event: end\ndata: 1\n\n";
const EVENTS: &str = "text/event-stream";
/// The event that a browser has seen last before the stream broke off.
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// Asks proxies such as nginx to pass events on at once.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The streams of a dashboard.
#[derive(Clone)]
pub(super) struct Streams {
    /// The dashboard's routes.
    pages: Router,
    shared: Arc<Mutex<HashMap<Key, Shots>>>,
    room: Arc<Semaphore>,
}

/// Which page for whom: what an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: String,
    asker: Vec<(HeaderName, HeaderValue)>,
}

impl Key {
    /// Who asks is told by credentials, and where the page is by what a proxy says. What else browsers and proxies add, such as
    /// the address of the browser, makes no difference.
    fn of(head: &Parts) -> Self {
        let tells = |name: &HeaderName| {
            *name == header::AUTHORIZATION
                || *name == header::COOKIE
                || name.as_str() == "x-forwarded-prefix"
                || name.as_str().starts_with("x-faas-flow-")
        };
        let asker = head.headers.iter().filter(|(name, _)| tells(name));
        let asker = asker.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { address: head.uri.to_string(), asker }
    }
}

/// What a page says now, for all who look at it.
type Shots = Arc<watch::Sender<Arc<Shot>>>;

/// Shows those who look what a page said when it was asked for at a moment, unless they have something newer.
fn publish(shots: &watch::Sender<Arc<Shot>>, page: &Rendered, asked: Instant) {
    shots.send_if_modified(|shot| {
        let is_new = shot.asked <= asked && (shot.text != page.main || shot.is_live != page.is_live);
        if is_new {
            *shot = Arc::new(Shot::new(page, asked, Some(&**shot)));
        }
        is_new
    });
}

/// What a page said at one moment.
struct Shot {
    /// When it was asked for.
    asked: Instant,
    tag: Digest,
    text: Arc<str>,
    /// Whether it may still change.
    is_live: bool,
    /// The tag of the shot before, and the event that leads from there to here.
    patch: Option<(Digest, Bytes)>,
    /// The event with all of the page, made when somebody needs it.
    whole: OnceLock<Bytes>,
}

impl Shot {
    fn new(page: &Rendered, asked: Instant, before: Option<&Shot>) -> Self {
        let Rendered { main: text, is_live } = page.clone();
        let tag = Digest::of(text.as_bytes());
        let patch = before.map(|before| (before.tag.clone(), event("patch", &tag, &json!(patch(&before.text, &text)))));
        Self { asked, tag, text, is_live, patch, whole: OnceLock::new() }
    }

    /// The event for somebody who has the shot with this tag; none if that is this one.
    fn event(&self, has: Option<&Digest>) -> Option<Bytes> {
        if has == Some(&self.tag) {
            return None;
        }
        let patch = self.patch.as_ref().filter(|(from, _)| has == Some(from));
        let whole = || self.whole.get_or_init(|| event("page", &self.tag, &json!(*self.text)));
        Some(patch.map_or_else(|| whole().clone(), |(_, event)| event.clone()))
    }
}

fn event(name: &str, tag: &Digest, data: &serde_json::Value) -> Bytes {
    // JSON has no line feeds of its own.
    Bytes::from(format!("id: {}\nevent: {name}\ndata: {data}\n\n", tag.short()))
}

/// Answers with a stream if one is asked for, and with the page otherwise.
pub(super) async fn stream_or_page(State(streams): State<Streams>, request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_wanted = accepts.is_some_and(|accepts| accepts.starts_with(EVENTS));
    if !is_wanted || request.method() != Method::GET {
        return next.run(request).await;
    }
    let (head, _) = request.into_parts();
    streams.open(head).await
}

impl Streams {
    pub fn new(pages: Router) -> Self {
        Self { pages, shared: Arc::default(), room: Arc::new(Semaphore::new(MOST)) }
    }

    async fn open(&self, head: Parts) -> Response {
        // A stream is admitted as the page itself is.
        let asked = Instant::now();
        let answer = page(&self.pages, &head, None).await;
        if !answer.status().is_success() {
            return answer;
        }
        let Some(rendered) = answer.extensions().get::<Rendered>().filter(|rendered| rendered.is_live) else {
            // It does not change any more. Browsers do not come again after 204.
            return StatusCode::NO_CONTENT.into_response();
        };
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            return HttpError::from(Error::TooManyStreams { most: MOST }).into_response();
        };
        let stopping = head.extensions.get::<Stopping>().cloned();
        // A browser that comes again says which event it got last.
        let last = head.headers.get(LAST_EVENT).and_then(|last| last.to_str().ok()).map(str::to_owned);
        let shots = self.subscribe(head, rendered, asked);
        let shown = shots.borrow();
        let has = last.is_some_and(|last| last == shown.tag.short()).then(|| shown.tag.clone());
        drop(shown);
        let viewer = Viewer { shots, has, phase: Phase::Begins, stopping, _place: place };
        let body = Body::from_stream(unfold(viewer, Viewer::next));
        let kind = HeaderValue::from_static(EVENTS);
        let headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (BUFFERING, HeaderValue::from_static("no")),
        ]);
        (headers, body).into_response()
    }

    /// What becomes of a page, which somebody has just got.
    fn subscribe(&self, head: Parts, rendered: &Rendered, asked: Instant) -> watch::Receiver<Arc<Shot>> {
        let key = Key::of(&head);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shots) = shared.get(&key) {
            // It may be newer than what the others have, and nobody is to go back.
            publish(shots, rendered, asked);
            return shots.subscribe();
        }
        let (sender, receiver) = watch::channel(Arc::new(Shot::new(rendered, asked, None)));
        let shots = Arc::new(sender);
        shared.insert(key.clone(), shots.clone());
        tokio::spawn(self.clone().renew(key, head, shots));
        receiver
    }

    /// Renews a page until nobody looks at it any more, it cannot change any more, or those who look may not see it any more.
    async fn renew(self, key: Key, head: Parts, shots: Shots) {
        // What stands for the page in the answer that is shown, if this task has shown it.
        let mut known: Option<(HeaderValue, Digest)> = None;
        loop {
            sleep(PACE).await;
            {
                let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                if shots.receiver_count() == 0 {
                    shared.remove(&key);
                    return;
                }
            }
            let asked = Instant::now();
            let shown = shots.borrow().tag.clone();
            let etag = known.as_ref().filter(|(_, tag)| *tag == shown).map(|(etag, _)| etag);
            let answer = page(&self.pages, &head, etag).await;
            match (answer.extensions().get::<Rendered>(), answer.status()) {
                (Some(rendered), status) if status.is_success() => {
                    publish(&shots, rendered, asked);
                    let etag = answer.headers().get(header::ETAG).cloned();
                    known = etag.map(|etag| (etag, Digest::of(rendered.main.as_bytes())));
                    if !rendered.is_live {
                        break;
                    }
                }
                // Nothing has changed, or a store does not answer.
                (_, StatusCode::NOT_MODIFIED) => {}
                (_, status) if status.is_server_error() => {}
                // The page is gone, or the token is not valid any more.
                _ => break,
            }
        }
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// Asks for a page as somebody else does.
async fn page(pages: &Router, head: &Parts, etag: Option<&HeaderValue>) -> Response {
    let mut request = Request::from_parts(head.clone(), Body::empty());
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
    headers.remove(header::IF_NONE_MATCH);
    if let Some(etag) = etag {
        headers.insert(header::IF_NONE_MATCH, etag.clone());
    }
    match pages.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Somebody who looks at a page.
struct Viewer {
    shots: watch::Receiver<Arc<Shot>>,
    /// The shot that the browser has.
    has: Option<Digest>,
    phase: Phase,
    stopping: Option<Stopping>,
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begins,
    Looks,
    /// The page does not change any more, and the browser knows.
    Ended,
}

impl Viewer {
    /// The next event.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let event = match self.phase {
            Phase::Begins => {
                self.phase = Phase::Looks;
                Bytes::from_static(HELLO.as_bytes())
            }
            Phase::Looks => self.change().await?,
            Phase::Ended => return None,
        };
        Some((Ok(event), self))
    }

    /// What changes, or a sign of life. `None` if the stream ends and the browser is to come again.
    async fn change(&mut self) -> Option<Bytes> {
        let beat = Instant::now() + BEAT;
        loop {
            let shot = self.shots.borrow_and_update().clone();
            if let Some(event) = shot.event(self.has.as_ref()) {
                self.has = Some(shot.tag.clone());
                return Some(event);
            }
            if !shot.is_live {
                self.phase = Phase::Ended;
                return Some(Bytes::from_static(END.as_bytes()));
            }
            tokio::select! {
                // There are no more if those who look may not see the page any more, for example.
                changed = self.shots.changed() => changed.ok()?,
                () = sleep_until(beat) => return Some(Bytes::from_static(HEARTBEAT.as_bytes())),
                () = stopped(&mut self.stopping) => return None,
            }
        }
    }
}

/// Returns when the server stops.
async fn stopped(stopping: &mut Option<Stopping>) {
    match stopping {
        Some(stopping) => stopping.stopped().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(headers: &[(&'static str, &'static str)]) -> Key {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Key::of(&request.into_parts().0)
    }

    #[test]
    fn those_with_the_same_rights_share_a_page() {
        let anna = key(&[("authorization", "Basic a"), ("x-forwarded-for", "10.0.0.1"), ("accept-language", "de")]);
        assert_eq!(anna, key(&[("authorization", "Basic a"), ("x-forwarded-for", "10.0.0.2")]));
        for other in [&[("authorization", "Basic b")][..], &[], &[("authorization", "Basic a"), ("cookie", "a=b")]] {
            assert_ne!(anna, key(other));
        }
        assert_ne!(key(&[("x-forwarded-prefix", "/a")]), key(&[("x-forwarded-prefix", "/b")]), "links differ");
    }

    #[test]
    fn nobody_goes_back_to_what_a_page_said_before() {
        let page = |text: &str| Rendered { main: text.into(), is_live: true };
        let (early, late) = (Instant::now(), Instant::now() + PACE);
        let (shots, shown) = watch::channel(Arc::new(Shot::new(&page("first"), early, None)));
        publish(&shots, &page("third"), late);
        publish(&shots, &page("second"), early);
        assert_eq!(&*shown.borrow().text, "third");
        publish(&shots, &Rendered { is_live: false, ..page("third") }, late);
        assert!(!shown.borrow().is_live, "the end counts, even if the page says the same");
    }

    #[test]
    fn a_viewer_gets_what_differs_from_what_the_browser_has() {
        let page = |text: &str| Rendered { main: text.into(), is_live: true };
        let now = Instant::now();
        let first = Shot::new(&page("a\nb"), now, None);
        let second = Shot::new(&page("a\nc"), now, Some(&first));
        let said = |shot: &Shot, has| {
            let event: Option<Bytes> = shot.event(has);
            event.map(|event| String::from_utf8(event.to_vec()).unwrap().split_once('\n').unwrap().1.to_owned())
        };
        assert_eq!(said(&first, None).unwrap(), "event: page\ndata: \"a\\nb\"\n\n");
        assert_eq!(said(&second, Some(&first.tag)).unwrap(), "event: patch\ndata: [[0,1],\"c\"]\n\n");
        assert_eq!(said(&second, Some(&second.tag)), None);
        let older = Digest::of(b"older");
        assert_eq!(said(&second, Some(&older)).unwrap(), "event: page\ndata: \"a\\nc\"\n\n");
    }
}

//! Who may ask for what.

use super::access::{Admin, Caller, Entrance, Head, Need, Proxies, need_of};
use super::error::{CallbackFault, Error};
use super::headers;
use super::payload_access::PayloadAccess;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use faas_flow_core::run::Actor;
use faas_flow_core::{Code, FlowName, Millis, RunId, SignalName, redact};
use faas_flow_replica::PARENT;
use faas_flow_replica::events::{Event, Keys, SIGNATURE, Signed, SignedSend, TIME, Window};
use faas_flow_replica::network::{Destinations, Rules};
use reqwest::Url;
use std::convert::Infallible;
use utoipa::IntoParams;

/// Who may ask for what. By default everybody may ask for everything, except for callbacks.
#[derive(Debug, Clone)]
pub struct Guards {
    /// The keys that sign and check events, and requests if `authenticate` is set. Without keys, events need no signature.
    pub keys: Option<Keys>,
    /// How old an event may be.
    pub window: Window,
    /// Whether to accept events without checking their signatures: for a server that only its own machine can reach.
    pub unchecked: bool,
    /// Whether new requests must be signed as GitHub signs webhooks.
    pub authenticate: bool,
    /// Who may see and change more than their own runs.
    pub admin: Admin,
    /// Who may read the results and the states of runs.
    pub result_access: ResultAccess,
    /// Of which runs operators may read the inputs and outputs of nodes, and what is hidden in them.
    pub payloads: PayloadAccess,
    /// Where results may be sent.
    pub callbacks: Rules,
    /// The proxies that are believed.
    pub proxies: Proxies,
}

impl Default for Guards {
    fn default() -> Self {
        let callbacks = Destinations::default().callbacks;
        let (keys, window, admin) = (None, Window::default(), Admin::default());
        let result_access = ResultAccess::default();
        let payloads = PayloadAccess::default();
        let proxies = Proxies::default();
        Self { keys, window, unchecked: false, authenticate: false, admin, result_access, payloads, callbacks, proxies }
    }
}

/// Who may read the results and the states of runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResultAccess {
    /// Everybody, including the list of runs on the dashboard.
    Open,
    /// Callers who know a run's request id.
    #[default]
    WithId,
    /// Callers who sign the request, or have a token with the right to it.
    Signed,
}

/// What is read of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Result,
    State,
}

impl Read {
    /// The path that a request for it is signed for, independent of the gateways and servers that it passes.
    fn target(self, flow: &FlowName, run: &RunId) -> String {
        format!("/function/{flow}/flow/{run}/{}", self.operation())
    }

    /// The id of its operation.
    fn operation(self) -> &'static str {
        match self {
            Read::Result => "result",
            Read::State => "state",
        }
    }
}

/// The methods that pause, resume or stop a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlMethods {
    /// POST only: without a token, a page of any site could send a GET.
    Post,
    /// GET as well, as in the original.
    GetAndPost,
}

/// The longest address to call back, in bytes.
const LONGEST_URL: usize = 2048;

impl Guards {
    /// The methods that pause, resume or stop a run here.
    pub(crate) fn control_methods(&self) -> ControlMethods {
        match self.admin {
            Admin::Anybody => ControlMethods::Post,
            Admin::Nobody | Admin::Tokens(_) => ControlMethods::GetAndPost,
        }
    }

    /// Who sends a request.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        self.admin.caller(bearer(headers), Entrance::Routes)
    }

    /// Who asks for a change, if it is an operator. Where nobody needs a token, a run that stops one that it has called is none.
    pub(super) fn actor(&self, head: Head<'_>) -> Result<Option<Actor>, Error> {
        match self.caller(head.headers) {
            Ok(_) if matches!(self.admin, Admin::Anybody) && head.headers.contains_key(PARENT) => Ok(None),
            Ok(caller) => self.proxies.actor(&caller, head).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Admits a request that needs a token, unless its handler admits it for another reason.
    pub(super) fn admit(&self, headers: &HeaderMap, need: Need) -> Result<(), Error> {
        match need {
            Need::Nothing | Need::Signature => Ok(()),
            Need::Right(rights) | Need::OrSignature(rights) => self.caller(headers)?.require(rights),
        }
    }

    /// Whether a request has a token, and with it the right that this operation needs. Without a token, something else has to
    /// admit it.
    fn has_right(&self, headers: &HeaderMap, operation: &str) -> Result<bool, Error> {
        match (&self.admin, self.caller(headers)) {
            (Admin::Tokens(_), Ok(_)) => self.admit(headers, need_of(operation)).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Admits a request for the result or the state of a run. Whether there is such a run makes no difference.
    pub(super) fn admit_read(
        &self,
        headers: &HeaderMap,
        read: Read,
        (flow, run): (&FlowName, &RunId),
        now: Millis,
    ) -> Result<(), Error> {
        if self.result_access != ResultAccess::Signed || self.has_right(headers, read.operation())? {
            return Ok(());
        }
        let keys = self.keys.as_ref().ok_or(Error::NoSecret)?;
        let SignatureHeaders { signature, time } = SignatureHeaders::of(headers);
        let checked = keys.verify_read(&read.target(flow, run), signature.as_deref(), time.as_deref(), now);
        checked.map_err(|why| Error::ReadDenied { why: why.to_string() })
    }

    /// Checks the signature of an event about this run.
    pub(super) fn check_event(
        &self,
        SignatureHeaders { signature, time }: &SignatureHeaders,
        flow: &FlowName,
        run: &RunId,
        body: &[u8],
        now: Millis,
    ) -> Result<(), Error> {
        let Some(keys) = self.event_keys() else { return Ok(()) };
        let signed = Signed { method: "POST", path: &Event::target(flow, run), run: run.as_str(), body };
        Ok(keys.verify(&signed, signature.as_deref(), time.as_deref(), now, &self.window)?)
    }

    /// When an event was signed, by the clock of its sender, if its signature was checked and is right. The event may have been
    /// refused nevertheless, since that was too long ago or too far ahead.
    pub(super) fn signed_at(&self, headers: &SignatureHeaders, checked: &Result<(), Error>) -> Option<Millis> {
        self.event_keys()?;
        let is_right = match checked {
            Ok(()) => true,
            // The time is compared only once the signature is known to be right.
            Err(error) => error.code() == Code::EVENT_TOO_OLD,
        };
        headers.time.as_ref().filter(|_| is_right)?.parse().ok()
    }

    /// The keys with which events are checked, if they are.
    fn event_keys(&self) -> Option<&Keys> {
        self.keys.as_ref().filter(|_| !self.unchecked)
    }

    /// Checks the signature of a new request, if requests are authenticated.
    pub(super) fn authenticate(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Error> {
        if !self.authenticate {
            return Ok(());
        }
        let keys = self.keys.as_ref().ok_or(Error::NoSecret)?;
        let HubSignatures { sha256, sha1 } = HubSignatures::of(headers);
        Ok(keys.verify_hub(body, sha256.as_deref(), sha1.as_deref())?)
    }

    /// Admits a signal to a run: an operator's, or where new requests are signed, one that is signed for this run and name.
    /// Answers with its idempotency key. A signed signal always has one, so that it does not count again if somebody who has
    /// recorded it sends it again.
    pub(super) fn admit_signal(
        &self,
        headers: &HeaderMap,
        (flow, run, name): (&FlowName, &RunId, &SignalName),
        (key, body): (Option<String>, &[u8]),
        now: Millis,
    ) -> Result<Option<String>, Error> {
        let given = key.as_ref().map(|key| format!("key:{key}"));
        if !self.authenticate || self.has_right(headers, "signal")? {
            return Ok(given);
        }
        let keys = self.keys.as_ref().ok_or(Error::NoSecret)?;
        let SignatureHeaders { signature, time } = SignatureHeaders::of(headers);
        let path = format!("/function/{flow}/flow/{run}/signal/{name}");
        let signed = SignedSend { path: &path, key: key.as_deref().unwrap_or_default(), body };
        keys.verify_send(&signed, signature.as_deref(), time.as_deref(), now)?;
        Ok(given.or_else(|| signature.map(|signature| format!("signature:{signature}"))))
    }

    /// The address to call back, if it is allowed. An empty address counts as none, as in the original.
    pub(super) fn callback(&self, given: Option<&str>) -> Result<Option<String>, Error> {
        let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else { return Ok(None) };
        match self.check_callback(given) {
            Ok(url) => Ok(Some(url.to_string())),
            Err(fault) => {
                Err(Error::BadCallback { url: redact::origin(given).escape_debug().take(100).collect(), fault })
            }
        }
    }

    fn check_callback(&self, given: &str) -> Result<Url, CallbackFault> {
        if given.len() > LONGEST_URL {
            return Err(CallbackFault::TooLong { limit: LONGEST_URL });
        }
        let url = Url::parse(given).map_err(|error| CallbackFault::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(CallbackFault::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CallbackFault::Credentials);
        }
        self.callbacks.check(&url)?;
        Ok(url)
    }
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The headers of an event, and of a request that is signed for one path.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct SignatureHeaders {
    /// `v2=` and the signature.
    #[param(rename = "X-Faas-Flow-Signature", value_type = String, required = false)]
    signature: Option<String>,
    /// When it was signed, in milliseconds since the Unix epoch.
    #[param(rename = "X-Faas-Flow-Time", value_type = String, required = false)]
    time: Option<String>,
}

impl SignatureHeaders {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            signature: headers::header(headers, HeaderName::from_static(SIGNATURE)),
            time: headers::header(headers, HeaderName::from_static(TIME)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignatureHeaders {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// The headers of signed requests.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct HubSignatures {
    /// `sha256=` and the HMAC-SHA256 of the body, if requests are authenticated.
    #[param(rename = "X-Hub-Signature-256", value_type = String, required = false)]
    sha256: Option<String>,
    /// `sha1=` and the HMAC-SHA1 of the body, for old callers.
    #[param(rename = "X-Hub-Signature", value_type = String, required = false)]
    sha1: Option<String>,
}

impl HubSignatures {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            sha256: headers::header(headers, HeaderName::from_static("x-hub-signature-256")),
            sha1: headers::header(headers, HeaderName::from_static("x-hub-signature")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{NamedToken, Rights, TokenHash, Tokens};
    use faas_flow_replica::network::SPECIAL;

    #[test]
    fn only_allowed_hosts_are_called_back() {
        let hosts = ["Hooks.example", "127.0.0.1:9000", "[::1]"].map(|host| host.parse().unwrap());
        let callbacks = Destinations::new(Vec::new(), hosts.into(), SPECIAL.to_vec()).callbacks;
        let guards = Guards { callbacks, ..Guards::default() };
        for good in
            ["http://hooks.example/a?b=c", "https://HOOKS.example:1/", "http://127.0.0.1:9000/", "http://[::1]/"]
        {
            assert!(guards.callback(Some(good)).unwrap().is_some(), "{good}");
        }
        assert_eq!(guards.callback(Some(" ")).unwrap(), None);
        for bad in [
            "nowhere",
            "/path",
            "ftp://hooks.example/",
            "http://hooks.example.evil/",
            "http://hooks.example@evil/",
            "http://user:pass@hooks.example/",
            "http://evil/hooks.example",
            "http://127.0.0.1/",
            "http://127.0.0.1:90000/",
            "http://\0/",
            &format!("http://hooks.example/{}", "x".repeat(10 * 1024)),
        ] {
            assert_eq!(guards.callback(Some(bad)).unwrap_err().code(), Code::BAD_CALLBACK, "{bad}");
        }
        assert!(Guards::default().callback(Some("http://localhost/")).is_err());
    }

    #[test]
    fn the_time_of_an_event_is_known_if_its_signature_is_right() {
        const NOW: Millis = 1_800_000_000_000;
        const FAR_AHEAD: Millis = NOW + 3_600_000;
        let keys = |secret: &str| Keys::new(secret, None).unwrap();
        let (ours, others) = (keys("sixteen bytes ok"), keys("another secret, long"));
        let (flow, run, body) = (FlowName::new("f").unwrap(), RunId::new("r").unwrap(), b"{}".as_slice());
        let signed_by = |keys: &Keys, time: Millis| {
            let signed = Signed { method: "POST", path: &Event::target(&flow, &run), run: run.as_str(), body };
            SignatureHeaders { signature: Some(keys.sign(&signed, time)), time: Some(time.to_string()) }
        };
        let known = |guards: &Guards, headers: &SignatureHeaders| {
            let checked = guards.check_event(headers, &flow, &run, body, NOW);
            (guards.signed_at(headers, &checked), checked.map_err(|error| error.code()))
        };
        let guards = Guards { keys: Some(ours.clone()), ..Guards::default() };
        assert_eq!(known(&guards, &signed_by(&ours, NOW + 5_000)), (Some(NOW + 5_000), Ok(())));
        let early = signed_by(&ours, FAR_AHEAD);
        assert_eq!(known(&guards, &early), (Some(FAR_AHEAD), Err(Code::EVENT_TOO_OLD)));
        assert_eq!(known(&guards, &signed_by(&others, FAR_AHEAD)), (None, Err(Code::BAD_SIGNATURE)));
        let later = SignatureHeaders { time: Some((FAR_AHEAD + 1).to_string()), signature: early.signature.clone() };
        assert_eq!(known(&guards, &later), (None, Err(Code::BAD_SIGNATURE)));
        let unsigned = SignatureHeaders { signature: None, ..signed_by(&ours, FAR_AHEAD) };
        assert_eq!(known(&guards, &unsigned), (None, Err(Code::UNSIGNED)));
        // Where nothing is checked, anybody could have written the time.
        for guards in [Guards { unchecked: true, ..guards }, Guards::default()] {
            assert_eq!(known(&guards, &early), (None, Ok(())));
        }
    }

    #[test]
    fn the_token_is_a_bearers() {
        let admit = |admin: &Admin, value: Option<&str>| {
            let guards = Guards { admin: admin.clone(), ..Guards::default() };
            let headers = value.map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            guards.admit(&headers.into_iter().collect(), need_of("pause")).map_err(|error| error.code())
        };
        let token = Admin::Tokens(Tokens::new(Some("s3cret".into()), Vec::new()).into());
        assert_eq!(admit(&token, Some("Bearer s3cret")), Ok(()));
        assert_eq!(admit(&token, Some("bearer  s3cret")), Ok(()));
        for wrong in [None, Some("Bearer"), Some("Bearer "), Some("Bearer s3cre"), Some("Basic s3cret"), Some("s3cret")]
        {
            assert_eq!(admit(&token, wrong), Err(Code::TOKEN_NEEDED), "{wrong:?}");
        }
        assert_eq!(admit(&Admin::Anybody, None), Ok(()));
        assert_eq!(admit(&Admin::Nobody, Some("Bearer ")), Err(Code::TOKEN_NEEDED));
    }

    #[test]
    fn a_token_without_the_right_is_told_which_one_is_missing() {
        let named =
            |name, rights| NamedToken::new(name, Rights::parse(rights).unwrap(), TokenHash::of(name), None).unwrap();
        let named = vec![named("viewer", "see"), named("ci", "deploy")];
        let admin = Admin::Tokens(Tokens::new(None, named).into());
        let guards = Guards { admin, result_access: ResultAccess::Signed, ..Guards::default() };
        let of = |name: &str| -> HeaderMap {
            [(header::AUTHORIZATION, format!("Bearer {name}").parse().unwrap())].into_iter().collect()
        };
        let admit = |name, operation| guards.admit(&of(name), need_of(operation)).map_err(|error| error.to_string());
        assert_eq!(admit("viewer", "runs"), Ok(()));
        assert_eq!(admit("ci", "versions"), Ok(()));
        let refused = admit("viewer", "pause").unwrap_err();
        assert!(refused.contains("`viewer`") && refused.contains("`control`"), "{refused}");
        assert!(admit("ci", "runs").unwrap_err().contains("`see`"));
        let run = (&FlowName::new("f").unwrap(), &RunId::new("r").unwrap());
        let read = |name, read| guards.admit_read(&of(name), read, run, 0).map_err(|error| error.code());
        assert_eq!(read("viewer", Read::State), Ok(()));
        assert_eq!(read("viewer", Read::Result), Err(Code::RIGHT_MISSING));
        assert_eq!(read("nobody", Read::State), Err(Code::UNSIGNED));
    }
}

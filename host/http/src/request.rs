//! The parts of a request, each read by an extractor of its own, which also describes them in the OpenAPI document.

use super::access::Head;
use super::error::Error;
use super::headers::{header, only};
use super::surface::Surface;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;
use faas_flow_core::run::Actor;
use faas_flow_core::{Digest, FlowName, Labels, RunId};
use faas_flow_gateway::NAMESPACE;
use faas_flow_versions::Flow;
use percent_encoding::percent_decode_str;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use utoipa::IntoParams;

/// The flow that a request is for: the one that its path names, or the one that a deployed function is.
pub(super) struct Target(pub Arc<Flow>);

impl FromRequestParts<Arc<Surface>> for Target {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Arc<Surface>) -> Result<Self, Error> {
        let name = match &surface.flow {
            Some(name) => name.clone(),
            None => named_in(parts.uri.path())?,
        };
        let flow = surface.host.versions().active(&name);
        flow.map(Self).ok_or(Error::NoFlow { name })
    }
}

/// The flow's name in `/function/NAME…`. It is read from the path itself, since axum hands out no path parameter at all if
/// one of them, perhaps a later one, is not UTF-8.
fn named_in(path: &str) -> Result<FlowName, Error> {
    let name = path.split('/').nth(2).unwrap_or_default();
    Ok(FlowName::new(without_namespace(&percent_decode_str(name).decode_utf8_lossy()))?)
}

/// The name of a flow or function without the namespace that `faas-cli` appends: `greet` of `greet.openfaas-fn`.
pub(super) fn without_namespace(name: &str) -> &str {
    name.strip_suffix(NAMESPACE).and_then(|name| name.strip_suffix('.')).unwrap_or(name)
}

/// A parameter of the path, decoded. If it is not UTF-8, it becomes text that no rule accepts.
pub(crate) async fn path_parameter(parts: &mut Parts, name: &str) -> String {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(given) => given.iter().find(|(key, _)| *key == name).map_or(String::new(), |(_, value)| value.to_owned()),
        // axum returns no parameters at all if one of them is not UTF-8, so this one is read from the path itself.
        Err(_) => parameter_in(parts.uri.path(), name),
    }
}

/// What follows the word of the path that names a parameter: `approval` in `/function/f/flow/r/signal/approval`.
fn parameter_in(path: &str, name: &str) -> String {
    let words: &[&str] = match name {
        "id" => &["flow", "runs"],
        "signal" => &["signal"],
        "schedule" => &["schedules"],
        "version" => &["modules"],
        "flow" => &["flows"],
        _ => return char::REPLACEMENT_CHARACTER.to_string(),
    };
    let is_server = path.starts_with("/function/") || path.starts_with("/async-function/");
    // The name of a flow may be one of the words.
    let mut parts = path.split('/').skip(if is_server { 3 } else { 1 });
    parts.find(|part| words.contains(part));
    let given = parts.next().unwrap_or_default();
    percent_decode_str(given).decode_utf8_lossy().into_owned()
}

/// The run that a request is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RunPath {
    /// The run's request id.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    pub id: RunId,
}

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let id = RunId::new(path_parameter(parts, "id").await)?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            context.concerns(&id);
        }
        Ok(Self { id })
    }
}

/// A version of the flow, by its digest or the first digits of it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionPath {
    /// The sha256 of the version's module, or at least its first 8 digits.
    #[param(pattern = "^[0-9a-f]{8,64}$", example = "e65f84889725")]
    pub version: String,
}

impl<S: Send + Sync> FromRequestParts<S> for VersionPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { version: path_parameter(parts, "version").await })
    }
}

/// A version of the flow that is sent along.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DigestPath {
    /// The sha256 of the module.
    #[param(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub version: Digest,
}

impl<S: Send + Sync> FromRequestParts<S> for DigestPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self { version: Digest::new(path_parameter(parts, "version").await)? })
    }
}

/// Who asks for a change, if it is an operator: for the history of the run.
pub(super) struct Asker(pub Option<Actor>);

impl FromRequestParts<Arc<Surface>> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Arc<Surface>) -> Result<Self, Error> {
        surface.guards.actor(Head::from(&*parts)).map(Self)
    }
}

/// The query, in its order. It may hold parameters that are the flow's own.
pub(crate) struct Query(pub Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`.
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Takes what was read from a form.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of a parameter.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The labels that `label=order=42` names, which may be there several times.
    pub fn labels(&self) -> Result<Labels, Error> {
        let mut labels = Labels::new();
        // A form sends a field that is left empty, too.
        for (_, label) in self.0.iter().filter(|(given, label)| given == "label" && !label.is_empty()) {
            labels.add(label)?;
        }
        Ok(labels)
    }

    /// A parameter that is a whole number.
    pub fn number(&self, name: &'static str) -> Result<Option<u64>, Error> {
        let number = self.first(name).map(str::parse).transpose();
        number.map_err(|_| Error::BadParameter { name, rule: "a whole number" })
    }

    /// A parameter that is `true`, `false`, or there without a value, which means `true`.
    pub fn switch(&self, name: &'static str) -> Result<bool, Error> {
        match self.first(name) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => Err(Error::BadParameter { name, rule: "true or false" }),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// Query parameters that belong together.
pub(super) trait FromQuery: Sized {
    /// Reads them.
    fn from_query(query: &Query) -> Result<Self, Error>;
}

impl<A: FromQuery, B: FromQuery> FromQuery for (A, B) {
    fn from_query(query: &Query) -> Result<Self, Error> {
        Ok((A::from_query(query)?, B::from_query(query)?))
    }
}

/// Query parameters that belong together, as an extractor.
pub(super) struct Asked<Q>(pub Q);

impl<Q: FromQuery, S: Send + Sync> FromRequestParts<S> for Asked<Q> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Q::from_query(&Query::parse(parts.uri.query().unwrap_or_default())).map(Self)
    }
}

/// How long to wait for a result.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Wait {
    /// How long to wait for the result: `30s`, `500ms`, `2m`, or seconds.
    #[param(rename = "X-Faas-Flow-Wait", value_type = String, required = false,
        pattern = "^[0-9]{1,9}(ms|s|m)?$", example = "1s")]
    pub wait: Option<Duration>,
}

impl Wait {
    const HEADER: HeaderName = HeaderName::from_static("x-faas-flow-wait");

    /// Reads the header.
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        Ok(Self { wait: only(headers, Self::HEADER)?.map(|wait| parse_wait(&wait)).transpose()? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::of(&parts.headers)
    }
}

/// Reads `30s`, `500ms`, `2m`, or seconds.
pub(super) fn parse_wait(text: &str) -> Result<Duration, Error> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let count = Some(digits).filter(|digits| digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit()));
    let wait = count.and_then(|count| count.parse::<u64>().ok()).and_then(|count| match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" | "" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.saturating_mul(60))),
        _ => None,
    });
    wait.ok_or_else(|| Error::BadWait { text: text.chars().take(40).collect() })
}

/// The whole body, of up to the host's limit and within its time.
pub(super) struct WholeBody(pub Bytes);

impl FromRequest<Arc<Surface>> for WholeBody {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Arc<Surface>) -> Result<Self, Error> {
        surface.read_body(request.into_body()).await.map(Self)
    }
}

/// A module as the body, which may be larger than other bodies, with the line of its signature.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct ModuleBody {
    /// The line of the module's signature.
    #[param(rename = "X-Faas-Flow-Module-Signature", value_type = String, required = false)]
    pub signature: Option<String>,
    /// The module.
    #[param(ignore)]
    pub bytes: Bytes,
}

impl FromRequest<Arc<Surface>> for ModuleBody {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Arc<Surface>) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let bytes = surface.read_module(&parts.headers, body).await?;
        let signature = header(&parts.headers, HeaderName::from_static("x-faas-flow-module-signature"));
        Ok(Self { signature, bytes })
    }
}

/// What is known of a request while it is answered. Clones are one.
#[derive(Clone, Default)]
pub(super) struct RequestContext {
    run: Arc<OnceLock<RunId>>,
    /// Until when a result may be waited for, so that the answer is still in time.
    waits_until: Option<Instant>,
}

impl RequestContext {
    /// A request whose result may be waited for until then.
    pub fn until(waits_until: Option<Instant>) -> Self {
        Self { waits_until, ..Self::default() }
    }

    /// Notes the run that the request is about. The request may be cut off, its run goes on.
    pub fn concerns(&self, run: &RunId) {
        self.run.get_or_init(|| run.clone());
    }

    /// The run that the request is about, as soon as that is known.
    pub fn run(&self) -> Option<&RunId> {
        self.run.get()
    }

    /// How long a result may be waited for, of this wait.
    pub fn in_time(&self, wait: Duration) -> Duration {
        self.waits_until.map_or(wait, |until| wait.min(until.saturating_duration_since(Instant::now())))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[test]
    fn queries_are_decoded_in_order() {
        let query = Query::parse("a=1&b=x%20y+z&a=2&&c").0;
        let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", "1"), ("b", "x y z"), ("a", "2"), ("c", "")]);
    }

    #[test]
    fn of_several_parameters_of_a_path_the_malformed_one_is_found() {
        let path = "/function/flow/flow/r-1/signal/%ff%fe";
        assert_eq!(parameter_in(path, "id"), "r-1");
        assert_eq!(parameter_in(path, "signal"), "\u{fffd}\u{fffd}");
        assert_eq!(parameter_in("/schedules/%ff/pause", "schedule"), "\u{fffd}");
        assert_eq!(parameter_in("/dashboard/flows/a/schedules/%ff/pause", "flow"), "a");
    }

    #[test]
    fn a_header_that_counts_once_may_be_repeated_but_not_contradicted() {
        let with = |values: &[&str]| -> HeaderMap {
            values.iter().map(|value| (Wait::HEADER, value.parse().unwrap())).collect()
        };
        assert_eq!(Wait::of(&with(&["1s", "1s"])).ok().unwrap().wait, Some(Duration::from_secs(1)));
        assert_eq!(Wait::of(&with(&[])).ok().unwrap().wait, None);
        let refused = Wait::of(&with(&["1s", "2s"])).err().unwrap();
        assert_eq!(refused.code(), Code::BAD_REQUEST);
        assert!(refused.to_string().contains("`x-faas-flow-wait`"), "{refused}");
    }

    #[test]
    fn waits_are_read_with_their_units() {
        assert_eq!(parse_wait("30s").unwrap(), Duration::from_secs(30));
        assert_eq!(parse_wait("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse_wait("2m").unwrap(), Duration::from_secs(120));
        for bad in ["soon", "", "-1s", "+1s", "1h", "\u{fffd}", &"9".repeat(40)] {
            assert_eq!(parse_wait(bad).unwrap_err().code(), Code::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn a_flow_is_named_by_the_second_part_of_the_path() {
        for path in [
            "/function/greet",
            "/function/greet.openfaas-fn",
            "/function/greet/",
            "/async-function/%67reet/flow/%FF/state",
        ] {
            assert_eq!(named_in(path).unwrap().as_str(), "greet", "{path}");
        }
        for path in
            ["/function", "/function/", "/function/%FF", "/function/Greet", "/function/a%2Fb", "/function/greet.other"]
        {
            assert_eq!(named_in(path).unwrap_err().code(), Code::BAD_FLOW_NAME, "{path}");
        }
    }
}

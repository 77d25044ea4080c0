//! The OpenAPI document. Its paths come from the handlers that answer them and its schemas from the types that they answer
//! with; here is what they share.

use super::answer::Problem;
use super::guards::ControlMethods;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, Schema,
    ServerBuilder, Type,
};
use utoipa::{IntoParams, IntoResponses, OpenApi, PartialSchema, ToSchema};

/// Bytes of a flow.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes bytes, which have no type of their own")]
pub(super) struct Payload(Vec<u8>);

/// Answers that several routes give.
const SHARED: [Shared; 19] = [
    Shared::new(200, "Done", "It is done: `Successfully paused request ID`, for example.", &[REQID]),
    Shared::new(202, "Accepted", "The run continues on its own.", &[REQID, LOCATION]),
    Shared::new(304, "Unchanged", "The caller already has this answer, according to `If-None-Match`.", &[ETAG]),
    Shared::new(400, "BadRequest", "A header, a query parameter, the path or the body is malformed.", &[ERROR]),
    Shared::new(401, "Unauthorized", "A signature or token is missing or wrong.", &[ERROR]),
    Shared::new(
        403,
        "Forbidden",
        "The token lacks a right, the module has no signature of a key that this host trusts, the configuration does not show inputs and outputs of \
         nodes, or a page of another site sent the request.",
        &[ERROR],
    ),
    Shared::new(404, "NotFound", "There is no such flow, run, node, version or route.", &[ERROR]),
    Shared::new(405, "WrongMethod", "The route does not accept this method.", &[ERROR, ALLOW]),
    Shared::new(
        409,
        "Conflict",
        "The request id belongs to another run, the run's state does not allow this, the run was stopped, or someone \
         else has changed what is in service.",
        &[ERROR],
    ),
    Shared::new(410, "Gone", "The address was used before, or has expired.", &[ERROR]),
    Shared::new(413, "TooLarge", "The body is too large.", &[ERROR]),
    Shared::new(421, "Misdirected", "The request is for another host name than the server's.", &[ERROR]),
    Shared::new(
        422,
        "Unusable",
        "The flow rejected the body of the request. Or the module cannot be used: it is not a flow for this host, or not the \
         module that was announced.",
        &[ERROR],
    ),
    Shared::new(429, "Overloaded", "Too many requests or runs are in flight.", &[ERROR, RETRY_AFTER]),
    Shared::new(
        500,
        "Failed",
        "The run failed in the flow itself. If the flow's failure handler gave an answer, the body is that answer.",
        &[ERROR],
    ),
    Shared::new(501, "Fixed", "This host has no module store.", &[ERROR]),
    Shared::new(
        502,
        "CalleeFailed",
        "The run failed since something that it calls is missing, or did not answer with a result.",
        &[ERROR],
    ),
    Shared::new(
        503,
        "Unavailable",
        "A store does not answer, a module is not loaded, or the replica is starting or about to stop.",
        &[ERROR, RETRY_AFTER],
    ),
    Shared::new(
        504,
        "TimedOut",
        "A call, a node, the whole run or the answer took too long. A run whose answer took too long continues.",
        &[ERROR, REQID],
    ),
];

/// An answer that several routes give.
struct Shared {
    status: u16,
    /// Its name among the document's components.
    name: &'static str,
    description: &'static str,
    headers: &'static [Header],
}

/// A header of answers.
struct Header {
    name: &'static str,
    description: &'static str,
    pattern: Option<&'static str>,
}

const REQID: Header =
    Header { name: "X-Faas-Flow-Reqid", description: "The run's request id.", pattern: Some("^[A-Za-z0-9_-]{1,64}$") };
const ERROR: Header = Header {
    name: "X-Faas-Flow-Error",
    description: "The error's code; `faas-flow explain CODE` explains it.",
    pattern: Some("^FF[0-9]{4}$"),
};
const LOCATION: Header = Header { name: "Location", description: "Where the result will be.", pattern: None };
const ETAG: Header = Header { name: "ETag", description: "Identifies the content of the answer.", pattern: None };
const ALLOW: Header = Header { name: "Allow", description: "The methods that the route accepts.", pattern: None };
const RETRY_AFTER: Header = Header {
    name: "Retry-After",
    description: "Seconds after which the request may be sent again.",
    pattern: Some("^[0-9]+$"),
};

impl Shared {
    const fn new(status: u16, name: &'static str, description: &'static str, headers: &'static [Header]) -> Self {
        Self { status, name, description, headers }
    }

    fn response(&self) -> Response {
        let mut response = ResponseBuilder::new().description(self.description);
        for Header { name, description, pattern } in self.headers {
            let schema = ObjectBuilder::new().schema_type(Type::String).pattern(*pattern);
            response = response
                .header(*name, HeaderBuilder::new().schema(Some(schema)).description(Some(*description)).build());
        }
        let content = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
        let is_problem = self.status >= 400;
        if !matches!(StatusCode::from_u16(self.status), Ok(StatusCode::ACCEPTED | StatusCode::NOT_MODIFIED)) {
            response = response.content("text/plain", content(String::schema()));
        }
        if is_problem {
            response = response.content("application/json", content(RefOr::Ref(Ref::from_schema_name("Problem"))));
        }
        // What the flow's failure handler has returned.
        if matches!(self.status, 422 | 500) {
            response =
                response.content("application/octet-stream", content(RefOr::Ref(Ref::from_schema_name("Payload"))));
        }
        response.build()
    }
}

fn shared(status: u16) -> BTreeMap<String, RefOr<Response>> {
    let shared = SHARED.iter().filter(|shared| shared.status == status);
    shared.map(|shared| (status.to_string(), RefOr::Ref(Ref::from_response_name(shared.name)))).collect()
}

/// The header of a read that may be answered with 304.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header, which is read with all others")]
pub(super) struct IfNoneMatch {
    /// The `ETag` of an answer that the caller has. If the answer would be the same, it is 304 without a body.
    #[param(rename = "If-None-Match", value_type = String, required = false)]
    if_none_match: Option<String>,
}

/// The shared answer of this status.
pub(super) struct On<const STATUS: u16>;

impl<const STATUS: u16> IntoResponses for On<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(STATUS)
    }
}

/// The answers with which any request to a flow may be refused.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [400, 403, 404, 405, 413, 421, 429, 500, 503, 504].into_iter().flat_map(shared).collect()
    }
}

/// The answers whose status and headers a flow has set.
pub(super) struct OfTheFlow;

impl IntoResponses for OfTheFlow {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let response = ResponseBuilder::new().description(
            "The answer of the flow, with a status from 200 to 599 and headers that the flow has set. `X-Faas-Flow-State` says \
             how the run ended.",
        );
        let payload = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Payload")))).build();
        let response = response.content("application/octet-stream", payload).build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}

/// What the document says about all routes together.
#[derive(OpenApi)]
#[openapi(
    version = "3.1.0",
    info(
        title = "A flow of faas-flow",
        version = "1",
        license(name = "MIT", identifier = "MIT"),
        description = "The routes of one flow, and those of its host under `/_/`. Behind a gateway or on the local server a \
                       flow is at `/function/NAME`. A deployed function reports in each answer how many seconds it took, in \
                       `X-Duration-Seconds`, and accepts a limit for that time in `X-Timeout`.",
    ),
    servers(
        (url = "/function/{flow}", description = "Behind a gateway, or on the local server.",
            variables(("flow" = (default = "flow")))),
        (url = "/", description = "The deployed function itself."),
    ),
    components(schemas(Problem<'_>, Payload)),
)]
struct Base;

/// The routes that pause, resume or stop a run.
pub(super) const CONTROLLED: [&str; 3] = ["/flow/{id}/pause", "/flow/{id}/resume", "/flow/{id}/stop"];

/// The document of these routes: their paths, and the schemas that they refer to.
pub(super) fn build<'a>(
    routes: impl Iterator<Item = (&'a Paths, &'a [(String, RefOr<Schema>)])>,
    methods: ControlMethods,
) -> Document {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "The host's `faasflow-admin-token`, or one of its `faasflow-tokens` with the right to it, if it has any: for all routes that change runs, list them, or show their nodes with their inputs and outputs, and for all of `/modules`.",
    ));
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    components.responses.extend(SHARED.iter().map(|shared| (shared.name.to_owned(), RefOr::T(shared.response()))));
    for (paths, schemas) in routes {
        components.schemas.extend(schemas.iter().cloned());
        document.paths.merge(paths.clone());
    }
    for (path, item) in &mut document.paths.paths {
        if path.starts_with("/_/") {
            item.servers = Some(vec![ServerBuilder::new().url("/").build()]);
        }
        tell_methods_apart(item);
        if methods == ControlMethods::Post && CONTROLLED.contains(&path.as_str()) {
            item.get = None;
        }
    }
    // A run may begin without a body, and a function may answer without one.
    for path in ["/", "/flow/{id}/answer"] {
        let operation = document.paths.paths.get_mut(path).and_then(|item| item.post.as_mut());
        if let Some(RefOr::T(body)) = operation.and_then(|operation| operation.request_body.as_mut()) {
            body.required = None;
        }
    }
    document
}

/// The original takes both methods for everything, so a route may take GET beside its own method. That needs an id of its own
/// in the document, and GET has no body.
fn tell_methods_apart(item: &mut PathItem) {
    let (Some(get), Some(post)) = (&mut item.get, &mut item.post) else { return };
    get.request_body = None;
    // What may conflict with the state of a run changes something: its own method is POST.
    let changes = post.responses.responses.contains_key("409");
    let (own, other, method) = if changes { (post, get, "get") } else { (get, post, "post") };
    if let Some(id) = own.operation_id.as_ref().filter(|id| other.operation_id.as_ref() == Some(*id)) {
        other.operation_id = Some(format!("{id}-by-{method}"));
        other.description = Some("The same, for callers of the original.".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::status_of;
    use crate::routes::document;
    use faas_flow_core::Code;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn parsed() -> Value {
        serde_json::from_str(document(ControlMethods::GetAndPost)).unwrap()
    }

    fn each<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str, &'a Value)) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                visit(name, value);
                each(value, visit);
            }),
            Value::Array(items) => items.iter().for_each(|item| each(item, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_component_and_every_response_is_used() {
        let document = parsed();
        let mut used = BTreeSet::new();
        each(&document, &mut |name, value| {
            if name == "$ref" {
                let reference = value.as_str().unwrap();
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                used.insert(reference.to_owned());
            }
        });
        for response in document["components"]["responses"].as_object().unwrap().keys() {
            assert!(used.contains(&format!("#/components/responses/{response}")), "{response}");
        }
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_a_summary() {
        let document = parsed();
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in ["get", "post", "put", "delete"] {
                let Some(operation) = item.get(method) else { continue };
                assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
                let summary = operation["summary"].as_str().unwrap();
                assert!(!summary.is_empty() && !summary.contains('\n') && !summary.ends_with('.'), "{summary}");
                assert!(operation["responses"].get("405").is_some(), "{method} {path}");
            }
        }
        assert!(ids.contains("invoke") && ids.contains("invoke-by-get") && ids.contains("state-by-post"), "{ids:?}");

        assert_eq!(ids.len(), 47);
    }

    #[test]
    fn every_status_that_a_code_has_is_described() {
        for code in Code::ALL {
            let status = status_of(*code).as_u16();
            // A body that is too slow is answered on a connection that is closed, which no client can provoke by the document.
            let described = status == 408 || SHARED.iter().any(|shared| shared.status == status);
            assert!(described, "{code}: {status}");
        }
    }
}

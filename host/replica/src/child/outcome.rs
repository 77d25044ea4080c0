//! What a flow answers to the run that called it.

use super::header::{WAITS, parse_wait};
use crate::ended::Ended;
use crate::settings::Answers;
use faas_flow_core::run::WaitId;
use faas_flow_core::text::printable_lines;
use faas_flow_core::{Code, Content, Failure, MediaType, RunId, Status};
use faas_flow_guest::HttpResponse;

/// The header with the request id of a run.
const REQUEST_ID: &str = "x-faas-flow-reqid";
/// The header with the state of a run.
const STATE: &str = "x-faas-flow-state";
/// The header with the code of an error.
const ERROR: &str = "x-faas-flow-error";
/// The media type of failures.
const TEXT: &str = "text/plain; charset=utf-8";
/// How much of a child's failure the failure of its parent repeats, in characters.
const QUOTED: usize = 1000;

/// How a run that was called is doing.
#[derive(Debug)]
pub(crate) enum Child {
    /// It has not ended. Its end ends this wait, if it says so.
    Running(Option<WaitId>),
    /// It has ended: with its result as a response, or with the failure of the call.
    Ended(Result<HttpResponse, Failure>),
}

/// The response that says how a run ended, as the flow's own route would give it.
pub(crate) fn response(run: &RunId, ended: &Ended) -> HttpResponse {
    let mut headers = vec![(REQUEST_ID.to_owned(), run.to_string()), (STATE.to_owned(), ended.status.to_string())];
    headers.extend(ended.failure.as_ref().map(|failure| (ERROR.to_owned(), failure.code.to_string())));
    let Content { bytes: body, media_type } = match (&ended.result, &ended.failure) {
        (Some(result), _) => result.clone(),
        (None, Some(failure)) => Content::new(failure.to_string(), MediaType::parse(TEXT).unwrap_or_default()),
        (None, None) => Content::empty(),
    };
    let status = match (&ended.response, ended.status) {
        (Some(head), _) => {
            headers.extend(head.headers.iter().cloned());
            head.status
        }
        (None, Status::Succeeded) => 200,
        (None, _) => 500,
    };
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".to_owned(), media_type.to_string()));
    }
    HttpResponse { status, headers, body }
}

/// Whether a response is about this run.
pub(crate) fn names(response: &HttpResponse, run: &RunId) -> bool {
    response.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(REQUEST_ID) && value == run.as_str())
}

/// How the run is doing that a flow has begun for a call, as its response says. `Err` has the response back if it does not
/// speak of that run, since the callee is no flow, or has not begun a run.
pub(crate) fn read(flow: &str, child: &RunId, response: HttpResponse, answers: Answers) -> Result<Child, HttpResponse> {
    let header = |name: &str| response.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
    let text = |name: &str| header(name).map(|(_, value)| value.as_str());
    let code = text(ERROR).and_then(Code::parse);
    if code == Some(Code::FLOWS_TOO_DEEP) {
        let message = said(&response.body, Code::FLOWS_TOO_DEEP);
        let message = message.as_deref().and_then(|text| text.split_once(": ")).map(|(_, message)| message.to_owned());
        let message = message.unwrap_or_else(|| format!("flow `{flow}` is called too deeply"));
        return Ok(Child::Ended(Err(Failure::reject(Code::FLOWS_TOO_DEEP, message))));
    }
    if !names(&response, child) {
        return Err(response);
    }
    let why = |code: Option<Code>| match code {
        Some(code) => match said(&response.body, code) {
            Some(text) => format!(": {text}"),
            None => format!(": {code}{}", answers.quote(&response.body)),
        },
        None => String::new(),
    };
    let failed = |how: &str| {
        let message = format!("flow `{flow}` {how} in run {child}{}", why(code));
        Failure::reject(Code::CHILD_FAILED, message)
    };
    match text(STATE).and_then(Status::parse) {
        Some(Status::Running | Status::Paused) => Ok(Child::Running(text(WAITS).and_then(parse_wait))),
        Some(Status::Succeeded) if code.is_none() => Ok(Child::Ended(Ok(response))),
        Some(Status::Failed) => Ok(Child::Ended(Err(failed("failed")))),
        Some(Status::Stopped) => Ok(Child::Ended(Err(failed("was stopped")))),
        // Its result exists, and cannot be read at this moment.
        Some(Status::Succeeded) | None => Err(response),
    }
}

/// The text of a failure, if a host wrote it.
fn said(body: &[u8], code: Code) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    text.starts_with(&code.to_string()).then(|| printable_lines(text).to_string().chars().take(QUOTED).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn child() -> RunId {
        RunId::new("c-1").unwrap()
    }

    fn ended(status: Status, result: Option<&'static str>, failure: Option<Failure>) -> HttpResponse {
        response(
            &child(),
            &Ended {
                status,
                result: result.map(|text| Content::new(text, MediaType::default())),
                response: None,
                failure,
            },
        )
    }

    fn failure(response: HttpResponse) -> Failure {
        match read("child", &child(), response, Answers::Withheld) {
            Ok(Child::Ended(Err(failure))) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_result_of_a_child_is_the_response() {
        let response = ended(Status::Succeeded, Some("result"), None);
        let Ok(Child::Ended(Ok(response))) = read("child", &child(), response, Answers::Withheld) else { panic!() };
        assert_eq!((response.status, &response.body[..]), (200, &b"result"[..]));
    }

    #[test]
    fn the_failure_of_a_child_is_told_with_its_run() {
        let why = Failure::retry(Code::CALL_STATUS, "`f` answered with status 500");
        let told = failure(ended(Status::Failed, None, Some(why)));
        let message = "flow `child` failed in run c-1: FF0207: `f` answered with status 500";
        assert_eq!((told.code, told.retry, &*told.message), (Code::CHILD_FAILED, false, message));
        let handled = Failure::reject(Code::CALL_STATUS, "`f` answered with status 500");
        let told = failure(ended(Status::Failed, Some("secret answer of its failure handler"), Some(handled)));
        assert_eq!(told.message, "flow `child` failed in run c-1: FF0207");
        let stopped = Failure::reject(Code::RUN_STOPPED, "the run was stopped");
        let told = failure(ended(Status::Stopped, None, Some(stopped)));
        assert!(told.message.starts_with("flow `child` was stopped in run c-1"), "{}", told.message);
    }

    #[test]
    fn a_response_that_does_not_speak_of_the_child_is_left_as_it_is() {
        let other = RunId::new("c-2").unwrap();
        let response = ended(Status::Running, None, None);
        assert!(matches!(read("child", &child(), response.clone(), Answers::Withheld), Ok(Child::Running(_))));
        assert!(read("child", &other, response, Answers::Withheld).is_err());
        let plain = HttpResponse { status: 202, headers: Vec::new(), body: Bytes::from("later") };
        assert_eq!(read("child", &child(), plain, Answers::Withheld).unwrap_err().status, 202);
    }
}

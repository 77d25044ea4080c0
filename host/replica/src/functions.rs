//! The functions that flows call: programs, URLs, the built-in echo, and those behind the gateway.

use crate::error::FunctionOptionFault;
use crate::network::{CallError, ChosenBy, Network, Quote, Retry};
use crate::program::{Broken, LastLines, ProgramLines, Running, Said, ScriptFault, environment, parse_block};
use crate::{Answers, Error, Settings};
use faas_flow_core::{Code, Failure, FlowName, is_function_name, leaves_function, redact};
use faas_flow_guest::{HttpRequest, HttpResponse};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// The header with the address to which the queue sends the answer of a function.
const CALLBACK: &str = "X-Callback-Url";

/// How a function is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// Answers with the request's body.
    Echo,
    /// Runs a program for each call, which gets the body on its stdin and writes the answer to its stdout. If it exits with
    /// an error, the call fails with [`FUNCTION_FAILED`](Code::FUNCTION_FAILED).
    Command(PathBuf, ProgramAnswer),
    /// Calls a URL, to which the rest of the path and the query of the call are added.
    Url(String),
}

/// What a program writes to its stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramAnswer {
    /// The body.
    Body,
    /// A block of headers, which may have a `Status`; an empty line; and the body.
    WithHeaders,
}

/// The functions that flows may call by name.
#[derive(Clone)]
pub struct Functions {
    known: HashMap<String, Function>,
    gateway: Option<String>,
    network: Arc<dyn Network>,
    response_limit: usize,
    answers: Answers,
    /// Further request headers that programs get.
    program_headers: Arc<[String]>,
    program_lines: Option<ProgramLines>,
}

/// What became of a call for the queue.
pub(crate) enum Queued {
    /// The queue has it.
    Accepted,
    /// Functions of this name are not called through a gateway.
    NoQueue(HttpRequest),
}

impl Function {
    /// Reads `name=echo`, `name=http://…`, `name=./program` or `name=headers:./program`. Fails with
    /// [`BAD_FUNCTION_OPTION`](Code::BAD_FUNCTION_OPTION).
    pub fn parse(option: &str) -> Result<(String, Function), Error> {
        let wrong = |fault| Error::BadFunctionOption { option: redact::text(option), fault };
        let (name, target) = option.split_once('=').ok_or_else(|| wrong(FunctionOptionFault::NoEqualsSign))?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(wrong(FunctionOptionFault::NoName));
        }
        let function = match target {
            "" => return Err(wrong(FunctionOptionFault::NoTarget)),
            "echo" | "=echo" => Function::Echo,
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Function::Url(url.trim_end_matches('/').to_owned())
            }
            path => {
                let with_headers = path.strip_prefix("headers:").map(|path| (path, ProgramAnswer::WithHeaders));
                let (path, answers) = with_headers.unwrap_or((path, ProgramAnswer::Body));
                let program = std::fs::canonicalize(path);
                let program = program.map_err(|error| wrong(FunctionOptionFault::NoProgram(error)))?;
                if let Some(fault) = ScriptFault::of(&program) {
                    return Err(wrong(FunctionOptionFault::Script(fault)));
                }
                Function::Command(program, answers)
            }
        };
        Ok((name.to_owned(), function))
    }
}

impl Functions {
    /// Functions by their names; others are called through the gateway at this URL, if there is one.
    pub fn new(
        known: impl IntoIterator<Item = (String, Function)>,
        gateway: Option<String>,
        settings: &Settings,
        network: Arc<dyn Network>,
    ) -> Self {
        let Settings { response_limit, answers, .. } = *settings;
        let program_headers = settings.program_headers.clone().into();
        let known = known.into_iter().collect();
        Self { known, gateway, network, response_limit, answers, program_headers, program_lines: None }
    }

    /// Functions whose programs have each line that they write to stderr taken by `lines`.
    pub fn with_program_lines(self, lines: ProgramLines) -> Self {
        Self { program_lines: Some(lines), ..self }
    }

    /// The function of this name, unless only the gateway may know it.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.known.get(name)
    }

    /// The names of the known functions, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.known.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Whether a function of this name may be a flow on another host.
    pub(crate) fn may_be_flow(&self, name: &str) -> bool {
        match self.known.get(name) {
            Some(Function::Url(_)) => true,
            Some(Function::Echo | Function::Command(..)) => false,
            None => self.gateway.is_some(),
        }
    }

    /// Puts a call into the queue of the gateway, which sends the answer to `answer_to`, a path and query below that of a
    /// flow. Of the request's URL, the same counts as in [`Functions::apply`].
    pub(crate) async fn enqueue(
        &self,
        name: &str,
        (flow, answer_to): (&FlowName, &str),
        mut request: HttpRequest,
    ) -> Result<Queued, Failure> {
        let gateway = match (self.known.get(name), &self.gateway) {
            (None, Some(gateway)) if is_function_name(name) => gateway,
            _ => return Ok(Queued::NoQueue(request)),
        };
        let (tail, query) = tail_and_query(name, &request.url)?;
        let url = below(&format!("{gateway}/async-function/{name}"), name, &tail, &query)?;
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(CALLBACK));
        request.headers.push((CALLBACK.to_owned(), format!("{gateway}/function/{flow}{answer_to}")));
        let callee = redact::place(&url);
        let answer = self.network.send(HttpRequest { url, ..request }, ChosenBy::Gateway).await?;
        match answer.status {
            200..300 => Ok(Queued::Accepted),
            status => {
                let retry = if matches!(status, 408 | 429 | 500..) { Retry::Yes } else { Retry::No };
                let quote = Quote::new(self.answers.quote(&answer.body));
                Err(CallError::Status { callee, status, quote, retry }.into())
            }
        }
    }

    /// Calls a function. Of the request's URL only the query counts, and of its path what follows the first segment: that is
    /// appended to the function's own address, below which it must stay.
    pub async fn apply(&self, name: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        self.apply_hearing(name, request, &LastLines::default()).await
    }

    /// Calls a function. If it is a program, what it has written to stderr so far is in `last`, also before it ends.
    pub(crate) async fn apply_hearing(
        &self,
        name: &str,
        request: HttpRequest,
        last: &LastLines,
    ) -> Result<HttpResponse, Failure> {
        let (tail, query) = tail_and_query(name, &request.url)?;
        let (tail, query) = (tail.as_str(), query.as_str());
        match (self.known.get(name), &self.gateway) {
            (Some(Function::Echo), _) => Ok(echo(request)),
            (Some(Function::Command(program, answers)), _) => {
                Ok(self.command((name, program, *answers), (tail, query), request, last).await?)
            }
            (Some(Function::Url(base)), _) => {
                let url = below(base, name, tail, query)?;
                self.network.send(HttpRequest { url, ..request }, ChosenBy::Function).await
            }
            (None, Some(gateway)) if is_function_name(name) => {
                let url = below(&format!("{gateway}/function/{name}"), name, tail, query)?;
                let answer = self.network.send(HttpRequest { url, ..request }, ChosenBy::Gateway).await;
                answer.map_err(|mut failure| {
                    if failure.code == Code::CALL_UNREACHABLE {
                        failure.message += "; the key `gateway` sets where functions are called";
                    }
                    failure
                })
            }
            (None, _) => {
                let known = self.names().into_iter().map(str::to_owned).collect();
                Err(CallError::UnknownFunction { name: name.to_owned(), known }.into())
            }
        }
    }

    /// Sends a request to a URL that a flow or a caller chose, and reads the whole response.
    pub async fn request(&self, request: HttpRequest, by: ChosenBy) -> Result<HttpResponse, Failure> {
        self.network.send(request, by).await
    }

    async fn command(
        &self,
        (name, program, answers): (&str, &Path, ProgramAnswer),
        (tail, query): (&str, &str),
        request: HttpRequest,
        last: &LastLines,
    ) -> Result<HttpResponse, CallError> {
        let name = name.to_owned();
        let mut command = tokio::process::Command::new(program);
        command.envs(environment(&request, &format!("/{tail}"), query, &self.program_headers));
        let running = match Running::start(&mut command).await {
            Ok(running) => running,
            Err(source) => {
                let program = program.to_owned();
                return Err(match ScriptFault::of(&program) {
                    Some(fault) => CallError::BadScript { name, program, fault },
                    None => CallError::NotStarted { name, program, source },
                });
            }
        };
        let mut said = Said::new(&name, self.program_lines.clone(), last.clone());
        let (status, output) = match running.run(&request.body, self.response_limit, &mut said).await {
            Ok(ended) => ended,
            Err(Broken::Lost(source)) => return Err(CallError::Lost { name, source }),
            Err(Broken::OutOfMemory(short)) => return Err(short.into()),
            Err(Broken::TooLarge(limit)) => return Err(CallError::TooLarge { callee: name, limit }),
        };
        let quote = || Quote::new(self.answers.quote_text(&last.text()));
        if !status.success() {
            return Err(CallError::Exited { name, status, quote: quote() });
        }
        match answers {
            ProgramAnswer::Body => Ok(HttpResponse { status: 200, headers: Vec::new(), body: output }),
            ProgramAnswer::WithHeaders => {
                parse_block(output).map_err(|fault| CallError::BadBlock { name, fault, quote: quote() })
            }
        }
    }
}

/// The body as it came, as the media type that the request says.
fn echo(request: HttpRequest) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), request.media_type().to_string())];
    HttpResponse { status: 200, headers, body: request.body }
}

/// What of the URL of a call is appended to the function's own address: a path, and a query.
fn tail_and_query(name: &str, url: &str) -> Result<(String, String), CallError> {
    let (path, query) = path_and_query(url);
    let tail = path.trim_start_matches('/').split_once('/').map_or("", |(_, tail)| tail);
    if leaves_function(tail) {
        return Err(CallError::LeavesFunction { name: name.to_owned() });
    }
    Ok((tail.to_owned(), query.to_owned()))
}

fn path_and_query(url: &str) -> (&str, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let behind =
        url.split_once("://").map_or(url, |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default());
    behind.split_once('?').unwrap_or((behind, ""))
}

/// The URL of a path and query below that of a function, as the URL standard normalizes it; or the function's own.
fn below(base: &str, name: &str, tail: &str, query: &str) -> Result<String, CallError> {
    if tail.is_empty() && query.is_empty() {
        return Ok(base.to_owned());
    }
    let malformed = |error| CallError::BadRequest { callee: redact::place(base), reason: format!("{error}") };
    let function = Url::parse(base).map_err(malformed)?;
    let url = Url::parse(&join(base, tail, query)).map_err(malformed)?;
    let path = url.path().strip_prefix(function.path().trim_end_matches('/'));
    let is_below = path.is_some_and(|path| path.is_empty() || path.starts_with('/'));
    if url.origin() == function.origin() && is_below {
        Ok(url.into())
    } else {
        Err(CallError::LeavesFunction { name: name.to_owned() })
    }
}

fn join(base: &str, tail: &str, query: &str) -> String {
    let slash = if tail.is_empty() { "" } else { "/" };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}{slash}{tail}{mark}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn options_name_a_function_and_how_it_is_called() {
        assert_eq!(Function::parse("f=echo").unwrap(), ("f".to_owned(), Function::Echo));
        assert_eq!(Function::parse("f==echo").unwrap().1, Function::Echo);
        assert_eq!(Function::parse("f=http://h:1/p/").unwrap().1, Function::Url("http://h:1/p".to_owned()));
        let folder = tempfile::TempDir::new().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\r\ncat\r\n").unwrap();
        let program = std::env::current_exe().unwrap();
        for (option, answers) in [("", ProgramAnswer::Body), ("headers:", ProgramAnswer::WithHeaders)] {
            let parsed = Function::parse(&format!("f={option}{}", program.display())).unwrap().1;
            assert_eq!(parsed, Function::Command(program.canonicalize().unwrap(), answers));
        }
        let script = format!("f={}", script.display());
        assert!(Function::parse(&script).unwrap_err().to_string().contains("CRLF"));
        for bad in ["f", "=echo", "f=", "a b=echo", "f=./not-there", &script] {
            assert_eq!(Function::parse(bad).unwrap_err().code(), Code::BAD_FUNCTION_OPTION, "{bad}");
        }
    }

    /// A network that answers with the URL that it is asked for.
    struct Echoes;

    #[async_trait::async_trait]
    impl Network for Echoes {
        async fn send(&self, request: HttpRequest, _: ChosenBy) -> Result<HttpResponse, Failure> {
            Ok(HttpResponse { status: 200, headers: Vec::new(), body: request.url.into() })
        }
    }

    fn functions() -> Functions {
        let known = [("own".to_owned(), Function::Url("http://h:1/base".to_owned()))];
        Functions::new(known, Some("http://gw:8080/openfaas".to_owned()), &Settings::default(), Arc::new(Echoes))
    }

    /// The URL that is called if a request for a function has this one.
    fn called(name: &str, url: &str) -> Result<String, Failure> {
        let request = HttpRequest { method: "POST".into(), url: url.into(), headers: Vec::new(), body: Bytes::new() };
        let answer = futures_util::FutureExt::now_or_never(functions().apply(name, request)).unwrap();
        answer.map(|answer| String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[test]
    fn a_function_is_called_below_its_own_address() {
        for (name, url, expected) in [
            ("f", "http://function/f", "http://gw:8080/openfaas/function/f"),
            ("f.ns", "http://function/f.ns/a%20b/./c?x=1#/../..", "http://gw:8080/openfaas/function/f.ns/a%20b/c?x=1"),
            ("f", "http://function/f//evil.example/", "http://gw:8080/openfaas/function/f//evil.example/"),
            ("own", "http://elsewhere/other/a?b=../..", "http://h:1/base/a?b=../.."),
            ("f", "https://elsewhere", "http://gw:8080/openfaas/function/f"),
        ] {
            assert_eq!(called(name, url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn a_path_that_leaves_its_function_is_refused_and_not_tried_again() {
        for name in ["f", "f.ns", "own"] {
            for path in
                ["..", "%2e%2e/%2E%2e/system/functions", "a/..%5c..", "\\..\\..\\system", "%252e%252e%252fsystem"]
            {
                let Failure { code, retry, .. } = called(name, &format!("http://function/{name}/{path}")).unwrap_err();
                assert_eq!((code, retry), (Code::PATH_LEAVES_FUNCTION, false), "{path}");
            }
        }
        for name in ["..", ".", "a/b", "a\\b", "%2e%2e"] {
            assert_eq!(called(name, "http://function/f").unwrap_err().code, Code::FUNCTION_MISSING, "{name}");
        }
    }

    /// What a path may be made of to climb.
    const PIECES: &[&str] = &[
        "..", ".", "%2e", "%2E", "%252e", "%25", "2e", "/", "\\", "%2f", "%5c", "%252F", "%255C", "a", ";", "?", "#",
        "\t", "\n", "\r", " ", "%09", "%0a", "%20", "%00", "//", ":", "@", "%", "é", "system",
    ];

    /// Whether the URL standard puts this path below that of a function.
    fn is_below(base: &str, path: &str) -> bool {
        let Ok(url) = Url::parse(&format!("http://gw:8080{path}")) else { return true };
        url.path() == base || url.path().starts_with(&format!("{base}/"))
    }

    fn decoded(path: &str) -> String {
        percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
    }

    proptest::proptest! {
        #[test]
        fn no_path_leads_out_of_the_function(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..10),
            any in ".{0,6}",
        ) {
            let path = pieces.concat() + &any;
            for (name, base) in [("f.ns", "/openfaas/function/f.ns"), ("own", "/base")] {
                let Ok(sent) = called(name, &format!("http://function/{name}/{path}")) else { continue };
                let sent = Url::parse(&sent).unwrap();
                let once = decoded(sent.path());
                for path in [sent.path(), &once, &decoded(&once)] {
                    proptest::prop_assert!(is_below(base, path), "{sent} as {path:?}");
                }
            }
        }
    }

    #[test]
    fn paths_and_queries_survive_the_way_to_a_function() {
        assert_eq!(path_and_query("http://function/func1/a/b?x=1"), ("/func1/a/b", "x=1"));
        assert_eq!(join("http://h/f", "a/b", "x=1"), "http://h/f/a/b?x=1");
        assert_eq!(join("http://h/f", "", ""), "http://h/f");
    }
}

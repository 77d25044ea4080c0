//! Reads scenario files, and checks what they say against the flow.

use crate::Error;
use crate::form::{
    AnswerForm, CallForm, ExpectForm, FailureForm, FileForm, FunctionForm, ResponseForm, RunsForm, Scalar,
    ScenarioForm, StepForm,
};
use crate::places::Places;
use crate::scenario::{
    Answer, Answers, At, Data, Expect, ExpectedCall, ExpectedFailure, Only, Scenario, Step, data, suggestion,
};
use bytes::Bytes;
use faas_flow_core::{Code, FlowName, Millis, SignalName, Status, parse_duration, parse_moment};
use faas_flow_guest::Guests;
use faas_flow_replica::Function;
use faas_flow_versions::{Flow, load_flow};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// When scenarios begin that name no moment: 2026-01-01T00:00:00Z.
const BEGAN: Millis = 1_767_225_600_000;
/// How much virtual time a run may take unless its scenario says so: more than the longest sleep.
const AT_MOST: Duration = Duration::from_secs(400 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The endings of scenario files.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// The scenario files that a path names: itself, or those in the folder, in the order of their names.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(Error::NoScenarios { path: path.to_owned() });
    }
    found.sort();
    Ok(found)
}

/// Reads scenario files, loads the flows that they name, and checks what they say of the flow.
pub async fn read(guests: &Arc<Guests>, flow: &Flow, files: &[PathBuf]) -> Result<Vec<Arc<Scenario>>, Error> {
    let mut scenarios = Vec::new();
    for file in files {
        let unreadable = |source| Error::Unreadable { path: file.clone(), source };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        let form = form(file, &text)?;
        let reads = Reads { file, places: Places::of(flow), guests, flow };
        let shared = reads.functions(form.functions).await?;
        let before = scenarios.len();
        for scenario in form.scenarios {
            scenarios.push(Arc::new(reads.scenario(scenario, &shared).await?));
        }
        if scenarios.len() == before {
            return Err(Error::NoScenarios { path: file.clone() });
        }
    }
    Ok(scenarios)
}

/// Reads the text of one file.
pub(crate) fn form(file: &Path, text: &str) -> Result<FileForm, Error> {
    serde_saphyr::from_str(text).map_err(|error| Error::Bad {
        path: file.to_owned(),
        line: error.location().map_or(1, |at| at.line()),
        what: format!("{}: docs/testing.md shows the form of a scenario file", first_line(&error)),
    })
}

/// What a parser says, without the part of the file that it shows.
fn first_line(error: &serde_saphyr::Error) -> String {
    let said = error.to_string();
    let said = said.lines().next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    // The place is told before.
    let placed = said.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    placed.map_or(said, |(_, what)| what).to_owned()
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line().max(1)
}

fn at<T, U>(spanned: Spanned<T>, make: impl FnOnce(T) -> U) -> At<U> {
    At { line: line(&spanned), value: make(spanned.value) }
}

fn pairs(map: BTreeMap<String, Scalar>) -> Vec<(String, String)> {
    map.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

/// `2d12h`, and all that keys of the configuration take.
fn duration(text: &str) -> Option<Duration> {
    let (days, rest) = text.split_once('d').unwrap_or(("0", text));
    let days: u32 = days.parse().ok()?;
    let rest = if rest.is_empty() { Duration::ZERO } else { parse_duration(rest)? };
    DAY.checked_mul(days)?.checked_add(rest)
}

/// Reads one file.
struct Reads<'a> {
    file: &'a Path,
    places: Places,
    guests: &'a Arc<Guests>,
    flow: &'a Flow,
}

impl Reads<'_> {
    fn bad(&self, line: u64, what: impl Into<String>) -> Error {
        Error::Bad { path: self.file.to_owned(), line, what: what.into() }
    }

    /// A path that a file names is relative to the file.
    fn path(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    fn contents(&self, path: &Path, line: u64) -> Result<Bytes, Error> {
        let path = self.path(path);
        let read = std::fs::read(&path);
        read.map(Bytes::from).map_err(|error| self.bad(line, format!("cannot read {}: {error}", path.display())))
    }

    fn duration(&self, text: &str, line: u64) -> Result<Duration, Error> {
        let what = || self.bad(line, format!("`{text}` is not a duration: write one such as 1500ms, 30s, 2h or 7d12h"));
        duration(text).ok_or_else(what)
    }

    fn moment(&self, text: &str, line: u64) -> Result<Millis, Error> {
        parse_moment(text).map_err(|error| self.bad(line, format!("{error}")))
    }

    async fn scenario(
        &self,
        spanned: Spanned<ScenarioForm>,
        shared: &BTreeMap<String, Answers>,
    ) -> Result<Scenario, Error> {
        let begins = line(&spanned);
        let form = spanned.value;
        let input = match (form.input, form.input_file) {
            (Some(_), Some(file)) => return Err(self.bad(line(&file), "give either `input` or `input-file`")),
            (None, Some(file)) => Data { bytes: self.contents(&file.value, line(&file))?, media_type: None },
            (input, None) => data(input),
        };
        let mut functions = self.functions(form.functions).await?;
        for (name, answers) in shared {
            functions.entry(name.clone()).or_insert_with(|| answers.clone());
        }
        let began = form.now.map(|now| self.moment(&now.value, line(&now))).transpose()?.unwrap_or(BEGAN);
        let at_most = form.at_most.map(|most| self.duration(&most.value, line(&most))).transpose()?;
        let steps = form.steps.into_iter().map(|step| self.step(step)).collect::<Result<_, _>>()?;
        let expect = form.expect.map(|expect| self.expect(expect, &functions)).transpose()?.unwrap_or_default();
        Ok(Scenario {
            file: self.file.to_owned(),
            line: begins,
            name: form.name,
            began,
            input,
            query: pairs(form.query),
            headers: pairs(form.headers),
            functions,
            steps,
            at_most: at_most.unwrap_or(AT_MOST),
            expect,
        })
    }

    async fn functions(
        &self,
        forms: BTreeMap<String, Spanned<FunctionForm>>,
    ) -> Result<BTreeMap<String, Answers>, Error> {
        let mut functions = BTreeMap::new();
        for (name, spanned) in forms {
            if name == self.flow.name.as_str() {
                let what = format!("`{name}` is the flow itself, which answers its own calls: leave it out");
                return Err(self.bad(line(&spanned), what));
            }
            let answers = self.answers(&name, line(&spanned), spanned.value).await?;
            functions.insert(name, answers);
        }
        Ok(functions)
    }

    async fn answers(&self, name: &str, line: u64, form: FunctionForm) -> Result<Answers, Error> {
        match form {
            FunctionForm::Answers(list) => {
                let list = list.into_iter().map(|answer| self.answer(answer, line)).collect::<Result<_, _>>()?;
                Ok(Answers::Given(list))
            }
            FunctionForm::Runs(RunsForm { echo: true, .. }) => Ok(Answers::Echo),
            FunctionForm::Runs(RunsForm { program: Some(program), .. }) => {
                let text = program.to_string_lossy();
                let (prefix, path) = match text.strip_prefix("headers:") {
                    Some(path) => ("headers:", Path::new(path).to_owned()),
                    None => ("", program.clone()),
                };
                let option = format!("program={prefix}{}", self.path(&path).display());
                let parsed = Function::parse(&option).map_err(|error| self.bad(line, error.to_string()))?;
                Ok(Answers::Program(parsed.1))
            }
            FunctionForm::Runs(RunsForm { flow: Some(module), .. }) => {
                let called = FlowName::new(name)
                    .map_err(|error| self.bad(line, format!("`{name}` cannot be the name of a flow: {error}")))?;
                Ok(Answers::Flow(load_flow(self.guests.clone(), &self.path(&module), Some(called)).await?))
            }
            FunctionForm::Runs(_) => Err(self.bad(line, format!("`{name}` has neither answers nor a program or flow"))),
        }
    }

    fn answer(&self, form: AnswerForm, line: u64) -> Result<Answer, Error> {
        let body = match (form.body, form.body_file) {
            (Some(_), Some(_)) => return Err(self.bad(line, "give either `body` or `body-file`")),
            (None, Some(file)) => Data { bytes: self.contents(&file, line)?, media_type: None },
            (body, None) => data(body),
        };
        let mut headers = pairs(form.headers);
        if let Some(media_type) = body.media_type
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".to_owned(), media_type.to_owned()));
        }
        let status = form.status.unwrap_or(200);
        if !(100..=599).contains(&status) {
            return Err(self.bad(line, format!("{status} is not a status: write one from 100 to 599")));
        }
        let delay = form.delay.map(|delay| self.duration(&delay, line)).transpose()?.unwrap_or_default();
        let only = Only { body: form.for_body, containing: form.for_body_containing };
        Ok(Answer { status, headers, body: body.bytes, delay, error: form.error, only })
    }

    fn step(&self, spanned: Spanned<StepForm>) -> Result<Step, Error> {
        let line = line(&spanned);
        match spanned.value {
            StepForm { wait: Some(wait), wait_until: None, signal: None, body: None, stop: false } => {
                Ok(Step::Wait(self.duration(&wait, line)?))
            }
            StepForm { wait: None, wait_until: Some(until), signal: None, body: None, stop: false } => {
                Ok(Step::WaitUntil(self.moment(&until, line)?))
            }
            StepForm { wait: None, wait_until: None, signal: Some(signal), body, stop: false } => {
                let name = SignalName::new(&signal).map_err(|error| self.bad(line, error.to_string()))?;
                Ok(Step::Signal(name, data(body)))
            }
            StepForm { wait: None, wait_until: None, signal: None, body: None, stop: true } => Ok(Step::Stop),
            _ => Err(self.bad(line, "a step is one of `wait`, `wait-until`, `stop`, and `signal` with its `body`")),
        }
    }

    fn expect(&self, spanned: Spanned<ExpectForm>, functions: &BTreeMap<String, Answers>) -> Result<Expect, Error> {
        let begins = line(&spanned);
        let form = spanned.value;
        let status = form.status.map(|status| self.status(status)).transpose()?;
        let failure = form.failure.map(|failure| self.failure(failure)).transpose()?;
        let mut calls = None;
        if let Some(list) = form.calls {
            let calls_line = line(&list);
            let value = list.value.into_iter().map(|call| self.call(call, functions)).collect::<Result<_, _>>()?;
            calls = Some(At { line: calls_line, value });
        }
        let mut counts = Vec::new();
        for (name, count) in form.counts {
            self.check_function(&name, line(&count), functions)?;
            counts.push((name, at(count, |count| count)));
        }
        let nodes =
            |names: Vec<Spanned<String>>| names.into_iter().map(|name| self.node(name)).collect::<Result<Vec<_>, _>>();
        let takes = match form.takes {
            Some(takes) => Some(At { line: line(&takes), value: self.duration(&takes.value, line(&takes))? }),
            None => None,
        };
        let response =
            form.response.map(|response| at(response, |ResponseForm { status, headers }| (status, pairs(headers))));
        Ok(Expect {
            line: Some(begins),
            status,
            result: form.result.map(|result| at(result, |value| value)),
            result_contains: form.result_contains.map(|part| at(part, |value| value)),
            response,
            failure,
            calls,
            counts,
            labels: form.labels.into_iter().map(|(key, value)| (key, at(value, |value| value.to_string()))).collect(),
            ran: nodes(form.ran)?,
            did_not_run: nodes(form.did_not_run)?,
            logs: form.logs.into_iter().map(|text| at(text, |value| value)).collect(),
            takes,
        })
    }

    fn status(&self, spanned: Spanned<String>) -> Result<At<Status>, Error> {
        let all = [Status::Succeeded, Status::Failed, Status::Stopped, Status::Paused];
        let known = all.into_iter().find(|status| status.to_string() == spanned.value);
        match known {
            Some(status) => Ok(at(spanned, |_| status)),
            None => {
                let what = format!("`{}` is not a status: write succeeded, failed, stopped or paused", spanned.value);
                Err(self.bad(line(&spanned), what))
            }
        }
    }

    fn failure(&self, spanned: Spanned<FailureForm>) -> Result<At<ExpectedFailure>, Error> {
        let begins = line(&spanned);
        let FailureForm { code, node, contains, status } = spanned.value;
        let code = code.map(|text| {
            let what =
                || self.bad(begins, format!("`{text}` is not an error code: `faas-flow explain` lists all codes"));
            Code::parse(&text).ok_or_else(what)
        });
        let node = node.map(|node| self.node(node).map(|node| node.value)).transpose()?;
        Ok(At { line: begins, value: ExpectedFailure { code: code.transpose()?, node, contains, status } })
    }

    fn call(
        &self,
        spanned: Spanned<CallForm>,
        functions: &BTreeMap<String, Answers>,
    ) -> Result<At<ExpectedCall>, Error> {
        let begins = line(&spanned);
        self.check_function(&spanned.value.function, begins, functions)?;
        let CallForm { function, body, body_contains, times } = spanned.value;
        let value = ExpectedCall { function, body, body_contains, times: times.unwrap_or(1) };
        Ok(At { line: begins, value })
    }

    /// A function that is expected to be called, or not to be, is one of the scenario or of the flow.
    fn check_function(&self, name: &str, line: u64, functions: &BTreeMap<String, Answers>) -> Result<(), Error> {
        if functions.contains_key(name) || self.places.calls(name) {
            return Ok(());
        }
        let known = functions.keys().map(String::as_str).chain(self.places.functions());
        Err(self.bad(line, format!("the flow calls no function `{name}`{}", suggestion(name, known))))
    }

    /// A node, by its place in the definition, by its path in a run, or by its id if no other node has that.
    fn node(&self, spanned: Spanned<String>) -> Result<At<String>, Error> {
        let resolved = self.places.resolve(&spanned.value);
        match resolved {
            Ok(place) => Ok(at(spanned, |_| place)),
            Err(what) => Err(self.bad(line(&spanned), what)),
        }
    }
}

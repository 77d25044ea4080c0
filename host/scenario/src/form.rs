//! The form of scenario files, as docs/testing.md describes it. `docs/scenario.schema.json` says the same to editors.

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A scenario file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FileForm {
    /// The functions of all scenarios of the file. A scenario may give its own.
    #[serde(default)]
    pub(crate) functions: BTreeMap<String, Spanned<FunctionForm>>,
    /// The scenarios.
    pub(crate) scenarios: Vec<Spanned<ScenarioForm>>,
}

/// One scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ScenarioForm {
    /// What it is about.
    pub(crate) name: String,
    /// The moment at which it begins.
    #[serde(default)]
    pub(crate) now: Option<Spanned<String>>,
    /// The body of the request.
    #[serde(default)]
    pub(crate) input: Option<Value>,
    /// The file with the body.
    #[serde(default)]
    pub(crate) input_file: Option<Spanned<PathBuf>>,
    /// The query of the request.
    #[serde(default)]
    pub(crate) query: BTreeMap<String, Scalar>,
    /// The headers of the request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Scalar>,
    /// The functions and URLs that the flow calls.
    #[serde(default)]
    pub(crate) functions: BTreeMap<String, Spanned<FunctionForm>>,
    /// What happens while the run is in flight, one after the other.
    #[serde(default)]
    pub(crate) steps: Vec<Spanned<StepForm>>,
    /// How much virtual time the run may take.
    #[serde(default)]
    pub(crate) at_most: Option<Spanned<String>>,
    /// What is expected.
    #[serde(default)]
    pub(crate) expect: Option<Spanned<ExpectForm>>,
}

/// A value of a query or a header, which is text whatever it looks like.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Switch(value) => value.fmt(f),
            Scalar::Whole(value) => value.fmt(f),
            Scalar::Number(value) => value.fmt(f),
            Scalar::Text(value) => value.fmt(f),
        }
    }
}

/// How a function answers.
#[derive(Debug)]
pub(crate) enum FunctionForm {
    /// With these answers, one after the other. The last one answers all further calls.
    Answers(Vec<AnswerForm>),
    /// By something that runs.
    Runs(RunsForm),
}

/// A program or another flow in the place of a function, or one that answers with what it got.
#[derive(Debug, Default)]
pub(crate) struct RunsForm {
    pub(crate) echo: bool,
    pub(crate) program: Option<PathBuf>,
    pub(crate) flow: Option<PathBuf>,
}

/// The keys of a map behind a function's name: those of one answer, and those of what runs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct MapForm {
    echo: bool,
    program: Option<PathBuf>,
    flow: Option<PathBuf>,
    status: Option<u16>,
    headers: BTreeMap<String, Scalar>,
    body: Option<Value>,
    body_file: Option<PathBuf>,
    delay: Option<String>,
    error: Option<String>,
    for_body: Option<Value>,
    for_body_containing: Option<String>,
}

/// One answer.
#[derive(Debug, Default)]
pub(crate) struct AnswerForm {
    pub(crate) status: Option<u16>,
    pub(crate) headers: BTreeMap<String, Scalar>,
    pub(crate) body: Option<Value>,
    pub(crate) body_file: Option<PathBuf>,
    pub(crate) delay: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) for_body: Option<Value>,
    pub(crate) for_body_containing: Option<String>,
}

impl MapForm {
    /// Takes the map for an answer, or for something that runs, but not for both.
    fn split(self) -> Result<FunctionForm, &'static str> {
        let MapForm { echo, program, flow, .. } = &self;
        let runs = usize::from(*echo) + usize::from(program.is_some()) + usize::from(flow.is_some());
        if runs > 1 {
            return Err("a function has one of `echo`, `program` and `flow`");
        }
        if runs == 0 {
            return Ok(FunctionForm::Answers(vec![self.answer()]));
        }
        let runs = RunsForm { echo: *echo, program: program.clone(), flow: flow.clone() };
        let answer = self.answer();
        let AnswerForm { status: None, headers, body: None, body_file: None, delay: None, error: None, .. } = &answer
        else {
            return Err("a function with `echo`, `program` or `flow` has no other answers: remove them");
        };
        if !headers.is_empty() || answer.for_body.is_some() || answer.for_body_containing.is_some() {
            return Err("a function with `echo`, `program` or `flow` has no other answers: remove them");
        }
        Ok(FunctionForm::Runs(runs))
    }

    fn answer(self) -> AnswerForm {
        let MapForm { status, headers, body, body_file, delay, error, for_body, for_body_containing, .. } = self;
        AnswerForm { status, headers, body, body_file, delay, error, for_body, for_body_containing }
    }
}

/// Text is a body.
fn of_text(text: String) -> AnswerForm {
    AnswerForm { body: Some(Value::String(text)), ..AnswerForm::default() }
}

impl<'de> Deserialize<'de> for FunctionForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = FunctionForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an answer, a list of answers, or `program`, `flow` or `echo`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FunctionForm, E> {
                Ok(FunctionForm::Answers(vec![of_text(text.to_owned())]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FunctionForm, A::Error> {
                MapForm::deserialize(MapAccessDeserializer::new(map))?.split().map_err(A::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<FunctionForm, A::Error> {
                let answers = Vec::<AnswerForm>::deserialize(SeqAccessDeserializer::new(list))?;
                if answers.is_empty() {
                    return Err(A::Error::custom("a function has at least one answer"));
                }
                Ok(FunctionForm::Answers(answers))
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

impl<'de> Deserialize<'de> for AnswerForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = AnswerForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an answer: its body as text, or a map with `status`, `headers`, `body`, `delay` or `error`",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AnswerForm, E> {
                Ok(of_text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AnswerForm, A::Error> {
                match MapForm::deserialize(MapAccessDeserializer::new(map))?.split().map_err(A::Error::custom)? {
                    FunctionForm::Answers(mut answers) if answers.len() == 1 => Ok(answers.swap_remove(0)),
                    _ => Err(A::Error::custom("`echo`, `program` and `flow` are not among a list of answers")),
                }
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

/// Something that happens while the run is in flight.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct StepForm {
    /// So much time passes.
    pub(crate) wait: Option<String>,
    /// Time passes until this moment.
    pub(crate) wait_until: Option<String>,
    /// This signal is sent.
    pub(crate) signal: Option<String>,
    /// The body of the signal.
    pub(crate) body: Option<Value>,
    /// Somebody stops the run.
    pub(crate) stop: bool,
}

/// What is expected of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ExpectForm {
    /// How the run ends. Without it: `failed` if a failure is expected, and `succeeded` otherwise.
    pub(crate) status: Option<Spanned<String>>,
    /// The result.
    pub(crate) result: Option<Spanned<Value>>,
    /// What is in the result.
    pub(crate) result_contains: Option<Spanned<String>>,
    /// The status and headers of the answer.
    pub(crate) response: Option<Spanned<ResponseForm>>,
    /// Why the run fails.
    pub(crate) failure: Option<Spanned<FailureForm>>,
    /// All calls, in their order.
    pub(crate) calls: Option<Spanned<Vec<Spanned<CallForm>>>>,
    /// How often each function is called.
    pub(crate) counts: BTreeMap<String, Spanned<usize>>,
    /// Labels of the run.
    pub(crate) labels: BTreeMap<String, Spanned<Scalar>>,
    /// Nodes that run.
    pub(crate) ran: Vec<Spanned<String>>,
    /// Nodes that do not run.
    pub(crate) did_not_run: Vec<Spanned<String>>,
    /// Texts in lines that the flow logs, in their order.
    pub(crate) logs: Vec<Spanned<String>>,
    /// How long the run takes.
    pub(crate) takes: Option<Spanned<String>>,
}

/// The status and headers of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ResponseForm {
    pub(crate) status: Option<u16>,
    pub(crate) headers: BTreeMap<String, Scalar>,
}

/// Why a run fails.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct FailureForm {
    pub(crate) code: Option<String>,
    pub(crate) node: Option<Spanned<String>>,
    pub(crate) contains: Option<String>,
    pub(crate) status: Option<u16>,
}

/// A call, or several in a row that are the same.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct CallForm {
    pub(crate) function: String,
    pub(crate) body: Option<Value>,
    pub(crate) body_contains: Option<String>,
    pub(crate) times: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeSet;

    /// The keys that a map of the form may have, which its parser names when it meets another.
    fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
        let refused = serde_json::from_str::<T>(r#"{ "?": 0 }"#).map(drop).unwrap_err().to_string();
        let (_, expected) = refused.split_once("expected ").expect(&refused);
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// The keys that the schema allows.
    fn schema(definition: &str) -> BTreeSet<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scenario.schema.json");
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let map = if definition.is_empty() { &schema } else { &schema["$defs"][definition] };
        assert_eq!(map["additionalProperties"], false, "{definition}");
        map["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_schema_for_editors_has_the_keys_of_the_form() {
        assert_eq!(keys::<FileForm>(), schema(""));
        assert_eq!(keys::<ScenarioForm>(), schema("scenario"));
        assert_eq!(keys::<MapForm>(), schema("function").union(&schema("answer")).cloned().collect());
        assert_eq!(keys::<StepForm>(), schema("step"));
        assert_eq!(keys::<ExpectForm>(), schema("expect"));
        assert_eq!(keys::<ResponseForm>(), schema("response"));
        assert_eq!(keys::<FailureForm>(), schema("failure"));
        assert_eq!(keys::<CallForm>(), schema("call"));
    }
}

//! What is asked of a flow by query, as in the original.

use super::error::Error;
use super::request::Query;
use faas_flow_core::RunId;
use utoipa::IntoParams;

/// What a caller may do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Pause,
    Resume,
    Stop,
}

impl Control {
    /// `Successfully paused request …`
    pub const fn done(self) -> &'static str {
        match self {
            Control::Pause => "paused",
            Control::Resume => "resumed",
            Control::Stop => "stopped",
        }
    }

    /// The id of the operation that does the same.
    pub const fn operation(self) -> &'static str {
        match self {
            Control::Pause => "pause",
            Control::Resume => "resume",
            Control::Stop => "stop",
        }
    }
}

/// What is asked for at the flow's own path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A new run.
    Invoke,
    /// The flow's DAG.
    Definition,
    /// A change of a run.
    Control(Control, RunId),
    /// The state of a run.
    State(RunId),
}

/// The query parameters of the flow's own path.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByQuery<'a> {
    /// `true`: answer with the flow's DAG, as the original exports it. Of these parameters, the first that is given counts.
    #[param(rename = "export-dag", value_type = String, required = false)]
    export_dag: Option<&'a str>,
    /// Pause this run.
    #[param(rename = "pause-flow", value_type = String, required = false,
        pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    pause_flow: Option<&'a str>,
    /// Stop this run.
    #[param(rename = "stop-flow", value_type = String, required = false,
        pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    stop_flow: Option<&'a str>,
    /// Resume this run.
    #[param(rename = "resume-flow", value_type = String, required = false,
        pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    resume_flow: Option<&'a str>,
    /// Answer with the state of this run.
    #[param(value_type = String, required = false,
        pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    state: Option<&'a str>,
}

impl<'a> ByQuery<'a> {
    /// Reads them.
    pub fn of(query: &'a Query) -> Self {
        Self {
            export_dag: query.first("export-dag"),
            pause_flow: query.first("pause-flow"),
            stop_flow: query.first("stop-flow"),
            resume_flow: query.first("resume-flow"),
            state: query.first("state"),
        }
    }

    /// What is asked for: in the original's order, the first that is given counts.
    pub fn ask(&self) -> Result<Ask, Error> {
        if self.export_dag.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Ask::Definition);
        }
        let controls =
            [(self.pause_flow, Control::Pause), (self.stop_flow, Control::Stop), (self.resume_flow, Control::Resume)];
        for (run, control) in controls {
            if let Some(run) = run {
                return Ok(Ask::Control(control, RunId::new(run)?));
            }
        }
        match self.state {
            Some(run) => Ok(Ask::State(RunId::new(run)?)),
            None => Ok(Ask::Invoke),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn ask(query: &str) -> Result<Ask, Code> {
        ByQuery::of(&Query::parse(query)).ask().map_err(|error| error.code())
    }

    fn run(id: &str) -> RunId {
        RunId::new(id).unwrap()
    }

    #[test]
    fn a_query_asks_for_what_the_original_knows() {
        assert_eq!(ask(""), Ok(Ask::Invoke));
        assert_eq!(ask("anything=else"), Ok(Ask::Invoke));
        assert_eq!(ask("export-dag=True"), Ok(Ask::Definition));
        assert_eq!(ask("export-dag=false"), Ok(Ask::Invoke));
        assert_eq!(ask("pause-flow=r"), Ok(Ask::Control(Control::Pause, run("r"))));
        assert_eq!(ask("resume-flow=r"), Ok(Ask::Control(Control::Resume, run("r"))));
        assert_eq!(ask("stop-flow=r"), Ok(Ask::Control(Control::Stop, run("r"))));
        assert_eq!(ask("state=r"), Ok(Ask::State(run("r"))));
    }

    #[test]
    fn of_several_queries_the_originals_first_counts() {
        let all = ["state=a", "resume-flow=b", "stop-flow=c", "pause-flow=d", "export-dag=true"];
        let first = |count: usize| ask(&all[..count].join("&")).unwrap();
        assert_eq!(first(5), Ask::Definition);
        assert_eq!(first(4), Ask::Control(Control::Pause, run("d")));
        assert_eq!(first(3), Ask::Control(Control::Stop, run("c")));
        assert_eq!(first(2), Ask::Control(Control::Resume, run("b")));
        assert_eq!(first(1), Ask::State(run("a")));
    }

    #[test]
    fn impossible_ids_are_refused() {
        let long = "x".repeat(10 * 1024);
        for id in ["", "..", "a%2Fb", "a.b", "%00", "a%0Ab", "%FF", &long] {
            assert_eq!(ask(&format!("stop-flow={id}")), Err(Code::BAD_REQUEST_ID), "{id}");
        }
    }
}

//! When do flights leave late? An ETL over records of the U.S. Bureau of Transportation Statistics: it parses them,
//! groups them by hour, measures each group with two functions in parallel, and reports.

mod report;
mod rows;

use faas_flow::{Context, Result, Workflow, flow};
use std::collections::BTreeMap;

/// Describes the flow.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    let log = context.clone();
    dag.node("parse").modify(move |data| {
        let hours = rows::by_hour(&data)?;
        log.info(format!("found flights in {} hours of the day", hours.len()));
        Ok(serde_json::to_vec(&hours)?)
    });

    let items = context.clone();
    let groups = dag.for_each("hours", move |data| {
        items.set_content_type("text/csv; header=absent")?;
        Ok(serde_json::from_slice::<BTreeMap<String, String>>(&data)?)
    });
    groups.aggregator(report::collect);
    let hour = groups.dag();
    hour.node("rows");
    hour.node("delays").apply("delays");
    hour.node("busiest").apply("busiest");
    hour.node("measure").aggregator(report::measure);
    for measure in ["delays", "busiest"] {
        hour.edge("rows", measure);
        hour.edge(measure, "measure");
    }

    let table = context.clone();
    dag.node("report").modify(move |data| {
        table.set_content_type("text/plain; charset=utf-8")?;
        report::table(&data)
    });
    dag.edge("parse", "hours");
    dag.edge("hours", "report");
    Ok(())
}

flow!(define);

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    fn function(name: &str, input: &[u8]) -> Vec<u8> {
        let program = Path::new("functions").join(name).with_extension("sh");
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    #[test]
    fn the_report_matches_the_recomputation() {
        let flow = Flow::new(define).unwrap();
        let groups = flow.modify("parse/0", include_bytes!("../data/flights-5k.json")).unwrap();
        let measured = flow.for_each("hours/for-each", groups).unwrap().into_iter().map(|(hour, rows)| {
            let outputs = ["delays", "busiest"].map(|name| (name, function(name, &rows)));
            (hour, flow.aggregate("hours[]/measure/aggregate", outputs).unwrap())
        });
        let collected = flow.aggregate("hours/aggregate-branches", measured).unwrap();
        let report = flow.modify("report/0", collected).unwrap();
        assert_eq!(String::from_utf8(report).unwrap(), include_str!("../report.txt"));
    }

    #[test]
    fn the_failure_names_a_malformed_row() {
        let flow = Flow::new(define).unwrap();
        let bad = r#"[{"date": "yesterday", "delay": 1, "origin": "SFO"}]"#;
        assert_eq!(
            flow.modify("parse/0", bad).unwrap_err().message(),
            "row 0 has the date `yesterday`, not one such as 2001/01/31 23:59"
        );
    }

    #[test]
    fn without_flights_the_table_has_only_a_header() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.modify("parse/0", "[]").unwrap(), b"{}");
        assert_eq!(flow.modify("report/0", "").unwrap(), b"hour flights   mean  worst late %  busiest\n");
    }
}

//! What authors may rely on in the types of the crate.

use faas_flow::testing::{Fake, Flow};
use faas_flow::{Context, Dag, Failure, Inputs, Request, Response, Result, Workflow};
use std::fmt;

mod flows {
    use faas_flow::{Context, Result, Workflow};

    pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
        workflow.sync_node().modify(Ok);
        Ok(())
    }
}

faas_flow::flow!(flows::define);

#[derive(Debug)]
struct Outage(std::io::Error);

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the warehouse does not answer")
    }
}

impl std::error::Error for Outage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn any_error_and_any_text_become_a_rejection() {
    fn number(text: &str) -> Result<u8> {
        Ok(text.parse()?)
    }
    fn text(bytes: &[u8]) -> Result<&str> {
        Ok(str::from_utf8(bytes)?)
    }
    fn boxed(error: Box<dyn std::error::Error>) -> Result {
        Err(error)?
    }
    assert_eq!(number("x"), Err(Failure::reject("invalid digit found in string")));
    assert!(matches!(text(b"\xff"), Err(Failure::Reject(_))));
    assert_eq!(boxed("boxed".into()), Err(Failure::reject("boxed")));
    assert_eq!(Failure::from("text"), Failure::reject("text"));
    assert_eq!(Failure::from("text".to_owned()), Failure::reject("text"));
}

#[test]
fn the_message_of_a_failure_has_the_sources_of_the_error() {
    let outage = Outage(std::io::Error::other("connection refused"));
    assert_eq!(Failure::from(outage).message(), "the warehouse does not answer: connection refused");
}

#[test]
fn a_failure_that_already_happened_keeps_its_kind() {
    fn again() -> Result {
        Err(Failure::retry("later"))?
    }
    assert_eq!(again(), Err(Failure::retry("later")));
}

#[test]
fn a_test_sees_what_closures_get_and_return() {
    fn define(workflow: &mut Workflow, context: &Context) -> Result {
        let (typed, seen) = (context.clone(), context.clone());
        let node = workflow.dag().node("n");
        node.modify_json(|number: u32| Ok(number + 1)).modify(Ok);
        node.modify(move |media_type| {
            typed.set_content_type(String::from_utf8(media_type)?)?;
            Ok("")
        });
        node.aggregator(move |_| Ok(format!("{} of {}", seen.content_type(), seen.content_types().join(", "))));
        Ok(())
    }
    let fake = Fake::new().content_type("text/csv").content_types(["a/b", "c/d"]);
    let flow = Flow::with(&fake, define).unwrap();
    assert_eq!(flow.modify("n/0", "1").unwrap(), b"2");
    assert_eq!(fake.returned_content_type(), "application/json");
    flow.modify("n/1", "").unwrap();
    assert_eq!(fake.returned_content_type(), "application/octet-stream", "each closure says it anew");
    flow.modify("n/2", "text/html; charset=utf-8").unwrap();
    assert_eq!(fake.returned_content_type(), "text/html; charset=utf-8");
    for bad in ["", "json", "text/", "/x", "a/b\r\nc: d", &format!("a/{}", "b".repeat(300))] {
        assert!(matches!(flow.modify("n/2", bad), Err(Failure::Reject(_))), "{bad:?}");
    }
    assert_eq!(flow.aggregate("n/aggregate", [("a", "1")]).unwrap(), b"text/csv of a/b, c/d");
    let in_define = Flow::new(|_, context| context.set_content_type("text/plain"));
    assert!(matches!(in_define, Err(Failure::Reject(_))));
    let unknown = Fake::new().input("a", "1").input("b", "2").context();
    assert_eq!(unknown.content_types(), ["application/octet-stream"; 2]);
}

#[test]
fn inputs_keep_their_order_and_are_iterated_both_ways() {
    let mut inputs = Inputs::from_iter([("b", "2"), ("a", "1")]);
    inputs.extend([("c", "3")]);
    assert_eq!(inputs.names().collect::<Vec<_>>(), ["b", "a", "c"]);
    assert_eq!(inputs.values().collect::<Vec<_>>(), [b"2", b"1", b"3"]);
    assert_eq!(inputs.iter().next_back(), Some(("c", &b"3"[..])));
    assert_eq!((inputs.get("a"), inputs.get("d"), inputs.len()), (Some(&b"1"[..]), None, 3));
    let mut borrowed = Vec::new();
    for (name, value) in &inputs {
        borrowed.push((name.to_owned(), value.to_vec()));
    }
    assert_eq!(inputs.into_iter().collect::<Vec<_>>(), borrowed);
    assert!(Inputs::new().is_empty());
}

#[test]
fn header_names_match_in_any_case() {
    let request = Request::new("POST", "http://example.test").with_header("X-A", "1").with_header("x-a", "2");
    assert_eq!(request.header("x-A"), Some("1"));
    let replaced = request.without_header("X-a").with_header("X-A", "3");
    assert_eq!(replaced.headers().collect::<Vec<_>>(), [("X-A", "3")]);
    let response = Response::new(200).with_header("Retry-After", "1");
    assert_eq!(response.headers().collect::<Vec<_>>(), [("retry-after", "1")]);
    assert_eq!(response.header("RETRY-AFTER"), Some("1"));
}

#[test]
fn a_request_is_changed_part_by_part() {
    let request = Request::new("POST", "http://example.test/a").with_header("x-a", "1");
    let changed = request.with_method("PUT").with_url("http://example.test/b").with_body("body");
    assert_eq!((changed.method(), changed.url(), changed.body()), ("PUT", "http://example.test/b", &b"body"[..]));
    assert_eq!(changed.into_body(), b"body");
}

#[test]
fn printing_a_dag_that_contains_itself_ends() {
    let dag = Dag::new();
    dag.node("n1").apply("func1");
    dag.sub_dag("S", &dag);
    dag.edge("n1", "S").execution();
    let printed = format!("{dag:?}");
    assert_eq!(printed, r#"Dag { nodes: ["n1", "S"], edges: [Edge { from: "n1", to: "S", carries: "nothing" }], .. }"#);
}

#[test]
fn define_may_be_a_closure_in_tests() {
    let flow = Flow::new(|workflow: &mut Workflow, _: &Context| {
        workflow.sync_node().modify(|data| Ok([data, b"!".to_vec()].concat()));
        Ok(())
    });
    assert_eq!(flow.unwrap().modify("sync/0", "hi").unwrap(), b"hi!");
}

#[test]
#[allow(deprecated, reason = "this tests the former names")]
fn the_former_names_still_work() {
    let fake = Fake::new().value("old", "x").unwrap();
    let flow = Flow::with(&fake, |workflow: &mut Workflow, context: &Context| {
        let dag = workflow.dag();
        let values = context.clone();
        dag.node("n1").modify(move |data| values.del("old").map(|()| data));
        dag.aggregate_inputs("n1", |inputs: Inputs| Ok(inputs.concat()));
        dag.aggregate_ends(|ends: Inputs| Ok(ends.concat()));
        Ok(())
    });
    let flow = flow.unwrap();
    assert_eq!(flow.handlers(), ["(end)/aggregate", "n1/0", "n1/aggregate"]);
    assert_eq!(flow.call("n1/0", "hi").unwrap(), b"hi");
    assert_eq!(fake.kept::<String>("old").unwrap(), None);
}

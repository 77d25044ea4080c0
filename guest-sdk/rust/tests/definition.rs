//! Definitions, handlers and contexts, in every construct.

use faas_flow::testing::{Fake, Flow};
use faas_flow::{
    Backoff, Context, Dag, Exhausted, Failed, Failure, FailureKind, Gathered, Level, Limit, Missed, Outcome, Overlap,
    Request, Response, Result, Wake, Workflow,
};
use serde_json::json;
use std::time::Duration;

fn everything(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("n1").retry(Backoff::attempts(3)).timeout(Duration::from_secs(9)).apply("func1").modify(Ok);
    let token = context.query("token").concat();
    dag.node("n2")
        .apply("func2/path")
        .method("PUT")
        .header("x-a", "1")
        .header("x-a", "2")
        .query("token", token)
        .timeout(Duration::from_millis(50))
        .retry(Backoff::attempts(2).first_delay(Duration::from_millis(5)).factor(1.5).max_delay(Duration::from_secs(1)))
        .retry_on(&[404, 503])
        .prepare(|request| Ok(request.with_method("PATCH")))
        .receive(|response| Ok(response.into_body()))
        .recover(|failure| Ok(format!("recovered: {failure}")))
        .request("http://example.test/x")
        .modify_json(|numbers: Vec<u32>| Ok(numbers.iter().sum::<u32>()));
    dag.edge("n1", "n2").forwarder(|data| Ok([b"f:", data.as_slice()].concat()));
    dag.edge("n1", "S").execution();

    let sub = Dag::new();
    sub.node("n1").modify(Ok);
    sub.node("n2");
    sub.node("n3");
    sub.edge("n1", "n2");
    sub.edge("n1", "n3");
    sub.end_aggregator(|ends| Ok(ends.concat()));
    dag.sub_dag("S", &sub);
    dag.sub_dag("S again", &sub);

    let branches = dag.condition("C", ["c1", "a/b"], |_| Ok(vec!["c1"])).aggregator(|results| Ok(results.concat()));
    branches.branch("c1").node("n1").modify(Ok).recover_from(|failed| Ok(failed.into_input()));
    branches.branch("c1").recover_from(|failed| Ok(failed.to_string()));
    branches.branch("a/b").node("n1").modify(Ok);
    dag.input_aggregator("C", |inputs| Ok(inputs.concat()));
    let items = dag.for_each("F", |data| Ok(vec![("f1", data)])).execution().max_parallel(4);
    items.dag().node("n1").modify(Ok);
    items.tolerate(3).tolerate_share(0.25).gather(|items| Ok(items.len().to_string()));
    items.dag().node("n2").apply("func3").recover_from(|failed| Ok(failed.code().to_owned()));
    items.dag().edge("n1", "n2");
    dag.recover_node("F", |failed| Ok(failed.tries().to_string()));

    let rounds = dag.repeat("R", |data, round| Ok(data.is_empty() && round < 2)).most(3).wait(Duration::from_secs(1));
    rounds.dag().node("n1").modify(Ok);

    let limit =
        Limit::new("jobs").concurrent(2).per_second(1.5).key(|data| Ok(String::from_utf8_lossy(&data).into_owned()));
    dag.node("L").apply("f").limit(limit.clone());
    dag.node("M").limit(limit);

    let more = Dag::new();
    more.node("n4").aggregator(|inputs| Ok(inputs.concat()));
    more.edge("n2", "n4");
    dag.append(&more);

    workflow.on_failure(Ok);
    workflow.finally(|_| Ok(()));
    workflow.deadline(Duration::from_secs(60));
    workflow.on_exhausted(Exhausted::Pause);
    let nightly = workflow.schedule("nightly", "0 30 2 * * *").time_zone("Europe/Berlin");
    nightly.missed(Missed::One).overlap(Overlap::Replace).input("{}", "application/json");
    workflow.schedule("poll", "every 10m").input(vec![0xff], "");
    Ok(())
}

#[test]
fn the_host_reads_the_definition_as_it_was_recorded() {
    let json = Flow::new(everything).unwrap().definition();
    let read: faas_flow_core::definition::Definition = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), json);
}

#[test]
fn handlers_are_named_by_their_position() {
    let expected = [
        "(failure)",
        "(finally)",
        "C/aggregate",
        "C/aggregate-branches",
        "C/condition",
        "C[a%2Fb]/n1/0",
        "C[c1]/(recover)",
        "C[c1]/n1/0",
        "C[c1]/n1/recover",
        "F/for-each",
        "F/gather",
        "F/recover",
        "F[]/n1/0",
        "F[]/n2/0/recover-from",
        "L/0/limit-key",
        "M/limit-key",
        "R/again",
        "R[]/n1/0",
        "S again/(end)/aggregate",
        "S again/n1/0",
        "S/(end)/aggregate",
        "S/n1/0",
        "n1->n2/forward",
        "n1/1",
        "n2/0/prepare",
        "n2/0/receive",
        "n2/0/recover",
        "n2/2",
        "n4/aggregate",
    ];
    assert_eq!(Flow::new(everything).unwrap().handlers(), expected);
}

#[test]
fn every_kind_of_closure_is_called_by_its_id() {
    let flow = Flow::new(everything).unwrap();
    assert_eq!(flow.modify("n2/2", "[1, 2]").unwrap(), b"3");
    assert_eq!(flow.forward("n1->n2/forward", "x").unwrap(), b"f:x");
    assert_eq!(flow.prepare("n2/0/prepare", Request::new("POST", "http://example.test")).unwrap().method(), "PATCH");
    assert_eq!(flow.receive("n2/0/receive", Response::new(404).with_body("b")).unwrap(), b"b");
    assert_eq!(flow.recover("n2/0/recover", "late").unwrap(), b"recovered: late");
    assert_eq!(flow.recover("(failure)", "late").unwrap(), b"late");
    assert_eq!(flow.condition("C/condition", "").unwrap(), ["c1"]);
    assert_eq!(flow.for_each("F/for-each", "d").unwrap(), [("f1".to_owned(), b"d".to_vec())]);
    assert_eq!((flow.key("L/0/limit-key", "acme"), flow.key("M/limit-key", "x")), (Ok("acme".into()), Ok("x".into())));
    let shown = flow.definition().to_string();
    let limit = r#""limit":{"concurrent":2,"key":"L/0/limit-key","name":"jobs","per-second":1.5}"#;
    assert!(shown.contains(limit), "{shown}");
    assert_eq!((flow.again("R/again", "", 1), flow.again("R/again", "", 2)), (Ok(true), Ok(false)));
    assert_eq!(flow.aggregate("n4/aggregate", [("a", "1"), ("b", "2")]).unwrap(), b"12");
    let failed = || Failed::new("FF0207", FailureKind::Answered).with_message("n1", "busy").with_input("in");
    assert_eq!(flow.recover_from("C[c1]/n1/recover", failed()).unwrap(), b"in");
    assert_eq!(flow.recover_from("C[c1]/(recover)", failed()).unwrap(), b"FF0207 at n1: busy");
    assert_eq!(flow.recover_from("F[]/n2/0/recover-from", failed()).unwrap(), b"FF0207");
    let items = [Ok(Vec::new()), Err(failed())].map(|ended| Gathered { key: "f".to_owned(), ended });
    assert_eq!(flow.gather("F/gather", items).unwrap(), b"2");
    flow.finally(Outcome::Success).unwrap();
}

#[test]
fn an_unknown_id_and_one_of_another_kind_are_rejected() {
    let flow = Flow::new(everything).unwrap();
    assert_eq!(flow.modify("n9/0", ""), Err(Failure::reject("the flow has no handler `n9/0`")));
    let other = Failure::reject("handler `n1/1` was called as `forward`, but its kind is `modify`");
    assert_eq!(flow.forward("n1/1", ""), Err(other));
}

#[test]
fn duplicates_are_recorded_for_the_host_to_report() {
    fn twice(workflow: &mut Workflow, _: &Context) -> Result {
        for _ in 0..2 {
            workflow.dag().node("n1");
            workflow.dag().edge("n1", "n2");
        }
        Ok(())
    }
    let dag = &Flow::new(twice).unwrap().definition()["dag"];
    assert_eq!((dag["nodes"].as_array().unwrap().len(), dag["edges"].as_array().unwrap().len()), (2, 2));
}

#[test]
fn a_dag_that_contains_itself_is_rejected() {
    fn endless(workflow: &mut Workflow, _: &Context) -> Result {
        let dag = workflow.dag();
        dag.for_each("F", |data| Ok([("f", data)])).dag().sub_dag("S", &dag);
        Ok(())
    }
    let failure = Flow::new(endless).err().unwrap();
    assert_eq!(failure.message(), "the dag of `F[]/S` contains itself: create a new dag for each level");
}

#[test]
fn define_may_read_the_request() {
    let fake = Fake::new().query("token", "secret");
    let json = Flow::with(&fake, everything).unwrap().definition();
    let query = &json["dag"]["nodes"][1]["operations"]["list"][0]["apply"]["query"];
    assert_eq!(*query, serde_json::json!([["token", "secret"]]));
}

#[test]
fn a_fake_context_remembers_values_and_logs() {
    fn counts(workflow: &mut Workflow, context: &Context) -> Result {
        let context = context.clone();
        workflow.sync_node().modify(move |_| {
            let count = context.get::<u32>("count")?.unwrap_or(0) + 1;
            context.set("count", &count)?;
            context.warn(format!("{} of {}", count, context.header("X-Limit").concat()));
            context.delete("old")?;
            Ok(context.inputs().concat())
        });
        Ok(())
    }
    let fake = Fake::new().header("x-limit", "9").input("n1", "in").value("old", "x").unwrap();
    let flow = Flow::with(&fake, counts).unwrap();
    assert_eq!(flow.modify("sync/0", "").unwrap(), b"in");
    flow.modify("sync/0", "").unwrap();
    assert_eq!(fake.get::<u32>("count").unwrap(), Some(2));
    assert_eq!(fake.get::<String>("old").unwrap(), None);
    assert_eq!(fake.logs()[1], (Level::Warn, "2 of 9".to_owned()));
}

#[test]
fn values_cannot_be_changed_in_define() {
    fn sets(_: &mut Workflow, context: &Context) -> Result {
        context.set("a", &1)
    }
    assert!(Flow::new(sets).is_err());
}

#[test]
fn a_node_sleeps_for_a_time_or_until_a_moment_that_a_closure_names() {
    let flow = Flow::new(|workflow, _| {
        let node = workflow.dag().node("n");
        node.sleep(Duration::from_secs(2)).apply("f").sleep_until(|data| match data.as_slice() {
            b"" => Ok(Wake::after(Duration::from_millis(5))),
            data => Ok(Wake::at(String::from_utf8_lossy(data))),
        });
        Ok(())
    })
    .unwrap();
    let list = &flow.definition()["dag"]["nodes"][0]["operations"]["list"];
    assert_eq!((&list[0], &list[2]), (&json!({ "sleep": 2000 }), &json!({ "sleep-until": "n/2" })));
    assert_eq!(flow.moment("n/2", "").unwrap(), Wake::After(5));
    assert_eq!(flow.moment("n/2", "2026-12-24T18:00:00Z").unwrap(), Wake::At("2026-12-24T18:00:00Z".to_owned()));
    let other = Failure::reject("handler `n/2` was called as `modify`, but its kind is `moment`");
    assert_eq!(flow.modify("n/2", ""), Err(other));
}

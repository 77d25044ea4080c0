//! Takes an order from its approval to its delivery: a manager approves large orders, a declined card leads to another branch, a
//! few items that cannot be shipped do not spoil the order, and the parcel is followed until it has arrived. Every night at two,
//! the standing order is made.

use faas_flow::{Backoff, Context, Dag, Failed, Failure, Gathered, Limit, Missed, Result, Workflow, flow};
use serde::Deserialize;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// An order of more items than this has to be approved.
const SMALL: usize = 3;
/// How the output of a node begins if nothing is to be ordered.
const DECLINED: &str = "declined: ";

/// Describes the flow.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    let large = dag.condition("large", ["yes", "no"], |order: Vec<u8>| {
        Ok([if lines(&order).count() > SMALL + 1 { "yes" } else { "no" }])
    });
    large.branch("no").node("pass");
    approve(&large.branch("yes"), context);

    let approved = dag.condition("approved", ["yes", "no"], may_go_on);
    approved.branch("no").node("tell").modify(tell);
    let buy = approved.branch("yes");
    // A busy function is called again, and nobody calls it more than ten times a second, over all runs and replicas. A card
    // that was declined is caught, and everything else fails the run.
    let retry = Backoff::attempts(3).first_delay(Duration::from_millis(200));
    let payments = Limit::new("payments").per_second(10.0);
    buy.node("charge").apply("charge").limit(payments).retry(retry).recover_from(declined);
    let paid = buy.condition("paid", ["yes", "no"], may_go_on);
    paid.branch("no").node("tell").modify(tell);
    ship(&paid.branch("yes"));
    buy.edge("charge", "paid");

    dag.edge("large", "approved");
    let nightly = workflow.schedule("nightly", "0 0 2 * * *");
    nightly.time_zone("Europe/Berlin").missed(Missed::One).input("Ada\nmilk", "text/plain; charset=utf-8");
    Ok(())
}

flow!(define);

/// Asks a manager, who is reminded after a day, and has another one.
fn approve(dag: &Dag, context: &Context) {
    let known = context.clone();
    dag.node("ask")
        .modify(move |order| {
            known.set_bytes("order", order)?;
            Ok(format!("Approve or reject an order: {}", known.signal_url_for("approval", 2 * DAY)?))
        })
        .apply("send-mail");
    dag.node("first-day").wait_for("approval").timeout(DAY).recover_from(|_: Failed| Ok(""));
    let answered = dag
        .condition("answered", ["yes", "no"], |decision: Vec<u8>| Ok([if decision.is_empty() { "no" } else { "yes" }]));
    answered.branch("yes").node("decided");
    let again = answered.branch("no");
    let known = context.clone();
    again
        .node("remind")
        .modify(move |_| Ok(format!("An order still waits: {}", known.signal_url_for("approval", DAY)?)))
        .apply("send-mail");
    again.node("second-day").wait_for("approval").timeout(DAY).recover_from(|_: Failed| Ok("nobody has approved it"));
    again.edge("remind", "second-day");
    let known = context.clone();
    dag.node("decide").modify(move |decision| {
        if approves(&decision) {
            Ok(known.get_bytes("order")?.unwrap_or_default())
        } else {
            Ok([DECLINED.as_bytes(), &decision].concat())
        }
    });
    dag.edge("ask", "first-day");
    dag.edge("first-day", "answered");
    dag.edge("answered", "decide");
}

/// The page of the address sends `{"decision":"approve","comment":"…"}`. A system may send `approve` alone.
fn approves(decision: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Sent {
        decision: String,
    }
    decision == b"approve" || serde_json::from_slice(decision).is_ok_and(|sent: Sent| sent.decision == "approve")
}

/// Ships each item, and follows the parcel until it has arrived.
fn ship(dag: &Dag) {
    let items = dag.for_each("items", items);
    items.dag().node("ship").apply("ship");
    // Up to half of the items may fail; if more do, so does the run.
    items.tolerate_share(0.5).gather(receipt);
    let track = dag.repeat("track", |status, _round| Ok(status.ends_with(b"on its way")));
    track.dag().node("ask").apply("track");
    track.most(100).wait(Duration::from_secs(3600));
    dag.edge("items", "track");
}

fn lines(order: &[u8]) -> impl Iterator<Item = &[u8]> {
    order.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn may_go_on(answer: Vec<u8>) -> Result<[&'static str; 1]> {
    Ok([if answer.starts_with(DECLINED.as_bytes()) { "no" } else { "yes" }])
}

fn tell(why: Vec<u8>) -> Result<Vec<u8>> {
    Ok([b"nothing was ordered, ", why.as_slice()].concat())
}

fn declined(failed: Failed) -> Result<String> {
    match failed.status() {
        Some(402) => Ok(format!("{DECLINED}{}", String::from_utf8_lossy(failed.body().unwrap_or_default()).trim())),
        _ => Err(Failure::reject(failed.to_string())),
    }
}

/// The lines of an order but the first one, which says who ordered.
fn items(order: Vec<u8>) -> Result<Vec<(String, String)>> {
    let order = String::from_utf8(order)?;
    Ok(order.lines().skip(1).map(|item| (item.to_owned(), item.to_owned())).collect())
}

fn receipt(items: Vec<Gathered>) -> Result<String> {
    let line = |item: Gathered| match item.ended {
        Ok(shipped) => String::from_utf8_lossy(&shipped).into_owned(),
        Err(failed) => format!("no {}: {}", item.key, failed.message()),
    };
    Ok(items.into_iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{DAY, define};
    use faas_flow::testing::{Answer, Call, Flow, Run, run};
    use faas_flow::{Failed, FailureKind, State};
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);
    const LARGE: &str = "Ada\nhat\nscarf\ngloves\nboots";

    /// An order with the functions of `functions/`. The scenarios in `tests/order.yaml` expect the same of the module.
    fn order(input: &str) -> Run<'static> {
        let charge = |call: &Call| match call.body() {
            [b'M', ..] => Answer::new(402).with_body("the card of Mallory was declined"),
            order => Answer::from(order),
        };
        let ship = |call: &Call| match call.body() {
            b"unicorn" => Answer::new(404).with_body("sold out"),
            item => Answer::from([b"shipped ", item].concat()),
        };
        let echo = |call: &Call| call.body().to_vec();
        run(define, input)
            .function("send-mail", echo)
            .function("charge", charge)
            .function("ship", ship)
            .function("track", echo)
    }

    fn count(run: &Run<'_>, function: &str) -> usize {
        run.calls().iter().filter(|call| call.function() == function).count()
    }

    #[test]
    fn a_small_order_is_shipped_without_approval() {
        let run = order("Ada\nhat\nunicorn");
        assert_eq!(run.result(), b"shipped hat\nno unicorn: `ship` answered with status 404: sold out");
        assert_eq!(["charge", "ship", "track", "send-mail"].map(|name| count(&run, name)), [1, 2, 1, 0]);
        assert!(!run.ran().contains(&"large[yes]/ask".to_owned()));
    }

    #[test]
    fn a_busy_charge_is_tried_again() {
        let busy = Answer::new(503).with_header("Retry-After", "30");
        let run = order("Ada\nhat").answers("charge", [busy, Answer::from("Ada\nhat")]);
        assert_eq!((run.result(), run.took()), (&b"shipped hat"[..], Duration::from_secs(30)));
    }

    #[test]
    fn a_declined_card_orders_nothing() {
        let run = order("Mallory\nhat");
        assert_eq!(run.result(), b"nothing was ordered, declined: the card of Mallory was declined");
        assert_eq!(run.calls().len(), 1);
        assert_eq!(run.ran().last().map(String::as_str), Some("approved[yes]/paid[no]/tell"));
    }

    #[test]
    fn a_large_order_waits_for_its_approval() {
        let run = order(LARGE).signal_after(5 * HOUR, "approval", r#"{"decision":"approve","comment":""}"#);
        assert_eq!(run.result(), b"shipped hat\nshipped scarf\nshipped gloves\nshipped boots");
        assert_eq!((count(&run, "send-mail"), run.took()), (1, 5 * HOUR));
    }

    #[test]
    fn who_does_not_answer_is_reminded_and_then_nothing_is_ordered() {
        let run = order(LARGE);
        assert_eq!(run.result(), b"nothing was ordered, declined: nobody has approved it");
        let mails = run.calls().iter().map(|call| String::from_utf8_lossy(call.body())).collect::<Vec<_>>();
        assert!(mails[0].starts_with("Approve or reject an order: http"), "{mails:?}");
        assert!(mails[1].starts_with("An order still waits: http"), "{mails:?}");
        assert_eq!((mails.len(), run.took()), (2, 2 * DAY));
    }

    #[test]
    fn a_parcel_is_followed_until_it_has_arrived() {
        let way = ["parcel 7 is on its way", "parcel 7 is on its way", "parcel 7 has arrived"];
        let run = order("Ada\nhat").answers("track", way);
        assert_eq!((run.result(), count(&run, "track")), (&b"parcel 7 has arrived"[..], 3));
        assert_eq!(run.took(), 2 * HOUR);
    }

    #[test]
    fn an_order_of_which_too_little_can_be_shipped_fails() {
        let run = order("Ada\nunicorn");
        assert_eq!(run.state(), State::Failed);
        assert_eq!(run.failure().map(Failed::code), Some("FF0207"));
        assert!(run.failure().is_some_and(|failed| failed.message().contains("sold out")));
    }

    #[test]
    fn a_rejected_order_is_told_with_what_the_manager_said() {
        let rejected = r#"{"decision":"reject","comment":"I cannot approve this"}"#;
        let run = order(LARGE).signal_after(HOUR, "approval", rejected);
        assert_eq!(run.result(), [b"nothing was ordered, declined: ", rejected.as_bytes()].concat());
    }

    #[test]
    fn another_failure_of_the_charge_is_not_caught() {
        // Single closures are tested by their handler ids.
        let flow = Flow::new(define).unwrap();
        let failed = Failed::new("FF0208", FailureKind::Unreachable).with_message("charge", "no connection");
        let failure = flow.recover_from("approved[yes]/charge/0/recover-from", failed).unwrap_err();
        assert_eq!(failure.message(), "FF0208 at charge: no connection");
    }
}

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
    use super::define;
    use faas_flow::testing::{Fake, Flow};
    use faas_flow::{Failed, FailureKind, Gathered};

    #[test]
    fn a_large_order_has_to_be_approved() {
        let flow = Flow::new(define).unwrap();
        let large = |order: &str| flow.condition("large/condition", order).unwrap();
        assert_eq!((large("Ada\na\nb\nc"), large("Ada\na\nb\nc\nd")), (vec!["no".to_owned()], vec!["yes".to_owned()]));
        let flow = Flow::with(&Fake::new(), define).unwrap();
        let mail = flow.modify("large[yes]/ask/0", "Ada\na\nb\nc\nd").unwrap();
        assert!(String::from_utf8(mail).unwrap().contains("/signal/approval?"));
        let decide = |decision: &str| flow.modify("large[yes]/decide/0", decision).unwrap();
        assert_eq!(decide(r#"{"decision":"approve","comment":""}"#), b"Ada\na\nb\nc\nd");
        assert_eq!(decide("approve"), b"Ada\na\nb\nc\nd");
        let rejected = r#"{"decision":"reject","comment":"I cannot approve this"}"#;
        assert_eq!(decide(rejected), [b"declined: ", rejected.as_bytes()].concat());
        assert_eq!(decide("nobody has approved it"), b"declined: nobody has approved it");
    }

    #[test]
    fn a_declined_card_leads_to_the_other_branch() {
        let flow = Flow::new(define).unwrap();
        let failed = Failed::new("FF0207", FailureKind::Answered).with_response(402, "too poor\n");
        let caught = flow.recover_from("approved[yes]/charge/0/recover-from", failed).unwrap();
        assert_eq!(caught, b"declined: too poor");
        assert_eq!(flow.condition("approved[yes]/paid/condition", caught).unwrap(), ["no"]);
    }

    #[test]
    fn another_failure_of_the_charge_is_not_caught() {
        let flow = Flow::new(define).unwrap();
        let failed = Failed::new("FF0208", FailureKind::Unreachable).with_message("charge", "no connection");
        let failure = flow.recover_from("approved[yes]/charge/0/recover-from", failed).unwrap_err();
        assert_eq!(failure.message(), "FF0208 at charge: no connection");
    }

    #[test]
    fn the_receipt_names_what_could_not_be_shipped() {
        let flow = Flow::new(define).unwrap();
        let sold_out = Failed::new("FF0207", FailureKind::Answered).with_message("ship", "sold out");
        let items = [
            Gathered { key: "hat".to_owned(), ended: Ok(b"shipped hat".to_vec()) },
            Gathered { key: "unicorn".to_owned(), ended: Err(sold_out) },
        ];
        let receipt = flow.gather("approved[yes]/paid[yes]/items/gather", items).unwrap();
        assert_eq!(receipt, b"shipped hat\nno unicorn: sold out");
    }

    #[test]
    fn the_parcel_is_followed_until_it_has_arrived() {
        let flow = Flow::new(define).unwrap();
        let again = |status: &str| flow.again("approved[yes]/paid[yes]/track/again", status, 1).unwrap();
        assert_eq!((again("shipped hat\non its way"), again("shipped hat")), (true, false));
    }
}

//! A flow that asks a manager to approve an order: by mail, with a reminder after a day, and for two days at most.

use faas_flow::{Context, Dag, Failed, Result, Workflow, flow};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the caller sends, and what mails are about.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    total: u64,
}

/// What the manager decides on the page behind the address, or what the flow decides without an answer.
#[derive(Serialize, Deserialize)]
struct Decision {
    decision: String,
    #[serde(default)]
    comment: String,
}

/// A mail for the function `send-mail`.
#[derive(Serialize, Deserialize)]
struct Mail {
    to: String,
    text: String,
}

/// Describes the flow.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    let known = context.clone();
    dag.node("ask")
        .modify(move |order| {
            known.set_bytes("order", order.clone())?;
            mail(&known, "Please decide", &serde_json::from_slice(&order)?)
        })
        .apply("send-mail");
    // A manager who does not answer in a day is reminded, and has another one. The address in the second mail is another one,
    // so either works.
    dag.node("first-day").wait_for("decision").timeout(DAY).recover_from(|_: Failed| Ok(""));
    let answered = dag
        .condition("answered", ["yes", "no"], |decision: Vec<u8>| Ok([if decision.is_empty() { "no" } else { "yes" }]));
    answered.branch("yes").node("done");
    remind(&answered.branch("no"), context);
    let known = context.clone();
    dag.node("decide").modify(move |data| {
        let decision: Decision = serde_json::from_slice(&data)?;
        let order: Order = serde_json::from_slice(&known.get_bytes("order")?.unwrap_or_default())?;
        let comment = if decision.comment.is_empty() { String::new() } else { format!(" ({})", decision.comment) };
        Ok(format!("order {}: {}{comment}", order.id, decision.decision))
    });
    dag.edge("ask", "first-day");
    dag.edge("first-day", "answered");
    dag.edge("answered", "decide");
    Ok(())
}

fn remind(dag: &Dag, context: &Context) {
    let known = context.clone();
    dag.node("remind")
        .modify(move |_| {
            let order = known.get_bytes("order")?.unwrap_or_default();
            mail(&known, "We still wait for your decision", &serde_json::from_slice(&order)?)
        })
        .apply("send-mail");
    dag.node("second-day").wait_for("decision").timeout(DAY).recover_from(|_: Failed| {
        let (decision, comment) = ("reject".to_owned(), "nobody has answered".to_owned());
        Ok(serde_json::to_vec(&Decision { decision, comment })?)
    });
    dag.edge("remind", "second-day");
}

fn mail(context: &Context, subject: &str, order: &Order) -> Result<Vec<u8>> {
    let Order { id, total } = order;
    let url = context.signal_url_for("decision", 2 * DAY)?;
    let text = format!("{subject}: order {id} over {total} euros.\nApprove or reject it here: {url}\n");
    Ok(serde_json::to_vec(&Mail { to: "manager@example.org".to_owned(), text })?)
}

flow!(define);

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::{Fake, Flow};

    const ORDER: &str = r#"{ "id": "7", "total": 1200 }"#;

    #[test]
    fn the_manager_gets_an_address_for_the_decision() {
        let mail = Flow::new(define).unwrap().modify("ask/0", ORDER).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        assert!(mail.contains("order 7 over 1200 euros") && mail.contains("/signal/decision?"), "{mail}");
    }

    #[test]
    fn a_decision_and_its_comment_become_the_result() {
        let order: serde_json::Value = serde_json::from_str(ORDER).unwrap();
        let flow = Flow::with(&Fake::new().value("order", &order).unwrap(), define).unwrap();
        let decide = |decision: &str| String::from_utf8(flow.modify("decide/0", decision).unwrap()).unwrap();
        assert_eq!(decide(r#"{ "decision": "approve" }"#), "order 7: approve");
        assert_eq!(decide(r#"{ "decision": "reject", "comment": "too much" }"#), "order 7: reject (too much)");
    }

    #[test]
    fn who_has_not_answered_is_reminded() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.condition("answered/condition", "").unwrap(), ["no"]);
        assert_eq!(flow.condition("answered/condition", "{}").unwrap(), ["yes"]);
    }
}

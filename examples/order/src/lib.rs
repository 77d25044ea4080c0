//! Charges a card and ships what was ordered. A declined card leads to another branch, and a few items that cannot be shipped
//! do not spoil the order.

use faas_flow::{Backoff, Context, Failed, Failure, Gathered, Result, Workflow, flow};
use std::time::Duration;

/// How the output of the first node begins if the card was declined.
const DECLINED: &str = "declined: ";

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    // A busy function is called again; a card that was declined is caught, and everything else fails the run.
    let retry = Backoff::attempts(3).first_delay(Duration::from_millis(200));
    dag.node("charge").apply("charge").retry(retry).recover_from(declined);

    let paid = dag.condition("paid", ["yes", "no"], |answer: Vec<u8>| {
        Ok([if answer.starts_with(DECLINED.as_bytes()) { "no" } else { "yes" }])
    });
    dag.edge("charge", "paid");
    paid.branch("no").node("tell").modify(|why| Ok([b"nothing was ordered, ", why.as_slice()].concat()));

    let items = paid.branch("yes").for_each("items", items);
    items.dag().node("ship").apply("ship");
    // Up to half of the items may fail; if more do, so does the run.
    items.tolerate_share(0.5).gather(receipt);
    Ok(())
}

flow!(define);

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
    use faas_flow::testing::Flow;
    use faas_flow::{Failed, FailureKind, Gathered};

    #[test]
    fn a_declined_card_leads_to_the_other_branch() {
        let flow = Flow::new(define).unwrap();
        let failed = Failed::new("FF0207", FailureKind::Answered).with_response(402, "too poor\n");
        let caught = flow.recover_from("charge/0/recover-from", failed).unwrap();
        assert_eq!(caught, b"declined: too poor");
        assert_eq!(flow.condition("paid/condition", caught).unwrap(), ["no"]);
    }

    #[test]
    fn another_failure_of_the_charge_is_not_caught() {
        let flow = Flow::new(define).unwrap();
        let failed = Failed::new("FF0208", FailureKind::Unreachable).with_message("charge", "no connection");
        let failure = flow.recover_from("charge/0/recover-from", failed).unwrap_err();
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
        assert_eq!(flow.gather("paid[yes]/items/gather", items).unwrap(), b"shipped hat\nno unicorn: sold out");
    }
}

//! A flow that sleeps until a moment which it finds in its data, and then sends a reminder.

use faas_flow::{Context, Result, Wake, Workflow, flow};
use serde::Deserialize;

/// What the caller sends.
#[derive(Deserialize)]
struct Reminder {
    text: String,
    /// As RFC 3339 writes it: `2026-12-24T18:00:00+01:00`.
    at: String,
}

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let node = workflow.dag().node("reminder");
    // Days of sleep cost nothing but a row in the store. If the moment has passed, the node does not sleep.
    node.sleep_until(|data| Ok(Wake::at(serde_json::from_slice::<Reminder>(&data)?.at)));
    node.modify(|data| Ok(serde_json::from_slice::<Reminder>(&data)?.text)).apply("send");
    Ok(())
}

flow!(define);

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::Wake;
    use faas_flow::testing::Flow;

    const REMINDER: &str = r#"{ "text": "Feed the cat", "at": "2026-12-24T18:00:00+01:00" }"#;

    #[test]
    fn it_sleeps_until_the_moment_that_the_caller_names() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.moment("reminder/0", REMINDER).unwrap(), Wake::at("2026-12-24T18:00:00+01:00"));
        assert!(flow.moment("reminder/0", "{}").unwrap_err().to_string().contains("missing field"));
    }

    #[test]
    fn its_text_is_sent() {
        assert_eq!(Flow::new(define).unwrap().modify("reminder/1", REMINDER).unwrap(), b"Feed the cat");
    }
}

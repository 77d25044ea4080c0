//! A flow that submits a job, and asks for its status from time to time until it is done.

use faas_flow::{Backoff, Context, Failure, Result, Workflow, flow};
use std::time::Duration;

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    dag.node("submit").apply("submit-job");
    // Each round begins with what the one before has found out: the first one with the answer of `submit-job`.
    let poll = dag.repeat("poll", |status, _round| Ok(done(&status)? < 100));
    poll.dag().node("ask").apply("job-status").retry(Backoff::attempts(5));
    // If the job is not done after a thousand rounds, the node fails.
    poll.most(1_000).wait(Duration::from_secs(1));
    dag.node("report").modify(report);
    dag.edge("submit", "poll");
    dag.edge("poll", "report");
    Ok(())
}

flow!(define);

/// How much of the job is done, in percent: 40 of `cake: 40 % done`.
fn done(status: &[u8]) -> Result<u32> {
    let status = str::from_utf8(status)?;
    let percent = status.trim().strip_suffix(" % done").and_then(|status| status.rsplit(' ').next());
    let percent = percent.ok_or_else(|| Failure::reject(format!("`{status}` is not the status of a job")))?;
    Ok(percent.parse()?)
}

fn report(status: Vec<u8>) -> Result<String> {
    let status = String::from_utf8(status)?;
    let (job, _) = status.rsplit_once(':').ok_or("the status does not name the job")?;
    Ok(format!("{job} is ready"))
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::Flow;

    #[test]
    fn the_job_is_polled_until_all_of_it_is_done() {
        let flow = Flow::new(define).unwrap();
        assert_eq!(flow.again("poll/again", "cake: 0 % done\n", 1), Ok(true));
        assert_eq!(flow.again("poll/again", "cake: 99 % done\n", 2), Ok(true));
        assert_eq!(flow.again("poll/again", "cake: 100 % done\n", 3), Ok(false));
        assert_eq!(flow.modify("report/0", "cake: 100 % done\n").unwrap(), b"cake is ready");
    }

    #[test]
    fn what_is_no_status_fails_the_flow() {
        let flow = Flow::new(define).unwrap();
        assert!(flow.again("poll/again", "the job is lost", 1).is_err());
    }
}

//! A flow that imports the data of a day every night, and finds in its request which day that is.

use faas_flow::{Context, Missed, Overlap, Result, Workflow, flow};

/// Describes the flow.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    let context = context.clone();
    dag.node("day").modify(move |data| day(&context, data));
    dag.node("fetch").apply("fetch-day");
    dag.node("import").apply("import-rows");
    dag.edge("day", "fetch");
    dag.edge("fetch", "import");
    // If nobody was there at half past two, the import is made up for once. An import that takes longer than a day is not
    // disturbed by the next one, which waits.
    let nightly = workflow.schedule("nightly", "0 30 2 * * *");
    nightly.time_zone("Europe/Berlin").missed(Missed::One).overlap(Overlap::Queue);
    Ok(())
}

flow!(define);

/// The day to import: the one that the caller names, or else the day of the schedule's moment. The flow has no clock, and does
/// not need one: a run that begins late imports the day that it is for.
fn day(context: &Context, data: Vec<u8>) -> Result<String> {
    let named = String::from_utf8(data)?;
    let scheduled = context.header("X-Faas-Flow-Scheduled-At").concat();
    let day = if named.trim().is_empty() { scheduled.split('T').next().unwrap_or_default() } else { named.trim() };
    match day.len() {
        10 => Ok(day.to_owned()),
        _ => Err("send the day to import, such as 2026-11-30, or let the schedule begin the run".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::define;
    use faas_flow::testing::{Fake, Flow};

    #[test]
    fn the_day_is_that_of_the_schedules_moment() {
        let fake = Fake::new().header("X-Faas-Flow-Scheduled-At", "2026-12-01T01:30:00Z");
        let flow = Flow::with(&fake, define).unwrap();
        assert_eq!(flow.modify("day/0", "").unwrap(), b"2026-12-01");
        assert_eq!(flow.modify("day/0", "2026-11-30\n").unwrap(), b"2026-11-30");
    }

    #[test]
    fn without_a_day_nothing_is_imported() {
        let flow = Flow::new(define).unwrap();
        assert!(flow.modify("day/0", "").is_err());
    }

    #[test]
    fn the_import_is_scheduled_every_night() {
        let definition = Flow::new(define).unwrap().definition();
        assert_eq!(definition["schedules"][0]["when"], "0 30 2 * * *");
        assert_eq!(definition["schedules"][0]["time-zone"], "Europe/Berlin");
    }
}

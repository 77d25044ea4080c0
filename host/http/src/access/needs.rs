//! What each route needs. This table, and the rule for pages of the dashboard below it, are the only places that say so.

use super::right::Right;
use axum::http::Method;

/// What a request must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing, or what the flow's own callers need.
    Nothing,
    /// The signature of a replica or of the queue, which the handler checks.
    Signature,
    /// A token with one of these rights.
    Right(&'static [Right]),
    /// A token with one of these rights, or else what the handler asks callers for.
    OrSignature(&'static [Right]),
}

pub(crate) const SEE: &[Right] = &[Right::See];
const SEE_PAYLOADS: &[Right] = &[Right::SeePayloads];
const CONTROL: &[Right] = &[Right::Control];
const DEPLOY: &[Right] = &[Right::Deploy];
/// Those who deploy see the versions, and so do those who see runs of them.
pub(crate) const SEE_VERSIONS: &[Right] = &[Right::See, Right::Deploy];

/// What each operation of the OpenAPI document needs, by its id.
const OPERATIONS: [(&str, Need); 42] = [
    ("invoke", Need::Nothing),
    ("health", Need::Nothing),
    ("ready", Need::Nothing),
    ("metrics", Need::Nothing),
    ("openapi", Need::Nothing),
    ("forward", Need::Signature),
    ("answer", Need::Signature),
    ("signal_page", Need::Signature),
    ("signal", Need::OrSignature(CONTROL)),
    ("state", Need::OrSignature(SEE)),
    ("result", Need::OrSignature(SEE_PAYLOADS)),
    ("stop", Need::OrSignature(CONTROL)),
    ("pause", Need::Right(CONTROL)),
    ("resume", Need::Right(CONTROL)),
    ("rerun", Need::Right(CONTROL)),
    ("callback", Need::Right(CONTROL)),
    ("delete-run", Need::Right(CONTROL)),
    ("change-runs", Need::Right(CONTROL)),
    ("runs", Need::Right(SEE)),
    ("run", Need::Right(SEE)),
    ("logs", Need::Right(SEE)),
    ("audit", Need::Right(SEE)),
    ("flows", Need::Right(SEE_VERSIONS)),
    ("node-input", Need::Right(SEE_PAYLOADS)),
    ("node-output", Need::Right(SEE_PAYLOADS)),
    ("node-operations", Need::Right(SEE_PAYLOADS)),
    ("versions", Need::Right(SEE_VERSIONS)),
    ("version", Need::Right(SEE_VERSIONS)),
    ("module", Need::Right(DEPLOY)),
    ("push", Need::Right(DEPLOY)),
    ("plan", Need::Right(DEPLOY)),
    ("gc", Need::Right(DEPLOY)),
    ("activate", Need::Right(DEPLOY)),
    ("roll-back", Need::Right(DEPLOY)),
    ("promote", Need::Right(DEPLOY)),
    ("withdraw", Need::Right(DEPLOY)),
    ("schedules", Need::Right(SEE)),
    ("plan-backfill", Need::Right(SEE)),
    ("pause-schedule", Need::Right(CONTROL)),
    ("resume-schedule", Need::Right(CONTROL)),
    ("trigger-schedule", Need::Right(CONTROL)),
    ("backfill-schedule", Need::Right(CONTROL)),
];

/// What an operation needs.
pub(crate) fn need_of(operation: &str) -> Need {
    let found = OPERATIONS.iter().find(|(id, _)| *id == operation);
    found.map_or(Need::Right(CONTROL), |(_, need)| *need)
}

/// The operations that only look, although they are not done by GET or need more than the right to see.
const LOOKS: [&str; 4] = ["state", "result", "module", "plan"];

/// Whether an operation changes something for which people answer, so that it belongs in the audit log.
pub(crate) fn is_change(operation: &str) -> bool {
    let (Need::Right(rights) | Need::OrSignature(rights)) = need_of(operation) else { return false };
    !LOOKS.contains(&operation) && !rights.iter().any(|right| matches!(right, Right::See | Right::SeePayloads))
}

/// What a page of the dashboard needs: to see runs, or for everything that changes something, to control them; below
/// `flows/FLOW/modules`, the same for versions. The data of nodes needs [`Right::SeePayloads`] as well, which the one place asks
/// for that shows them.
pub(crate) fn need_of_page(method: &Method, path: &str) -> &'static [Right] {
    let mut of_flow = path.split('/').skip_while(|part| *part != "flows");
    match (of_flow.nth(2) == Some("modules"), method.is_safe()) {
        (false, true) => SEE,
        (false, false) => CONTROL,
        (true, true) => SEE_VERSIONS,
        (true, false) => DEPLOY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_a_need_and_every_need_an_operation() {
        let listed: Vec<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
        let unique: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(unique.len(), listed.len());
        let routed = routes::operation_ids();
        let routed: BTreeSet<&str> = routed.iter().map(String::as_str).collect();
        assert_eq!(unique, routed);
    }

    #[test]
    fn pages_of_versions_are_for_those_who_deploy() {
        let need = |method, path| need_of_page(&method, path);
        assert_eq!(need(Method::GET, "/dashboard/flows/f/modules"), SEE_VERSIONS);
        assert_eq!(need(Method::POST, "/flows/f/modules/0a1b/activate"), DEPLOY);
        for path in ["/flows/modules/run", "/flows/flows/schedules/modules/pause", "/runs/modules/stop", "/runs/bulk"] {
            assert_eq!(need(Method::POST, path), CONTROL, "{path}");
        }
        for path in ["/", "/flows/modules", "/runs/r/node"] {
            assert_eq!(need(Method::GET, path), SEE, "{path}");
        }
    }

    #[test]
    fn what_changes_something_is_recorded() {
        let changes: Vec<&str> = OPERATIONS.iter().map(|(id, _)| *id).filter(|id| is_change(id)).collect();
        assert_eq!(
            changes,
            [
                "signal",
                "stop",
                "pause",
                "resume",
                "rerun",
                "callback",
                "delete-run",
                "change-runs",
                "push",
                "gc",
                "activate",
                "roll-back",
                "promote",
                "withdraw",
                "pause-schedule",
                "resume-schedule",
                "trigger-schedule",
                "backfill-schedule"
            ]
        );
    }
}

//! Definitions of flows: what a stored run carries, and what the code of a flow may describe.

use faas_flow_core::{Definition, Plan};

/// Tries an input.
pub fn definition(bytes: &[u8]) {
    let Ok(definition) = serde_json::from_slice::<Definition>(bytes) else { return };
    match Plan::new(definition.clone()) {
        Ok(plan) => assert_eq!(**plan.definition(), definition, "a plan keeps what was checked"),
        Err(problems) => assert!(!problems.is_empty(), "a refused definition has a problem"),
    }
}

//! Definitions of flows: what a stored run carries, and what the code of a flow may describe.

use faas_flow_core::{Definition, Plan};
use faas_flow_graph::{Difference, Format, render};

/// Tries an input.
pub fn definition(bytes: &[u8]) {
    let Ok(definition) = serde_json::from_slice::<Definition>(bytes) else { return };
    match Plan::new(definition.clone()) {
        Ok(plan) => {
            assert_eq!(**plan.definition(), definition, "a plan keeps what was checked");
            show(&definition);
        }
        Err(problems) => assert!(!problems.is_empty(), "a refused definition has a problem"),
    }
}

/// Draws a flow in each format, and compares it with itself.
fn show(definition: &Definition) {
    for (name, format) in Format::ALL {
        assert!(!render(definition, "flow", format).is_empty(), "there is nothing to see as {name}");
    }
    let difference = Difference::between(definition, definition);
    assert!(difference.is_empty(), "a flow differs from itself: {difference:?}");
}

//! A for-each in which every byte of the data is an item, for which a function is called.

use faas_flow::{Context, Heap, Inputs, Result, Workflow, flow};

#[global_allocator]
static HEAP: Heap = Heap::new();

/// Describes the flow.
pub fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    let dag = workflow.dag();
    let items = dag.for_each("each", |data| {
        Ok(data.into_iter().enumerate().map(|(at, byte)| (format!("{at}"), vec![byte])).collect::<Vec<_>>())
    });
    items.aggregator(|inputs: Inputs| Ok(inputs.concat())).dag().node("n1").apply("echo");
    Ok(())
}

flow!(define);

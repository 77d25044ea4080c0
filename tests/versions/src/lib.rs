//! A flow of many versions: the number and the mode in its mark are replaced in the finished module, so that a test or the
//! chaos run makes as many versions as it wants of one build. Every node of its own stamps the data with the number, so a
//! result says which version, or which versions, it comes from.

use faas_flow::{Context, Exhausted, Failure, Inputs, Result, Workflow, flow};

/// `NNNN` is the number, `mmmm` the mode.
static MARK: [u8; 27] = *b"faas-flow-version:0000:okay";

/// Describes the flow of the mark's mode.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    match mode() {
        // Defined anew for each request, some of which it does not like.
        b"asks" if !context.query("refuse").is_empty() => return Err("this version refuses to begin".into()),
        // Its first node gives up, for an operator to look at.
        b"paus" => workflow.on_exhausted(Exhausted::Pause),
        _ => {}
    }
    let dag = workflow.dag();
    dag.node("first").modify(stamp);
    match mode() {
        // One item for each byte, and a call for each item.
        b"each" => {
            let items = dag.for_each("call", |data| {
                Ok((0..data.len()).map(|n| (format!("{n:04}"), b"i".to_vec())).collect::<Vec<_>>())
            });
            items.aggregator(join).dag().node("item").apply("func1").modify(stamp);
        }
        // A graph that is another one.
        b"more" => {
            dag.node("call").apply("func1");
            dag.node("more").modify(stamp);
            dag.edge("call", "more");
            dag.edge("more", "last");
        }
        // What no host takes.
        b"bad_" => {
            dag.node("call").apply("func1");
            dag.edge("last", "first");
        }
        _ => {
            dag.node("call").apply("func1");
        }
    }
    dag.node("last").modify(stamp);
    dag.edge("first", "call");
    if mode() != b"more" {
        dag.edge("call", "last");
    }
    Ok(())
}

flow!(define);

fn number() -> &'static [u8] {
    &std::hint::black_box(&MARK)[18..22]
}

fn mode() -> &'static [u8] {
    &std::hint::black_box(&MARK)[23..]
}

/// The data, and behind it the version.
fn stamp(data: Vec<u8>) -> Result<Vec<u8>> {
    assert!(mode() != b"trap", "this version fails at once");
    if mode() == b"paus" {
        return Err(Failure::retry("this version gives up"));
    }
    Ok([data.as_slice(), b"|", number()].concat())
}

fn join(results: Inputs) -> Result<Vec<u8>> {
    let parts: Vec<_> = results.iter().map(|(_, data)| data.to_vec()).collect();
    Ok(parts.join(&b","[..]))
}

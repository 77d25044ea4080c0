//! One build that becomes many versions of a flow: tests and the chaos run replace the number and the mode in its mark,
//! in the finished module. Every modifier appends the number to the data, so a result shows which versions it comes
//! from.

use faas_flow::{Context, Exhausted, Failure, Inputs, Result, Workflow, flow};

/// The prefix, the number (four digits), and the mode (four characters).
static MARK: [u8; 27] = *b"faas-flow-version:0000:okay";

/// Describes the flow that the mode in the mark selects.
pub fn define(workflow: &mut Workflow, context: &Context) -> Result {
    match mode() {
        // Reads the request, so it is defined again for each run, and refuses some.
        b"asks" if !context.query("refuse").is_empty() => return Err("this version refuses to begin".into()),
        // Its first node fails, and the run waits for an operator.
        b"paus" => workflow.on_exhausted(Exhausted::Pause),
        _ => {}
    }
    let dag = workflow.dag();
    dag.node("first").modify(stamp);
    match mode() {
        // One item for each byte, and one call for each item.
        b"each" => {
            let items = dag.for_each("call", |data| {
                Ok((0..data.len()).map(|n| (format!("{n:04}"), b"i".to_vec())).collect::<Vec<_>>())
            });
            items.aggregator(join).dag().node("item").apply("func1").modify(stamp);
        }
        // A different graph.
        b"more" => {
            dag.node("call").apply("func1");
            dag.node("more").modify(stamp);
            dag.edge("call", "more");
            dag.edge("more", "last");
        }
        // Secrets where authors may put them, which nobody is shown.
        b"hide" => {
            let number = String::from_utf8_lossy(number());
            let url = format!("http://ann:dont-tell-password@127.0.0.1:1/pay?key=dont-tell-{number}");
            let call = dag.node("call").request(url).query("token", "dont-tell-token");
            call.header("X-Key", format!("dont-tell-{number}"));
        }
        // A cycle, which the host refuses.
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

/// Appends the version to the data.
fn stamp(data: Vec<u8>) -> Result<Vec<u8>> {
    assert!(mode() != b"trap", "this version fails at once");
    if mode() == b"paus" {
        return Err(Failure::retry("this version gives up"));
    }
    Ok([data.as_slice(), b"|", number()].concat())
}

fn join(results: Inputs) -> Result<Vec<u8>> {
    let parts: Vec<&[u8]> = results.values().collect();
    Ok(parts.join(&b","[..]))
}

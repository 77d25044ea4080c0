//! The main job, seen: the examples on real input.

use crate::modules::{self, module};
use crate::place::Place;
use crate::run::Run;
use anyhow::Result;
use std::process::Command;

/// A run to show.
struct Show {
    example: &'static str,
    about: &'static str,
    /// As for `--data`; files and commands stand relative to the clone.
    data: &'static str,
    /// The step functions it applies.
    functions: &'static [&'static str],
}

const ECHO: &[&str] = &["func1=echo", "func2=echo", "fake-storage=echo"];

const SHOWS: [Show; 9] = [
    Show { example: "greet", about: "one node, in Rust", data: "Ada", functions: &[] },
    Show { example: "greet-js", about: "the same in JavaScript", data: "Ada", functions: &[] },
    Show { example: "greet-python", about: "the same in Python", data: "Ada", functions: &[] },
    Show { example: "sync-chain", about: "two functions and a modifier in one node", data: "hi", functions: ECHO },
    Show { example: "async-chain", about: "three nodes in a row", data: "hi", functions: ECHO },
    Show { example: "parallel-branching", about: "two nodes side by side, then a join", data: "hi", functions: ECHO },
    Show {
        example: "dynamic-branching",
        about: "a condition, and a for-each inside one of its branches",
        data: "hi",
        functions: ECHO,
    },
    Show {
        example: "conditional-branching",
        about: "a condition inside a branch of another",
        data: "hi",
        functions: ECHO,
    },
    Show {
        example: "flights",
        about: "5,000 flights: parse, measure each hour of the day in two functions, report",
        data: "@examples/flights/data/flights-5k.json",
        functions: &[
            "delays=./examples/flights/functions/delays.sh",
            "busiest=./examples/flights/functions/busiest.sh",
        ],
    },
];

/// Builds everything and runs the examples, one after the other.
pub fn run(place: &Place) -> Result<()> {
    modules::build(place)?;
    eprintln!("building the host");
    place.cargo("build").args(["--quiet", "--package", "faas-flow-host"]).must("building the host")?;
    for show in SHOWS {
        eprintln!("\n── {}: {}", show.example, show.about);
        let mut run = Command::new(place.target.join("debug/faas-flow"));
        run.current_dir(&place.root).arg("run").arg(module(place, show.example)).args(["--data", show.data]);
        for function in show.functions {
            run.args(["--function", function]);
        }
        run.must(show.example)?;
    }
    Ok(())
}

//! The main job, seen: the examples on real input.

use crate::modules::{self, module};
use crate::place::Place;
use crate::run::Run;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// A run to show: the example, its input, and the step functions it applies.
struct Show {
    example: &'static str,
    about: &'static str,
    data: Data,
    functions: &'static [&'static str],
}

enum Data {
    Text(&'static str),
    /// The first file of the example's `data` folder.
    File,
}

const SHOWS: [Show; 5] = [
    Show { example: "greet", about: "one node, in Rust", data: Data::Text("world"), functions: &[] },
    Show { example: "greet-js", about: "the same in JavaScript", data: Data::Text("world"), functions: &[] },
    Show { example: "greet-python", about: "the same in Python", data: Data::Text("world"), functions: &[] },
    Show {
        example: "dynamic-branching",
        about: "a condition, and a for-each inside one of its branches",
        data: Data::Text("hello"),
        functions: &["func1=echo", "fake-storage=echo"],
    },
    Show {
        example: "flights",
        about: "an ETL over a real data set",
        data: Data::File,
        functions: &["carrier-stats=echo", "report-storage=echo"],
    },
];

/// Builds everything and runs the examples, one after the other.
pub fn run(place: &Place) -> Result<()> {
    modules::build(place)?;
    eprintln!("building the host");
    place.cargo("build").args(["--quiet", "--package", "faas-flow-host"]).must("building the host")?;
    for show in SHOWS.iter().filter(|show| module(place, show.example).is_file()) {
        eprintln!("\n── {}: {}", show.example, show.about);
        let mut run = Command::new(place.target.join("debug/faas-flow"));
        run.arg("run").arg(module(place, show.example)).arg("--data").arg(show.data(place)?);
        for function in show.functions {
            run.args(["--function", function]);
        }
        run.must(show.example)?;
    }
    Ok(())
}

impl Show {
    fn data(&self, place: &Place) -> Result<String> {
        Ok(match self.data {
            Data::Text(text) => text.to_owned(),
            Data::File => {
                format!("@{}", first_file(place.root.join("examples").join(self.example).join("data"))?.display())
            }
        })
    }
}

fn first_file(folder: PathBuf) -> Result<PathBuf> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv" || extension == "json"))
        .collect();
    files.sort();
    files.into_iter().next().with_context(|| format!("{} has no csv or json file", folder.display()))
}

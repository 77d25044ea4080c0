//! What flows cost in each language: `greet`, from its sources to the memory of an instance.

mod code;
mod project;

use crate::Options;
use anyhow::{Context as _, Result};
use code::Code;
use project::Project;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;

/// A language, and what is to be reached in it.
pub struct Language {
    /// Its name.
    pub name: &'static str,
    /// The name of the example's module.
    module: &'static str,
    /// What `faas-flow new --lang` calls it; none if its projects are those of another language.
    lang: Option<&'static str>,
    /// The file of a new project that greets.
    source: &'static str,
    /// A command that has to be run in a new project.
    install: Option<&'static [&'static str]>,
    /// The most that a fresh instance and its first call are to take together, in microseconds.
    first_call: Option<f64>,
    /// The most that may pass between an edit and the first answer of the new version, in seconds.
    edit: Option<f64>,
}

const NPM: &[&str] = &["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"];

const LANGUAGES: [Language; 7] = [
    Language {
        name: "Rust",
        module: "greet",
        lang: Some("rust"),
        source: "handler.rs",
        install: None,
        first_call: None,
        edit: Some(1.0),
    },
    Language {
        name: "C",
        module: "greet-c",
        lang: Some("c"),
        source: "handler.c",
        install: None,
        first_call: Some(20.0),
        edit: Some(1.0),
    },
    Language { name: "C++", module: "greet-cpp", lang: None, source: "", install: None, first_call: None, edit: None },
    Language {
        name: "Zig",
        module: "greet-zig",
        lang: None,
        source: "",
        install: None,
        first_call: Some(20.0),
        edit: None,
    },
    Language {
        name: "Go",
        module: "greet-go",
        lang: Some("go"),
        source: "handler.go",
        install: None,
        first_call: Some(200.0),
        edit: Some(1.0),
    },
    Language {
        name: "TypeScript",
        module: "greet-typescript",
        lang: Some("typescript"),
        source: "flow.ts",
        install: Some(NPM),
        first_call: Some(110.0),
        edit: Some(5.0),
    },
    Language {
        name: "Python",
        module: "greet-python",
        lang: Some("python"),
        source: "flow.py",
        install: None,
        first_call: Some(1000.0),
        edit: Some(15.0),
    },
];

#[derive(Serialize)]
struct Row {
    language: &'static str,
    #[serde(flatten)]
    code: Code,
    #[serde(flatten)]
    project: Option<Project>,
    aims: Value,
}

/// Measures each language, and prints a row for each.
pub fn measure(options: &Options) -> Result<()> {
    if !options.json {
        println!(
            "| language | build, first and again, s | module, KB | compiled, cached, ms | fresh instance, µs | first call, 64 B and \
             64 KiB, µs | warm call, 64 B and 64 KiB, µs | memory of an instance, KiB | edit to answer, s |\n\
             |---|---|---|---|---|---|---|---|---|"
        );
    }
    let chosen = |language: &&Language| {
        options.of.is_empty() || options.of.iter().any(|name| language.name.eq_ignore_ascii_case(name))
    };
    for language in LANGUAGES.iter().filter(chosen) {
        let path = options.modules.join(language.module).with_extension("wasm");
        let module = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let code = code::measure(&module)?;
        let lang = language.lang.filter(|_| !options.modules_only);
        let project = lang.map(|lang| project::measure(options, language, lang)).transpose()?;
        let row = Row { language: language.name, aims: language.aims(&code, project.as_ref()), code, project };
        if options.json { println!("{}", serde_json::to_string(&row)?) } else { line(language, &row) }
    }
    Ok(())
}

impl Language {
    fn aims(&self, code: &Code, project: Option<&Project>) -> Value {
        let aim = |value: Option<f64>, most: Option<f64>| {
            let (value, most) = (value?, most?);
            Some(json!({ "at-most": most, "met": value <= most }))
        };
        json!({
            "first-call-us": aim(Some(code.first_call_us), self.first_call),
            "edit-to-answer-s": aim(project.map(|project| project.edit_to_answer_s), self.edit),
        })
    }
}

/// For people: a row of a table, with what is to be reached.
fn line(language: &Language, row: &Row) {
    let Row { code, project, .. } = row;
    let aim = |value: f64, most: Option<f64>| match most {
        Some(most) if value <= most => format!(" ✓ {most}"),
        Some(most) => format!(" ✗ {most}"),
        None => String::new(),
    };
    let of_project = |text: &dyn Fn(&Project) -> String| project.as_ref().map_or_else(|| "–".to_owned(), text);
    println!(
        "| {} | {} | {:.0} | {:.0}, {:.2} | {:.1} | {:.1}{}, {:.1} | {:.1}, {:.1} | {:.0} | {} |",
        language.name,
        of_project(&|project| format!("{:.1}, {:.1}", project.build_first_s, project.build_again_s)),
        code.module_bytes as f64 / 1e3,
        code.compile_ms,
        code.cached_load_ms,
        code.instance_us,
        code.first_call_us,
        aim(code.first_call_us, language.first_call),
        code.first_call_64k_us,
        code.warm_call_us,
        code.warm_call_64k_us,
        code.instance_kib,
        of_project(&|project| format!(
            "{:.2}{}",
            project.edit_to_answer_s,
            aim(project.edit_to_answer_s, language.edit)
        ))
    );
}

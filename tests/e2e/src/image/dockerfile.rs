//! Reads Dockerfiles, as far as this project's need it.

use std::collections::BTreeMap;

/// A stage, from one `FROM` to the next.
#[derive(Debug)]
pub struct Stage {
    /// The name behind `AS`.
    pub name: Option<String>,
    /// The image that it starts from.
    pub from: String,
    /// Its instructions, in order.
    pub instructions: Vec<Instruction>,
}

/// One instruction, with its variables as they are written.
#[derive(Debug)]
pub enum Instruction {
    /// `ARG`: a name, and its default.
    Arg(String, Option<String>),
    /// `ENV`: names and values.
    Env(Vec<(String, String)>),
    /// `WORKDIR`.
    WorkDir(String),
    /// `USER`.
    User(String),
    /// `COPY`: the stage to copy from, if not the context; the sources; the target.
    Copy(Option<String>, Vec<String>, String),
    /// `RUN` of a line for a shell.
    Shell(String),
    /// `RUN` of a program with its arguments.
    Exec(Vec<String>),
    /// `HEALTHCHECK`.
    HealthCheck(Vec<String>),
    /// `ENTRYPOINT`.
    EntryPoint(Vec<String>),
    /// `CMD`.
    Cmd(Vec<String>),
    /// `EXPOSE`.
    Expose(u16),
}

/// The arguments before the first stage, and the stages.
pub fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Stage>) {
    let mut arguments = BTreeMap::new();
    let mut stages = Vec::<Stage>::new();
    for line in lines(text) {
        let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("an instruction without arguments: {line}"));
        let rest = rest.trim();
        if word == "FROM" {
            let words: Vec<&str> = rest.split(' ').filter(|word| !word.starts_with("--platform=")).collect();
            let name = (words.get(1) == Some(&"AS")).then(|| words[2].to_owned());
            let from = fill(words[0], &arguments);
            stages.push(Stage { name, from, instructions: Vec::new() });
            continue;
        }
        match (instruction(word, rest), stages.last_mut()) {
            (instruction, Some(stage)) => stage.instructions.push(instruction),
            (Instruction::Arg(name, Some(value)), None) => drop(arguments.insert(name, value)),
            (other, None) => panic!("{other:?} before the first FROM"),
        }
    }
    (arguments, stages)
}

/// The lines, each joined with those that continue it, without comments.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty() && !part.starts_with('#')) {
        match part.strip_suffix('\\') {
            Some(part) => line.push_str(part),
            None => lines.push(std::mem::take(&mut line) + part),
        }
    }
    lines
}

fn instruction(word: &str, rest: &str) -> Instruction {
    let json = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match word {
        "ARG" => match rest.split_once('=') {
            Some((name, value)) => Instruction::Arg(name.to_owned(), Some(value.to_owned())),
            None => Instruction::Arg(rest.to_owned(), None),
        },
        "ENV" => Instruction::Env(rest.split(' ').map(pair).collect()),
        "WORKDIR" => Instruction::WorkDir(rest.to_owned()),
        "USER" => Instruction::User(rest.to_owned()),
        "EXPOSE" => Instruction::Expose(rest.parse().unwrap()),
        "RUN" if rest.starts_with('[') => Instruction::Exec(json(rest)),
        "RUN" => Instruction::Shell(rest.to_owned()),
        "CMD" => Instruction::Cmd(json(rest)),
        "ENTRYPOINT" => Instruction::EntryPoint(json(rest)),
        "HEALTHCHECK" => Instruction::HealthCheck(json(rest.split_once("CMD ").expect("HEALTHCHECK has a CMD").1)),
        "COPY" => {
            let words = rest.split(' ').filter(|word| !word.starts_with("--chmod="));
            let mut words: Vec<String> = words.map(str::to_owned).collect();
            let from = words[0].strip_prefix("--from=").map(str::to_owned);
            if from.is_some() {
                words.remove(0);
            }
            let to = words.pop().expect("COPY has a target");
            Instruction::Copy(from, words, to)
        }
        _ => panic!("the tests do not know {word}"),
    }
}

/// `NAME=VALUE`
pub fn pair(text: &str) -> (String, String) {
    // `ENV NAME: VALUE` defines a variable of the name `NAME:`, which is what the original's image suffered from.
    let (name, value) = text.split_once('=').unwrap_or_else(|| panic!("ENV {text} has no `=`"));
    (name.to_owned(), value.to_owned())
}

/// Replaces each `${NAME}` by its value.
pub fn fill(text: &str, values: &BTreeMap<String, String>) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

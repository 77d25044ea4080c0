//! The files of a new project: those that `faas-cli new` would make, and its template, so that both tools know the project.

use super::Language;
use crate::{Error, SourcesError};
use faas_flow_core::FlowName;
use include_dir::{Dir, DirEntry, include_dir};
use std::fs;
use std::path::{Path, PathBuf};

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../template");

/// The folder of a template with the files that the author gets.
const FUNCTION: &str = "function";
/// What `faas-cli` deploys.
pub(in crate::cli) const STACK: &str = "stack.yaml";

/// What was made.
pub(in crate::cli) struct Made {
    /// The folder of the sources.
    pub(in crate::cli) sources: PathBuf,
    /// The template, or nothing if it was there before.
    pub(in crate::cli) template: Option<PathBuf>,
    /// The stack file, or nothing if the function must be added to it by hand.
    pub(in crate::cli) stack: Option<PathBuf>,
}

/// Makes a project in a folder. What is there already is kept as it is; a project of this name must not be.
pub(in crate::cli) fn make(at: &Path, name: &FlowName, language: Language) -> Result<Made, Error> {
    let sources = at.join(name.as_str());
    if sources.exists() {
        return Err(SourcesError::AlreadyThere { path: sources }.into());
    }
    let template = language.template();
    let whole = TEMPLATES.get_dir(template).ok_or(SourcesError::NoTemplate { template })?;
    let starter = whole.get_dir(Path::new(template).join(FUNCTION)).ok_or(SourcesError::NoTemplate { template })?;
    let copy = at.join("template").join(template);
    let had = copy.exists();
    if !had {
        write_all(whole, whole.path(), &copy, &<[u8]>::to_vec)?;
    }
    write_all(starter, starter.path(), &sources, &|bytes| named(bytes, name))?;
    let stack = at.join(STACK);
    let text = match fs::read_to_string(&stack) {
        Ok(text) => with_function(&text, name, template),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(new_stack(name, template)),
        Err(source) => return Err(Error::InputUnreadable { path: stack, source }),
    };
    if let Some(text) = &text {
        write(&stack, text.as_bytes())?;
    }
    Ok(Made { sources, template: (!had).then_some(copy), stack: text.is_some().then_some(stack) })
}

/// Writes the files below a folder of the program into a folder of the machine.
fn write_all(from: &Dir<'_>, root: &Path, to: &Path, change: &impl Fn(&[u8]) -> Vec<u8>) -> Result<(), Error> {
    for entry in from.entries() {
        match entry {
            DirEntry::Dir(dir) => write_all(dir, root, to, change)?,
            DirEntry::File(file) => {
                let inside = file.path().strip_prefix(root).unwrap_or(file.path());
                write(&to.join(inside), &change(file.contents()))?;
            }
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let unwritable = |source| Error::OutputUnwritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    fs::write(path, bytes).map_err(unwritable)
}

/// A file of the starter, whose package is called `flow`, with the name of the project in its place.
fn named(bytes: &[u8], name: &FlowName) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let line = |line: &str| match line.trim() {
        r#"name = "flow""# => line.replace("flow", name.as_str()),
        r#""name": "flow","# => line.replace("flow", name.as_str()),
        "module flow" => line.replace("module flow", &format!("module {name}")),
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect::<String>().into_bytes()
}

fn new_stack(name: &FlowName, template: &str) -> String {
    let function = function(name, template, "  ");
    format!("version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\n\nfunctions:\n{function}")
}

/// The function as an entry of a stack file.
fn function(name: &FlowName, template: &str, indent: &str) -> String {
    let lines = [
        format!("{name}:"),
        format!("{indent}lang: {template}"),
        format!("{indent}handler: ./{name}"),
        format!("{indent}image: {name}:latest"),
        format!("{indent}labels:"),
        format!("{indent}{indent}faas-flow: \"1\""),
        format!("{indent}secrets:"),
        format!("{indent}{indent}- faasflow-hmac-secret"),
    ];
    lines.map(|line| format!("{indent}{line}\n")).concat()
}

/// The stack file with one more function before the others, or nothing if the file is written in a way that does not show where.
fn with_function(text: &str, name: &FlowName, template: &str) -> Option<String> {
    let mut before = 0;
    for line in text.split_inclusive('\n') {
        before += line.len();
        if line.trim_end() == "functions:" {
            let (start, rest) = text.split_at_checked(before)?;
            let next = rest.lines().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            let indent = next.map_or("", |line| line.get(..line.len() - line.trim_start().len()).unwrap_or_default());
            let indent = if indent.is_empty() { "  " } else { indent };
            let newline = if start.ends_with('\n') { "" } else { "\n" };
            return Some(format!("{start}{newline}{}{rest}", function(name, template, indent)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn flow(name: &str) -> FlowName {
        FlowName::new(name).unwrap()
    }

    #[test]
    fn a_new_project_has_its_name_its_template_and_its_function() {
        let folder = TempDir::new().unwrap();
        let made = make(folder.path(), &flow("greet"), Language::Rust).unwrap();
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        assert!(read("greet/Cargo.toml").contains("name = \"greet\"\n"));
        assert!(read("template/faas-flow/sdk/rust/src/lib.rs").contains("pub"));
        assert!(read("stack.yaml").contains("functions:\n  greet:\n    lang: faas-flow\n"));
        assert!(made.template.is_some() && made.stack.is_some());
        // A second one shares the template and the stack.
        fs::write(folder.path().join("template/faas-flow/template.yml"), "mine").unwrap();
        let made = make(folder.path(), &flow("other"), Language::Rust).unwrap();
        assert!(made.template.is_none());
        assert_eq!(read("template/faas-flow/template.yml"), "mine");
        let stack = read("stack.yaml");
        assert!(stack.contains("\n  greet:\n") && stack.contains("\n  other:\n"), "{stack}");
    }

    #[test]
    fn an_existing_folder_is_kept() {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("greet")).unwrap();
        let refused = make(folder.path(), &flow("greet"), Language::Rust).err().unwrap();
        assert!(refused.to_string().contains("greet"), "{refused}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn every_language_has_a_template() {
        for language in Language::ALL {
            let starter = TEMPLATES.get_dir(Path::new(language.template()).join(FUNCTION)).unwrap();
            let is_mark = |file: &&str| starter.get_file(starter.path().join(file)).is_some();
            assert!(language.marks().iter().any(is_mark), "{language}: none of {:?}", language.marks());
        }
    }

    #[test]
    fn a_function_is_added_to_a_stack_as_it_is_written() {
        let wide = "functions:\n    # the first\n    one:\n        lang: go\n";
        let text = with_function(wide, &flow("two"), "faas-flow-go").unwrap();
        assert!(text.starts_with("functions:\n    two:\n        lang: faas-flow-go\n"), "{text}");
        assert!(text.ends_with("    # the first\n    one:\n        lang: go\n"), "{text}");
        assert!(with_function("functions:", &flow("two"), "x").unwrap().starts_with("functions:\n  two:\n"));
        assert_eq!(with_function("functions: {}\n", &flow("two"), "x"), None);
    }
}

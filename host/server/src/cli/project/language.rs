//! The languages that have an SDK, and how a project shows which one it is in.

use crate::SourcesError;
use clap::ValueEnum;
use std::fmt;
use std::path::Path;

/// A language that has an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Language {
    /// Rust
    #[value(alias = "rs")]
    Rust,
    /// Go
    #[value(alias = "golang")]
    Go,
    /// TypeScript, or JavaScript
    #[value(alias = "ts", alias = "javascript", alias = "js")]
    Typescript,
    /// Python
    #[value(alias = "py")]
    Python,
    /// C, C++ or Zig
    #[value(alias = "c++", alias = "cpp", alias = "zig")]
    C,
}

impl Language {
    pub(super) const ALL: [Language; 5] =
        [Language::Rust, Language::Go, Language::Typescript, Language::Python, Language::C];

    /// The files that say that a folder has a flow in this language. One of them is enough.
    pub(super) fn marks(self) -> &'static [&'static str] {
        match self {
            Language::Rust => &["Cargo.toml"],
            Language::Go => &["go.mod"],
            Language::Typescript => &["package.json", "flow.ts", "flow.js"],
            Language::Python => &["pyproject.toml", "flow.py"],
            Language::C => &["Makefile", "makefile", "GNUmakefile"],
        }
    }

    /// The name of the template of this language, which `faas-cli` knows it by.
    pub(in crate::cli) fn template(self) -> &'static str {
        match self {
            Language::Rust => "faas-flow",
            Language::Go => "faas-flow-go",
            Language::Typescript => "faas-flow-typescript",
            Language::Python => "faas-flow-python",
            Language::C => "faas-flow-c",
        }
    }

    /// The language of the sources in a folder. A makefile counts only if nothing else says what the language is, since projects
    /// in every language may have one.
    pub(in crate::cli) fn of(folder: &Path) -> Result<Self, SourcesError> {
        let found = |language: &Language| language.marks().iter().find(|mark| folder.join(mark).is_file());
        let marked: Vec<(Language, &str)> =
            Language::ALL.into_iter().filter_map(|language| Some((language, *found(&language)?))).collect();
        match marked.as_slice() {
            [] => Err(SourcesError::NoProject { folder: folder.to_owned() }),
            [(language, _)] | [(language, _), (Language::C, _)] => Ok(*language),
            [(_, one), (_, other), ..] => Err(SourcesError::SeveralLanguages { folder: folder.to_owned(), one, other }),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "Rust",
            Language::Go => "Go",
            Language::Typescript => "TypeScript",
            Language::Python => "Python",
            Language::C => "C",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn of(files: &[&str]) -> Result<Language, SourcesError> {
        let folder = TempDir::new().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        Language::of(folder.path())
    }

    #[test]
    fn files_say_what_the_language_is() {
        for language in Language::ALL {
            for mark in language.marks() {
                assert_eq!(of(&[mark, "README.md"]).unwrap(), language, "{mark}");
                assert_eq!(of(&[mark, "Makefile"]).unwrap(), language, "{mark} beside a makefile");
            }
        }
        assert_eq!(of(&["package.json", "flow.ts"]).unwrap(), Language::Typescript);
    }

    #[test]
    fn a_folder_with_no_project_or_several_is_refused() {
        assert!(matches!(of(&["README.md"]), Err(SourcesError::NoProject { .. })));
        let several = of(&["go.mod", "package.json", "Makefile"]).unwrap_err().to_string();
        assert!(several.contains("go.mod") && several.contains("package.json"), "{several}");
    }
}

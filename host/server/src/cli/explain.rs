//! `faas-flow explain`

use super::output::print;
use crate::Error;
use clap::Args;
use faas_flow_core::Code;
use include_dir::{Dir, include_dir};
use std::process::ExitCode;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/errors");

#[derive(Args)]
pub(super) struct Explain {
    /// Error code, for example FF0012 [default: list all codes]
    code: Option<String>,
}

impl Explain {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let Some(text) = self.code else {
            for code in Code::ALL {
                print(format!("{code}  {}\n", code.title()));
            }
            return Ok(ExitCode::SUCCESS);
        };
        let unknown = || Error::UnknownCode { code: text.clone() };
        let code = Code::parse(&text).ok_or_else(unknown)?;
        print(page(code).ok_or_else(unknown)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn page(code: Code) -> Option<&'static str> {
    PAGES.get_file(format!("{code}.md"))?.contents_utf8()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let index = PAGES.get_file("README.md").unwrap().contents_utf8().unwrap();
        for code in Code::ALL {
            let page = page(*code).unwrap_or_else(|| panic!("docs/errors/{code}.md is missing"));
            assert!(page.starts_with(&format!("# {code}: {}\n", code.title())), "the title of {code}");
            assert!(page.contains("## What to do"), "{code} says what to do");
            let row = format!("| [{code}]({code}.md) | {} |", code.title());
            assert!(index.contains(&row), "docs/errors/README.md has no row `{row}`");
        }
        for file in PAGES.files() {
            let name = file.path().file_stem().unwrap().to_string_lossy();
            assert!(name == "README" || Code::parse(&name).is_some(), "{name} has no code");
        }
    }
}

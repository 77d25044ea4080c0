//! `faas-flow new`

use super::output::complain;
use super::project::{Language, scaffold};
use crate::Error;
use clap::Args;
use faas_flow_core::FlowName;
use std::path::Path;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct New {
    /// Name of the flow, and of its folder
    #[arg(value_name = "NAME")]
    name: String,
    /// Language of its code
    #[arg(long, value_enum, default_value = "rust", value_name = "LANGUAGE")]
    lang: Language,
}

impl New {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let name = FlowName::new(&self.name)?;
        let made = scaffold::make(Path::new(""), &name, self.lang)?;
        let say = |path: &Path, what: &str| complain(format_args!("{:<30} {what}", path.display()));
        say(&made.sources, &format!("the flow, in {}", self.lang));
        if let Some(template) = &made.template {
            say(template, "the SDK, and what faas-cli builds an image with");
        }
        match &made.stack {
            Some(stack) => say(stack, "what faas-cli deploys"),
            None => complain(format_args!(
                "stack.yaml has no line `functions:`: add the function {name} with `lang: {}` and `handler: ./{name}`",
                self.lang.template()
            )),
        }
        complain("\nNext:");
        let next = |command: String, what: &str| complain(format_args!("  {command:<28} {what}"));
        if self.lang == Language::Typescript {
            next(format!("npm install --prefix {name}"), "install the packages that it needs");
        }
        next(format!("faas-flow dev {name}"), "serve it, and build it again at each change");
        next(format!("faas-flow test {name}"), "build it, and play its scenarios");
        next(format!("faas-cli up -f {}", scaffold::STACK), "deploy it");
        Ok(ExitCode::SUCCESS)
    }
}

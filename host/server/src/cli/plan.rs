//! `faas-flow plan`

use super::client::{Asked, Client};
use super::host::{ModuleKeys, guests_of, load};
use super::modules::{self, show};
use super::output::{Output, json as to_json, print, wants_colours};
use super::token::AdminToken;
use crate::Error;
use crate::config::Options;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use faas_flow_core::text::{printable, printable_lines};
use faas_flow_core::{Digest, FlowName};
use faas_flow_graph::{Colours, Difference};
use faas_flow_versions::signature::Trusted;
use faas_flow_versions::{Artifact, Flow, load_module, read_module};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Plan {
    /// Module of the new version
    new: PathBuf,
    /// Module of the old version; required without --to
    #[arg(long, value_name = "FILE", required_unless_present = "to")]
    from: Option<PathBuf>,
    /// URL of the flow on a server: compares with the active version there and classifies the runs in flight; ignored with --from
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO", hide_env_values = true)]
    to: Option<String>,
    #[command(flatten)]
    admin: AdminToken,
    /// Format of the difference
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Output file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Lines of text
    Text,
    /// JSON object
    Json,
    /// Picture of both versions
    Svg,
}

impl Plan {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let guests = guests_of(self.guest)?;
        let (old, new, planned) = match (&self.from, self.to) {
            (Some(from), _) => (load(&guests, from).await?, load(&guests, &self.new).await?, None),
            (None, to) => {
                let server = Client::to(to.unwrap_or_default(), self.admin.asking(), Output::Text)?;
                let new = read_module(&self.new).await?;
                let planned = deployed(&server, &self.new, new.clone()).await?;
                let said = |name: &str| planned.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let name = FlowName::new(said("flow"))?;
                let old = server.module(&Digest::new(said("active"))?).await?;
                let fetched = async |bytes| {
                    let artifact = Artifact::new(bytes, None);
                    load_module(guests.clone(), &Trusted::default(), &artifact, name.clone()).await
                };
                (fetched(old).await?, fetched(new).await?, Some(planned))
            }
        };
        let difference = Difference::between(&old.definition, &new.definition);
        let versions = Versions { difference, old, new, planned };
        let terminal = self.out.is_none() && std::io::stdout().is_terminal();
        let colours = if terminal && wants_colours() { Colours::On } else { Colours::Off };
        let text = match self.format {
            _ if self.json => to_json(&versions.json())?,
            Format::Json => to_json(&versions.json())?,
            Format::Text => versions.text(colours),
            Format::Svg => {
                let name = versions.new.name.as_str();
                versions.difference.svg(&versions.old.definition, &versions.new.definition, name)
            }
        };
        match self.out {
            None => print(text),
            Some(path) => {
                std::fs::write(&path, text).map_err(|source| Error::OutputUnwritable { path, source })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks a server what the new version means for its runs in flight.
async fn deployed(server: &Client, new: &Path, bytes: Bytes) -> Result<Value, Error> {
    let signature = modules::signature(new, None)?;
    server.ask(Asked::new("POST", "modules/plan").with_module(bytes, signature)).await
}

/// Two versions of a flow.
pub(super) struct Versions {
    pub(super) old: Flow,
    pub(super) new: Flow,
    pub(super) difference: Difference,
    /// What a server said about its runs in flight, if one was asked.
    pub(super) planned: Option<Value>,
}

impl Versions {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.difference.warnings();
        let was = self.old.module.wit_version();
        let is = self.new.module.wit_version();
        if was != is {
            warnings.push(format!("the new version was built for contract {is}, the old one for {was}"));
        }
        if self.old.plan.is_none() || self.new.plan.is_none() {
            let message = "the flow is defined for each request, because `define` reads the context: the definitions \
                compared here are those without a request";
            warnings.push(message.to_owned());
        }
        warnings
    }

    /// Whether only code behind the handlers differs.
    fn only_code(&self) -> bool {
        self.difference.is_empty() && self.old.module.digest() != self.new.module.digest()
    }

    pub(super) fn json(&self) -> Value {
        let side = |flow: &Flow| json!({ "digest": flow.module.digest(), "wit": flow.module.wit_version() });
        let mut json = json!({
            "flow": self.new.name, "old": side(&self.old), "new": side(&self.new),
            "same-module": self.old.module.digest() == self.new.module.digest(), "only-code": self.only_code(),
            "difference": self.difference, "changed-nodes": self.difference.changed_nodes(), "warnings": self.warnings(),
        });
        if let (Some(planned), Some(fields)) = (&self.planned, json.as_object_mut()) {
            fields.extend(["runs", "unloadable", "more-runs"].map(|name| (name.to_owned(), planned[name].clone())));
        }
        json
    }

    pub(super) fn text(&self, colours: Colours) -> String {
        let old = self.old.module.digest();
        let new = self.new.module.digest();
        let mut text = format!("flow {}: {} → {}\n", self.new.name, old.short(), new.short());
        if old == new {
            return text + "the modules are the same\n" + &self.runs();
        }
        text += &self.difference.text(colours);
        if self.only_code() {
            text += "only the code changed; which handlers are affected is not known\n";
        }
        for warning in self.warnings() {
            text += &format!("warning: {}\n", printable(&warning));
        }
        text + &self.runs()
    }

    /// What the server said about its runs in flight, as text.
    fn runs(&self) -> String {
        let runs = self.planned.as_ref().map(show::runs).unwrap_or_default();
        printable_lines(&runs).to_string()
    }
}

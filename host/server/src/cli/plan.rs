//! `faas-flow plan`

use super::common::{self, ModuleKeys};
use super::modules::client::{self, Client};
use super::modules::{self, show};
use crate::config::Options;
use crate::flows::load_module;
use crate::signature::Trusted;
use crate::{Brought, Error, Flow};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use faas_flow_core::{Code, Digest, FlowName};
use faas_flow_graph::{Colours, Difference};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Plan {
    /// The new version's module
    new: PathBuf,
    /// The old version's module; with it, no server is asked
    #[arg(long, value_name = "FILE", required_unless_present = "to")]
    from: Option<PathBuf>,
    /// The flow on a server, as it is called: compares with what is in service there, and sorts its runs in flight
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO")]
    to: Option<String>,
    /// What a server wants to hear that others can reach: its faasflow-admin-token
    #[arg(long, env = "FAAS_FLOW_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// What to show the difference as
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object
    Json,
    /// Both graphs in one picture
    Svg,
}

impl Plan {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let guests = common::guests_of(self.guest)?;
        let (old, new, planned) = match (&self.from, self.to) {
            (Some(from), _) => (common::load(&guests, from).await?, common::load(&guests, &self.new).await?, None),
            (None, to) => {
                let server = Client::to(to.unwrap_or_default(), self.token, false)?;
                let new = crate::flows::read_module(&self.new).await?;
                let planned = deployed(&server, &self.new, new.clone()).await?;
                let said = |name: &str| planned.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let name = FlowName::new(said("flow"))?;
                let old = server.module(&Digest::new(said("active"))?).await?;
                let load = async |bytes| {
                    let brought = Brought::new(bytes, None);
                    load_module(guests.clone(), &Trusted::default(), &brought, name.clone()).await
                };
                (load(old).await?, load(new).await?, Some(planned))
            }
        };
        let difference = Difference::between(&old.definition, &new.definition);
        let versions = Versions { difference, old, new, planned };
        let colours = match self.out.is_none() && coloured() {
            true => Colours::On,
            false => Colours::Off,
        };
        let text = match self.format {
            _ if self.json => common::json(&versions.json())?,
            Format::Json => common::json(&versions.json())?,
            Format::Text => versions.text(colours),
            Format::Svg => {
                let (old, new) = (&versions.old.definition, &versions.new.definition);
                versions.difference.svg(old, new, versions.new.name.as_str())
            }
        };
        match self.out {
            None => common::print(text),
            Some(file) => std::fs::write(&file, text).map_err(|error| {
                Error::new(Code::OUTPUT_UNWRITABLE, format!("cannot write {}: {error}", file.display()))
            })?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether stdout shows colours.
fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|off| off.is_empty())
}

/// What a server says of the runs in flight.
async fn deployed(server: &Client, new: &Path, bytes: Bytes) -> Result<Value, Error> {
    let header = client::signed(modules::signature(new, None)?);
    server.ask("POST", "modules/plan", &[], header, bytes).await
}

/// Two versions of a flow.
pub(super) struct Versions {
    pub(super) old: Flow,
    pub(super) new: Flow,
    pub(super) difference: Difference,
    /// The runs in flight, if a server was asked.
    pub(super) planned: Option<Value>,
}

impl Versions {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.difference.warnings();
        let (was, is) = (self.old.module.wit_version(), self.new.module.wit_version());
        if was != is {
            warnings.push(format!("made for contract {is}, the old version for {was}"));
        }
        if self.old.plan.is_none() || self.new.plan.is_none() {
            let message = "the flow is defined for each request, since `define` reads the context: this compares what it is \
                without a request";
            warnings.push(message.to_owned());
        }
        warnings
    }

    /// Whether the modules differ in their code alone.
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
        let (old, new) = (self.old.module.digest(), self.new.module.digest());
        let mut text = format!("flow {}: {} → {}\n", self.new.name, old.short(), new.short());
        if old == new {
            return text + "the modules are the same\n" + &self.planned.as_ref().map(show::runs).unwrap_or_default();
        }
        text += &self.difference.text(colours);
        if self.only_code() {
            text += "only the code changed, of which handlers cannot be told\n";
        }
        for warning in self.warnings() {
            text += &format!("warning: {warning}\n");
        }
        text + &self.planned.as_ref().map(show::runs).unwrap_or_default()
    }
}

//! `faas-flow graph`

use super::common::{self, ModuleKeys};
use crate::Error;
use crate::config::Options;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Graph {
    /// The flow's module
    flow: PathBuf,
    /// What to draw it as
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A picture for browsers
    Svg,
    /// A diagram for Markdown
    Mermaid,
    /// A graph for Graphviz
    Dot,
    /// The DAG as the original faas-flow exports it
    Json,
    /// The definition as the flow gave it
    Definition,
}

impl Graph {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let flow = common::load(&common::guests_of(self.guest)?, &self.flow).await?;
        let format = match self.format {
            _ if self.json => faas_flow_graph::Format::Json,
            Format::Svg => faas_flow_graph::Format::Svg,
            Format::Mermaid => faas_flow_graph::Format::Mermaid,
            Format::Dot => faas_flow_graph::Format::Dot,
            Format::Json => faas_flow_graph::Format::Json,
            Format::Definition => faas_flow_graph::Format::Definition,
        };
        let drawn = faas_flow_graph::render(&flow.definition, flow.name.as_str(), format);
        common::print(format!("{}\n", drawn.trim_end()));
        Ok(ExitCode::SUCCESS)
    }
}

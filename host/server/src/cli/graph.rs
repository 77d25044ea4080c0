//! `faas-flow graph`

use super::host::{ModuleKeys, guests_of, load};
use super::output::print;
use crate::Error;
use crate::config::Options;
use clap::{Args, ValueEnum};
use faas_flow_graph::render;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Graph {
    /// Module of the flow
    flow: PathBuf,
    /// Format of the drawing
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Picture for browsers
    Svg,
    /// Diagram for Markdown
    Mermaid,
    /// Graph for Graphviz
    Dot,
    /// DAG as the original faas-flow exports it
    Json,
    /// Definition as the flow's code declares it
    Definition,
}

impl Graph {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let flow = load(&guests_of(self.guest)?, &self.flow).await?;
        let format = match self.format {
            _ if self.json => faas_flow_graph::Format::Json,
            Format::Svg => faas_flow_graph::Format::Svg,
            Format::Mermaid => faas_flow_graph::Format::Mermaid,
            Format::Dot => faas_flow_graph::Format::Dot,
            Format::Json => faas_flow_graph::Format::Json,
            Format::Definition => faas_flow_graph::Format::Definition,
        };
        let drawn = render(&flow.definition, flow.name.as_str(), format);
        print(format!("{}\n", drawn.trim_end()));
        Ok(ExitCode::SUCCESS)
    }
}

//! A limit over all runs, as a call or a node names it.

use crate::limit::Figures;
use serde::{Deserialize, Serialize};

/// A limit over all runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Limit {
    /// Its name, within the flow unless the operator defines a limit with this name.
    pub name: String,
    /// What it allows, unless the operator says otherwise.
    #[serde(flatten)]
    pub figures: Figures,
    /// The `key` handler: each key has the whole limit to itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

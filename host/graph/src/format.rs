//! What a flow can be drawn as.

use std::str::FromStr;

/// What a flow is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A picture with its own layout: no scripts, no fonts to load.
    Svg,
    /// A Mermaid flowchart, for Markdown.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
    /// What the original answers to `?export-dag=true`.
    Json,
    /// The definition as the flow gave it, without the secrets of its calls.
    Definition,
}

impl Format {
    /// Every format, with its name in URLs and on the command line.
    pub const ALL: [(&'static str, Format); 5] = [
        ("svg", Format::Svg),
        ("mermaid", Format::Mermaid),
        ("dot", Format::Dot),
        ("json", Format::Json),
        ("definition", Format::Definition),
    ];

    /// The media type of what [`render`](crate::render) returns.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Svg => "image/svg+xml",
            Format::Mermaid => "text/vnd.mermaid; charset=utf-8",
            Format::Dot => "text/vnd.graphviz; charset=utf-8",
            Format::Json | Format::Definition => "application/json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Format::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, format)| format).ok_or_else(|| {
            let names = Format::ALL.map(|(name, _)| name).join(", ");
            format!("unknown format `{text}`: use one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_by_their_names() {
        for (name, format) in Format::ALL {
            assert_eq!(name.parse(), Ok(format));
        }
        let error = "png".parse::<Format>().unwrap_err();
        assert_eq!(error, "unknown format `png`: use one of svg, mermaid, dot, json, definition");
    }
}

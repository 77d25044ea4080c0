//! Where in a definition something is.

use std::fmt::{self, Write as _};

/// The longest path that is told, in bytes. No path of a valid definition is longer unless it nests dags very deeply.
const LONGEST_TOLD: usize = 4 << 10;

/// A place in a definition. Its path is written only when somebody is told of it: the paths of all nodes together are much
/// longer than the definition if dags are nested.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// The flow itself; its path is empty.
    Flow,
    /// The node of a dag.
    Node(&'a Place<'a>, &'a str),
    /// The dag behind a node, by its key.
    Branch(&'a Place<'a>, &'a str),
    /// An operation of a node, by its index.
    Operation(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    /// `C[c1]/n1/0`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flow => Ok(()),
            Place::Node(Place::Flow, id) => f.write_str(id),
            Place::Node(dag, id) => write!(f, "{dag}/{id}"),
            Place::Branch(node, key) => write!(f, "{node}[{key}]"),
            Place::Operation(node, index) => write!(f, "{node}/{index}"),
        }
    }
}

impl Place<'_> {
    /// The path, as somebody is told: what is too long is cut off.
    pub(super) fn path(&self) -> String {
        let mut path = Cut(String::new());
        match write!(path, "{self}") {
            Ok(()) => path.0,
            Err(fmt::Error) => path.0 + "…",
        }
    }
}

/// Takes a text up to the limit, and fails beyond it.
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(LONGEST_TOLD - self.0.len());
        self.0.push_str(text.get(..fits).unwrap_or_default());
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

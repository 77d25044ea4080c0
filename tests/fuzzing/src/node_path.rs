//! Paths of nodes and names of documents, as they come in events, in URLs and from a state store.

use faas_flow_core::NodePath;
use faas_flow_core::run::Doc;

/// Tries an input.
pub fn node_path(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(path) = NodePath::parse(text) {
        assert_eq!(NodePath::parse(&path.to_string()).as_ref(), Ok(&path), "a path reads back");
        // Built again from its decoded steps, it has the same steps: what a key holds never ends a step.
        let rebuilt = path
            .scope
            .steps()
            .fold(faas_flow_core::ScopePath::root(), |scope, step| scope.branch(&step.node, step.key.as_ref()));
        assert!(rebuilt.steps().eq(path.scope.steps()), "a path's steps survive encoding");
        for doc in Doc::around(&path) {
            assert_eq!(Doc::parse(&doc.name()), Some(doc), "a document's name reads back");
        }
    }
    if let Some(doc) = Doc::parse(text) {
        assert_eq!(doc.name(), text, "a document has one name");
    }
}

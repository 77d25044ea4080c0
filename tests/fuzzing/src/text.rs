//! Short texts that are read from headers, options and files: ids, digests, codes, durations, shares, signatures and
//! function options.

use faas_flow_core::{Code, Digest, FlowName, RunId, parse_duration};
use faas_flow_replica::Function;
use faas_flow_versions::Share;
use faas_flow_versions::signature::Signature;

/// Tries an input.
pub fn text(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(id) = RunId::new(text) {
        assert_eq!(id.as_str(), text, "an id is kept as it is");
    }
    if let Ok(name) = FlowName::new(text) {
        assert_eq!(name.as_str(), text, "a name is kept as it is");
    }
    if let Ok(digest) = Digest::new(text) {
        assert_eq!(digest.as_str(), text, "a digest is kept as it is");
    }
    if let Ok(share) = text.parse::<Share>() {
        assert_eq!(share.to_string().parse::<Share>().ok(), Some(share), "a share reads back");
    }
    if let Some(code) = Code::parse(text) {
        assert_eq!(Code::parse(&code.to_string()), Some(code), "a code reads back");
    }
    let _ = parse_duration(text);
    let _ = Signature::parse(text);
    let _ = Function::parse(text);
}

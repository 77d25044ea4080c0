//! What a run says of itself when it begins or stops another one: the header [`PARENT`].

use crate::Error;
use crate::events::{Error as EventError, Keys};
use faas_flow_core::run::{ClaimToken, Parent, WaitId};
use faas_flow_core::{FlowName, Millis, NodePath, RunId};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

/// The header by which a call of a function says which node calls, so that a flow begins a run that this node waits for.
/// Other functions ignore it.
pub const PARENT: &str = "x-faas-flow-parent";

/// The header by which a flow that has begun a run for a call says which wait the end of the run ends: that of the first try
/// of the call.
pub const WAITS: &str = "x-faas-flow-waits";

/// The value of [`WAITS`].
pub fn wait_text(to: WaitId) -> String {
    format!("{}/{}", to.claim, to.operation)
}

/// Reads the value of [`WAITS`].
pub(crate) fn parse_wait(text: &str) -> Option<WaitId> {
    let (claim, operation) = text.split_once('/')?;
    Some(WaitId { claim: ClaimToken::new(claim.parse().ok()?), operation: operation.parse().ok()? })
}

/// A call that begins a run if the callee is a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calling {
    /// The node that calls.
    pub parent: Parent,
    /// The request id of the run that the call begins.
    pub child: RunId,
}

/// The request id of the run that a call of a flow begins. The same call, repeated, has the same id. If that run did not
/// succeed, and the run that called it is run again, it begins another one, as the next number says.
///
/// `started` is when the run that calls began, so that the runs of about one time are beside each other in stores.
pub(crate) fn child_id(started: Millis, flow: &str, idempotency_key: &str, number: u32) -> RunId {
    let digest = Sha256::digest(format!("{flow}\n{idempotency_key}\n{number}"));
    let bits = digest.iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    RunId::of_time_and_bits(started, bits)
}

impl Calling {
    /// The header's value for a request with this body.
    pub(crate) fn encode(&self, keys: Option<&Keys>, body: &[u8]) -> String {
        let text = self.text();
        match keys {
            Some(keys) => format!("{text}&signature={}", keys.sign_parent(&text, body)),
            None => text,
        }
    }

    fn text(&self) -> String {
        let Parent { flow, run, node, to, within } = &self.parent;
        let within: Vec<&str> = within.iter().map(FlowName::as_str).collect();
        form_urlencoded::Serializer::new(String::with_capacity(256))
            .append_pair("flow", flow.as_str())
            .append_pair("run", run.as_str())
            .append_pair("node", &node.to_string())
            .append_pair("claim", &to.claim.to_string())
            .append_pair("operation", &to.operation.to_string())
            .append_pair("within", &within.join(","))
            .append_pair("child", self.child.as_str())
            .finish()
    }

    /// Reads the header of a request with this body. If there are keys, it must be signed.
    pub fn decode(value: &str, keys: Option<&Keys>, body: &[u8]) -> Result<Self, Error> {
        let calling = Self::parse(value).ok_or(EventError::MalformedParent)?;
        if let Some(keys) = keys {
            let signature = value.rsplit_once("&signature=").map(|(_, signature)| signature);
            keys.verify_parent(&calling.text(), body, signature)?;
        }
        Ok(calling)
    }

    fn parse(value: &str) -> Option<Self> {
        let fields: Vec<(String, String)> = form_urlencoded::parse(value.as_bytes()).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let claim = ClaimToken::new(field("claim")?.parse().ok()?);
        let to = WaitId { claim, operation: field("operation")?.parse().ok()? };
        let within = field("within")?.split(',').map(FlowName::new).collect::<Result<Vec<_>, _>>().ok()?;
        let parent = Parent {
            flow: FlowName::new(field("flow")?).ok()?,
            run: RunId::new(field("run")?).ok()?,
            node: NodePath::parse(field("node")?).ok()?,
            to,
            within,
        };
        Some(Self { parent, child: RunId::new(field("child")?).ok()? })
    }

    /// Whether it was the same call, perhaps an earlier try of it, that began a run with this parent.
    pub fn began(&self, parent: &Parent) -> bool {
        let call = |parent: &Parent| (parent.run.clone(), parent.node.clone(), parent.to.operation);
        call(&self.parent) == call(parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn calling() -> Calling {
        let parent = Parent {
            flow: FlowName::new("orders").unwrap(),
            run: RunId::new("r-1").unwrap(),
            node: NodePath::parse("F[a%2Fb%26]/n1").unwrap(),
            to: WaitId { claim: ClaimToken::new(7), operation: 2 },
            within: ["shop", "orders"].map(|name| FlowName::new(name).unwrap()).into(),
        };
        Calling { parent, child: child_id(1, "child", "r-1/F[a%2Fb%26]/n1/2", 0) }
    }

    #[test]
    fn the_header_reads_back_and_is_signed_with_its_body() {
        let keys = Keys::new("sixteen bytes ok", None).unwrap();
        let value = calling().encode(Some(&keys), b"body");
        assert_eq!(Calling::decode(&value, Some(&keys), b"body").unwrap(), calling());
        assert_eq!(Calling::decode(&value, None, b"another").unwrap(), calling());
        let refused = |value: &str, body: &[u8]| Calling::decode(value, Some(&keys), body).unwrap_err().code();
        assert_eq!(refused(&value, b"another"), Code::BAD_SIGNATURE);
        assert_eq!(refused(&value.replace("within=shop%2C", "within="), b"body"), Code::BAD_SIGNATURE);
        assert_eq!(refused(&calling().encode(None, b"body"), b"body"), Code::UNSIGNED);
        for malformed in ["", "flow=a", "flow=a&run=../..&node=n&claim=1&operation=0&within=a&child=c", "\u{fffd}"] {
            assert_eq!(refused(malformed, b""), Code::BAD_REQUEST, "{malformed}");
        }
    }

    #[test]
    fn a_repeated_call_has_the_same_id_and_another_one_another() {
        assert_eq!(child_id(1, "f", "r/n/0", 0), child_id(1, "f", "r/n/0", 0));
        for other in [child_id(1, "f", "r/n/1", 0), child_id(1, "g", "r/n/0", 0), child_id(1, "f", "r/n/0", 1)] {
            assert_ne!(child_id(1, "f", "r/n/0", 0), other);
        }
        let to = WaitId { claim: ClaimToken::new(7), operation: 2 };
        assert_eq!(parse_wait(&wait_text(to)), Some(to));
        assert_eq!(parse_wait("7"), None);
        let again = Calling {
            parent: Parent { to: WaitId { claim: ClaimToken::new(8), operation: 2 }, ..calling().parent },
            ..calling()
        };
        assert!(again.began(&calling().parent));
    }
}

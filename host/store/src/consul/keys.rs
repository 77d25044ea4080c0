//! The keys of a partition.
//!
//! ```text
//! <prefix>version                                        the version of this key scheme
//! <prefix>r/<partition>/d/<document>/v                   a document's head; its version is in the key's flags
//! <prefix>r/<partition>/d/<document>/<id>/<n>            a piece of a document that is set aside, see `aside`
//! <prefix>r/<partition>/s/<set>/v                        the size of a set, in the key's flags
//! <prefix>r/<partition>/s/<set>/m/<member>/v             a member's head
//! <prefix>r/<partition>/s/<set>/m/<member>/<id>/<n>      a piece of a member
//! <prefix>r/<partition>/e                                the run's entry
//! <prefix>l/<hours>/<started>/<run>                      a copy of the entry in the list of runs
//! <prefix>q/<hours>/<due>/<run>                          a due run
//! ```
//!
//! Consul has no paging, so the lists are divided into bundles of about a quarter of an hour (2^20 ms), and a listing only
//! reads the bundles that it needs. Newer agents only allow letters, digits and `,-_./` in keys that are part of a URL, so
//! names are encoded in these.

use faas_flow_core::{Millis, Partition, RunId};

/// One bundle of a list covers 2^20 milliseconds.
const BUNDLE: u32 = 20;

pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn version(&self) -> String {
        format!("{}version", self.prefix)
    }

    /// The prefix of all keys of a partition, except those in the two lists.
    pub(super) fn partition(&self, partition: &Partition) -> String {
        format!("{}r/{}/", self.prefix, encode(partition.as_str()))
    }

    /// The prefix of the keys of all documents.
    pub(super) fn docs(&self, partition: &Partition) -> String {
        format!("{}d/", self.partition(partition))
    }

    /// The base of a document's keys.
    pub(super) fn doc(&self, partition: &Partition, doc: &str) -> String {
        format!("{}{}/", self.docs(partition), encode(doc))
    }

    pub(super) fn count(&self, partition: &Partition, set: &str) -> String {
        format!("{}s/{}/v", self.partition(partition), encode(set))
    }

    /// The prefix of the keys of a set's members.
    pub(super) fn members(&self, partition: &Partition, set: &str) -> String {
        format!("{}s/{}/m/", self.partition(partition), encode(set))
    }

    /// The base of a member's keys.
    pub(super) fn member(&self, partition: &Partition, set: &str, member: &str) -> String {
        format!("{}{}/", self.members(partition, set), encode(member))
    }

    pub(super) fn entry(&self, partition: &Partition) -> String {
        format!("{}e", self.partition(partition))
    }

    /// The prefix of the bundles of the list of runs.
    pub(super) fn list(&self) -> String {
        format!("{}l/", self.prefix)
    }

    pub(super) fn listed(&self, started: Millis, run: &RunId) -> String {
        format!("{}{}{started:016x}/{run}", self.list(), bundle(started))
    }

    /// The prefix of the bundles of due runs.
    pub(super) fn queue(&self) -> String {
        format!("{}q/", self.prefix)
    }

    pub(super) fn due(&self, at: Millis, run: &RunId) -> String {
        format!("{}{}{at:016x}/{run}", self.queue(), bundle(at))
    }
}

/// The name of the bundle of a moment. Names sort like moments.
pub(super) fn bundle(at: Millis) -> String {
    format!("{:011x}/", at >> BUNDLE)
}

/// The moment and the run at the end of a key in a list.
pub(super) fn moment(rest: &str) -> Option<(Millis, RunId)> {
    let (at, run) = rest.split_once('/')?;
    Some((Millis::from_str_radix(at, 16).ok()?, RunId::new(run).ok()?))
}

/// Encodes a name: letters, digits, `-` and `_` stand for themselves, any other byte is a comma and two hexadecimal digits.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!(",{byte:02x}")),
        }
    }
    encoded
}

/// Decodes what [`encode`] has written.
pub(super) fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.find(',') {
        bytes.extend_from_slice(rest.get(..at)?.as_bytes());
        bytes.push(u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?);
        rest = rest.get(at + 3..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::FlowName;

    fn valid(key: &str) -> bool {
        key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b",-_/".contains(&byte))
    }

    #[test]
    fn the_keys_of_a_flow_are_valid_for_every_agent() {
        let keys = Keys::new("faas-flow/".into());
        let partition = Partition::of_flow(&FlowName::new("greet").unwrap());
        assert_eq!(keys.entry(&partition), "faas-flow/r/,7egreet/e");
        assert!(valid(&keys.docs(&partition)));
    }

    #[test]
    fn names_are_decoded_again_and_keys_are_valid_for_every_agent() {
        let (keys, partition) = (Keys::new("faas-flow/".into()), Partition::of_run(&RunId::new("r").unwrap()));
        for name in ["x", "../x", "a,b", ",", "ü", "nul\0", "f.js", "C[c1]/F[f 2]", "%2e"] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
            let key = keys.member(&partition, name, name);
            assert!(valid(&key), "{key}");
        }
        assert_eq!((decode(",2"), decode(",zz"), decode(",ff")), (None, None, None));
    }

    #[test]
    fn bundles_sort_like_moments() {
        let moments = [0, 1, 1 << 19, 1 << 20, 1 << 40, u64::MAX >> 1, u64::MAX];
        assert!(moments.map(bundle).is_sorted());
        let (keys, run) = (Keys::new(String::new()), RunId::new("r").unwrap());
        for at in moments {
            let due = keys.due(at, &run);
            let rest = due.strip_prefix(&format!("{}{}", keys.queue(), bundle(at))).unwrap();
            assert_eq!(moment(rest), Some((at, run.clone())));
        }
    }
}

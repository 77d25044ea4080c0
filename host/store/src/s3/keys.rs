//! From any text to a part of an object's key.

use faas_flow_core::Digest;
use std::fmt::Write as _;

/// The longest part that spells the text out; a longer one is hashed. S3 allows 1,024 bytes for the whole key, and many
/// services keep each part as a file, whose name may have 255.
const LONGEST: usize = 200;

/// A part of a key for any text, a different one for each. It consists of characters that S3 calls safe, so that no
/// service on the way decodes it once too often: `%` is not among them.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
            b'.' if at > 0 => encoded.push('.'),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(encoded, "!{byte:02x}");
            }
        }
    }
    match encoded.len() > LONGEST {
        // No other text yields a `!!`.
        true => format!("!!{}", Digest::of(text.as_bytes())),
        false => encoded,
    }
}

/// Whether a prefix can be kept as it is: parts of safe characters, none of which is `.` or `..`, that leave room for
/// the run and the name.
pub(super) fn is_prefix(prefix: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.=!'()*".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(safe) && !part.bytes().all(|byte| byte == b'.');
    prefix.len() <= 512 && prefix.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn parts_of_keys_are_safe_and_differ() {
        let long = "x".repeat(1024);
        let names =
            ["a", "A", "!41", "%41", "..", ".", "../x", "a/b", "ü", "\0", "~1", "!!", "=x", " ", &long, &long[1..]];
        let parts: BTreeSet<String> = names.iter().map(|name| encode(name)).collect();
        assert_eq!(parts.len(), names.len());
        for part in parts {
            assert!(part.len() <= LONGEST && is_prefix(&part), "{part}");
        }
        assert_eq!(encode(&long[..LONGEST]), long[..LONGEST]);
    }

    #[test]
    fn a_prefix_is_plain() {
        for good in ["a", "flow/prod", "a.b/c=d"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "ü", "a b", "a%20b", &"x".repeat(513)] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }
}

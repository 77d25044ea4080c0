//! Encodes any text as a part of an object's key.

use faas_flow_core::Digest;
use std::fmt::Write as _;

/// The length of the longest encoded part; a longer one is hashed. S3 allows 1,024 bytes for the whole key, and many
/// services store each part as a file, whose name may have 255 bytes.
const LONGEST: usize = 200;

/// Encodes any text as a part of a key, different texts as different parts. It only uses characters that S3 calls safe. `%`
/// is not one of them, since a proxy might decode it once too often.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
            b'.' if at > 0 => encoded.push('.'),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "!{byte:02x}");
            }
        }
    }
    if encoded.len() > LONGEST {
        // No other part begins with `!!`.
        return format!("!!{}", Digest::of(text.as_bytes()));
    }
    encoded
}

/// Whether a prefix can be used as it is: parts of safe characters, none of which is `.` or `..`, and short enough to leave
/// space for the run and the name.
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

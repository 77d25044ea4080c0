//! Paths below a function: what `apply` may call, and no more.
//!
//! The host, the gateway and the function each read a path in their own way. Some decode it once more, some take `\` for `/`,
//! drop tabs and line breaks, or ignore what follows a `;`. A path stays below its function for all of them if it contains no
//! segment that any of them takes for `..`.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// How often a path is percent-decoded to look for `..`. One that is encoded even more often is refused as well.
const DECODINGS: usize = 4;

/// The name of the function in the target of an `apply`, and the path below it, without the query.
pub fn split_target(target: &str) -> (&str, &str) {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    path.split_once('/').unwrap_or((path, ""))
}

/// Whether this may be the name of a function, possibly with its namespace: `fn.namespace`.
pub fn is_function_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.bytes().all(|byte| byte == b'.') && name.bytes().all(is_allowed)
}

/// Whether this path, which is below a function, contains `..` in any spelling and may therefore lead out of it.
pub fn leaves_function(path: &str) -> bool {
    let mut path = Cow::Borrowed(path.as_bytes());
    for _ in 0..=DECODINGS {
        if has_parent_segment(&path) {
            return true;
        }
        let decoded: Vec<u8> = percent_decode(&path).collect();
        if decoded.len() == path.len() {
            return false;
        }
        path = Cow::Owned(decoded);
    }
    true
}

fn has_parent_segment(path: &[u8]) -> bool {
    path.split(|byte| b"/\\".contains(byte)).any(|segment| {
        let segment = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        // The URL standard drops tabs and line breaks anywhere, and control characters and spaces at the end.
        segment.iter().filter(|byte| !byte.is_ascii_control() && **byte != b' ').eq(b"..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_and_a_path() {
        assert_eq!(split_target("wc"), ("wc", ""));
        assert_eq!(split_target("wc.staging/lines/../x?y=/../#/.."), ("wc.staging", "lines/../x"));
        assert_eq!(split_target("wc?a/b"), ("wc", ""));
    }

    #[test]
    fn a_name_is_not_a_path_of_its_own() {
        for good in ["wc", "wc.staging", "W_c-1", "..wc", "a..b"] {
            assert!(is_function_name(good), "{good}");
        }
        for bad in ["", ".", "..", "...", "a/b", "a\\b", "a%2e", "a b", "a;b", "http:", "ä"] {
            assert!(!is_function_name(bad), "{bad}");
        }
    }

    #[test]
    fn every_spelling_of_the_parent_leaves_a_function() {
        for bad in [
            "..",
            "a/../b",
            "%2e%2e",
            "%2E.",
            ".%2e/x",
            "a\\..\\b",
            "a%5c..",
            "a%2f..%2fb",
            "%252e%252e",
            "%25252e%25252e",
            "..;x=1",
            "a/.\t./b",
            ".%09.",
            "..%0a",
            ".. ",
            "..%20",
            "%2e%00%2e",
            "//..",
            // Encoded more often than anybody would.
            "%2525252525252e",
        ] {
            assert!(leaves_function(bad), "{bad}");
        }
        for good in ["", "a/b", ".", "./a", "a//b", "...", "a..b", "..a", "a%20b", "100%", "%zz", ".%2ea", "%2525"] {
            assert!(!leaves_function(good), "{good}");
        }
    }
}

//! The header block with which an answer begins, of programs that are used as `NAME=headers:./program`.

use bytes::Bytes;
use faas_flow_core::{header_text, text::printable};
use faas_flow_guest::HttpResponse;
use hyper::header::{HeaderName, HeaderValue};
use std::str::FromStr as _;

/// The largest block, in bytes.
const LIMIT: usize = 64 * 1024;

/// What is wrong with a header block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockFault {
    /// There is no empty line after it.
    #[error("its output does not begin with a header block that an empty line ends (within {LIMIT} bytes)")]
    NoEnd,
    /// A line is no header.
    #[error("line {number} of its header block is not `Name: value`: {}", printable(line))]
    NoHeader { number: usize, line: String },
    /// The status is none.
    #[error("the `Status` of its header block is `{}` instead of a number from 200 to 599", printable(.0))]
    BadStatus(String),
}

/// Reads `Status: 404` and other headers, a line each, up to an empty line. The rest is the body.
pub(crate) fn parse(output: Bytes) -> Result<HttpResponse, BlockFault> {
    let mut status = 200;
    let mut headers = Vec::new();
    let mut begin = 0;
    for number in 1.. {
        let rest = output.get(begin..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').filter(|length| begin + length < LIMIT);
        let line = rest.get(..length.ok_or(BlockFault::NoEnd)?).unwrap_or_default();
        begin += line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let bad = || BlockFault::NoHeader { number, line: String::from_utf8_lossy(line).chars().take(80).collect() };
        let (name, value) = header(line).ok_or_else(bad)?;
        if name == "status" {
            let number = value.split(' ').next().and_then(|number| number.parse().ok());
            let good = number.filter(|number| (200..600).contains(number));
            status = good.ok_or_else(|| BlockFault::BadStatus(value.chars().take(80).collect()))?;
        } else {
            headers.push((name, value));
        }
    }
    Ok(HttpResponse { status, headers, body: output.slice(begin.min(output.len())..) })
}

fn header(line: &[u8]) -> Option<(String, String)> {
    let at = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at_checked(at)?;
    let name = HeaderName::from_str(std::str::from_utf8(name).ok()?).ok()?;
    let value = value.get(1..)?.trim_ascii();
    HeaderValue::from_bytes(value).ok()?;
    Some((name.to_string(), header_text(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parsed = (u16, Vec<(String, String)>, Bytes);

    fn parsed(output: &str) -> Result<Parsed, BlockFault> {
        parse(Bytes::copy_from_slice(output.as_bytes())).map(|answer| (answer.status, answer.headers, answer.body))
    }

    #[test]
    fn a_block_gives_an_answer_its_status_and_headers() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let whole = "Status: 404 Not Found\r\nContent-Type:text/plain\r\nX-A: 1 : 2\r\n\r\nno\n\nsuch";
        let headers = vec![header("content-type", "text/plain"), header("x-a", "1 : 2")];
        assert_eq!(parsed(whole), Ok((404, headers, "no\n\nsuch".into())));
        assert_eq!(parsed("X-A: \u{fc}\n\n"), Ok((200, vec![header("x-a", "\u{fc}")], Bytes::new())));
        assert_eq!(parsed("\nbody"), Ok((200, Vec::new(), "body".into())));
    }

    #[test]
    fn a_block_that_is_none_is_an_error_that_says_why() {
        for none in ["", "just text", "X-A: 1\n", &format!("X-A: {}\n\n", "v".repeat(LIMIT))] {
            assert_eq!(parsed(none), Err(BlockFault::NoEnd));
        }
        for bad in ["no header\n\n", "bad name: 1\n\n", ": 1\n\n", "x: a\rb\n\n", "x: \0\n\n", "<p>Hi:</p>\n\n"] {
            assert!(matches!(parsed(bad), Err(BlockFault::NoHeader { number: 1, .. })), "{bad}");
        }
        for bad in ["", "OK", "99", "100", "600", "-404", "404x"] {
            assert_eq!(parsed(&format!("Status: {bad}\n\n")), Err(BlockFault::BadStatus(bad.to_owned())));
        }
        let said = parsed("X-A: 1\n\u{1b}[31mred\n\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && !said.contains('\u{1b}'), "{said}");
    }

    proptest::proptest! {
        #[test]
        fn no_output_makes_parsing_panic(output: Vec<u8>) {
            let _ = parse(output.into());
        }
    }
}

//! Programs that serve as functions: what they are told of a request, what their end means, and why a script cannot be run.

mod block;
mod output;
mod process;

pub(crate) use block::{BlockFault, parse as parse_block};
pub use output::ProgramLines;
pub(crate) use output::{LastLines, Said};
pub(crate) use process::{Broken, Running};
pub use process::{end_programs, kill_programs};

use faas_flow_core::header_bytes;
use faas_flow_guest::HttpRequest;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::ExitStatus;

/// The request headers that a program gets besides those that begin with `X-`.
const HEADERS: [&str; 23] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "baggage",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "origin",
    "range",
    "referer",
    "traceparent",
    "tracestate",
    "user-agent",
    "via",
];

/// The environment variables that describe a request, under the names that OpenFaaS's classic watchdog gives them:
/// `Http_Method`, `Http_Path` and `Http_Query`, and for headers that are allowed `Http_` with the header's name, as in
/// `Http_Content_Type`.
///
/// The sender of a request chooses the names of its headers. So only certain headers are passed on: those of [`HEADERS`], those
/// that begin with `X-`, and `more`. Others could be variables that programs and libraries obey, such as `HTTP_PROXY`, which
/// many look for whatever its case.
pub(crate) fn environment(request: &HttpRequest, path: &str, query: &str, more: &[String]) -> Vec<(String, OsString)> {
    let mut variables = vec![
        ("Http_Method".to_owned(), request.method.clone().into()),
        ("Http_Path".to_owned(), path.into()),
        ("Http_Query".to_owned(), query.into()),
    ];
    for (header, value) in &request.headers {
        let header = header.to_ascii_lowercase();
        if is_passed_on(&header, more) {
            let name = variable(&header);
            // Of several values, the first counts, as for the classic watchdog.
            if !variables.iter().any(|(known, _)| *known == name) {
                variables.push((name, OsString::from_vec(header_bytes(value).into_owned())));
            }
        }
    }
    variables
}

fn is_passed_on(header: &str, more: &[String]) -> bool {
    let is_plain = header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_allowed = HEADERS.contains(&header)
        || header.strip_prefix("x-").is_some_and(|rest| !rest.is_empty())
        || more.iter().any(|more| more.eq_ignore_ascii_case(header));
    // Python takes every variable that ends with `_proxy` for a proxy.
    is_plain && is_allowed && header != "proxy" && !header.ends_with("-proxy")
}

/// `Http_Content_Type` for `content-type`.
fn variable(header: &str) -> String {
    header.split('-').fold("Http".to_owned(), |name, part| {
        let (first, rest) = part.split_at(part.len().min(1));
        format!("{name}_{}{rest}", first.to_ascii_uppercase())
    })
}

/// Whether trying again may help after a program has ended so: not if its status is one of those by which programs say that the
/// request itself, or how they are set up, is wrong (64 to 78 of `sysexits.h`, except for 75, "try again").
pub(crate) fn may_pass(status: ExitStatus) -> bool {
    const TRY_AGAIN: i32 = 75;
    status.code().is_none_or(|code| code == TRY_AGAIN || !(64..=78).contains(&code))
}

/// Why the system cannot run a script that looks fine in an editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFault {
    /// Its first line ends as lines do on Windows.
    #[error(
        "its first line ends with CRLF, so that the system looks for an interpreter whose name ends with a carriage \
         return: save the script with LF at the end of its lines, for example with `dos2unix`"
    )]
    CarriageReturn,
    /// It begins with a byte order mark.
    #[error("it begins with a byte order mark instead of `#!`: save the script as UTF-8 without one")]
    ByteOrderMark,
}

impl ScriptFault {
    /// What is wrong with the first line of this file, if it is a script.
    pub(crate) fn of(program: &Path) -> Option<Self> {
        // The system reads no more than this of the first line.
        let mut head = Vec::new();
        File::open(program).and_then(|file| file.take(256).read_to_end(&mut head)).ok()?;
        if head.starts_with("\u{feff}#!".as_bytes()) {
            return Some(ScriptFault::ByteOrderMark);
        }
        let line = head.split(|byte| *byte == b'\n').next()?;
        (line.len() < head.len() && line.starts_with(b"#!") && line.ends_with(b"\r"))
            .then_some(ScriptFault::CarriageReturn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn told(headers: &[(&str, &str)], more: &[&str]) -> Vec<(String, OsString)> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = HttpRequest {
            method: "PUT".into(),
            url: "http://function/f/a?b=c".into(),
            headers,
            body: Default::default(),
        };
        let more: Vec<String> = more.iter().map(|&more| more.to_owned()).collect();
        environment(&request, "/a", "b=c", &more)
    }

    fn names(headers: &[&str], more: &[&str]) -> Vec<String> {
        let headers: Vec<_> = headers.iter().map(|&name| (name, "v")).collect();
        told(&headers, more).into_iter().skip(3).map(|(name, _)| name).collect()
    }

    #[test]
    fn a_program_is_told_of_its_request_as_by_the_classic_watchdog() {
        let headers = [("content-type", "text/plain"), ("X-FAAS-flow-reqid", "r"), ("x-a", "1"), ("X-A", "2")];
        let expected = [
            ("Http_Method", "PUT"),
            ("Http_Path", "/a"),
            ("Http_Query", "b=c"),
            ("Http_Content_Type", "text/plain"),
            ("Http_X_Faas_Flow_Reqid", "r"),
            ("Http_X_A", "1"),
        ];
        assert_eq!(told(&headers, &[]), expected.map(|(name, value)| (name.to_owned(), value.into())));
    }

    #[test]
    fn no_header_becomes_a_variable_that_programs_obey() {
        let bad = [
            "Proxy",
            "proxy",
            "PROXY",
            "X-Proxy",
            "x-http-proxy",
            "Path",
            "Query",
            "Method",
            "Home",
            "Order-Id",
            "X-",
            "x_y",
            "x-a=b",
            "x-\u{e9}",
            "",
        ];
        assert_eq!(names(&bad, &[]), [""; 0]);
        // Not even if it is allowed by name.
        assert_eq!(
            names(&["Proxy", "No-Proxy", "Order-Id", "a_b"], &["proxy", "no-proxy", "order-id", "a_b"]),
            ["Http_Order_Id"]
        );
        let own = told(&[("Method", "GET"), ("Query", "evil"), ("Path", "/evil")], &["Method", "Query", "Path"]);
        assert_eq!(own, told(&[], &[]));
    }

    #[test]
    fn the_exit_status_says_whether_trying_again_may_help() {
        let ended = |code: i32| ExitStatus::from_raw(code << 8);
        for again in [1, 2, 63, 75, 79, 126, 127, 255] {
            assert!(may_pass(ended(again)), "{again}");
        }
        for never in [64, 65, 74, 76, 78] {
            assert!(!may_pass(ended(never)), "{never}");
        }
        // By SIGKILL, for example since the machine is short of memory.
        assert!(may_pass(ExitStatus::from_raw(9)));
    }

    #[test]
    fn a_script_with_ends_of_lines_of_windows_is_told_from_others() {
        let folder = tempfile::TempDir::new().unwrap();
        let fault = |text: &str| {
            let path = folder.path().join("script");
            std::fs::write(&path, text).unwrap();
            ScriptFault::of(&path)
        };
        assert_eq!(fault("#!/bin/sh\r\ncat\r\n"), Some(ScriptFault::CarriageReturn));
        assert_eq!(fault("\u{feff}#!/bin/sh\ncat\n"), Some(ScriptFault::ByteOrderMark));
        for fine in ["#!/bin/sh\ncat\r\n", "#!/bin/sh", "\x7fELF\r\n", "", "cat\r\n"] {
            assert_eq!(fault(fine), None, "{fine:?}");
        }
        assert_eq!(ScriptFault::of(&folder.path().join("nowhere")), None);
    }
}

//! A form with a file, as browsers send it: `multipart/form-data` ([RFC 7578](https://www.rfc-editor.org/rfc/rfc7578)).

use super::error::Error;
use axum::http::{HeaderMap, header};
use bytes::Bytes;

/// The fields of a form, with the bytes of each.
#[derive(Debug)]
pub(super) struct Upload(Vec<(String, Bytes)>);

impl Upload {
    /// Reads a form whose body has arrived.
    pub fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, Error> {
        let boundary = boundary(headers).ok_or(Error::NoMultipart)?;
        Ok(Self(fields(&boundary, body).ok_or(Error::NoMultipart)?))
    }

    /// A field; empty if it is not there.
    pub fn bytes(&self, name: &str) -> Bytes {
        self.0.iter().find(|(given, _)| given == name).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    /// All fields but the one with the file, as text.
    pub fn texts(&self, file: &str) -> Vec<(String, String)> {
        let texts = self.0.iter().filter(|(name, _)| name != file);
        texts.map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned())).collect()
    }
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = kind.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    (1..=70).contains(&boundary.len()).then(|| boundary.to_owned())
}

/// The fields, if the body is whole.
fn fields(boundary: &str, body: &Bytes) -> Option<Vec<(String, Bytes)>> {
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut at = first.len();
    if !body.starts_with(first.as_bytes()) {
        return None;
    }
    let mut fields = Vec::new();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        if !rest.starts_with(b"\r\n") {
            return None;
        }
        let head = find(rest, b"\r\n\r\n")?;
        let name = name(std::str::from_utf8(rest.get(..head)?).ok()?)?;
        let begin = at + head + 4;
        let end = begin + find(body.get(begin..)?, next.as_bytes())?;
        fields.push((name, body.slice(begin..end)));
        at = end + next.len();
    }
}

/// The name of the field with this head.
fn name(head: &str) -> Option<String> {
    let mut lines = head.lines();
    let disposition = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let name = disposition.split(';').find_map(|part| part.trim().strip_prefix("name="))?;
    Some(name.trim_matches('"').to_owned())
}

/// Where the needle is. Its first byte is looked for first, which the compiler makes fast.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    loop {
        let rest = haystack.get(at..)?;
        at += rest.iter().position(|byte| *byte == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, body: &str) -> Option<Upload> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
        Upload::parse(&headers, &Bytes::copy_from_slice(body.as_bytes())).ok()
    }

    #[test]
    fn a_browsers_form_is_read() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"ticket\"\r\n\r\nabc\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"module\"; filename=\"flow.wasm\"\r\n\
                    Content-Type: application/wasm\r\n\r\n\0asm\r\n--\r\n-x\r\n--x--\r\n";
        let upload = parse("multipart/form-data; boundary=x", body).unwrap();
        assert_eq!(upload.texts("module"), [("ticket".to_owned(), "abc".to_owned())]);
        assert_eq!(&upload.bytes("module")[..], b"\0asm\r\n--\r\n-x");
        assert!(upload.bytes("none").is_empty());
        assert!(parse("multipart/form-data; boundary=\"x\"", body).is_some());
        // What is cut short, and what is none.
        for end in [0, 3, 10, 60, body.len() - 8] {
            assert!(parse("multipart/form-data; boundary=x", &body[..end]).is_none(), "{end}");
        }
        for kind in ["multipart/form-data", "text/plain; boundary=x", "multipart/form-data; boundary="] {
            assert!(parse(kind, body).is_none(), "{kind}");
        }
    }
}

//! A form with a file, as browsers send it: `multipart/form-data` ([RFC 7578](https://www.rfc-editor.org/rfc/rfc7578)).

use super::error::Error;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::stream::once;
use multer::Multipart;
use std::convert::Infallible;
use std::future::ready;

/// The fields of a form, with the bytes of each.
#[derive(Debug)]
pub(super) struct Upload(Vec<(String, Bytes)>);

impl Upload {
    /// Reads a form whose body has arrived.
    pub async fn parse(headers: &HeaderMap, body: Bytes) -> Result<Self, Error> {
        Self::read(headers, body).await.ok_or(Error::NoMultipart)
    }

    async fn read(headers: &HeaderMap, body: Bytes) -> Option<Self> {
        let boundary = multer::parse_boundary(headers.get(header::CONTENT_TYPE)?.to_str().ok()?).ok()?;
        let mut multipart = Multipart::new(once(ready(Ok::<_, Infallible>(body))), boundary);
        let mut fields = Vec::new();
        while let Some(field) = multipart.next_field().await.ok()? {
            let name = field.name()?.to_owned();
            fields.push((name, field.bytes().await.ok()?));
        }
        Some(Self(fields))
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(kind: &str, body: &str) -> Option<Upload> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
        Upload::parse(&headers, Bytes::copy_from_slice(body.as_bytes())).await.ok()
    }

    #[tokio::test]
    async fn a_browsers_form_is_read() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"ticket\"\r\n\r\nabc\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"module\"; filename=\"flow.wasm\"\r\n\
                    Content-Type: application/wasm\r\n\r\n\0asm\r\n--\r\n-x\r\n--x--\r\n";
        let upload = parse("multipart/form-data; boundary=x", body).await.unwrap();
        assert_eq!(upload.texts("module"), [("ticket".to_owned(), "abc".to_owned())]);
        assert_eq!(&upload.bytes("module")[..], b"\0asm\r\n--\r\n-x");
        assert!(upload.bytes("none").is_empty());
        assert!(parse("multipart/form-data; boundary=\"x\"", body).await.is_some());
        // What is cut short, and what is none.
        for end in [0, 3, 10, 60, body.len() - 8] {
            assert!(parse("multipart/form-data; boundary=x", &body[..end]).await.is_none(), "{end}");
        }
        for kind in ["multipart/form-data", "text/plain; boundary=x", "multipart/form-data; boundary="] {
            assert!(parse(kind, body).await.is_none(), "{kind}");
        }
    }
}

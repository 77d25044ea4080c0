//! Media types: what the bytes of a payload are.

use crate::{Code, text};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

const OCTET_STREAM: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// The media type of some bytes, as in the header `Content-Type`: `text/plain; charset=utf-8`, for example.
///
/// It is a media type as RFC 9110 (section 8.3.1) defines it, of 3 to 255 printable ASCII characters, spelled as its author
/// spelled it. The default is `application/octet-stream`, which costs nothing to keep and is not stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MediaType(Repr);

/// The two most frequent media types need no memory of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
enum Repr {
    #[default]
    OctetStream,
    Json,
    Other(Arc<str>),
}

/// Why a text is no media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMediaType {
    /// It is too long.
    #[error("a media type may have at most {limit} bytes, but this one has {size}", limit = MediaType::LONGEST)]
    TooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// It is not of the form of a media type.
    #[error("`{shown}` is not a media type: write one such as `application/json` or `text/plain; charset=utf-8`")]
    Malformed {
        /// The text, with everything escaped that is not printable.
        shown: String,
    },
}

impl BadMediaType {
    /// The error's code.
    pub fn code(&self) -> Code {
        Code::BAD_MEDIA_TYPE
    }
}

impl MediaType {
    /// The most bytes of a media type.
    pub const LONGEST: usize = 255;
    /// `application/octet-stream`: bytes of which nothing else is known.
    pub const OCTET_STREAM: Self = Self(Repr::OctetStream);
    /// `application/json`.
    pub const JSON: Self = Self(Repr::Json);

    /// Parses a media type. Spaces and tabs around it do not count.
    pub fn parse(text: &str) -> Result<Self, BadMediaType> {
        let text = text.trim_matches([' ', '\t']);
        if text.eq_ignore_ascii_case(OCTET_STREAM) {
            return Ok(Self::OCTET_STREAM);
        }
        if text.eq_ignore_ascii_case(JSON) {
            return Ok(Self::JSON);
        }
        if text.len() > Self::LONGEST {
            return Err(BadMediaType::TooLong { size: text.len() });
        }
        // The parser lets further characters through in quoted strings, and an empty subtype.
        let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if is_printable && text.parse::<mime::Mime>().is_ok_and(|parsed| !parsed.subtype().as_str().is_empty()) {
            Ok(Self(Repr::Other(text.into())))
        } else {
            Err(BadMediaType::Malformed { shown: text::printable(text).to_string() })
        }
    }

    /// The media type that the headers of a message say, whose sender may be anybody. A message without a `Content-Type`, with
    /// a malformed one, or with several that differ is `application/octet-stream`.
    pub fn of_message(headers: &[(String, String)]) -> Self {
        let values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let mut values = values.map(|(_, value)| value);
        match values.next() {
            Some(first) if values.all(|value| value == first) => Self::parse(first).unwrap_or_default(),
            _ => Self::OCTET_STREAM,
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::OctetStream => OCTET_STREAM,
            Repr::Json => JSON,
            Repr::Other(text) => text,
        }
    }

    /// Whether it is `application/octet-stream`.
    pub fn is_octet_stream(&self) -> bool {
        self.0 == Repr::OctetStream
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What is no media type, in a damaged document, reads as `application/octet-stream`.
impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Self::parse(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_kept_as_they_are_spelled() {
        for text in [
            "text/plain",
            "text/html; charset=UTF-8",
            "application/vnd.api+json",
            "multipart/form-data; boundary=AaB03x",
            "text/plain; title=\"a; b\"",
            "Text/Plain",
            "x/y",
        ] {
            assert_eq!(MediaType::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(MediaType::parse(" text/csv\t").unwrap().as_str(), "text/csv");
        assert_eq!(MediaType::parse("APPLICATION/JSON").unwrap(), MediaType::JSON);
        assert!(MediaType::parse("Application/Octet-Stream").unwrap().is_octet_stream());
        assert!(MediaType::default().is_octet_stream());
    }

    #[test]
    fn a_malformed_media_type_is_refused_with_a_code() {
        let long = format!("text/{}", "a".repeat(10 * 1024));
        for bad in [
            "",
            " ",
            "json",
            "text/",
            "/plain",
            "text/plain\r\nx-a: b",
            "text/pläin",
            "text/plain; a=\"\u{e9}\"",
            "a b/c",
            &long,
        ] {
            assert_eq!(MediaType::parse(bad).unwrap_err().code(), Code::BAD_MEDIA_TYPE, "{bad:?}");
        }
        let longest = format!("text/{}", "a".repeat(MediaType::LONGEST - 5));
        assert_eq!(MediaType::parse(&longest).unwrap().as_str(), longest);
        assert_eq!(MediaType::parse(&format!("{longest}a")).unwrap_err(), BadMediaType::TooLong { size: 256 });
        let shown = MediaType::parse("text/plain\r\nx-a: b").unwrap_err().to_string();
        assert!(shown.starts_with(r"`text/plain\r\nx-a: b` is not a media type"), "{shown}");
    }

    proptest::proptest! {
        /// TYPE-8. Whatever a text contains, what is taken for a media type can be sent as a header and reads back.
        #[test]
        fn what_is_a_media_type_can_be_sent_and_reads_back(
            text in "[ \\t]{0,2}[a-zA-Z/+.;=\"\\\\ \\r\\n\\x00é]{0,24}(/[a-z]{0,3}; ?[a-z]=[!-~é]{0,4})?",
        ) {
            match MediaType::parse(&text) {
                Ok(media_type) => {
                    let kept = media_type.as_str();
                    proptest::prop_assert!(kept.len() <= MediaType::LONGEST);
                    proptest::prop_assert!(kept.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                    proptest::prop_assert_eq!(MediaType::parse(kept), Ok(media_type));
                }
                Err(error) => proptest::prop_assert!(!error.to_string().contains(['\r', '\n', '\0'])),
            }
        }

        /// TYPE-8. One odd value beside others never becomes the media type of a message.
        #[test]
        fn a_message_has_the_media_type_on_which_all_its_headers_agree(
            values in proptest::collection::vec("(text/csv|application/json|a/b\\r\\n|[ -~é]{0,6})", 0..4),
        ) {
            let headers: Vec<_> = values.iter().map(|value| ("content-type".to_owned(), value.clone())).collect();
            let said = MediaType::of_message(&headers);
            let agree = values.iter().all(|value| MediaType::parse(value).as_ref() == Ok(&said));
            proptest::prop_assert!(said.is_octet_stream() || agree);
        }
    }

    #[test]
    fn headers_of_others_say_one_media_type_or_none() {
        let of = |values: &[&str]| {
            let header = |value: &&str| ("Content-TYPE".to_owned(), (*value).to_owned());
            let other = ("accept".to_owned(), "text/html".to_owned());
            let headers: Vec<_> = values.iter().map(header).chain([other]).collect();
            MediaType::of_message(&headers).to_string()
        };
        assert_eq!(of(&["text/csv"]), "text/csv");
        assert_eq!(of(&["text/csv", "text/csv"]), "text/csv");
        for unclear in
            [&[][..], &[""], &["csv"], &["text/csv", "text/plain"], &["text/csv, text/plain"], &["text/\u{fffd}"]]
        {
            assert_eq!(of(unclear), OCTET_STREAM, "{unclear:?}");
        }
    }

    #[test]
    fn a_media_type_reads_back_and_a_damaged_one_is_bytes() {
        for media_type in [MediaType::OCTET_STREAM, MediaType::JSON, MediaType::parse("text/csv").unwrap()] {
            let text = serde_json::to_string(&media_type).unwrap();
            assert_eq!(serde_json::from_str::<MediaType>(&text).unwrap(), media_type);
        }
        assert!(serde_json::from_str::<MediaType>("\"no type\"").unwrap().is_octet_stream());
    }
}

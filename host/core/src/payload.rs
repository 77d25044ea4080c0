//! Data between nodes: its bytes with their media type; small data inside the stored form, larger data by reference.

use crate::MediaType;
use bytes::Bytes;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Bytes and what they are: the data of a node, the body of a request, the result of a run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// What they are.
    pub media_type: MediaType,
}

impl Content {
    /// Bytes of this media type.
    pub fn new(bytes: impl Into<Bytes>, media_type: MediaType) -> Self {
        Self { bytes: bytes.into(), media_type }
    }

    /// No data.
    pub fn empty() -> Self {
        Self::default()
    }
}

/// Bytes of which nothing is known.
impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self { bytes: bytes.into(), media_type: MediaType::OCTET_STREAM }
    }
}

/// Shows the size and the media type, but not the data itself, since logs are read by more people than data.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes, {})", self.bytes.len(), self.media_type)
    }
}

/// The data of a node or an edge, as the state of a run refers to it.
///
/// Its stored form is a map with one entry, which is named after the kind of its [`Place`]: `inline`, `stored` or `kept`.
/// Only if the media type is not `application/octet-stream`, there is a second entry `media-type`.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Where the bytes are.
    pub place: Place,
    /// What they are.
    pub media_type: MediaType,
}

/// Where the bytes of a payload are.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// Here, if there are at most as many as the host's `inline_limit`.
    Inline(Bytes),
    /// In the data store.
    Stored {
        /// Their key in the data store.
        key: String,
        /// Their number.
        size: u64,
    },
    /// In a document of their own. The document that refers to them stays small, which matters since every commit writes it
    /// again.
    Kept {
        /// The document's name: [`DATA`](crate::run::DATA), then `<path>/<token>/<n>`.
        doc: String,
        /// Their number.
        size: u64,
    },
}

/// Shows where the data is and its size, but not the data itself, since logs are read by more people than data.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Inline(bytes) => write!(f, "Inline({} bytes", bytes.len())?,
            Place::Stored { key, size } => write!(f, "Stored({key:?}, {size} bytes")?,
            Place::Kept { doc, size } => write!(f, "Kept({doc:?}, {size} bytes")?,
        }
        if self.media_type.is_octet_stream() { write!(f, ")") } else { write!(f, ", {})", self.media_type) }
    }
}

impl Default for Payload {
    /// No bytes.
    fn default() -> Self {
        Self::empty()
    }
}

impl Payload {
    /// No data.
    pub fn empty() -> Self {
        Self::inline(Bytes::new())
    }

    /// Bytes that are here.
    pub fn inline(bytes: impl Into<Bytes>) -> Self {
        Place::Inline(bytes.into()).into()
    }

    /// Bytes in the data store.
    pub fn stored(key: impl Into<String>, size: u64) -> Self {
        Place::Stored { key: key.into(), size }.into()
    }

    /// Bytes in a document of their own.
    pub fn kept(doc: impl Into<String>, size: u64) -> Self {
        Place::Kept { doc: doc.into(), size }.into()
    }

    /// The same bytes as this media type.
    #[must_use]
    pub fn of_type(self, media_type: MediaType) -> Self {
        Self { media_type, ..self }
    }

    /// How many bytes the data has.
    pub fn size(&self) -> u64 {
        match &self.place {
            Place::Inline(bytes) => bytes.len() as u64,
            Place::Stored { size, .. } | Place::Kept { size, .. } => *size,
        }
    }
}

impl From<Place> for Payload {
    fn from(place: Place) -> Self {
        Self { place, media_type: MediaType::OCTET_STREAM }
    }
}

impl From<Content> for Payload {
    fn from(Content { bytes, media_type }: Content) -> Self {
        Self { place: Place::Inline(bytes), media_type }
    }
}

#[derive(Serialize)]
struct StoredRef<'a> {
    key: &'a str,
    size: u64,
}

#[derive(Serialize)]
struct KeptRef<'a> {
    doc: &'a str,
    size: u64,
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_typed = !self.media_type.is_octet_stream();
        let mut map = serializer.serialize_map(Some(1 + usize::from(is_typed)))?;
        match &self.place {
            Place::Inline(bytes) => map.serialize_entry("inline", bytes)?,
            Place::Stored { key, size } => map.serialize_entry("stored", &StoredRef { key, size: *size })?,
            Place::Kept { doc, size } => map.serialize_entry("kept", &KeptRef { doc, size: *size })?,
        }
        if is_typed {
            map.serialize_entry("media-type", &self.media_type)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PayloadVisitor)
    }
}

struct PayloadVisitor;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "kebab-case")]
enum Field {
    Inline,
    Stored,
    Kept,
    MediaType,
    #[serde(other)]
    Later,
}

#[derive(Deserialize)]
struct Stored {
    key: String,
    size: u64,
}

#[derive(Deserialize)]
struct Kept {
    doc: String,
    size: u64,
}

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a payload: `inline`, `stored` or `kept`, and perhaps `media-type`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Payload, A::Error> {
        let (mut place, mut media_type) = (None, MediaType::OCTET_STREAM);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Inline => place = Some(Place::Inline(map.next_value()?)),
                Field::Stored => {
                    let Stored { key, size } = map.next_value()?;
                    place = Some(Place::Stored { key, size });
                }
                Field::Kept => {
                    let Kept { doc, size } = map.next_value()?;
                    place = Some(Place::Kept { doc, size });
                }
                Field::MediaType => media_type = map.next_value()?,
                Field::Later => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let place = place.ok_or_else(|| A::Error::custom("a payload without its bytes"))?;
        Ok(Payload { place, media_type })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{decode, encode};

    #[test]
    fn the_size_of_a_payload_is_known_wherever_its_bytes_are() {
        assert_eq!(Payload::empty().size(), 0);
        assert_eq!(Payload::inline("five!").size(), 5);
        assert_eq!(Payload::stored("n1/1/", 70_000).size(), 70_000);
        assert_eq!(Payload::kept("data:n1/1/", 2_000).size(), 2_000);
    }

    #[test]
    fn a_payload_reads_back_with_its_media_type() {
        for payload in [Payload::inline("a"), Payload::stored("k", 7), Payload::kept("d", 8)] {
            let typed = payload.clone().of_type(MediaType::JSON);
            assert_ne!(typed, payload);
            for payload in [payload, typed] {
                assert_eq!(decode::<Payload>(&encode(&payload)).unwrap(), payload);
            }
        }
    }

    #[test]
    fn a_payload_is_shown_without_its_data() {
        let shown = |payload: Payload| format!("{payload:?}");
        assert_eq!(shown(Payload::inline("secret")), "Inline(6 bytes)");
        let typed = Payload::inline("secret").of_type(MediaType::JSON);
        assert_eq!(shown(typed), "Inline(6 bytes, application/json)");
        assert_eq!(shown(Payload::stored("k", 7)), "Stored(\"k\", 7 bytes)");
        assert_eq!(format!("{:?}", Content::from("secret")), "Content(6 bytes, application/octet-stream)");
    }

    #[test]
    fn a_payload_without_bytes_is_damaged_and_what_is_unknown_is_ignored() {
        let read = |json: serde_json::Value| serde_json::from_value::<Payload>(json);
        assert!(read(serde_json::json!({ "media-type": "text/csv" })).is_err());
        let later = serde_json::json!({ "stored": { "key": "k", "size": 7, "colour": 1 }, "colour": "green" });
        assert_eq!(read(later).unwrap(), Payload::stored("k", 7));
    }
}

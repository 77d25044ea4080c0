//! Values of HTTP headers as text, and back, without the loss of a byte.
//!
//! The value of a header is bytes (RFC 9110, section 5.5). Nearly all are ASCII; of the others, most are UTF-8, and some are
//! ISO-8859-1, which HTTP once prescribed. Inside of the host values are text: UTF-8 is itself, and in a value that is not
//! UTF-8, each byte beyond ASCII is the character U+10FF00 plus the byte, which nobody else uses.

use std::borrow::Cow;

/// What is added to a byte from 0x80 to 0xFF.
const BYTE: u32 = 0x10_FF00;

/// The text that stands for a header's value.
pub fn header_text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(|c| byte(c).is_some()) => text.to_owned(),
        _ => value.iter().map(|&b| if b.is_ascii() { b.into() } else { character(b) }).collect(),
    }
}

/// The value of a header for which a text stands.
pub fn header_bytes(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() || !text.chars().any(|c| byte(c).is_some()) {
        return text.as_bytes().into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.into()
}

/// The value as text for people: if it is not UTF-8, it is read as ISO-8859-1.
pub fn readable_header(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| byte(c).is_some()) {
        text.chars().map(|c| byte(c).map_or(c, char::from)).collect::<String>().into()
    } else {
        text.into()
    }
}

fn character(byte: u8) -> char {
    char::from_u32(BYTE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte for which a character stands, if it stands for one.
fn byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(BYTE)?).ok().filter(|byte| !byte.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_utf_8_or_else_as_iso_8859_1() {
        let read = |value: &[u8]| readable_header(&header_text(value)).into_owned();
        assert_eq!(read(b"plain"), "plain");
        assert_eq!(read("J\u{fc}rgen \u{2014} \u{1f642}".as_bytes()), "J\u{fc}rgen \u{2014} \u{1f642}");
        assert_eq!(read(b"J\xfcrgen"), "J\u{fc}rgen");
    }

    proptest::proptest! {
        #[test]
        fn no_byte_is_lost(value: Vec<u8>) {
            let text = header_text(&value);
            proptest::prop_assert_eq!(&*header_bytes(&text), &value[..]);
        }

        #[test]
        fn no_text_is_lost(text: String, private in "[\u{10FF00}-\u{10FFFF}]{0,3}") {
            let value = text + &private;
            let text = header_text(value.as_bytes());
            proptest::prop_assert_eq!(&*header_bytes(&text), value.as_bytes());
        }
    }
}

//! What the file of a secret holds, however it was written.

/// Why the content of a file is not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFlaw {
    /// Nothing is left without the white space.
    #[error("is empty")]
    Empty,
    /// It is UTF-16, or not text at all.
    #[error("is not UTF-8 text: save it as UTF-8, and random bytes as base64")]
    NotText,
    /// A line follows the first one.
    #[error("has more than one line: leave only the secret in it")]
    Lines,
    /// It contains a control character.
    #[error("contains a control character: write it again, and random bytes as base64")]
    Control,
}

/// The secret in a file: one line of text. The byte order mark and the white space that editors and shells put around it are
/// not part of it, and neither is a line end of Windows.
pub fn secret_of(file: &[u8]) -> Result<&str, SecretFlaw> {
    let text = std::str::from_utf8(file).map_err(|_| SecretFlaw::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if text.is_empty() {
        Err(SecretFlaw::Empty)
    } else if text.contains(['\n', '\r']) {
        Err(SecretFlaw::Lines)
    } else if text.contains(char::is_control) {
        Err(SecretFlaw::Control)
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_whatever_stands_around_it() {
        for file in
            ["s3cret", "s3cret\n", "s3cret\r\n", "\u{feff}s3cret", "\u{feff}s3cret\r\n", " s3cret \n\n", "s3cret\r"]
        {
            assert_eq!(secret_of(file.as_bytes()), Ok("s3cret"), "{file:?}");
        }
        assert_eq!(secret_of("of several wörds\n".as_bytes()), Ok("of several wörds"));
    }

    #[test]
    fn an_unusable_secret_is_refused() {
        for (file, flaw) in [
            (&b""[..], SecretFlaw::Empty),
            (b"\n", SecretFlaw::Empty),
            ("\u{feff}\r\n".as_bytes(), SecretFlaw::Empty),
            (b"one\ntwo\n", SecretFlaw::Lines),
            (b"one\r\ntwo", SecretFlaw::Lines),
            (b"one\rtwo", SecretFlaw::Lines),
            (b"one\ttwo", SecretFlaw::Control),
            (b"one\0two", SecretFlaw::Control),
            (b"one\x1b[0m", SecretFlaw::Control),
            ("one\u{85}".as_bytes(), SecretFlaw::Control),
            (b"\xff\xfeo\0n\0e\0", SecretFlaw::NotText),
            (b"\x80\x81", SecretFlaw::NotText),
        ] {
            assert_eq!(secret_of(file), Err(flaw), "{file:?}");
        }
    }
}

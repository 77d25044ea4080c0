//! Answers whose bytes are compressed (`Content-Encoding`, RFC 9110, section 8.4).

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use std::pin::Pin;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};

/// What the host asks for, unless the flow's call says itself what it accepts.
pub(super) const ACCEPTED: &str = "gzip, br, zstd, deflate";
/// The largest window of zstd, as a power of two: 8 MiB, which RFC 9659 allows. It is what decoding needs in memory.
const ZSTD_WINDOW: u32 = 23;
/// How many codings one answer may have, one over the other.
const MOST: usize = 3;

/// How the bytes of an answer are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why an answer cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodingFault {
    /// The coding is not one of those that the host knows.
    #[error(
        "its Content-Encoding is `{0}`, and only gzip, deflate, br and zstd can be decoded; set the header Accept-Encoding of the call to `identity`"
    )]
    Unknown(String),
    /// There are too many codings.
    #[error("it has more than {MOST} codings")]
    TooMany,
    /// The bytes are not what their coding says, or end too early.
    #[error("its bytes are not {0}: {1}")]
    Damaged(String, String),
}

impl EncodingFault {
    /// The bytes are not what these codings say.
    pub(super) fn damaged(codings: &[Coding], error: impl ToString) -> Self {
        let names: Vec<_> = codings.iter().map(|coding| coding.name()).collect();
        Self::Damaged(names.join(", "), error.to_string())
    }
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

/// The codings that an answer's headers name, in the order in which they were applied.
pub(super) fn codings<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Coding>, EncodingFault> {
    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value).to_ascii_lowercase()).collect();
    let names = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    // `aws-chunked` is how S3 takes an upload. Some servers repeat it with the object, which is not in chunks any more.
    let names = names.filter(|name| !matches!(*name, "" | "identity" | "aws-chunked"));
    let codings: Vec<_> = names.take(MOST + 1).map(coding).collect::<Result<_, _>>()?;
    if codings.len() > MOST { Err(EncodingFault::TooMany) } else { Ok(codings) }
}

fn coding(name: &str) -> Result<Coding, EncodingFault> {
    match name {
        "gzip" | "x-gzip" => Ok(Coding::Gzip),
        "deflate" => Ok(Coding::Deflate),
        "br" => Ok(Coding::Brotli),
        "zstd" => Ok(Coding::Zstd),
        _ => Err(EncodingFault::Unknown(name.chars().take(40).flat_map(char::escape_debug).collect())),
    }
}

type Decoded<'a> = Pin<Box<dyn AsyncRead + Send + 'a>>;

/// Decodes what was encoded with these codings, one after the other. An answer without bytes stays empty.
pub(super) async fn decoded<'a>(
    mut encoded: impl AsyncBufRead + Send + Unpin + 'a,
    codings: &[Coding],
) -> std::io::Result<Decoded<'a>> {
    let begins = encoded.fill_buf().await?.to_vec();
    let mut decoded: Decoded<'a> = Box::pin(encoded);
    if begins.is_empty() {
        return Ok(decoded);
    }
    for coding in codings.iter().rev() {
        let mut encoded = BufReader::new(decoded);
        decoded = match coding {
            Coding::Gzip => {
                let mut gzip = GzipDecoder::new(encoded);
                gzip.multiple_members(true);
                Box::pin(gzip)
            }
            Coding::Brotli => Box::pin(BrotliDecoder::new(encoded)),
            Coding::Zstd => Box::pin(ZstdDecoder::with_params(encoded, &[DParameter::window_log_max(ZSTD_WINDOW)])),
            // Some servers leave out the head that zlib has, and clients have learnt to take that.
            Coding::Deflate if is_zlib(encoded.fill_buf().await?) => Box::pin(ZlibDecoder::new(encoded)),
            Coding::Deflate => Box::pin(DeflateDecoder::new(encoded)),
        };
    }
    Ok(decoded)
}

/// Whether bytes begin with the head of zlib (RFC 1950).
fn is_zlib(bytes: &[u8]) -> bool {
    match bytes {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[&str]) -> Result<Vec<Coding>, EncodingFault> {
        codings(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn codings_are_named_in_any_case_and_in_several_headers() {
        assert_eq!(named(&[]), Ok(vec![]));
        assert_eq!(named(&["", "identity", "aws-chunked"]), Ok(vec![]));
        assert_eq!(named(&["GZip , br", "x-gzip"]), Ok(vec![Coding::Gzip, Coding::Brotli, Coding::Gzip]));
        assert_eq!(named(&["deflate,zstd"]), Ok(vec![Coding::Deflate, Coding::Zstd]));
        assert_eq!(named(&["gzip, gzip, gzip, gzip"]), Err(EncodingFault::TooMany));
        assert_eq!(named(&["compress"]), Err(EncodingFault::Unknown("compress".to_owned())));
        let long = named(&[&"\u{7}".repeat(10_000)]).unwrap_err().to_string();
        assert!(long.len() < 500 && !long.contains('\u{7}'), "{long}");
    }
}

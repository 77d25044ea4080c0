//! What a compiler answers, and how it is written: its kind (one byte), its length (eight bytes, the lowest first), its
//! sha256 (64 hexadecimal digits), and its bytes.

use crate::error::{Found, GuestError};
use faas_flow_core::Digest;
use std::io::{self, Read, Write};

/// The longest message, in bytes.
const MESSAGE: usize = 8 << 10;
const LENGTH: usize = 8;
const DIGEST: usize = 64;

/// What becomes of a module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Machine code.
    Code(Vec<u8>),
    /// The machine code would be larger than allowed.
    TooLarge {
        /// The largest size allowed, in bytes.
        limit: u64,
    },
    /// A core module does not name its world.
    NoWorld,
    /// A core module cannot be wrapped in a component, for this reason.
    Unfit(String),
    /// The component cannot be compiled, for this reason.
    Failed(String),
    /// The component has more of something than allowed: this is what and how many.
    TooComplex(String),
}

/// Why an answer cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is longer than allowed.
    TooLarge {
        /// The longest allowed, in bytes.
        limit: u64,
    },
    /// It is not an answer, or only the beginning of one.
    Malformed,
}

impl Answer {
    /// The machine code, or why there is none.
    pub(crate) fn code(self) -> Result<Vec<u8>, GuestError> {
        match self {
            Answer::Code(code) => Ok(code),
            Answer::TooLarge { limit } => Err(GuestError::CodeTooLarge { limit }),
            Answer::NoWorld => Err(GuestError::NotAComponent { found: Found::CoreModule }),
            Answer::Unfit(reason) => Err(GuestError::NotAComponent { found: Found::UnfitCoreModule { reason } }),
            Answer::Failed(reason) => Err(GuestError::CompileFailed { reason }),
            Answer::TooComplex(what) => Err(GuestError::TooComplex { what }),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Answer::Code(_) => b'c',
            Answer::TooLarge { .. } => b'l',
            Answer::NoWorld => b'n',
            Answer::Unfit(_) => b'u',
            Answer::Failed(_) => b'f',
            Answer::TooComplex(_) => b'x',
        }
    }

    /// Writes it, messages cut to what a reader accepts.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let limit;
        let bytes = match self {
            Answer::Code(code) => code.as_slice(),
            Answer::TooLarge { limit: bytes } => {
                limit = bytes.to_le_bytes();
                &limit
            }
            Answer::NoWorld => &[],
            Answer::Unfit(text) | Answer::Failed(text) | Answer::TooComplex(text) => {
                text.get(..text.floor_char_boundary(MESSAGE)).unwrap_or_default().as_bytes()
            }
        };
        out.write_all(&[self.kind()])?;
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(Digest::of(bytes).as_str().as_bytes())?;
        out.write_all(bytes)?;
        out.flush()
    }
}

/// Reads an answer with at most so much code.
pub(crate) fn read(mut from: impl Read, code_bytes: u64) -> Result<Answer, Unreadable> {
    let kind = u8::from_le_bytes(exactly::<1>(&mut from)?);
    let length = u64::from_le_bytes(exactly::<LENGTH>(&mut from)?);
    let digest = exactly::<DIGEST>(&mut from)?;
    let limit = if kind == b'c' { code_bytes } else { MESSAGE as u64 };
    if length > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let read = from.take(length).read_to_end(&mut bytes);
    if read.is_err() || bytes.len() as u64 != length || Digest::of(&bytes).as_str().as_bytes() != digest {
        return Err(Unreadable::Malformed);
    }
    let text = |bytes| String::from_utf8(bytes).map_err(|_| Unreadable::Malformed);
    match kind {
        b'c' => Ok(Answer::Code(bytes)),
        b'l' => match <[u8; LENGTH]>::try_from(bytes) {
            Ok(limit) => Ok(Answer::TooLarge { limit: u64::from_le_bytes(limit) }),
            Err(_) => Err(Unreadable::Malformed),
        },
        b'n' if bytes.is_empty() => Ok(Answer::NoWorld),
        b'u' => Ok(Answer::Unfit(text(bytes)?)),
        b'f' => Ok(Answer::Failed(text(bytes)?)),
        b'x' => Ok(Answer::TooComplex(text(bytes)?)),
        _ => Err(Unreadable::Malformed),
    }
}

fn exactly<const N: usize>(from: &mut impl Read) -> Result<[u8; N], Unreadable> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map_err(|_| Unreadable::Malformed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer) -> Vec<u8> {
        let mut bytes = Vec::new();
        answer.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn answers_read_back() {
        let reason = || "why".to_owned();
        for answer in [
            Answer::Code(vec![1, 2, 3]),
            Answer::Code(Vec::new()),
            Answer::TooLarge { limit: 1 << 40 },
            Answer::NoWorld,
            Answer::Unfit(reason()),
            Answer::Failed(reason()),
            Answer::TooComplex(reason()),
        ] {
            assert_eq!(read(&*written(&answer), 3), Ok(answer));
        }
    }

    #[test]
    fn what_is_cut_short_altered_or_too_long_is_not_an_answer() {
        let whole = written(&Answer::Code(b"machine code".to_vec()));
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], 100), Err(Unreadable::Malformed), "{length} bytes");
        }
        for at in (0..1).chain(9..whole.len()) {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            assert!(read(&*altered, 100).is_err(), "byte {at}");
        }
        assert_eq!(read(&*whole, 11), Err(Unreadable::TooLarge { limit: 11 }));
    }

    #[test]
    fn long_messages_are_cut() {
        let Ok(Answer::Failed(reason)) = read(&*written(&Answer::Failed("é".repeat(MESSAGE))), 0) else { panic!() };
        assert_eq!(reason.len(), MESSAGE);
    }
}

//! Tokens with names and rights: the file that lists them, and who has which.
//!
//! The file has a line for each token: its name, its rights, its SHA-256, and optionally the moment at which it expires. The
//! token itself is not in the file, so nobody can use what they read there.

use super::right::{Rights, UnknownRight};
use crate::dashboard::Error;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use faas_flow_core::{Millis, moment, parse_moment};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// The name under which the admin token acts.
pub const ADMIN: &str = "admin";
const HASH: &str = "sha256:";
const LONGEST_NAME: usize = 64;

/// The SHA-256 of a token. Comparing two takes the same time, wherever they differ.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// That of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH).filter(|digits| digits.len() == 64)?;
        Some(Self(base16ct::lower::decode_vec(digits).ok()?.try_into().ok()?))
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH}{}", base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Draws a new token: 256 bits that nobody can guess.
///
/// # Errors
///
/// The system has no random numbers.
pub fn draw_token() -> Result<String, crate::Error> {
    let mut bits = [0; 32];
    rand::fill(&mut bits).map_err(|_| Error::NoRandomness)?;
    Ok(format!("faasflow_{}", URL_SAFE_NO_PAD.encode(bits)))
}

/// A token that the file lists.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedToken {
    name: Arc<str>,
    /// What its bearer may do.
    pub rights: Rights,
    hash: TokenHash,
    /// From when on it is refused.
    pub expires: Option<Millis>,
}

impl NamedToken {
    /// A token with this name.
    ///
    /// # Errors
    ///
    /// The name cannot be that of a token.
    pub fn new(name: &str, rights: Rights, hash: TokenHash, expires: Option<Millis>) -> Result<Self, TokensFlaw> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fits) {
            return Err(TokensFlaw::BadName { name: name.chars().take(LONGEST_NAME).collect() });
        }
        if name == ADMIN {
            return Err(TokensFlaw::AdminName);
        }
        Ok(Self { name: name.into(), rights, hash, expires })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn parse(line: &str) -> Result<Self, TokensFlaw> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (name, rights, hash, expires) = match *words.as_slice() {
            [name, rights, hash] => (name, rights, hash, None),
            [name, rights, hash, expires] => (name, rights, hash, Some(expires)),
            _ => return Err(TokensFlaw::Malformed),
        };
        let rights = Rights::parse(rights)?;
        let hash = TokenHash::parse(hash).ok_or(TokensFlaw::BadHash)?;
        let expires = expires.map(parse_moment).transpose().map_err(|_| TokensFlaw::BadMoment)?;
        Self::new(name, rights, hash, expires)
    }
}

/// The line of the file.
impl fmt::Display for NamedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rights, hash, expires } = self;
        write!(f, "{name} {rights} {hash}")?;
        expires.map_or(Ok(()), |at| write!(f, " {}", moment(at)))
    }
}

/// What is wrong with a file of tokens, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {flaw}")]
pub struct TokensFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub flaw: TokensFlaw,
}

/// What is wrong with a line of a file of tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokensFlaw {
    /// The file is not text.
    #[error("it is not UTF-8 text: save the file as UTF-8")]
    NotText,
    /// The file begins with a byte order mark.
    #[error("it begins with a byte order mark: save the file as UTF-8 without one")]
    ByteOrderMark,
    /// The line ends as Windows ends lines.
    #[error("it has a carriage return: save the file with the line ends of Unix (LF)")]
    CarriageReturn,
    /// It does not have three or four words.
    #[error(
        "it must have a name, rights, `sha256:` with the token's hash, and optionally the moment at which it expires, \
         separated by spaces; `faas-flow token create` writes such lines"
    )]
    Malformed,
    /// The name cannot be that of a token.
    #[error("`{}` is not a name: it must have 1 to 64 letters, digits and characters of - _ . @ +", name.escape_debug())]
    BadName {
        /// Its first characters.
        name: String,
    },
    /// The name is that of the admin token.
    #[error("the name `{ADMIN}` stands for the admin token: choose another name")]
    AdminName,
    /// It names a right that does not exist.
    #[error(transparent)]
    UnknownRight(#[from] UnknownRight),
    /// It has no hash of a token.
    #[error("the third word must be `sha256:` with the 64 lower-case hexadecimal digits of the token's hash")]
    BadHash,
    /// Its fourth word is no moment.
    #[error("the fourth word must be the moment at which the token expires, such as 2027-03-01T00:00:00Z")]
    BadMoment,
    /// Another line has the same name.
    #[error("line {first} has the same name: give each token a name of its own, or remove one of the lines")]
    SameName {
        /// That line.
        first: usize,
    },
    /// Another line has the same token.
    #[error("line {first} has the same token: create a token for each name")]
    SameToken {
        /// That line.
        first: usize,
    },
}

/// Reads a file of tokens. Empty lines, and those that begin with `#`, say nothing.
///
/// # Errors
///
/// A line cannot be understood, or contradicts another one.
pub fn parse_tokens(file: &[u8]) -> Result<Vec<NamedToken>, TokensFault> {
    let text = std::str::from_utf8(file).map_err(|error| {
        let before = file.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        TokensFault { line, flaw: TokensFlaw::NotText }
    })?;
    let mut found: Vec<(usize, NamedToken)> = Vec::new();
    for (line, text) in (1..).zip(text.split('\n')) {
        let fault = |flaw| TokensFault { line, flaw };
        if text.starts_with('\u{feff}') {
            return Err(fault(TokensFlaw::ByteOrderMark));
        }
        if text.contains('\r') {
            return Err(fault(TokensFlaw::CarriageReturn));
        }
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let token = NamedToken::parse(text).map_err(fault)?;
        for (first, other) in &found {
            if other.name == token.name {
                return Err(fault(TokensFlaw::SameName { first: *first }));
            }
            if other.hash == token.hash {
                return Err(fault(TokensFlaw::SameToken { first: *first }));
            }
        }
        found.push((line, token));
    }
    Ok(found.into_iter().map(|(_, token)| token).collect())
}

/// The tokens that a server accepts.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    admin: Option<(Secret, TokenHash)>,
    named: Vec<NamedToken>,
}

/// A token that is not shown.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whose token it is.
pub(crate) enum Bearer<'t> {
    Admin,
    Named(&'t NamedToken),
    /// A token that has expired, and when.
    Expired(&'t NamedToken, Millis),
}

impl Tokens {
    /// The admin token, if there is one, and those with names.
    pub fn new(admin: Option<String>, named: Vec<NamedToken>) -> Self {
        let admin = admin.map(|token| {
            let hash = TokenHash::of(&token);
            (Secret(token), hash)
        });
        Self { admin, named }
    }

    /// The admin token.
    pub fn admin(&self) -> Option<&str> {
        self.admin.as_ref().map(|(token, _)| token.0.as_str())
    }

    /// Whose token this is, at a moment. All tokens are compared, so that the time that it takes says nothing about them.
    pub(crate) fn bearer(&self, given: &str, now: Millis) -> Option<Bearer<'_>> {
        let given = TokenHash::of(given);
        let named = self.named.iter().fold(None, |found, token| if token.hash == given { Some(token) } else { found });
        let is_admin = self.admin.as_ref().is_some_and(|(_, hash)| *hash == given);
        match (is_admin, named) {
            (true, _) => Some(Bearer::Admin),
            (false, Some(token)) => Some(match token.expires.filter(|at| *at <= now) {
                Some(at) => Bearer::Expired(token, at),
                None => Bearer::Named(token),
            }),
            (false, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, rights: &str, token: &str) -> String {
        format!("{name} {rights} {}", TokenHash::of(token))
    }

    #[test]
    fn a_file_of_tokens_reads_back() {
        let file = format!(
            "# who may do what\n\n{} 2027-03-01T00:00:00Z\n  {}\n",
            line("alice", "see,control", "a"),
            line("ci@example.com", "deploy", "b")
        );
        let tokens = parse_tokens(file.as_bytes()).unwrap();
        let written: String = tokens.iter().map(|token| format!("{token}\n")).collect();
        assert_eq!(parse_tokens(written.as_bytes()).unwrap(), tokens);
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens[0].expires, Some(1_803_859_200_000));
        assert_eq!(parse_tokens(b"").unwrap(), []);
    }

    #[test]
    fn a_line_that_cannot_be_meant_is_named() {
        let good = line("alice", "see", "a");
        let (named, marked, windows) =
            (line("alice", "deploy", "b"), format!("\u{feff}{good}"), format!("{good}\r\n{good}"));
        let (same, admin, expired) = (line("bob", "see", "a"), line("admin", "see", "b"), format!("{good} soon"));
        let (right, name, upper) =
            (line("bob", "sea", "b"), line("b\u{f6}b", "see", "b"), line("bob", "see", "b").replace('a', "A"));
        let flaw_of = |file: &str| parse_tokens(file.as_bytes()).unwrap_err();
        for (file, at, flaw) in [
            (format!("{good}\n{named}"), 2, TokensFlaw::SameName { first: 1 }),
            (format!("{good}\n{same}"), 2, TokensFlaw::SameToken { first: 1 }),
            (marked, 1, TokensFlaw::ByteOrderMark),
            (windows, 1, TokensFlaw::CarriageReturn),
            (format!("\n{admin}"), 2, TokensFlaw::AdminName),
            (expired, 1, TokensFlaw::BadMoment),
            (format!("# x\n\n{right}"), 3, TokensFlaw::UnknownRight(UnknownRight { name: "sea".to_owned() })),
            (name, 1, TokensFlaw::BadName { name: "b\u{f6}b".to_owned() }),
            (upper, 1, TokensFlaw::BadHash),
            ("alice see".to_owned(), 1, TokensFlaw::Malformed),
            (format!("{good} 2027-03-01T00:00:00Z more"), 1, TokensFlaw::Malformed),
        ] {
            assert_eq!(flaw_of(&file), TokensFault { line: at, flaw }, "{file}");
        }
        assert_eq!(parse_tokens(b"#\n\xff").unwrap_err(), TokensFault { line: 2, flaw: TokensFlaw::NotText });
    }

    #[test]
    fn a_token_names_its_bearer_until_it_expires() {
        let named = parse_tokens(format!("{} 1970-01-01T00:00:01Z", line("alice", "see", "a")).as_bytes()).unwrap();
        let tokens = Tokens::new(Some("root".to_owned()), named);
        assert!(matches!(tokens.bearer("root", 5_000), Some(Bearer::Admin)));
        assert!(matches!(tokens.bearer("a", 999), Some(Bearer::Named(token)) if &**token.name() == "alice"));
        assert!(matches!(tokens.bearer("a", 1_000), Some(Bearer::Expired(_, 1_000))));
        assert!(tokens.bearer("b", 0).is_none() && tokens.bearer("", 0).is_none());
        assert!(!format!("{tokens:?}").contains("root"));
    }
}

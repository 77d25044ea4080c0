//! Cookies of the dashboard that nobody else can make: who has signed in, and who is about to.

use crate::access::Rights;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use faas_flow_core::Millis;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::time::Duration;

/// Which cookie it is. One is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// Who has signed in.
    Session,
    /// Who is about to sign in, until the provider sends them back.
    SignIn,
}

impl Cookie {
    const fn name(self, is_secure: bool) -> &'static str {
        // Browsers take the first ones from the server itself only, and over https only.
        match (self, is_secure) {
            (Cookie::Session, true) => "__Host-faasflow-session",
            (Cookie::SignIn, true) => "__Host-faasflow-sign-in",
            (Cookie::Session, false) => "faasflow-session",
            (Cookie::SignIn, false) => "faasflow-sign-in",
        }
    }

    const fn lifetime(self) -> Duration {
        match self {
            Cookie::Session => Duration::from_secs(8 * 60 * 60),
            Cookie::SignIn => Duration::from_secs(10 * 60),
        }
    }
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    pub name: String,
    rights: String,
}

impl Session {
    pub fn new(name: String, rights: Rights) -> Self {
        Self { name, rights: rights.to_string() }
    }

    /// What they may do.
    pub fn rights(&self) -> Rights {
        Rights::parse(&self.rights).unwrap_or(Rights::NONE)
    }
}

/// What is in a cookie, and until when it is good.
#[derive(Serialize, Deserialize)]
struct Dated<T> {
    until: Millis,
    #[serde(flatten)]
    content: T,
}

/// What makes and reads the cookies. All processes that have the same secret take each other's.
pub(super) struct Seal {
    key: [u8; 64],
    is_secure: bool,
}

impl Seal {
    /// With a key that is derived from a secret by HKDF-SHA256, as the keys of the secret of events are (docs/http.md), for the
    /// purpose `session`. The cookies are for https alone if the dashboard is.
    pub fn new(secret: &[u8], is_secure: bool) -> Self {
        let mut key = [0; 64];
        let expanded = Hkdf::<Sha256>::new(Some(b"faas-flow 1"), secret).expand(b"session", &mut key);
        expanded.unwrap_or_else(|_| unreachable!("HKDF-SHA256 expands to 8,160 bytes"));
        Self { key, is_secure }
    }

    /// A `Set-Cookie` with this content.
    pub fn set(&self, cookie: Cookie, content: &impl Serialize, now: Millis) -> Option<HeaderValue> {
        let lifetime = cookie.lifetime();
        let until = now.saturating_add(Millis::try_from(lifetime.as_millis()).unwrap_or(Millis::MAX));
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Dated { until, content }).ok()?);
        let mac = base16ct::lower::encode_string(&self.mac(cookie, &text).finalize().into_bytes());
        self.header(cookie, &format!("{text}.{mac}"), lifetime.as_secs())
    }

    /// A `Set-Cookie` that removes it.
    pub fn clear(&self, cookie: Cookie) -> Option<HeaderValue> {
        self.header(cookie, "", 0)
    }

    fn header(&self, cookie: Cookie, value: &str, seconds: u64) -> Option<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = cookie.name(self.is_secure);
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }

    /// What is in the cookie of a request, unless it is forged or has expired.
    pub fn open<T: DeserializeOwned>(&self, cookie: Cookie, headers: &HeaderMap, now: Millis) -> Option<T> {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let name = cookie.name(self.is_secure);
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (text, mac) = pairs.find(|(given, _)| *given == name)?.1.split_once('.')?;
        self.mac(cookie, text).verify_slice(&base16ct::lower::decode_vec(mac).ok()?).ok()?;
        let dated: Dated<T> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (dated.until > now).then_some(dated.content)
    }

    fn mac(&self, cookie: Cookie, text: &str) -> Hmac<Sha256> {
        // An HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(cookie.name(false).as_bytes());
        mac.update(b"\n");
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set: &HeaderValue) -> HeaderMap {
        let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        [(header::COOKIE, format!("a=b; {pair}").parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_session_is_good_wherever_the_secret_is_the_same_until_it_expires() {
        let (seal, replica, other) = (Seal::new(b"s3cret", true), Seal::new(b"s3cret", true), Seal::new(b"x", true));
        let session = Session::new("alice".to_owned(), Rights::parse("control").unwrap());
        let set = seal.set(Cookie::Session, &session, 1_000).unwrap();
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-") && text.ends_with("HttpOnly; SameSite=Lax; Secure"), "{text}");
        let open = |seal: &Seal, now| seal.open::<Session>(Cookie::Session, &sent(&set), now);
        assert_eq!(open(&replica, 2_000), Some(session.clone()));
        assert_eq!(session.rights(), Rights::parse("see,control").unwrap());
        assert_eq!(open(&other, 2_000), None);
        assert_eq!(open(&seal, 1_000 + 8 * 60 * 60 * 1000), None);
        assert_eq!(seal.open::<Session>(Cookie::SignIn, &sent(&set), 2_000), None);
    }

    #[test]
    fn a_forged_cookie_is_none() {
        let seal = Seal::new(b"s3cret", false);
        let set = seal.set(Cookie::Session, &Session::new("alice".to_owned(), Rights::NONE), 0).unwrap();
        let good = set.to_str().unwrap().split(';').next().unwrap();
        let forged = URL_SAFE_NO_PAD.encode(r#"{"until":99999999999999,"name":"bob","rights":"control"}"#);
        let mac = good.split_once('.').unwrap().1;
        for bad in
            [format!("faasflow-session={forged}.{mac}"), good[..good.len() - 2].to_owned(), "faasflow-session=".into()]
        {
            let headers = [(header::COOKIE, bad.parse().unwrap())].into_iter().collect();
            assert_eq!(seal.open::<Session>(Cookie::Session, &headers, 1), None, "{bad}");
        }
    }
}

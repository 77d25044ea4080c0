//! Who sees the dashboard, and which forms are its own.

use super::error::Error;
use super::oidc::{OidcSettings, Provider};
use super::sealed::{Cookie, Seal, Session};
use super::sign_in::SignIn;
use crate::access::{Caller, Entrance, Head, Proxies, SEE, need_of_page, now};
use crate::{Admin, Error as HttpError, PayloadAccess, ResultAccess, Right};
use aws_lc_rs::rand;
use axum::http::{HeaderMap, Method, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faas_flow_core::run::Actor;
use faas_flow_core::{FlowName, RunId};
use faas_flow_replica::network::Network;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;

/// Those who have a token may see and change what its rights say. The browser asks for it as a password, with any user name.
/// Without one, they may see everything but data of nodes if results are open to everybody.
pub struct Access {
    admin: Admin,
    result_access: ResultAccess,
    /// Of which runs those with the right to it may see inputs and outputs of nodes.
    pub(super) payloads: PayloadAccess,
    proxies: Proxies,
    /// How people sign in, if there is a provider.
    pub(super) sign_in: Option<SignIn>,
    /// What the tickets of forms are made with.
    key: [u8; 64],
}

impl Access {
    /// Who may do what, and the key of the forms: all processes that have the same token take each other's. Without a token the
    /// key is a new one for each start.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn new(admin: Admin, result_access: ResultAccess, payloads: PayloadAccess) -> Result<Self, HttpError> {
        let mut key = [0; 64];
        match admin.token() {
            Some(token) => derive(token, &mut key),
            None => rand::fill(&mut key).map_err(|_| Error::NoRandomness)?,
        }
        Ok(Self { admin, result_access, payloads, proxies: Proxies::default(), sign_in: None, key })
    }

    /// Behind these proxies.
    #[must_use]
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// For people who may also sign in with this provider.
    #[must_use]
    pub fn with_sign_in(self, settings: OidcSettings, network: Arc<dyn Network>) -> Self {
        let seal = Seal::new(settings.client_secret.as_bytes(), settings.dashboard_url.scheme() == "https");
        Self { sign_in: Some(SignIn { provider: Provider::new(settings, network), seal }), ..self }
    }

    /// The name of who has signed in.
    pub(super) fn user(&self, headers: &HeaderMap) -> Option<String> {
        self.session(headers).filter(|_| !headers.contains_key(header::AUTHORIZATION)).map(|session| session.name)
    }

    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.sign_in.as_ref()?.seal.open(Cookie::Session, headers, now())
    }

    /// Who sends a request that was admitted.
    pub(super) fn actor(&self, head: Head<'_>) -> Result<Actor, HttpError> {
        self.proxies.actor(&self.caller(head.headers)?, head)
    }

    /// Admits a request for a page.
    pub(crate) fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), HttpError> {
        let needed = need_of_page(method, uri.path());
        // Versions are for operators only, as they are over HTTP.
        if self.result_access == ResultAccess::Open && method.is_safe() && needed == SEE {
            return Ok(());
        }
        self.require(headers, needed)
    }

    /// Admits somebody who has one of these rights.
    pub(super) fn require(&self, headers: &HeaderMap, rights: &'static [Right]) -> Result<(), HttpError> {
        self.caller(headers)?.require(rights)
    }

    /// Whether somebody has a right.
    pub(super) fn may(&self, headers: &HeaderMap, right: Right) -> bool {
        self.caller(headers).is_ok_and(|caller| caller.may(right))
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, HttpError> {
        match self.session(headers).filter(|_| !headers.contains_key(header::AUTHORIZATION)) {
            Some(session) => Ok(Caller::signed_in(&session.name, session.rights())),
            None => self.admin.caller(self.token(headers).as_deref(), Entrance::Pages),
        }
    }

    /// The token of a request.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<String> {
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(password)
    }

    /// What a form about a run or a flow carries, so that a form of another site is not taken for one of the dashboard's.
    pub(super) fn ticket(&self, about: About<'_>) -> String {
        base16ct::lower::encode_string(&self.mac(about).finalize().into_bytes())
    }

    pub(super) fn check(&self, about: About<'_>, ticket: &str) -> Result<(), Error> {
        let ticket = base16ct::lower::decode_vec(ticket).unwrap_or_default();
        self.mac(about).verify_slice(&ticket).map_err(|_| Error::ExpiredForm)
    }

    fn mac(&self, about: About<'_>) -> Hmac<Sha256> {
        // An HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        match about {
            About::Run(run) => mac.update(format!("run {run}").as_bytes()),
            About::Flow(flow) => mac.update(format!("flow {flow}").as_bytes()),
            About::AllRuns => mac.update(b"all runs"),
        }
        mac
    }
}

/// Derives the key of forms from the token, by HKDF-SHA256 as the keys of the secret are (docs/http.md), for the purpose `form`.
fn derive(token: &str, key: &mut [u8; 64]) {
    let expanded = Hkdf::<Sha256>::new(Some(b"faas-flow 1"), token.as_bytes()).expand(b"form", key);
    expanded.unwrap_or_else(|_| unreachable!("HKDF-SHA256 expands to 8,160 bytes"));
}

/// What a form is about.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    Run(&'a RunId),
    Flow(&'a FlowName),
    AllRuns,
}

/// The password of `Basic`, or the token of `Bearer`.
fn password(value: &str) -> Option<String> {
    let (scheme, given) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(given.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(given.trim()).ok()?).ok()?;
            Some(pair.split_once(':')?.1.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NamedToken, Rights, TokenHash, Tokens};
    use faas_flow_core::Code;

    #[test]
    fn the_token_is_the_password() {
        let asked = |admin: Admin, access, method, value: Option<&str>| {
            let headers = value.map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            Access::new(admin, access, PayloadAccess::default())
                .unwrap()
                .admit(&method, &Uri::from_static("/"), &headers.into_iter().collect())
                .map_err(|error| error.code())
        };
        let admit = |admin, value: Option<&str>| asked(admin, ResultAccess::WithId, Method::GET, value);
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let token = || Admin::Tokens(Tokens::new(Some("s3cret".into()), Vec::new()).into());
        for right in [basic("admin:s3cret"), basic(":s3cret"), "Bearer s3cret".to_owned()] {
            assert_eq!(admit(token(), Some(&right)), Ok(()), "{right}");
        }
        for wrong in [basic("s3cret:"), basic("s3cret"), "Basic s3cret".to_owned(), "s3cret".to_owned()] {
            assert_eq!(admit(token(), Some(&wrong)), Err(Code::TOKEN_NEEDED), "{wrong}");
        }
        assert_eq!(admit(token(), None), Err(Code::TOKEN_NEEDED));
        assert_eq!(admit(Admin::Nobody, Some("Bearer ")), Err(Code::TOKEN_NEEDED));
        assert_eq!(admit(Admin::Anybody, None), Ok(()));
        assert_eq!(asked(token(), ResultAccess::Open, Method::GET, None), Ok(()));
        assert_eq!(asked(token(), ResultAccess::Open, Method::POST, None), Err(Code::TOKEN_NEEDED));
        assert_eq!(asked(token(), ResultAccess::Signed, Method::GET, None), Err(Code::TOKEN_NEEDED));
    }

    #[test]
    fn a_viewer_sees_and_does_not_change() {
        let viewer = NamedToken::new("viewer", Rights::parse("see").unwrap(), TokenHash::of("look"), None).unwrap();
        let admin = Admin::Tokens(Tokens::new(None, vec![viewer]).into());
        let access = Access::new(admin, ResultAccess::WithId, PayloadAccess::default()).unwrap();
        let headers = [(header::AUTHORIZATION, "Bearer look".parse().unwrap())].into_iter().collect();
        let page = Uri::from_static("/runs/r");
        let code = |admitted: Result<(), HttpError>| admitted.map_err(|error| error.code());
        assert_eq!(code(access.admit(&Method::GET, &page, &headers)), Ok(()));
        assert_eq!(code(access.admit(&Method::POST, &page, &headers)), Err(Code::RIGHT_MISSING));
        assert_eq!(code(access.require(&headers, &[Right::SeePayloads])), Err(Code::RIGHT_MISSING));
        assert!(!access.may(&headers, Right::Control) && access.may(&headers, Right::See));
    }

    #[test]
    fn a_ticket_is_good_for_one_run_or_flow_wherever_the_token_is_the_same() {
        let new = |admin| Access::new(admin, ResultAccess::WithId, PayloadAccess::default()).unwrap();
        let token = |token: &str| Admin::Tokens(Tokens::new(Some(token.to_owned()), Vec::new()).into());
        let (access, other) = (new(token("s3cret")), new(token("another")));
        let (replica, without, alone) = (new(token("s3cret")), new(Admin::Anybody), new(Admin::Anybody));
        let (run, another, flow) = (RunId::new("r1").unwrap(), RunId::new("r2").unwrap(), FlowName::new("r1").unwrap());
        let ticket = access.ticket(About::Run(&run));
        assert!(access.check(About::Run(&run), &ticket).is_ok());
        assert!(access.check(About::Run(&another), &ticket).is_err());
        assert!(access.check(About::Flow(&flow), &ticket).is_err());
        assert!(replica.check(About::Run(&run), &ticket).is_ok());
        for other in [&other, &without] {
            assert!(other.check(About::Run(&run), &ticket).is_err());
        }
        let ticket_without = without.ticket(About::Run(&run));
        assert!(without.check(About::Run(&run), &ticket_without).is_ok());
        assert!(alone.check(About::Run(&run), &ticket_without).is_err());
        for bad in ["", "zz", &ticket[..ticket.len() - 2]] {
            assert!(access.check(About::Run(&run), bad).is_err(), "{bad}");
        }
    }
}

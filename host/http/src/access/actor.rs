//! Who asks for something, from where, and why: for histories and the audit log.

use super::caller::Caller;
use crate::error::Error;
use crate::headers::header;
use crate::request::Query;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, Uri};
use faas_flow_core::run::Actor;
use faas_flow_gateway::Peer;
use ipnet::IpNet;
use std::net::IpAddr;

/// Why something is asked for.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-faas-flow-reason");
/// On whose behalf a bearer of the admin token asks, and from where they did.
pub(crate) const USER: HeaderName = HeaderName::from_static("x-faas-flow-user");
pub(crate) const FROM: HeaderName = HeaderName::from_static("x-faas-flow-from");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const LONGEST_NAME: usize = 200;
const LONGEST_REASON: usize = 1000;

/// The proxies in front of the server that say truly for whom they ask.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Vec<IpNet>,
    /// The header in which they name the user.
    pub user_header: Option<HeaderName>,
}

/// What a request says besides its body.
#[derive(Clone, Copy)]
pub(crate) struct Head<'r> {
    pub headers: &'r HeaderMap,
    pub extensions: &'r Extensions,
    pub uri: &'r Uri,
}

impl<'r> From<&'r Parts> for Head<'r> {
    fn from(Parts { headers, extensions, uri, .. }: &'r Parts) -> Self {
        Self { headers, extensions, uri }
    }
}

impl<'r> From<&'r Request> for Head<'r> {
    fn from(request: &'r Request) -> Self {
        Self { headers: request.headers(), extensions: request.extensions(), uri: request.uri() }
    }
}

impl Proxies {
    /// Who sends a request. Those who have the admin token may say for whom they ask, and so may everybody where nobody needs a
    /// token.
    pub(crate) fn actor(&self, caller: &Caller, head: Head<'_>) -> Result<Actor, Error> {
        let Head { headers, extensions, uri } = head;
        let query = Query::parse(uri.query().unwrap_or_default());
        let peer = extensions.get().map(|Peer(address)| address.ip().to_canonical());
        let is_proxy = peer.is_some_and(|peer| self.trusts(peer));
        let mut from = if is_proxy { self.forwarded(headers).or(peer) } else { peer };
        let of_proxy = self.user_header.clone().filter(|_| is_proxy).and_then(|name| header(headers, name));
        let named = line("the user's name", of_proxy, LONGEST_NAME)?;
        let (who, via) = if let Some(name) = named {
            (Some(name), Some("proxy"))
        } else if caller.speaks_for_others() {
            let said = header(headers, USER).or_else(|| query.first("who").map(str::to_owned));
            if caller.name().is_some()
                && let Some(address) = header(headers, FROM).and_then(|address| address.parse().ok())
            {
                from = Some(address);
            }
            let said = line("who", said, LONGEST_NAME)?;
            (said.or_else(|| caller.name().map(str::to_owned)), caller.via())
        } else {
            (caller.name().map(str::to_owned), caller.via())
        };
        let said = ["reason", "message"].into_iter().find_map(|name| query.first(name)).map(str::to_owned);
        let reason = line("reason", header(headers, REASON).or(said), LONGEST_REASON)?;
        Ok(Actor { who, via: via.map(str::to_owned), from: from.map(|from| from.to_string()), reason })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(&address))
    }

    /// The address that a trusted proxy has seen: of those that proxies have added one after another, the last one that is not a
    /// trusted proxy's.
    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let addresses: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let known = addresses.iter().rev().map_while(|address| address.parse::<IpAddr>().ok());
        let mut known = known.map(|address| address.to_canonical());
        known.find(|address| !self.trusts(*address))
    }
}

/// Text that must fit on a line; empty text is none.
pub(crate) fn line(name: &'static str, text: Option<String>, longest: usize) -> Result<Option<String>, Error> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > longest || text.chars().any(char::is_control) {
        return Err(Error::BadParameter {
            name,
            rule: "one line: a name of at most 200 bytes, a reason of at most 1,000",
        });
    }
    Ok(Some(text))
}

/// A reason from the field of a form.
pub(crate) fn reason(text: &str) -> Result<Option<String>, Error> {
    line("reason", Some(text.to_owned()), LONGEST_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Admin, Entrance, NamedToken, Rights, TokenHash, Tokens};
    use axum::body::Body;
    use faas_flow_core::Code;

    fn asked(proxies: &Proxies, token: &str, headers: &[(&str, &str)], query: &str) -> Result<Actor, Error> {
        let alice = NamedToken::new("alice", Rights::ALL, TokenHash::of("a"), None).unwrap();
        let admin = Admin::Tokens(Tokens::new(Some("root".to_owned()), vec![alice]).into());
        let caller = admin.caller(Some(token), Entrance::Routes).unwrap();
        let mut request = Request::builder().uri(format!("/flow/r/stop?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer("10.0.0.1:7".parse().unwrap()));
        proxies.actor(&caller, Head::from(&request))
    }

    fn actor(who: &str, via: &str, from: &str, reason: Option<&str>) -> Actor {
        let some = |text: &str| Some(text.to_owned());
        Actor { who: some(who), via: some(via), from: some(from), reason: reason.map(str::to_owned) }
    }

    #[test]
    fn a_token_with_a_name_speaks_for_nobody_else() {
        let claims = [("x-faas-flow-user", "bob"), ("x-faas-flow-from", "9.9.9.9"), ("x-forwarded-for", "8.8.8.8")];
        let none = Proxies::default();
        let alice = asked(&none, "a", &claims, "who=bob&reason=too+slow").unwrap();
        assert_eq!(alice, actor("alice", "token", "10.0.0.1", Some("too slow")));
        let admin = asked(&none, "root", &claims, "message=because").unwrap();
        assert_eq!(admin, actor("bob", "admin-token", "9.9.9.9", Some("because")));
        assert_eq!(asked(&none, "root", &[], "").unwrap(), actor("admin", "admin-token", "10.0.0.1", None));
    }

    #[test]
    fn a_proxy_is_believed_only_if_it_is_trusted() {
        let user_header = Some(HeaderName::from_static("x-user"));
        let headers = [("x-user", "carol"), ("x-forwarded-for", "6.6.6.6, 7.7.7.7, 10.0.0.2")];
        let trusting =
            |range: &str| Proxies { trusted: vec![range.parse().unwrap()], user_header: user_header.clone() };
        let carol = asked(&trusting("10.0.0.0/8"), "a", &headers, "").unwrap();
        assert_eq!(carol, actor("carol", "proxy", "7.7.7.7", None));
        let alice = asked(&trusting("192.168.0.0/16"), "a", &headers, "").unwrap();
        assert_eq!(alice, actor("alice", "token", "10.0.0.1", None));
    }

    #[test]
    fn a_reason_fits_on_a_line() {
        let long = format!("reason={}", "x".repeat(1001));
        for bad in [long.as_str(), "reason=a%0Ab"] {
            assert_eq!(asked(&Proxies::default(), "a", &[], bad).unwrap_err().code(), Code::BAD_REQUEST, "{bad}");
        }
    }
}

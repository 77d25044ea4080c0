//! Where requests may go whose URL the operator has not chosen: a flow's `request`, and callbacks.

use super::ranges::{self, canonical};
use faas_flow_core::redact;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use url::{Host, Url};

/// Who chose the URL of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// The operator, for what the host or a command asks on its own behalf: the gateway's queue, a collector of traces, another
    /// server. It may be anywhere.
    Operator,
    /// The operator, for a function that a flow calls through the gateway, which may be anywhere.
    Gateway,
    /// The operator, for a function that a flow calls at an address of its own, which may be anywhere.
    Function,
    /// A flow, in a `request`.
    Flow,
    /// A caller, who wants to be called back.
    Caller,
}

impl ChosenBy {
    /// A URL as errors, logs and traces name it. The path of a callback may be secret, too.
    pub(crate) fn shown(self, url: &str) -> String {
        match self {
            ChosenBy::Caller => redact::origin(url),
            ChosenBy::Operator | ChosenBy::Gateway | ChosenBy::Function | ChosenBy::Flow => redact::place(url),
        }
    }
}

/// Where requests may go that flows and callers choose.
#[derive(Debug, Clone)]
pub struct Destinations {
    /// For `request` operations: the key `request_hosts`. By default any host.
    pub requests: Rules,
    /// For callbacks: the key `callback_hosts`. By default none.
    pub callbacks: Rules,
}

impl Destinations {
    /// The rules with these hosts and refused addresses. If no host is listed, a flow may call any, and nobody is called back.
    pub fn new(request_hosts: Vec<HostPattern>, callback_hosts: Vec<HostPattern>, denied: Vec<IpNet>) -> Self {
        let denied: Arc<[IpNet]> = denied.into();
        let any = || vec![HostPattern { place: Place::Any, port: None }];
        let request_hosts = if request_hosts.is_empty() { any() } else { request_hosts };
        Self {
            requests: Rules { key: "request_hosts", hosts: request_hosts.into(), denied: denied.clone() },
            callbacks: Rules { key: "callback_hosts", hosts: callback_hosts.into(), denied },
        }
    }
}

impl Default for Destinations {
    /// Those of a deployed function whose operator has configured nothing.
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new(), ranges::SPECIAL.to_vec())
    }
}

/// Which hosts may be called, and at which addresses.
#[derive(Debug, Clone)]
pub struct Rules {
    key: &'static str,
    hosts: Arc<[HostPattern]>,
    denied: Arc<[IpNet]>,
}

/// Why a request was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The host is not among those that are allowed.
    #[error("{host} is not among the hosts that {key} allows; add it to {key} to allow it")]
    Host {
        /// The host and its port.
        host: String,
        /// The key with the allowed hosts.
        key: &'static str,
    },
    /// The host's address is refused.
    #[error(
        "{host} has the address {address}, which is in {range} and refused by denied_addresses; add the address to {key} \
         to allow it"
    )]
    Address {
        /// The host and its port.
        host: String,
        /// The address, or one of several that are all refused.
        address: IpAddr,
        /// The range of `denied_addresses` with it.
        range: IpNet,
        /// The key with the allowed hosts.
        key: &'static str,
    },
}

impl Rules {
    /// Checks the host of a URL. If it is a name, its addresses are checked when a connection is made: see
    /// `connection`.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        let Some((host, port)) = url.host().zip(url.port_or_known_default()) else {
            return Err(Refused::Host { host: "a URL without a host".to_owned(), key: self.key });
        };
        let shown = || shown(&host, port);
        if !self.hosts.iter().any(|pattern| pattern.matches(&host, port)) {
            return Err(Refused::Host { host: shown(), key: self.key });
        }
        let address = match &host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
        };
        let refused = self.connection(port).refuses(address);
        refused.map_or(Ok(()), |range| Err(Refused::Address { host: shown(), address, range, key: self.key }))
    }

    /// Which addresses may be connected to at this port.
    pub(super) fn connection(&self, port: u16) -> Connection {
        if self.denied.is_empty() {
            return Connection::default();
        }
        let lifted = self.hosts.iter().filter(|pattern| pattern.takes(port));
        let lifted =
            lifted.filter_map(|pattern| if let Place::Range(range) = pattern.place { Some(range) } else { None });
        Connection { denied: self.denied.clone(), lifted: lifted.collect() }
    }

    /// The error about a name that resolves to this address.
    pub(super) fn refusal(&self, url: &Url, address: IpAddr, range: IpNet) -> Refused {
        let host = url.host().zip(url.port_or_known_default()).map(|(host, port)| shown(&host, port));
        Refused::Address { host: host.unwrap_or_default(), address, range, key: self.key }
    }
}

fn shown(host: &Host<&str>, port: u16) -> String {
    format!("{host}:{port}")
}

/// Which addresses may be connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    denied: Arc<[IpNet]>,
    /// Ranges that the operator allows although they are denied.
    lifted: Vec<IpNet>,
}

impl Connection {
    /// The range because of which this address must not be connected to. An IPv6 address that stands for one of IPv4 is
    /// treated as both.
    pub(super) fn refuses(&self, address: IpAddr) -> Option<IpNet> {
        let forms = canonical(address);
        let contains = |range: &&IpNet| forms.iter().any(|form| range.contains(form));
        let denied = self.denied.iter().find(contains)?;
        if self.lifted.iter().any(|range| contains(&range)) { None } else { Some(*denied) }
    }
}

/// A host, or several, as the operator writes them: `example.com`, `*.example.com`, `10.0.0.7`, `10.0.0.0/8`, `[fd00::1]` or
/// `*`, each optionally with `:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    place: Place,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Any,
    Name(String),
    /// All names that end with this, which begins with a dot.
    Below(String),
    Range(IpNet),
}

impl HostPattern {
    fn takes(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }

    fn matches(&self, host: &Host<&str>, port: u16) -> bool {
        let name = |host: &str| host.trim_end_matches('.').to_ascii_lowercase();
        let in_range = |range: &IpNet, address: IpAddr| canonical(address).iter().any(|form| range.contains(form));
        self.takes(port)
            && match (&self.place, host) {
                (Place::Any, _) => true,
                (Place::Name(only), Host::Domain(host)) => name(host) == *only,
                (Place::Below(end), Host::Domain(host)) => {
                    name(host).strip_suffix(end).is_some_and(|rest| !rest.is_empty())
                }
                (Place::Range(range), Host::Ipv4(address)) => in_range(range, (*address).into()),
                (Place::Range(range), Host::Ipv6(address)) => in_range(range, (*address).into()),
                _ => false,
            }
    }
}

/// What a [`HostPattern`] must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be names (example.com, *.example.com), addresses, ranges (10.0.0.0/8) or *, each optionally with :PORT")]
pub struct BadHost;

impl FromStr for HostPattern {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| BadHost);
        if let Some(bracketed) = text.strip_prefix('[') {
            let (inside, rest) = bracketed.split_once(']').ok_or(BadHost)?;
            let range = range(inside).filter(|range| matches!(range, IpNet::V6(_))).ok_or(BadHost)?;
            let port = rest.strip_prefix(':').map(port).transpose()?;
            return if port.is_none() && !rest.is_empty() {
                Err(BadHost)
            } else {
                Ok(Self { place: Place::Range(range), port })
            };
        }
        if let Some(range) = range(text) {
            return Ok(Self { place: Place::Range(range), port: None });
        }
        let (place, port) = match text.split_once(':') {
            Some((place, text)) => (place, Some(port(text)?)),
            None => (text, None),
        };
        let place = match (range(place), place.strip_prefix("*.")) {
            (Some(range), _) => Place::Range(range),
            (None, Some(name)) => Place::Below(format!(".{}", domain(name)?)),
            (None, None) if place == "*" => Place::Any,
            (None, None) => Place::Name(domain(place)?),
        };
        Ok(Self { place, port })
    }
}

/// A range, or an address as the range that has only it.
pub fn range(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().map(|range| range.trunc()).ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok())
}

/// A name in the form that the URL standard gives it.
fn domain(text: &str) -> Result<String, BadHost> {
    match Host::parse(text) {
        Ok(Host::Domain(name)) if !name.contains('*') => Ok(name.trim_end_matches('.').to_owned()),
        _ => Err(BadHost),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Any => f.write_str("*")?,
            Place::Name(name) => f.write_str(name)?,
            Place::Below(end) => write!(f, "*{end}")?,
            Place::Range(range @ IpNet::V6(_)) => write!(f, "[{range}]")?,
            Place::Range(range) => write!(f, "{range}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> Rules {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        Destinations::new(hosts, Vec::new(), ranges::SPECIAL.to_vec()).requests
    }

    fn checked(hosts: &[&str], url: &str) -> Result<(), Refused> {
        rules(hosts).check(&Url::parse(url).unwrap())
    }

    #[test]
    fn patterns_are_names_addresses_and_ranges_with_ports() {
        for (text, shown) in [
            ("*", "*"),
            ("*:443", "*:443"),
            ("Hooks.Example.", "hooks.example"),
            ("*.example.com:8080", "*.example.com:8080"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("10.0.0.7", "10.0.0.7/32"),
            ("10.1.2.3/8:80", "10.0.0.0/8:80"),
            ("::1", "[::1/128]"),
            ("[fd00::/8]:80", "[fd00::/8]:80"),
        ] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), shown, "{text}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a:b",
            "a:99999",
            "http://a",
            "a/b",
            "a.*",
            "*a",
            "0x7f.1",
            "10.0.0.0/33",
            "[::1",
            "[::1]x",
            "[a]",
            "a@b",
        ] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_listed_hosts_are_allowed_if_any_are_listed() {
        let listed = ["api.example:443", "*.svc.cluster.local", "10.0.0.0/8:80", "[fd00::7]"];
        for good in [
            "https://API.example/",
            "https://api.example./",
            "http://wc.openfaas-fn.svc.cluster.local:8080/",
            "http://10.1.2.3/",
            "http://[::ffff:10.1.2.3]/",
            "http://[fd00::7]:1/",
        ] {
            assert_eq!(checked(&listed, good), Ok(()), "{good}");
        }
        for bad in [
            "http://api.example/",
            "https://api.example.evil/",
            "https://xapi.example/",
            "http://svc.cluster.local/",
            "http://10.1.2.3:81/",
            "http://11.1.2.3/",
            "http://[fd00::8]/",
        ] {
            assert!(matches!(checked(&listed, bad), Err(Refused::Host { key: "request_hosts", .. })), "{bad}");
        }
    }

    #[test]
    fn loopback_link_local_and_metadata_addresses_are_refused_in_every_spelling() {
        for bad in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://127。0。0。1/",
            "http://①②⑦.0.0.1/",
            "http://0/",
            "http://0.0.0.0/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0xa9fea9fe/",
            "http://[::]/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[::127.0.0.1]/",
            "http://[::ffff:0:127.0.0.1]/",
            "http://[64:ff9b::169.254.169.254]/",
            "http://[64:ff9b:1::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:1:2:3:4:80ff:fffe]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[ff02::1]/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
        ] {
            assert!(matches!(checked(&[], bad), Err(Refused::Address { .. })), "{bad}");
            assert!(checked(&["*"], bad).is_err(), "{bad}: `*` is any host, but not any address");
        }
        for good in [
            "http://10.0.0.7/",
            "http://192.168.1.1/",
            "http://[fd00::7]/",
            "http://9.9.9.9/",
            "http://[2606:4700::1]/",
        ] {
            assert_eq!(checked(&[], good), Ok(()), "{good}");
        }
        // A zone has no place in a URL: it is refused before there is a host to check.
        for zone in ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1%25lo]/"] {
            assert!(Url::parse(zone).is_err(), "{zone}");
        }
    }

    #[test]
    fn a_listed_address_is_allowed_although_it_is_denied() {
        let listed = ["*", "127.0.0.1:9000", "169.254.0.0/16"];
        for good in ["http://127.0.0.1:9000/", "http://[::ffff:127.0.0.1]:9000/", "http://169.254.169.254/"] {
            assert_eq!(checked(&listed, good), Ok(()), "{good}");
        }
        for bad in ["http://127.0.0.1/", "http://127.0.0.2:9000/", "http://[::1]:9000/"] {
            assert!(checked(&listed, bad).is_err(), "{bad}");
        }
        let error = checked(&listed, "http://0x7f.1:81/").unwrap_err().to_string();
        assert_eq!(
            error,
            "127.0.0.1:81 has the address 127.0.0.1, which is in 127.0.0.0/8 and refused by denied_addresses; add the address to \
             request_hosts to allow it"
        );
    }
}

//! Parses the address of a Redis.

use super::eviction::Eviction;
use crate::StoreError;
use crate::address::Address;
use ::redis::{ClientTlsConfig, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates};
use std::fmt;
use std::time::Duration;

/// Where a Redis is, and how to connect to it.
pub(super) struct Target {
    pub(super) kind: Kind,
    /// The hosts in the address, each with user, password and database.
    pub(super) nodes: Vec<ConnectionInfo>,
    /// What TLS needs, if the servers, or the sentinels, take it.
    pub(super) tls: Option<TlsCertificates>,
    /// Whether the servers take TLS.
    pub(super) secure: bool,
    pub(super) prefix: String,
    /// How long a command or a connection may take, including retries before the last try.
    pub(super) timeout: Duration,
    /// What to do about a server that may evict keys.
    pub(super) eviction: Eviction,
    /// The address without user and password, for messages.
    place: String,
}

pub(super) enum Kind {
    Single,
    /// The nodes are sentinels.
    Sentinel(Sentinels),
    Cluster,
}

/// How to ask sentinels. User and password of the servers are others, and are in the address of the nodes.
pub(super) struct Sentinels {
    /// The name by which they know the server.
    pub(super) master: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Whether they take TLS.
    pub(super) secure: bool,
}

const OPTIONS: [&str; 6] = ["prefix", "timeout_ms", "ca", "cert", "key", "eviction"];
/// The options that only sentinels have.
const OF_SENTINELS: [&str; 4] = ["master", "sentinel_user", "sentinel_password", "sentinel_tls"];

impl Target {
    /// Parses an address with the options that state and data have in common, and `more` that one of them has.
    pub(super) fn parse(address: &Address<'_>, more: &[&str]) -> Result<Self, StoreError> {
        let (secure, kind) = address.scheme.split_once('+').unwrap_or((address.scheme, ""));
        let kind = match kind {
            "sentinel" => Kind::Sentinel(Sentinels::parse(address, secure)?),
            _ if OF_SENTINELS.iter().any(|option| address.text(option).is_some()) => {
                return Err(address.bad(format!("{} are options of redis+sentinel", OF_SENTINELS.join(", "))));
            }
            "cluster" => Kind::Cluster,
            _ => Kind::Single,
        };
        let of_sentinels = if matches!(kind, Kind::Sentinel(_)) { &OF_SENTINELS[..] } else { &[] };
        address.knows(&[&OPTIONS, of_sentinels, more].concat())?;
        let (user, rest) = address.place.rsplit_once('@').map_or(("", address.place), |(user, rest)| (user, rest));
        let (hosts, db) = rest.split_once('/').unwrap_or((rest, ""));
        let rule = || {
            let example = "[user:password@]host:port[/database]";
            address
                .bad(format!("use {}://{example}; sentinels and clusters take several hosts: a:1,b:2", address.scheme))
        };
        let of_nodes = match &kind {
            Kind::Sentinel(Sentinels { secure: true, .. }) => "rediss",
            Kind::Sentinel(_) => "redis",
            _ => secure,
        };
        let node = |host: &str| {
            let at = if user.is_empty() { "" } else { "@" };
            let info = format!("{of_nodes}://{user}{at}{host}/{db}").into_connection_info().map_err(|_| rule())?;
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            Ok(info.set_redis_settings(settings))
        };
        let nodes: Vec<ConnectionInfo> = hosts.split(',').map(node).collect::<Result<_, StoreError>>()?;
        if hosts.is_empty() || (matches!(kind, Kind::Single) && nodes.len() > 1) {
            return Err(rule());
        }
        let prefix = address.text("prefix").unwrap_or_else(|| "ff:".into());
        if prefix.contains(['{', '}']) {
            return Err(
                address.bad("prefix must not contain braces, which decide about the place of a key in a cluster")
            );
        }
        let eviction = match address.text("eviction").as_deref() {
            None | Some("refuse") => Eviction::Refuse,
            Some("allow") => Eviction::Allow,
            Some(_) => return Err(address.bad("eviction must be refuse or allow")),
        };
        let timeout = address.millis("timeout_ms")?.unwrap_or(Duration::from_secs(5));
        let place = format!("{}://{rest}", address.scheme);
        let secure = secure == "rediss";
        let any_secure = secure || matches!(&kind, Kind::Sentinel(sentinels) if sentinels.secure);
        Ok(Self { kind, nodes, tls: tls(address, any_secure)?, secure, prefix, timeout, eviction, place })
    }
}

impl Sentinels {
    fn parse(address: &Address<'_>, scheme: &str) -> Result<Self, StoreError> {
        let master = address.text("master");
        let missing = || address.bad("add master=NAME, the name by which the sentinels know the server");
        let [user, password] = ["sentinel_user", "sentinel_password"].map(|option| address.text(option));
        if user.is_some() && password.is_none() {
            return Err(address.bad("sentinel_user needs sentinel_password"));
        }
        let secure = address.choice("sentinel_tls", &[("on", true), ("off", false)])?;
        Ok(Self { master: master.ok_or_else(missing)?, user, password, secure: secure.unwrap_or(scheme == "rediss") })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

fn tls(address: &Address<'_>, secure: bool) -> Result<Option<TlsCertificates>, StoreError> {
    let read = |option: &str| {
        let path = address.text(option);
        let bytes = path.map(|path| std::fs::read(&path).map_err(|error| (path, error))).transpose();
        bytes.map_err(|(path, error)| address.bad(format!("{option} must be a readable file: {path}: {error}")))
    };
    let (root_cert, cert, key) = (read("ca")?, read("cert")?, read("key")?);
    let client_tls = match (cert, key) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(address.bad("cert and key must be given together")),
    };
    match (secure, root_cert, client_tls) {
        (true, root_cert, client_tls) => Ok(Some(TlsCertificates { client_tls, root_cert })),
        (false, None, None) => Ok(None),
        _ => Err(address.bad("ca, cert and key need TLS: use rediss, or sentinel_tls=on for the sentinels alone")),
    }
}

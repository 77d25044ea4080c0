//! The connection to the servers, and what their errors mean.

use crate::StoreError;
use crate::address::Address;
use etcd_client::{Certificate, Client, ConnectOptions, Error, GetOptions, Identity, KeyValue, TlsOptions};
use etcd_client::{KvClient, Txn, TxnResponse};
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// So many keys in one answer.
const PAGE: usize = 1_000;

/// The servers. Every call ends within the time limit.
pub(super) struct Servers {
    client: Client,
    place: String,
    timeout: Duration,
    tries: usize,
}

/// How a call went wrong, as far as that matters here.
pub(super) enum Trouble {
    /// The revision that was to be read has been compacted away: read a newer one.
    Compacted,
    Store(StoreError),
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => error,
            Trouble::Compacted => {
                StoreError::Unavailable { place: "etcd".into(), reason: "it compacts away what is being read".into() }
            }
        }
    }
}

impl Servers {
    pub(super) async fn connect(address: &Address<'_>) -> Result<Self, StoreError> {
        let (user, hosts) =
            address.place.rsplit_once('@').map_or((None, address.place), |(user, hosts)| (Some(user), hosts));
        let hosts: Vec<&str> = hosts.split(',').collect();
        let valid = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if hosts.iter().any(|host| host.is_empty() || !host.chars().all(valid)) {
            return Err(address.bad(format!("use {}://HOST:PORT,HOST:PORT", address.scheme)));
        }
        let timeout = address.millis("timeout_ms")?.unwrap_or(Duration::from_secs(5));
        let mut options = ConnectOptions::new()
            .with_connect_timeout(timeout)
            .with_tcp_keepalive(Duration::from_secs(15))
            .with_keep_alive(Duration::from_secs(10), timeout)
            .with_keep_alive_while_idle(false)
            .with_auto_token_refresh(true);
        if let Some((user, password)) = user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            let plain = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            options = options.with_user(plain(user), plain(password));
        }
        let scheme = match address.scheme {
            "etcds" => {
                options = options.with_tls(tls(address).await?);
                "https"
            }
            _ => "http",
        };
        let endpoints: Vec<String> = hosts.iter().map(|host| format!("{scheme}://{host}")).collect();
        let place = format!("{}://{}", address.scheme, hosts.join(","));
        // The servers take turns, and one that is down does not say so before its turn.
        let tries = if hosts.len() == 1 { 1 } else { hosts.len() * 4 };
        let connect = || {
            let (endpoints, options) = (endpoints.clone(), options.clone());
            async move { Client::connect(endpoints, Some(options)).await }
        };
        match ask(&place, timeout, tries, connect).await {
            Ok(client) => Ok(Self { client, place, timeout, tries }),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn corrupt(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { place: self.place.clone(), reason: reason.into() }
    }

    pub(super) fn unavailable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unavailable { place: self.place.clone(), reason: reason.into() }
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<TxnResponse, Trouble> {
        let call = |mut kv: KvClient| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        };
        ask(&self.place, self.timeout, self.tries, || call(self.kv())).await
    }

    fn kv(&self) -> KvClient {
        // An answer is as large as what was asked for; the default limit is 4 MiB.
        self.client.kv_client().max_decoding_message_size(i32::MAX as usize)
    }

    /// The pairs in a range as they are now, or as they were at a revision; and the revision.
    pub(super) async fn page(
        &self,
        (from, end): (&[u8], &[u8]),
        limit: usize,
        revision: i64,
    ) -> Result<(Vec<KeyValue>, i64), Trouble> {
        let limit = i64::try_from(limit.min(PAGE)).unwrap_or(i64::MAX);
        let options = GetOptions::new().with_range(end).with_limit(limit).with_revision(revision);
        let call = |mut kv: KvClient| {
            let (from, options) = (from.to_vec(), options.clone());
            async move { kv.get(from, Some(options)).await }
        };
        let mut found = ask(&self.place, self.timeout, self.tries, || call(self.kv())).await?;
        let revision = if revision == 0 { found.header().map_or(0, |header| header.revision()) } else { revision };
        Ok((found.take_kvs(), revision))
    }

    /// The first pairs in a range, as they were at one moment.
    pub(super) async fn range(&self, from: &[u8], end: &[u8], limit: usize) -> Result<Vec<KeyValue>, StoreError> {
        // A compaction during a read is rare, and two of them in a row are a mistake of somebody.
        for _ in 0..3 {
            match self.range_once(from, end, limit).await {
                Err(Trouble::Compacted) => {}
                found => return Ok(found?),
            }
        }
        Err(self.unavailable("it compacts away what is being read"))
    }

    async fn range_once(&self, from: &[u8], end: &[u8], limit: usize) -> Result<Vec<KeyValue>, Trouble> {
        let (mut found, mut from, mut revision) = (Vec::new(), from.to_vec(), 0);
        while found.len() < limit {
            let wanted = limit - found.len();
            let (page, at) = self.page((&from, end), wanted, revision).await?;
            revision = at;
            let full = page.len() == wanted.min(PAGE);
            found.extend(page);
            match found.last() {
                Some(last) if full => from = super::keys::after(last.key()),
                _ => break,
            }
        }
        Ok(found)
    }
}

/// Calls until something else comes than that a server is down.
async fn ask<T, Call>(place: &str, timeout: Duration, tries: usize, call: impl Fn() -> Call) -> Result<T, Trouble>
where
    Call: Future<Output = Result<T, Error>>,
{
    let calls = async {
        for _ in 1..tries {
            match call().await {
                Err(error) if never_sent(&error) => {}
                answer => return answer,
            }
        }
        call().await
    };
    match tokio::time::timeout(timeout, calls).await {
        Ok(answer) => answer.map_err(|error| meaning(place, error)),
        Err(_) => {
            let reason = format!("nothing came within timeout_ms={}", timeout.as_millis());
            Err(Trouble::Store(StoreError::Unavailable { place: place.to_owned(), reason }))
        }
    }
}

/// Whether no server got what was sent, so that another one may get it.
fn never_sent(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status) if status.message().contains("connect error"))
}

async fn tls(address: &Address<'_>) -> Result<TlsOptions, StoreError> {
    let mut tls = TlsOptions::new().with_enabled_roots();
    if let Some(ca) = pem(address, "ca").await? {
        tls = tls.ca_certificate(Certificate::from_pem(ca));
    }
    match (pem(address, "cert").await?, pem(address, "key").await?) {
        (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(cert, key))),
        (None, None) => Ok(tls),
        _ => Err(address.bad("cert and key go together")),
    }
}

async fn pem(address: &Address<'_>, option: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(path) = address.text(option) else { return Ok(None) };
    let read = tokio::fs::read(&path).await;
    read.map(Some).map_err(|error| address.bad(format!("{option} must be a readable PEM file: {path}: {error}")))
}

fn meaning(place: &str, error: Error) -> Trouble {
    let place = place.to_owned();
    let Error::GRpcStatus(status) = &error else {
        return Trouble::Store(StoreError::Unavailable { place, reason: told(&error) });
    };
    let message = status.message();
    let told_of = |text| message.contains(text);
    Trouble::Store(if told_of("revision has been compacted") {
        return Trouble::Compacted;
    } else if told_of("too many operations") {
        let remedy = "raise --max-txn-ops of the etcd servers".into();
        StoreError::TooLarge { place, reason: "it has too many operations".into(), remedy }
    } else if told_of("request is too large") || told_of("larger than max") {
        let remedy = "raise --max-request-bytes of the etcd servers".into();
        StoreError::TooLarge { place, reason: "it has too many bytes".into(), remedy }
    } else if told_of("database space exceeded") {
        StoreError::Full { place }
    } else if ["permission denied", "authentication failed", "user name", "invalid auth token"].into_iter().any(told_of)
    {
        StoreError::Denied { place, reason: message.to_owned() }
    } else {
        StoreError::Unavailable { place, reason: told(status) }
    })
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

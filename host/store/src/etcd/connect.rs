//! The connection to the servers, and the mapping of their errors.

use crate::StoreError;
use crate::address::Address;
use crate::error::with_causes;
use etcd_client::{Certificate, Client, ConnectOptions, Error, GetOptions, Identity, KeyValue, TlsOptions};
use etcd_client::{KvClient, Txn, TxnResponse};
use faas_flow_core::RetryPolicy;
use percent_encoding::percent_decode_str;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The most keys in one answer.
const PAGE: usize = 1_000;

/// The waits before a call is sent again that reached no server that has a leader. How often is limited by the time limit.
const RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(250));

/// The connection to the servers. Every call ends within the time limit.
pub(super) struct Servers {
    endpoints: Vec<String>,
    options: ConnectOptions,
    /// Replaced after a call without an answer: the server that it was sent to may have lost the others, or have been removed
    /// from them, while one that works is behind the same address.
    client: RwLock<Option<Arc<Client>>>,
    place: String,
    timeout: Duration,
    /// How often a call is sent at once to the next server if the one that it was sent to is down.
    max_tries: u32,
}

/// Why a call failed.
pub(super) enum Trouble {
    /// The revision to read was removed by a compaction: read a newer one.
    Compacted,
    Store(StoreError),
}

const COMPACTED: &str = "its compactions keep removing the revision that is being read";

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => error,
            Trouble::Compacted => StoreError::Unavailable { place: "etcd".into(), reason: COMPACTED.into() },
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
            // A server that has lost the others refuses calls at once, instead of after its own time limit.
            .with_require_leader(true)
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
        // The client sends each call to the next server, and only notices that one is down when it is that server's turn.
        let max_tries = if hosts.len() == 1 { 1 } else { u32::try_from(hosts.len() * 4).unwrap_or(u32::MAX) };
        let servers = Self { endpoints, options, client: RwLock::default(), place, timeout, max_tries };
        // Connects at once, so that a wrong user or password is reported now.
        servers.ask(|_| std::future::ready(Ok(()))).await?;
        Ok(servers)
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
        self.ask(call).await
    }

    /// Reads the first pairs in a range, and the revision that they are of. `revision` 0 stands for the latest.
    pub(super) async fn page(
        &self,
        range: (&[u8], &[u8]),
        limit: usize,
        revision: i64,
    ) -> Result<(Vec<KeyValue>, i64), Trouble> {
        self.written_page(range, limit, revision, 0).await
    }

    /// As [`Servers::page`], of the pairs that were written after the revision `since`.
    pub(super) async fn written_page(
        &self,
        (from, end): (&[u8], &[u8]),
        limit: usize,
        revision: i64,
        since: i64,
    ) -> Result<(Vec<KeyValue>, i64), Trouble> {
        let limit = i64::try_from(limit.min(PAGE)).unwrap_or(i64::MAX);
        let options = GetOptions::new().with_range(end).with_limit(limit).with_revision(revision);
        let options = if since > 0 { options.with_min_mod_revision(since.saturating_add(1)) } else { options };
        let call = |mut kv: KvClient| {
            let (from, options) = (from.to_vec(), options.clone());
            async move { kv.get(from, Some(options)).await }
        };
        let mut found = self.ask(call).await?;
        let revision = if revision == 0 { found.header().map_or(0, |header| header.revision()) } else { revision };
        Ok((found.take_kvs(), revision))
    }

    /// Calls one server after the other until one executes the call, within the time limit. A server that is down is skipped
    /// without a wait; the one that has no leader is asked again, over a new connection.
    async fn ask<T, Call>(&self, call: impl Fn(KvClient) -> Call) -> Result<T, Trouble>
    where
        Call: Future<Output = Result<T, Error>>,
    {
        let calls = async {
            let mut delays = RETRIES.delays(fastrand::f64);
            let mut down = 1;
            loop {
                let client = self.client().await?;
                // The default limit of 4 MiB is too low: an answer may have a whole page of documents.
                let error = match call(client.kv_client().max_decoding_message_size(i32::MAX as usize)).await {
                    Err(error) if never_executed(&error) => error,
                    answer => return answer,
                };
                if never_sent(&error) {
                    down += 1;
                    if down > self.max_tries {
                        return Err(error);
                    }
                } else {
                    self.drop_client(&client);
                    // Without a limit of tries there is always another delay.
                    sleep(delays.next().unwrap_or_default()).await;
                }
            }
        };
        let answer = match timeout(self.timeout, calls).await {
            Ok(answer) => answer.map_err(|error| trouble(&self.place, error)),
            Err(_) => Err(Trouble::Store(
                self.unavailable(format!("no answer within timeout_ms={}", self.timeout.as_millis())),
            )),
        };
        if let Err(Trouble::Store(StoreError::Unavailable { .. })) = &answer {
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        answer
    }

    async fn client(&self) -> Result<Arc<Client>, Error> {
        if let Some(client) = self.client.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(client);
        }
        // Several callers may connect at the same time, and the last one's connection is kept.
        let client = Arc::new(Client::connect(self.endpoints.clone(), Some(self.options.clone())).await?);
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }

    /// Makes the next call connect again, unless another one has already.
    fn drop_client(&self, used: &Arc<Client>) {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if client.as_ref().is_some_and(|client| Arc::ptr_eq(client, used)) {
            *client = None;
        }
    }

    /// Reads the first pairs in a range in one consistent view.
    pub(super) async fn range(&self, from: &[u8], end: &[u8], limit: usize) -> Result<Vec<KeyValue>, StoreError> {
        self.in_one_view(&[(from.to_vec(), end.to_vec())], limit).await
    }

    /// Reads all pairs in several ranges in one consistent view.
    pub(super) async fn ranges(&self, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<KeyValue>, StoreError> {
        self.in_one_view(ranges, usize::MAX).await
    }

    async fn in_one_view(&self, ranges: &[(Vec<u8>, Vec<u8>)], limit: usize) -> Result<Vec<KeyValue>, StoreError> {
        // A compaction during a read is rare; several in a row mean that the servers are misconfigured.
        for _ in 0..3 {
            match self.read_once(ranges, limit).await {
                Err(Trouble::Compacted) => {}
                found => return Ok(found?),
            }
        }
        Err(self.unavailable(COMPACTED))
    }

    async fn read_once(&self, ranges: &[(Vec<u8>, Vec<u8>)], limit: usize) -> Result<Vec<KeyValue>, Trouble> {
        let mut found = Vec::new();
        let mut revision = 0;
        for (from, end) in ranges {
            let mut from = from.clone();
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
        }
        Ok(found)
    }
}

/// Whether no server has executed the call, so that it can be sent to another one.
fn never_executed(error: &Error) -> bool {
    never_sent(error) || matches!(error, Error::GRpcStatus(status) if status.message().contains("no leader"))
}

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
        _ => Err(address.bad("cert and key must be given together")),
    }
}

async fn pem(address: &Address<'_>, option: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(path) = address.text(option) else { return Ok(None) };
    let read = tokio::fs::read(&path).await;
    read.map(Some).map_err(|error| address.bad(format!("{option} must be a readable PEM file: {path}: {error}")))
}

/// Maps an error of the client. etcd uses one gRPC code for several errors, so only its message tells them apart.
fn trouble(place: &str, error: Error) -> Trouble {
    let place = place.to_owned();
    let Error::GRpcStatus(status) = &error else {
        return Trouble::Store(StoreError::Unavailable { place, reason: with_causes(&error) });
    };
    let message = status.message();
    let says = |text| message.contains(text);
    Trouble::Store(if says("revision has been compacted") {
        return Trouble::Compacted;
    } else if says("too many operations") {
        let remedy = "raise --max-txn-ops of the etcd servers".into();
        StoreError::TooLarge { place, reason: "it has too many operations".into(), remedy }
    } else if says("request is too large") || says("larger than max") {
        let remedy = "raise --max-request-bytes of the etcd servers".into();
        StoreError::TooLarge { place, reason: "it has too many bytes".into(), remedy }
    } else if says("database space exceeded") {
        StoreError::Full { place }
    } else if ["permission denied", "authentication failed", "user name", "invalid auth token"].into_iter().any(says) {
        StoreError::Denied { place, reason: message.to_owned() }
    } else {
        StoreError::Unavailable { place, reason: with_causes(status) }
    })
}

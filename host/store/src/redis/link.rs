//! The connection, which all callers share: commands are pipelined, without waiting for the answers of earlier ones.

use super::error::{is_demoted, is_denied, is_transient};
use super::target::{Kind, Target};
use crate::StoreError;
use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, ProtocolVersion, PushInfo, PushKind, RedisError,
    RedisResult, Script, TlsMode, Value,
};
use faas_flow_core::RetryPolicy;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// The waits before a command or a connection is tried again. How often is limited by time: see [`Target::timeout`].
const RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(20), Duration::from_millis(250));

/// How many commands may wait to be written before further callers have to wait.
const QUEUE: usize = 1024;

/// Whether a command may be sent again if it is unknown whether it was executed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Executing it twice has the effect of executing it once.
    Harmless,
    /// It must not be executed twice.
    Never,
}

/// Who executes a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// The server that has the command's key.
    Owner,
    /// Every server that takes writes. The answer is an array with the answer of each.
    EveryMaster,
}

/// A connection that is re-established when it breaks.
pub(super) struct Link {
    pub(super) target: Target,
    source: Mutex<Source>,
    live: RwLock<Option<Live>>,
}

enum Source {
    Single(Client),
    Sentinel(SentinelClient),
    Cluster(ClusterClient),
}

#[derive(Clone)]
struct Live {
    connection: Connection,
    broken: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects at once, so that a wrong address is reported when the store is opened.
    pub(super) async fn open(target: Target) -> Result<Self, StoreError> {
        if target.tls.is_some() {
            // Only the first call in a process has an effect; later ones return an error.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let source = source(&target).map_err(|error| target.error(&error))?;
        let link = Self { target, source: Mutex::new(source), live: RwLock::default() };
        link.live().await.map_err(|error| link.target.error(&error))?;
        Ok(link)
    }

    /// Sends a command and converts its answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd, repeat: Repeat) -> Result<T, StoreError> {
        let answer = self.send(command, repeat, To::Owner).await.map_err(|error| self.target.error(&error))?;
        T::from_redis_value(answer).map_err(|error| self.target.error(&error.into()))
    }

    /// Runs a script by its hash, or with its text if the server does not know it yet.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Lua,
        keys: &[Vec<u8>],
        arguments: &Arguments<'_>,
        repeat: Repeat,
    ) -> Result<T, StoreError> {
        let command = |name: &str, script: &str| {
            let mut command = ::redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys);
            for argument in &arguments.0 {
                command.arg(&**argument);
            }
            command
        };
        let answer = match self.send(&command("EVALSHA", script.hash()), repeat, To::Owner).await {
            Err(error) if error.kind() == ErrorKind::Server(::redis::ServerErrorKind::NoScript) => {
                self.send(&command("EVAL", script.text), repeat, To::Owner).await
            }
            answer => answer,
        };
        let answer = answer.and_then(|answer| T::from_redis_value(answer).map_err(RedisError::from));
        answer.map_err(|error| self.target.error(&error))
    }

    /// Sends a command, again if need be.
    pub(super) async fn send(&self, command: &Cmd, repeat: Repeat, to: To) -> RedisResult<Value> {
        let deadline = Instant::now() + self.target.timeout;
        let mut delays = RETRIES.delays(fastrand::f64);
        loop {
            let mut live = self.live().await?;
            let error = match live.connection.send(command, to).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let dropped = error.is_unrecoverable_error() || (error.is_io_error() && !error.is_timeout());
            let demoted = is_demoted(&error);
            // In a cluster, one node that hangs is no reason to drop the connections to the others.
            let hung = error.is_timeout() && matches!(live.connection, Connection::Server(_));
            live.broken.fetch_or(dropped || demoted || hung, Ordering::Relaxed);
            let again = is_transient(&error) || demoted || (dropped && repeat == Repeat::Harmless);
            match delays.next().filter(|delay| again && Instant::now() + *delay <= deadline) {
                Some(delay) => sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    /// The connection. If it is broken, one caller re-establishes it while the others wait.
    async fn live(&self) -> RedisResult<Live> {
        if let Some(live) = self.unbroken() {
            return Ok(live);
        }
        // A caller that others have already kept waiting for a connection tries only once itself.
        let deadline = Instant::now() + self.target.timeout;
        let mut source = self.source.lock().await;
        if let Some(live) = self.unbroken() {
            return Ok(live);
        }
        let mut delays = RETRIES.delays(fastrand::f64);
        let live = loop {
            let connected = timeout(self.target.timeout, source.connect(&self.target)).await;
            let error = match connected {
                Ok(Ok(live)) => break live,
                Ok(Err(error)) => error,
                Err(_) => std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
            };
            match delays.next().filter(|delay| !is_denied(&error) && Instant::now() + *delay <= deadline) {
                Some(delay) => sleep(delay).await,
                None => return Err(error),
            }
        };
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }

    fn unbroken(&self) -> Option<Live> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| !live.broken.load(Ordering::Relaxed)).cloned()
    }
}

impl Connection {
    async fn send(&mut self, command: &Cmd, to: To) -> RedisResult<Value> {
        let answer = match (&mut *self, to) {
            (Connection::Server(connection), _) => connection.req_packed_command(command).await,
            (Connection::Cluster(connection), To::Owner) => connection.req_packed_command(command).await,
            (Connection::Cluster(connection), To::EveryMaster) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                connection.route_command(command.clone(), masters).await
            }
        };
        match (answer?.extract_error()?, to) {
            (answer, To::Owner) => Ok(answer),
            // A cluster answers with a map from the address of each server to its answer.
            (Value::Map(answers), To::EveryMaster) if matches!(self, Connection::Cluster(_)) => {
                Ok(Value::Array(answers.into_iter().map(|(_, answer)| answer).collect()))
            }
            (answer, To::EveryMaster) => Ok(Value::Array(vec![answer])),
        }
    }
}

impl Source {
    async fn connect(&mut self, target: &Target) -> RedisResult<Live> {
        let broken = Arc::new(AtomicBool::new(false));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(target.timeout))
            .set_response_timeout(Some(target.timeout))
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender({
                let broken = broken.clone();
                move |push: PushInfo| {
                    broken.fetch_or(push.kind == PushKind::Disconnection, Ordering::Relaxed);
                    Ok::<_, ::redis::aio::SendError>(())
                }
            });
        let client = match self {
            Source::Single(client) => client.clone(),
            Source::Sentinel(client) => client.async_get_client().await?,
            Source::Cluster(client) => {
                return Ok(Live { connection: Connection::Cluster(client.get_async_connection().await?), broken });
            }
        };
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Live { connection: Connection::Server(connection), broken })
    }
}

fn source(target: &Target) -> RedisResult<Source> {
    let nodes = target.nodes.clone();
    let first = nodes.first().ok_or((ErrorKind::InvalidClientConfig, "no host"))?;
    match &target.kind {
        Kind::Single => Ok(Source::Single(match &target.tls {
            Some(tls) => Client::build_with_tls(first.clone(), tls.clone())?,
            None => Client::open(first.clone())?,
        })),
        Kind::Cluster => {
            // The client's own retries would send a command again whose answer was lost.
            let mut builder = ClusterClient::builder(nodes)
                .retries(0)
                .use_protocol(ProtocolVersion::RESP3)
                .connection_timeout(target.timeout)
                .response_timeout(target.timeout);
            if let Some(tls) = &target.tls {
                builder = builder.tls(TlsMode::Secure).certs(tls.clone());
            }
            Ok(Source::Cluster(builder.build()?))
        }
        Kind::Sentinel(sentinels) => {
            let settings = first.redis_settings();
            let addresses = nodes.iter().map(|node| node.addr().clone());
            let mut builder = SentinelClientBuilder::new(addresses, &sentinels.master, SentinelServerType::Master)?
                .set_client_to_redis_db(settings.db())
                .set_client_to_redis_protocol(ProtocolVersion::RESP3);
            if let Some(user) = settings.username() {
                builder = builder.set_client_to_redis_username(user);
            }
            if let Some(password) = settings.password() {
                builder = builder.set_client_to_redis_password(password);
            }
            if let Some(user) = &sentinels.user {
                builder = builder.set_client_to_sentinel_username(user);
            }
            if let Some(password) = &sentinels.password {
                builder = builder.set_client_to_sentinel_password(password);
            }
            if let Some(tls) = target.tls.as_ref().filter(|_| target.secure) {
                builder =
                    builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_redis_certificates(tls.clone());
            }
            if let Some(tls) = target.tls.as_ref().filter(|_| sentinels.secure) {
                builder = builder
                    .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                    .set_client_to_sentinel_certificates(tls.clone());
            }
            Ok(Source::Sentinel(builder.build()?))
        }
    }
}

/// A Lua script that runs in the server.
pub(super) struct Lua {
    text: &'static str,
    script: Script,
}

impl Lua {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, script: Script::new(text) }
    }

    fn hash(&self) -> &str {
        self.script.get_hash()
    }
}

/// The arguments of a script, in addition to its keys.
#[derive(Default)]
pub(super) struct Arguments<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> Arguments<'a> {
    pub(super) fn bytes(&mut self, bytes: &'a [u8]) -> &mut Self {
        self.0.push(Cow::Borrowed(bytes));
        self
    }

    pub(super) fn text(&mut self, text: impl ToString) -> &mut Self {
        self.0.push(Cow::Owned(text.to_string().into_bytes()));
        self
    }
}

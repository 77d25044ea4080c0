//! The connection: one for everybody, on which commands follow each other without waiting for answers.

use super::error::{is_passing, is_read_only, is_refusal};
use super::target::{Kind, Target};
use crate::StoreError;
use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, ProtocolVersion, PushInfo, PushKind, RedisError,
    RedisResult, Script, TlsMode, Value,
};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// How long to wait before trying again what may succeed a moment later.
const PAUSE: Duration = Duration::from_millis(50);

/// So many commands wait to be written before those who bring more have to wait themselves.
const QUEUE: usize = 1024;

/// Whether a command may be sent again when it is unknown whether it happened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is doing it once.
    Harmless,
    /// It must not happen twice.
    Never,
}

/// A connection that is made anew when it breaks.
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
    /// Connects, so that an address where nobody answers is told at once.
    pub(super) async fn open(target: Target) -> Result<Self, StoreError> {
        if target.tls.is_some() {
            // Only the first one in a process is taken; any will do.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let source = source(&target).map_err(|error| target.error(&error))?;
        let link = Self { target, source: Mutex::new(source), live: RwLock::default() };
        link.live().await.map_err(|error| link.target.error(&error))?;
        Ok(link)
    }

    /// Sends a command and reads its answer as what is wanted.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd, repeat: Repeat) -> Result<T, StoreError> {
        let answer = self.send(command, repeat).await.map_err(|error| self.target.error(&error))?;
        T::from_redis_value(answer).map_err(|error| self.target.error(&error.into()))
    }

    /// Runs a script: by its hash, and with its text if the server does not know it yet.
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
        let answer = match self.send(&command("EVALSHA", script.hash()), repeat).await {
            Err(error) if error.kind() == ErrorKind::Server(::redis::ServerErrorKind::NoScript) => {
                self.send(&command("EVAL", script.text), repeat).await
            }
            answer => answer,
        };
        let answer = answer.and_then(|answer| T::from_redis_value(answer).map_err(RedisError::from));
        answer.map_err(|error| self.target.error(&error))
    }

    async fn send(&self, command: &Cmd, repeat: Repeat) -> RedisResult<Value> {
        let deadline = Instant::now() + self.target.timeout;
        loop {
            let mut live = self.live().await?;
            let error = match live.connection.send(command).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let dropped = error.is_unrecoverable_error() || (error.is_io_error() && !error.is_timeout());
            let demoted = is_read_only(&error) && !matches!(self.target.kind, Kind::Single);
            // One node that hangs is no reason to leave all others of a cluster.
            let hung = error.is_timeout() && matches!(live.connection, Connection::Server(_));
            live.broken.fetch_or(dropped || demoted || hung, Ordering::Relaxed);
            let again = is_passing(&error) || demoted || (dropped && repeat == Repeat::Harmless);
            if !again || Instant::now() + PAUSE > deadline {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// The connection, made anew if need be: by one caller, while the others wait.
    async fn live(&self) -> RedisResult<Live> {
        if let Some(live) = self.unbroken() {
            return Ok(live);
        }
        // Whoever has waited for others to connect in vain tries but once more.
        let deadline = Instant::now() + self.target.timeout;
        let mut source = self.source.lock().await;
        if let Some(live) = self.unbroken() {
            return Ok(live);
        }
        let live = loop {
            let connected = timeout(self.target.timeout, source.connect(&self.target)).await;
            let error = match connected {
                Ok(Ok(live)) => break live,
                Ok(Err(error)) => error,
                Err(_) => std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
            };
            if is_refusal(&error) || Instant::now() + PAUSE > deadline {
                return Err(error);
            }
            sleep(PAUSE).await;
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
    async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Connection::Server(connection) => connection.req_packed_command(command).await,
            Connection::Cluster(connection) => connection.req_packed_command(command).await,
        }?
        .extract_error()
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
            // Trying again is up to us: the client would send a command twice whose answer got lost.
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
        Kind::Sentinel(master) => {
            let settings = first.redis_settings();
            let addresses = nodes.iter().map(|node| node.addr().clone());
            let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                .set_client_to_redis_db(settings.db())
                .set_client_to_redis_protocol(ProtocolVersion::RESP3);
            if let Some(user) = settings.username() {
                builder = builder.set_client_to_redis_username(user);
            }
            if let Some(password) = settings.password() {
                builder = builder.set_client_to_redis_password(password);
            }
            if let Some(tls) = &target.tls {
                builder = builder
                    .set_client_to_redis_tls_mode(TlsMode::Secure)
                    .set_client_to_redis_certificates(tls.clone())
                    .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                    .set_client_to_sentinel_certificates(tls.clone());
            }
            Ok(Source::Sentinel(builder.build()?))
        }
    }
}

/// A script that runs in the server.
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

/// What a script is given besides keys.
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

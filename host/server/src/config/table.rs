//! The one table of all configuration keys. docs/configuration.md is made of it.

use super::kind::{Kind, TIME};

/// A key: an environment variable of this name, and an option of the commands that take it.
#[derive(Debug)]
pub(crate) struct Key {
    /// As the variable is called.
    pub name: &'static str,
    pub kind: Kind,
    /// What holds where nothing is said; empty for nothing.
    pub default: &'static str,
    /// The same for `serve` and `run`, where it differs.
    pub local: Option<&'static str>,
    pub origin: Origin,
    pub group: Group,
    /// In one line.
    pub meaning: &'static str,
    /// A second name of the variable, which the original has.
    pub also: Option<&'static str>,
    pub option: Named,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// faas-flow of before: it means here what it meant there.
    Original,
    /// of-watchdog's.
    Watchdog,
    Ours,
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Original => "original",
            Origin::Watchdog => "of-watchdog",
            Origin::Ours => "faas-flow",
        }
    }
}

/// What it is about; a command takes the groups that concern it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Address,
    Function,
    Calls,
    Stores,
    Limits,
    Access,
    Guest,
    Modules,
    Tracing,
}

/// The option that says the same.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    /// The key's name, with dashes.
    AsKey,
    /// Another name, since it is given once per item.
    As(&'static str),
    /// The key's name, and a shorter one.
    Also(&'static str),
    /// An argument without a name.
    No,
}

impl Group {
    pub const ALL: [Group; 9] = [
        Group::Address,
        Group::Function,
        Group::Calls,
        Group::Stores,
        Group::Limits,
        Group::Access,
        Group::Guest,
        Group::Modules,
        Group::Tracing,
    ];

    pub const fn title(self) -> &'static str {
        match self {
            Group::Address => "Where it listens",
            Group::Function => "A deployed function",
            Group::Calls => "What flows call",
            Group::Stores => "Stores",
            Group::Limits => "Limits and times of runs",
            Group::Access => "Who may ask for what",
            Group::Guest => "Limits of the flow's code",
            Group::Modules => "Which modules are taken",
            Group::Tracing => "Tracing",
        }
    }
}

impl Key {
    const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        origin: Origin,
        group: Group,
        meaning: &'static str,
    ) -> Self {
        Self { name, kind, default, local: None, origin, group, meaning, also: None, option: Named::AsKey }
    }

    const fn locally(self, local: &'static str) -> Self {
        Self { local: Some(local), ..self }
    }

    const fn also(self, also: &'static str) -> Self {
        Self { also: Some(also), ..self }
    }

    const fn option(self, option: Named) -> Self {
        Self { option, ..self }
    }

    /// `--this`.
    pub fn option_name(&self) -> Option<String> {
        match self.option {
            Named::No => None,
            Named::As(name) => Some(name.to_owned()),
            Named::AsKey | Named::Also(_) => Some(self.name.replace('_', "-")),
        }
    }
}

macro_rules! keys {
    ($($constant:ident = $key:expr;)*) => {
        $(pub(crate) static $constant: Key = $key;)*
        /// All keys, in the order of the table.
        pub(crate) static ALL: &[&Key] = &[$(&$constant),*];
    };
}

use Group::{Access, Address, Calls, Function, Guest, Limits, Modules, Stores, Tracing};
use Origin::{Original, Ours, Watchdog};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

#[rustfmt::skip]
mod keys {
    use super::*;
    keys! {
        PORT = Key::new("port", Kind::Port, "8080", Watchdog, Address,
            "the port to listen on, on all interfaces; `serve` listens on 127.0.0.1 only");
        LISTEN = Key::new("listen", Kind::Listen, "", Ours, Address,
            "the address to listen on, instead of `port`; port 0 takes a free one");
        UPSTREAM_URL = Key::new("upstream_url", Kind::Server, "", Original, Function,
            "of-watchdog stands in front and sends requests here: this is listened on instead of `port`, and lock file and metrics are left to it")
            .also("http_upstream_url");
        METRICS_PORT = Key::new("metrics_port", Kind::Port, "8081", Ours, Function,
            "where `/metrics` is; 0 for nowhere");
        FLOW = Key::new("flow", Kind::Path, "flow.wasm", Ours, Function,
            "the flow's module; a relative name is looked for in the working directory, then beside the program")
            .option(Named::No);
        FLOW_NAME = Key::new("flow_name", Kind::Text, "", Ours, Function,
            "the function's name, which its events are sent to; without it `OPENFAAS_NAME` counts, then the hostname");
        READ_TIMEOUT = Key::new("read_timeout", TIME, "30s", Original, Function,
            "how long the head of a request may take to arrive, and its body again, 408 beyond; an idle connection is closed after it; 0 for ever");
        WRITE_TIMEOUT = Key::new("write_timeout", TIME, "30s", Original, Function,
            "how long a caller may take to read its answer, once that cannot be sent at once; then the connection is closed; 0 for ever");
        EXEC_TIMEOUT = Key::new("exec_timeout", TIME, "30s", Original, Function,
            "how long a request may take to be answered, 504 beyond; a caller may ask for less with `X-Timeout`; 0 for ever");
        MAX_INFLIGHT = Key::new("max_inflight", Kind::Count { least: 0 }, "0", Watchdog, Function,
            "requests at a time, 429 beyond; 0 for any number");
        HEALTHCHECK_INTERVAL = Key::new("healthcheck_interval", TIME, "5s", Watchdog, Function,
            "how long requests are still taken after SIGTERM, while the health check fails already; 10s at most")
            .option(Named::Also("settle"));
        SUPPRESS_LOCK = Key::new("suppress_lock", Kind::Switch, "false", Watchdog, Function,
            "write no lock file, `$TMPDIR/.lock`");
        DISPATCH = Key::new("dispatch", Kind::Word(&["auto", "local", "gateway"]), "auto", Ours, Function,
            "where ready nodes are executed: here while there is room and through the gateway beyond, here, or through the gateway");

        GATEWAY = Key::new("gateway", Kind::Server, "gateway.openfaas:8080", Original, Calls,
            "the OpenFaaS gateway, which has all functions that `functions` does not name").locally("");
        DEFAULT_METHOD = Key::new("default-method", Kind::Word(&["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]), "POST", Original, Calls,
            "the method of calls where the flow says nothing");
        FUNCTIONS = Key::new("functions", Kind::List, "", Ours, Calls,
            "functions that flows may apply without the gateway: NAME=URL, NAME=./program or NAME=echo")
            .option(Named::As("function"));
        CALL_TIMEOUT = Key::new("call_timeout", Kind::Time { least: 1, most: 24 * HOUR }, "60s", Ours, Calls,
            "the longest that one try of a call takes where the flow says nothing");
        RESPONSE_LIMIT = Key::new("response_limit", Kind::Bytes, "64MiB", Ours, Calls,
            "the largest answer of a call");

        STATE_STORE = Key::new("state_store", Kind::Store, "", Ours, Stores,
            "where the state of runs is kept; without it `consul_url` counts. An address with a password may be in the secret `faasflow-state-store` instead")
            .locally("sqlite:.faas-flow/state.db").option(Named::Also("state"));
        DATA_STORE = Key::new("data_store", Kind::Store, "", Ours, Stores,
            "where payloads over `inline_limit` are kept; without it `s3_url` counts, then the state store. It may be in the secret `faasflow-data-store` instead")
            .locally("files:.faas-flow/data");
        CONSUL_URL = Key::new("consul_url", Kind::Server, "", Original, Stores,
            "keep state in Consul, at this address");
        CONSUL_DC = Key::new("consul_dc", Kind::Text, "dc1", Original, Stores,
            "Consul's datacenter");
        S3_URL = Key::new("s3_url", Kind::Server, "", Original, Stores,
            "keep data in S3, at this address, with the secrets `s3-access-key` and `s3-secret-key`");
        S3_REGION = Key::new("s3_region", Kind::Text, "us-east-1", Original, Stores,
            "S3's region");
        S3_TLS = Key::new("s3_tls", Kind::Switch, "false", Original, Stores,
            "speak TLS to `s3_url`");
        S3_BUCKET = Key::new("s3_bucket", Kind::Text, "faas-flow", Ours, Stores,
            "the bucket at `s3_url`; it is made if it is missing");

        DEFAULT_WAIT = Key::new("default_wait", TIME, "0", Ours, Limits,
            "how long a request waits for its result where the caller says nothing (`X-Faas-Flow-Wait`) and the flow has several nodes");
        MAX_WAIT = Key::new("max_wait", TIME, "5m", Ours, Limits,
            "the longest that a caller may wait for a result");
        BODY_LIMIT = Key::new("body_limit", Kind::Bytes, "64MiB", Ours, Limits,
            "the largest body of a request");
        INLINE_LIMIT = Key::new("inline_limit", Kind::Bytes, "32KiB", Ours, Limits,
            "payloads up to this size are kept with the state");
        MAX_NODES = Key::new("max_nodes", Kind::Count { least: 1 }, "256", Ours, Limits,
            "nodes of all runs together that execute at a time");
        RUN_NODES = Key::new("run_nodes", Kind::Count { least: 1 }, "64", Ours, Limits,
            "nodes of one run that execute at a time");
        MAX_RUNS = Key::new("max_runs", Kind::Count { least: 1 }, "10000", Ours, Limits,
            "runs under way at a time, 429 beyond");
        MAX_ITEMS = Key::new("max_items", Kind::Count { least: 1 }, "100000", Ours, Limits,
            "items of one for-each");
        LEASE = Key::new("lease", Kind::Time { least: 100, most: HOUR }, "10s", Ours, Limits,
            "how long a claim holds a node before another replica may take it; it is renewed in time");
        COMMIT_DELAY = Key::new("commit_delay", Kind::Time { least: 0, most: 10 * SECOND }, "10ms", Ours, Limits,
            "how long what only the flow's own code did may wait to be committed together with what follows; 0 commits each node by itself");
        LONGEST_SLEEP = Key::new("longest_sleep", Kind::Time { least: 0, most: HOUR }, "5s", Ours, Limits,
            "the longest wait between two tries that is sat out in place; longer ones are stored");
        ROOM_WAIT = Key::new("room_wait", Kind::Time { least: 0, most: HOUR }, "10s", Ours, Limits,
            "how long an event, or a request that its flow's definition depends on, waits for room here before it is refused");
        HISTORY_TTL = Key::new("history_ttl", TIME, "168h", Ours, Limits,
            "how long the history and result of a run are kept after its end");

        SECRET_MOUNT_PATH = Key::new("secret_mount_path", Kind::Path, "/var/openfaas/secrets", Original, Access,
            "the folder of the secrets").option(Named::Also("secrets"));
        VALIDATE_REQUEST = Key::new("validate_request", Kind::Switch, "true", Original, Access,
            "check the signatures of events; it cannot be turned off where others than this machine reach the function")
            .also("enable_hmac");
        AUTHENTICATE_REQUEST = Key::new("authenticate_request", Kind::Switch, "false", Original, Access,
            "take only new requests that are signed as GitHub signs: `X-Hub-Signature-256`")
            .option(Named::Also("authenticate-requests"));
        CALLBACK_HOSTS = Key::new("callback_hosts", Kind::List, "", Ours, Access,
            "hosts, each NAME or NAME:PORT, that results may be sent to; `*` is any").option(Named::As("callback-host"));

        GUEST_MEMORY = Key::new("guest_memory", Kind::Bytes, "64MiB", Ours, Guest,
            "memory that an instance of a flow may have");
        GUEST_INSTANCES = Key::new("guest_instances", Kind::Count { least: 1 }, "1000", Ours, Guest,
            "instances of flows that live at once; where all do, idle ones make room, and nodes wait");
        GUEST_TIMEOUT = Key::new("guest_timeout", Kind::Time { least: 1, most: HOUR }, "10s", Ours, Guest,
            "the longest that one call of the flow's code may take");
        COMPILE_TIMEOUT = Key::new("compile_timeout", Kind::Time { least: 1000, most: HOUR }, "60s", Ours, Guest,
            "the longest that compiling a module may take; it is done in a process of its own");
        CACHE = Key::new("cache", Kind::Path, "", Ours, Guest,
            "the folder for compiled code; without it, the user's cache, or a folder in `$TMPDIR` where that cannot be written");

        MODULE_KEYS = Key::new("module_keys", Kind::List, "", Ours, Modules,
            "public keys, each a file or the name of a secret: only modules that one of them has signed are taken, [signing](signing.md)")
            .option(Named::As("module-key"));

        ENABLE_TRACING = Key::new("enable_tracing", Kind::Switch, "false", Original, Tracing,
            "whether runs are traced: [tracing](tracing.md)").option(Named::Also("tracing"));
        TRACE_SERVER = Key::new("trace_server", Kind::Server, "http://127.0.0.1:4318", Original, Tracing,
            "who takes the spans, with OTLP over HTTP; the ports of Jaeger's old agent stand for 4318 at the same host")
            .also("OTEL_EXPORTER_OTLP_ENDPOINT");
    }
}
pub(crate) use keys::*;

/// What of-watchdog reads beside these: they are its own, and no key is meant by them.
pub(crate) const WATCHDOGS: [&str; 20] = [
    "buffer_http",
    "cgi_headers",
    "combine_output",
    "content_type",
    "debug_headers",
    "fprocess",
    "function_process",
    "http_buffer_req_body",
    "jwt_auth",
    "jwt_auth_debug",
    "jwt_auth_local",
    "log_buffer_size",
    "log_call_id",
    "log_callid",
    "max_idle_conns",
    "mode",
    "prefix_logs",
    "ready_path",
    "static_path",
    "write_debug",
];

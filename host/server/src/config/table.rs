//! The table of all configuration keys. The tables of docs/configuration.md are generated from it.

use super::error::Error;
use super::format::{
    AnyCase, CorsOrigins, Count, CredentialHeaders, FilePath, Grants, HeaderOf, Hosts, List, Millis, MillisLimit,
    Optional, Origins, Pairs, Pointers, Port, PropagatorList, Proxy, Ranges, Ratio, Schedules, Server, Size, Switch,
    Text, Time, TimeLimit, TraceServers, Words,
};
use super::key::Group::{
    Access, Address, Calls, Connections, Function, Guest, Limits, Modules, Schedule, Stores, Tracing,
};
use super::key::OptionName::{Also, As, Positional};
use super::key::Origin::{Original, Ours, Watchdog};
use super::key::{AnyKey, Defaults, Key};
use super::limits::NamedLimits;
use super::tracing::{COMPRESSIONS, EXPORTERS, Exporter, PROTOCOLS, SAMPLERS, TRUE_FALSE, TraceServer, TracesSampler};
use super::values::{Setting, Slot};
use crate::cli::LogFormat;
use faas_flow_core::limit::Figures;
use faas_flow_core::redact::Rules;
use faas_flow_core::schedule::ScheduleEntry;
use faas_flow_http::dashboard::Grant;
use faas_flow_http::{ResultAccess, ShowPayloads};
use faas_flow_replica::events::OldSignatures;
use faas_flow_replica::network::HostPattern;
use faas_flow_replica::traces::{OtlpCompression, OtlpProtocol, Propagators};
use faas_flow_replica::{Dispatch, RequestProxy};
use ipnet::IpNet;
use reqwest::header::HeaderName;
use std::path::PathBuf;
use std::time::Duration;

macro_rules! keys {
    ($($field:ident: $type:ty = $key:expr;)*) => {
        /// The values in force, each of its key's type.
        pub(crate) struct Values {
            $(pub $field: Setting<$type>,)*
            /// The defaults of keys that are not set.
            pub defaults: Defaults,
            /// What to warn of when the program starts, a line each.
            pub warnings: Vec<String>,
            /// Values of OpenTelemetry's variables that were ignored, a line each. They matter if tracing is on.
            pub ignored: Vec<String>,
        }

        $(
            fn $field() -> &'static Key<$type> {
                static KEY: Key<$type> = $key;
                &KEY
            }
        )*

        /// All keys, in the order of the table.
        pub(super) fn all() -> Vec<&'static dyn AnyKey> {
            vec![$($field()),*]
        }

        impl Values {
            /// All keys with their defaults. A test ensures that these are values of the keys.
            pub(crate) fn with_defaults(defaults: Defaults) -> Result<Self, Error> {
                let (warnings, ignored) = (Vec::new(), Vec::new());
                Ok(Self { $($field: Setting::with_default($field(), defaults)?,)* defaults, warnings, ignored })
            }

            /// The values, in the order of the table.
            pub(super) fn slots(&self) -> Vec<&dyn Slot> {
                vec![$(&self.$field),*]
            }

            /// The values, in the order of the table.
            pub(super) fn slots_mut(&mut self) -> Vec<&mut dyn Slot> {
                vec![$(&mut self.$field),*]
            }
        }
    };
}

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

const DISPATCH: Words<Dispatch> =
    Words::new("MODE", &[("auto", Dispatch::Auto), ("local", Dispatch::Local), ("gateway", Dispatch::Gateway)]);
const RESULT_ACCESS: Words<ResultAccess> = Words::new(
    "ACCESS",
    &[("open", ResultAccess::Open), ("with-id", ResultAccess::WithId), ("signed", ResultAccess::Signed)],
);
const SHOW_PAYLOADS: Words<ShowPayloads> = Words::new(
    "RUNS",
    &[("never", ShowPayloads::Never), ("failed", ShowPayloads::Failed), ("always", ShowPayloads::Always)],
);
const OLD_SIGNATURES: Words<OldSignatures> =
    Words::new("MODE", &[("accept", OldSignatures::Accept), ("refuse", OldSignatures::Refuse)]);
const LOG_FORMAT: Words<LogFormat> = Words::new("FORMAT", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
const METHODS: Words<&'static str> = Words::new(
    "METHOD",
    &[
        ("GET", "GET"),
        ("POST", "POST"),
        ("PUT", "PUT"),
        ("PATCH", "PATCH"),
        ("DELETE", "DELETE"),
        ("OPTIONS", "OPTIONS"),
        ("HEAD", "HEAD"),
    ],
);

#[rustfmt::skip]
keys! {
    port: u16 = Key::new("port", &Port, "8080", Watchdog, Address,
        "port to listen on, on all interfaces; `serve` and `dev` listen on 127.0.0.1 only");
    listen: Option<String> = Key::new("listen", &Optional(Text::LISTEN), "", Ours, Address,
        "address to listen on, instead of `port`; port 0 takes a free port, and `:PORT` alone listens where `port` would");

    read_timeout: Option<Duration> = Key::new("read_timeout", &TimeLimit, "30s", Original, Connections,
        "time for the head of a request to arrive, and again for its body, before it is answered with 408; also how long an idle connection stays open; 0 for no limit");
    write_timeout: Option<Duration> = Key::new("write_timeout", &TimeLimit, "30s", Original, Connections,
        "time for a slow caller to read its response before the connection is closed; 0 for no limit");
    max_inflight: usize = Key::new("max_inflight", &Count(0), "0", Watchdog, Connections,
        "maximum number of concurrent requests; more are answered with 429; 0 for no limit");
    max_connections: usize = Key::new("max_connections", &Count(0), "0", Ours, Connections,
        "maximum number of open connections; further ones wait to be accepted; 0 for three quarters of the files that the process may open");

    upstream_url: Option<String> = Key::new("upstream_url", &Optional(Server), "", Original, Function,
        "URL to which an of-watchdog in front of the function sends requests; the function listens there instead of on `port`, and leaves the lock file and the metrics to of-watchdog")
        .also("http_upstream_url");
    metrics_port: u16 = Key::new("metrics_port", &Port, "8081", Ours, Function,
        "port that serves `/metrics`; 0 disables it");
    flow: PathBuf = Key::new("flow", &FilePath, "flow.wasm", Ours, Function,
        "module of the flow; a relative path is looked up in the working directory, then next to the program")
        .option(Positional);
    flow_name: Option<String> = Key::new("flow_name", &Optional(Text::ANY), "", Ours, Function,
        "name of the function, to which its events are sent; by default `OPENFAAS_NAME`, or else the name in the host name");
    exec_timeout: Option<Duration> = Key::new("exec_timeout", &TimeLimit, "30s", Original, Function,
        "time to respond to a request before it is answered with 504; a caller may ask for less with `X-Timeout`; 0 for no limit");
    healthcheck_interval: Duration = Key::new("healthcheck_interval", &Time::ANY, "5s", Watchdog, Function,
        "how long to keep accepting requests after SIGTERM, while the health check already fails; at most 10s")
        .option(Also("settle"));
    suppress_lock: bool = Key::new("suppress_lock", &Switch, "false", Watchdog, Function,
        "do not write the lock file `$TMPDIR/.lock`");
    dispatch: Dispatch = Key::new("dispatch", &DISPATCH, "auto", Ours, Function,
        "where ready nodes are executed: `local` on this replica, `gateway` through the gateway, `auto` on this replica while it has room and otherwise through the gateway");

    gateway: Option<String> = Key::new("gateway", &Optional(Server), "gateway.openfaas:8080", Original, Calls,
        "OpenFaaS gateway through which functions that are not listed in `functions` are called").locally("");
    public_url: Option<String> = Key::new("public_url", &Optional(Server), "", Ours, Calls,
        "address at which people reach the gateway. The addresses of signals that flows hand out begin with it ([signals](concepts.md#signals)). A local server uses its own address unless this is set");
    default_method: &'static str = Key::new("default-method", &METHODS, "POST", Original, Calls,
        "HTTP method of calls for which the flow sets none");
    functions: Vec<String> = Key::new("functions", &List, "", Ours, Calls,
        "functions that flows may call without the gateway: NAME=URL, NAME=./program or NAME=echo")
        .option(As("function"));
    call_timeout: Duration = Key::new("call_timeout", &Time::millis(1..=24 * HOUR), "60s", Ours, Calls,
        "time for one try of a call for which the flow sets no timeout");
    answer_timeout: Duration = Key::new("answer_timeout", &Time::millis(1..=30 * 24 * HOUR), "24h", Ours, Calls,
        "time within which a function that was called asynchronously must answer if the flow sets no timeout");
    call_keep_alive: Duration = Key::new("call_keep_alive", &Time::millis(0..=HOUR), "3s", Ours, Calls,
        "how long an idle connection to a function or URL is kept for the next call; it should be shorter than the time after which servers close theirs, which is 5 s or more with common servers; 0 makes a connection for each call");
    request_proxy: RequestProxy = Key::new("request_proxy", &Proxy, "environment", Ours, Calls,
        "proxy for `request`, callbacks and the URLs in `functions` that lead to the outside ([proxies](security.md#proxies)): `environment` for the one that `http_proxy`, `https_proxy` and `no_proxy` name, `none`, or its URL");
    response_limit: usize = Key::new("response_limit", &Size(1), "32MiB", Ours, Calls,
        "maximum size of the response to a call");
    program_headers: Vec<String> = Key::new("program_headers", &List, "", Ours, Calls,
        "request headers that a program used as a function gets as environment variables, besides the usual ones and those that begin with `X-`: `Order-Id` becomes `Http_Order_Id`")
        .option(As("program-header"));

    state_store: Option<String> = Key::new("state_store", &Optional(Text::STORE), "", Ours, Stores,
        "store for the state of runs; by default the Consul server at `consul_url`. An address with a password can be in the secret `faasflow-state-store` instead")
        .locally("sqlite:.faas-flow/state.db").option(Also("state"));
    data_store: Option<String> = Key::new("data_store", &Optional(Text::STORE), "", Ours, Stores,
        "store for payloads over `inline_limit`; by default the S3 server at `s3_url` if that is set, otherwise the state store. An address with a password can be in the secret `faasflow-data-store` instead")
        .locally("files:.faas-flow/data");
    consul_url: Option<String> = Key::new("consul_url", &Optional(Server), "", Original, Stores,
        "address of a Consul server that keeps the state");
    consul_dc: String = Key::new("consul_dc", &Text::ANY, "dc1", Original, Stores,
        "Consul datacenter");
    s3_url: Option<String> = Key::new("s3_url", &Optional(Server), "", Original, Stores,
        "address of an S3 server that keeps the data; its keys are in the secrets `s3-access-key` and `s3-secret-key`");
    s3_region: String = Key::new("s3_region", &Text::ANY, "us-east-1", Original, Stores,
        "S3 region");
    s3_tls: bool = Key::new("s3_tls", &Switch, "false", Original, Stores,
        "connect to `s3_url` with TLS");
    s3_bucket: String = Key::new("s3_bucket", &Text::ANY, "faas-flow", Ours, Stores,
        "bucket at `s3_url`; it is created if it does not exist");

    default_wait: Option<Duration> = Key::new("default_wait", &TimeLimit, "0", Ours, Limits,
        "how long a request to a flow with several nodes waits for its result if the caller does not say (`X-Faas-Flow-Wait`); 0 to answer at once");
    max_wait: Duration = Key::new("max_wait", &Time::ANY, "5m", Ours, Limits,
        "maximum time that a caller may wait for a result");
    body_limit: usize = Key::new("body_limit", &Size(1), "32MiB", Ours, Limits,
        "maximum size of a request's body; larger ones are answered with 413, as are those that exceed a quarter of `guest_memory`, if the flow has code that would receive it, or half of `memory_limit`");
    memory_limit: usize = Key::new("memory_limit", &Size(0), "0", Ours, Limits,
        "maximum memory of payloads and of the flows' code in the whole process; new requests may use half of it, and are answered with 503 beyond that. 0 for three quarters of what the container, or the machine, has");
    inline_limit: usize = Key::new("inline_limit", &Size(0), "32KiB", Ours, Limits,
        "maximum size of a payload that is stored with the state; larger ones go to the data store");
    max_nodes: usize = Key::new("max_nodes", &Count(1), "256", Ours, Limits,
        "maximum number of nodes of all runs together that execute at the same time");
    run_nodes: usize = Key::new("run_nodes", &Count(1), "64", Ours, Limits,
        "maximum number of nodes of one run that execute at the same time");
    max_runs: usize = Key::new("max_runs", &Count(1), "10000", Ours, Limits,
        "maximum number of runs in progress; more are refused with 429");
    max_items: usize = Key::new("max_items", &Count(1), "100000", Ours, Limits,
        "maximum number of items of a for-each");
    limits: Vec<(String, Figures)> = Key::new("limits", &NamedLimits, "", Ours, Limits,
        "limits over all runs, by the names of limits that flows use or of functions that they call: `payments=10` for ten at a time, `mail=2.5/s` for five in two seconds, `charge=10+5/s` for both ([limits](concepts.md#limits-over-all-runs)). They count for all flows that share the state store, and replace the figures that flows give to limits of these names")
        .option(As("limit"));
    lease: Duration = Key::new("lease", &Time::millis(100..=HOUR), "10s", Ours, Limits,
        "how long a claimed node is reserved for its replica; the replica renews its leases in time, and when one expires another replica may claim the node");
    commit_delay: Duration = Key::new("commit_delay", &Time::millis(0..=10 * SECOND), "10ms", Ours, Limits,
        "maximum time that the results of the flow's own code may wait to be committed together with those of later nodes; 0 commits each node on its own");
    longest_sleep: Duration = Key::new("longest_sleep", &Time::millis(0..=HOUR), "5s", Ours, Limits,
        "longest wait between two tries that the replica spends in memory; longer waits are stored");
    room_wait: Duration = Key::new("room_wait", &Time::millis(0..=HOUR), "10s", Ours, Limits,
        "how long an event waits for room on this replica before it is refused; also how long a new run waits for a free instance if its flow's definition depends on the request");
    history_ttl: Duration = Key::new("history_ttl", &Time::millis(1..=87_600 * HOUR), "168h", Ours, Limits,
        "how long the history and the result of a run are kept after its end; at most ten years");
    history_ttl_failed: Option<Duration> = Key::new("history_ttl_failed", &Optional(Time::millis(1..=87_600 * HOUR)), "", Ours, Limits,
        "the same for runs that have failed; by default as `history_ttl`");
    history_budget: Option<usize> = Key::new("history_budget", &Optional(Count(1)), "", Ours, Limits,
        "maximum number of ended runs of each flow that are kept; those beyond it are deleted early, the oldest first; by default there is no maximum");
    flow_log_lines: u32 = Key::new("flow_log_lines", &Count(0), "1000", Ours, Limits,
        "maximum number of lines per second that the code of one run may log on a replica; more are dropped, and the log says how many");
    flow_log_bytes: usize = Key::new("flow_log_bytes", &Size(0), "1MiB", Ours, Limits,
        "maximum number of bytes that the code of one run may log on a replica; more are dropped, and the log says how many lines");
    run_logs: usize = Key::new("run_logs", &Size(0), "64KiB", Ours, Limits,
        "how much of what its code logs a run keeps from each replica that executes it ([logs of a run](http.md#logs-of-a-run)); 0 keeps nothing");
    run_payloads: usize = Key::new("run_payloads", &Size(0), "0", Ours, Limits,
        "how much of what its operations get and yield a run keeps from each replica that executes it ([operations of nodes](http.md#operations-of-nodes)); 0 keeps nothing, and so does `show_payloads: never`").locally("4MiB");
    log_format: LogFormat = Key::new("log_format", &LOG_FORMAT, "text", Ours, Limits,
        "form of the log that the program writes to stderr: `text`, or `json` for an object per line");

    secret_mount_path: PathBuf = Key::new("secret_mount_path", &FilePath, "/var/openfaas/secrets", Original, Access,
        "folder of the secrets").option(Also("secrets"));
    validate_request: bool = Key::new("validate_request", &Switch, "true", Original, Access,
        "check the signatures of events; this cannot be turned off if other machines can reach the function")
        .also("enable_hmac");
    authenticate_request: bool = Key::new("authenticate_request", &Switch, "false", Original, Access,
        "accept new requests only if they are signed as GitHub signs webhooks, with `X-Hub-Signature-256`")
        .option(Also("authenticate-requests"));
    result_access: Option<ResultAccess> = Key::new("result_access", &Optional(RESULT_ACCESS), "", Ours, Access,
        "who may read the results and states of runs. `open`: everyone, who may also see the dashboard; `with-id`: everyone who knows the request id; `signed`: everyone who signs the request or has the admin token. By default `signed` if `authenticate_request` is on, and otherwise `with-id`");
    show_payloads: ShowPayloads = Key::new("show_payloads", &SHOW_PAYLOADS, "never", Ours, Access,
        "for which runs those with the admin token may read the [inputs and outputs of nodes](http.md#inputs-and-outputs-of-nodes) and of their operations: for none (`never`), for those that have failed (`failed`), or for all (`always`)").locally("always");
    redact: Rules = Key::new("redact", &Pointers, "", Ours, Access,
        "what is hidden in the inputs and outputs of nodes and their operations wherever they are shown: JSON pointers such as `/customer/email`, separated by commas or line breaks; `*` stands for any member or item, and two asterisks for any number of levels ([redaction](security.md#inputs-and-outputs-of-nodes))");
    hmac_migration: OldSignatures = Key::new("hmac_migration", &OLD_SIGNATURES, "refuse", Ours, Access,
        "whether to `accept` events that replicas of an older release have signed with the secret itself; use it only during the update");
    keep_headers: Vec<&'static str> = Key::new("keep_headers", &CredentialHeaders, "", Ours, Access,
        "credentials of its request that a run keeps, so that the flow's code can read them and pass them on: `Authorization`, `Cookie`, `Proxy-Authorization`, `X-Hub-Signature`, `X-Hub-Signature-256`. They then stay in the state store as long as the run does ([why not by default](security.md#credentials-of-callers))")
        .option(As("keep-header"));
    callback_hosts: Vec<HostPattern> = Key::new("callback_hosts", &Hosts, "", Ours, Access,
        "hosts to which results may be sent: names, addresses or ranges, each optionally with `:PORT`; `*` allows all").option(As("callback-host"));
    request_hosts: Vec<HostPattern> = Key::new("request_hosts", &Hosts, "", Ours, Access,
        "hosts that flows may call with `request`, written as in `callback_hosts`; by default all").option(As("request-host"));
    denied_addresses: Vec<IpNet> = Key::new("denied_addresses", &Ranges, "special", Ours, Access,
        "addresses to which neither `request` nor callbacks connect, under any name, unless `request_hosts` or `callback_hosts` lists the address itself: addresses, ranges, `special` (loopback, link-local, metadata, multicast), `private` or `none`").locally("").option(As("denied-address"));
    trusted_proxies: Vec<IpNet> = Key::new("trusted_proxies", &Ranges, "", Ours, Access,
        "addresses of proxies in front of the server that are trusted to name the user: what they send in `user_header` and in `X-Forwarded-For` appears in [histories and the audit log](security.md#who-did-it); written as in `denied_addresses`")
        .option(As("trusted-proxy"));
    user_header: Option<HeaderName> = Key::new("user_header", &Optional(HeaderOf), "", Ours, Access,
        "header in which `trusted_proxies` name the user who has signed in, such as `X-Forwarded-User`");
    dashboard_url: Option<String> = Key::new("dashboard_url", &Optional(Text::URL), "", Ours, Access,
        "address of `faas-flow dashboard` as browsers reach it; needed for [signing in](dashboard.md#signing-in)");
    oidc_issuer: Option<String> = Key::new("oidc_issuer", &Optional(Text::URL), "", Ours, Access,
        "address of the OpenID provider with which people [sign in](dashboard.md#signing-in) to `faas-flow dashboard`");
    oidc_client_id: Option<String> = Key::new("oidc_client_id", &Optional(Text::ANY), "", Ours, Access,
        "name of the dashboard at the provider; its secret there is the secret `faasflow-oidc-secret`");
    oidc_rights: Vec<Grant> = Key::new("oidc_rights", &Grants, "", Ours, Access,
        "rights of those who sign in, a line each: `CLAIM=VALUE: RIGHTS`, as in `groups=operators: see,control`")
        .option(As("oidc-right"));
    oidc_scopes: String = Key::new("oidc_scopes", &Text::ANY, "profile email", Ours, Access,
        "scopes to request from the provider besides `openid`, separated by spaces");
    oidc_user: String = Key::new("oidc_user", &Text::ANY, "email", Ours, Access,
        "claim with the name of the user");
    audit_length: usize = Key::new("audit_length", &Count(0), "10000", Ours, Access,
        "how many entries of the [audit log](security.md#who-did-it) the state store keeps, at most 100,000; 0 for none");
    allowed_hosts: Vec<String> = Key::new("allowed_hosts", &List, "", Ours, Access,
        "additional names, each as NAME or NAME:PORT, under which a server on a loopback address answers, besides that address and `localhost`; `*` allows all ([why](security.md#pages-in-a-browser))")
        .option(As("allowed-host"));
    allowed_origins: Vec<String> = Key::new("allowed_origins", &Origins, "", Ours, Access,
        "origins, each as `https://NAME` or `https://NAME:PORT`, whose pages may start runs on a server on a loopback address and read their states and results ([why](security.md#pages-in-a-browser))")
        .option(As("allowed-origin"));
    cors_origins: Vec<String> = Key::new("cors_origins", &CorsOrigins, "", Ours, Access,
        "origins, each as `https://NAME` or `https://NAME:PORT`, whose pages may call flows and functions with scripts and read the answers ([CORS](http.md#pages-of-other-origins)); `*` allows all, but not on a server on a loopback address")
        .option(As("cors-origin"));

    schedules: Vec<ScheduleEntry> = Key::new("schedules", &Schedules, "", Ours, Schedule,
        "schedules that begin runs, a line each: `NAME=WHEN; time-zone=ZONE`, or `NAME=off`. Each replaces the schedule of that name that the flow declares ([schedules](schedules.md#in-the-configuration))")
        .option(As("schedule"));

    guest_memory: usize = Key::new("guest_memory", &Size(1), "256MiB", Ours, Guest,
        "maximum memory of one instance of a flow; a single request or response that its code receives should not exceed a quarter of it");
    guest_output: usize = Key::new("guest_output", &Size(1), "32MiB", Ours, Guest,
        "maximum size of what one call of the flow's code returns or passes to the host, including the context values that it sets");
    guest_instances: u32 = Key::new("guest_instances", &Count(1), "1000", Ours, Guest,
        "maximum number of flow instances in memory; beyond it, idle instances are dropped, and nodes wait for one");
    guest_timeout: Duration = Key::new("guest_timeout", &Time::millis(1..=HOUR), "10s", Ours, Guest,
        "maximum time for one call of the flow's code");
    compile_timeout: Duration = Key::new("compile_timeout", &Time::millis(SECOND..=HOUR), "60s", Ours, Guest,
        "maximum time to compile a module, which a separate process does");
    compile_memory: usize = Key::new("compile_memory", &Size(1), "4GiB", Ours, Guest,
        "maximum address space of the process that compiles a module");
    compiled_limit: usize = Key::new("compiled_limit", &Size(1), "256MiB", Ours, Guest,
        "maximum size of a module's machine code");
    flow_nodes: usize = Key::new("flow_nodes", &Count(1), "20000", Ours, Guest,
        "maximum number of nodes in the definition of a flow; its other parts are limited in proportion ([concepts](concepts.md#how-large-a-definition-may-be))");
    cache: Option<PathBuf> = Key::new("cache", &Optional(FilePath), "", Ours, Guest,
        "folder for compiled code; by default the user's cache folder, or a folder in `$TMPDIR` if that is not writable");

    module_keys: Vec<String> = Key::new("module_keys", &List, "", Ours, Modules,
        "public keys, each a file or the name of a secret: if there are any, only modules signed with one of them are accepted ([signing](signing.md))")
        .option(As("module-key"));

    enable_tracing: bool = Key::new("enable_tracing", &Switch, "false", Original, Tracing,
        "trace runs ([tracing](tracing.md))").option(Also("tracing"));
    trace_server: Option<TraceServer> = Key::new("trace_server", &Optional(TraceServers), "http://127.0.0.1:4318", Original, Tracing,
        "server that receives the spans: by default as OTLP over HTTP, at port 4317 as OTLP over gRPC, at 5775 and 6831 in the protocol of Jaeger's agent ([which](tracing.md#where-spans-are-sent))");

    otel_sdk_disabled: bool = Key::of_telemetry("OTEL_SDK_DISABLED", &AnyCase(TRUE_FALSE), "false",
        "trace nothing, whatever `enable_tracing` says").leniently();
    otel_traces_exporter: Option<Exporter> = Key::of_telemetry("OTEL_TRACES_EXPORTER", &AnyCase(Optional(EXPORTERS)), "",
        "how spans are sent; by default as `trace_server` says").leniently();
    otlp_endpoint: Option<String> = Key::of_telemetry("OTEL_EXPORTER_OTLP_ENDPOINT", &Optional(Server), "",
        "server that receives the spans if `trace_server` is not set; with HTTP, `/v1/traces` is added to its path");
    otlp_traces_endpoint: Option<String> = Key::of_telemetry("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &Optional(Server), "",
        "the same with its whole path; it wins over `OTEL_EXPORTER_OTLP_ENDPOINT`");
    otlp_protocol: Option<OtlpProtocol> = Key::of_telemetry("OTEL_EXPORTER_OTLP_PROTOCOL", &AnyCase(Optional(PROTOCOLS)), "",
        "protocol of OTLP; by default `grpc` at port 4317, and otherwise `http/protobuf`")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").leniently();
    otlp_headers: Vec<(String, String)> = Key::of_telemetry("OTEL_EXPORTER_OTLP_HEADERS", &Pairs::HEADERS, "",
        "headers of each request, as in `api-key=abc,team=x%20y`")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_HEADERS").hidden();
    otlp_timeout: Option<Duration> = Key::of_telemetry("OTEL_EXPORTER_OTLP_TIMEOUT", &MillisLimit, "10000",
        "how long it may take to send a batch of spans; 0 for no limit")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").leniently();
    otlp_compression: OtlpCompression = Key::of_telemetry("OTEL_EXPORTER_OTLP_COMPRESSION", &AnyCase(COMPRESSIONS), "none",
        "how requests are compressed")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION").leniently();
    otlp_certificate: Option<PathBuf> = Key::of_telemetry("OTEL_EXPORTER_OTLP_CERTIFICATE", &Optional(FilePath), "",
        "file in PEM form with the certificates that the server's must be signed by, instead of those that the system trusts")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE");
    otlp_client_certificate: Option<PathBuf> = Key::of_telemetry("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &Optional(FilePath), "",
        "file in PEM form with the certificate that the program presents to the server")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE");
    otlp_client_key: Option<PathBuf> = Key::of_telemetry("OTEL_EXPORTER_OTLP_CLIENT_KEY", &Optional(FilePath), "",
        "file in PEM form with the key of that certificate")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY");
    otlp_insecure: bool = Key::of_telemetry("OTEL_EXPORTER_OTLP_INSECURE", &AnyCase(TRUE_FALSE), "false",
        "whether OTLP over gRPC is spoken without TLS, if the endpoint has no scheme that says so")
        .specifically("OTEL_EXPORTER_OTLP_TRACES_INSECURE").leniently();
    jaeger_agent_host: Option<String> = Key::of_telemetry("OTEL_EXPORTER_JAEGER_AGENT_HOST", &Optional(Text::ANY), "",
        "host of Jaeger's agent, if spans are sent to one; it wins over `trace_server`");
    jaeger_agent_port: Option<u16> = Key::of_telemetry("OTEL_EXPORTER_JAEGER_AGENT_PORT", &Optional(Port), "",
        "its port").leniently();
    otel_traces_sampler: TracesSampler = Key::of_telemetry("OTEL_TRACES_SAMPLER", &AnyCase(SAMPLERS), "parentbased_always_on",
        "which runs are traced: all, none or a part, and whether the caller's decision takes precedence").leniently();
    otel_traces_sampler_arg: Option<f64> = Key::of_telemetry("OTEL_TRACES_SAMPLER_ARG", &Optional(Ratio), "",
        "share of runs that is traced, from 0 to 1; by default all").leniently();
    otel_service_name: Option<String> = Key::of_telemetry("OTEL_SERVICE_NAME", &Optional(Text::ANY), "",
        "name of the service; by default `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, or else the name of the flow, and `faas-flow` for `serve`");
    otel_resource_attributes: Vec<(String, String)> = Key::of_telemetry("OTEL_RESOURCE_ATTRIBUTES", &Pairs::ATTRIBUTES, "",
        "attributes of the service that all its spans have, as in `deployment.environment.name=test,team=x%20y`").leniently();
    otel_bsp_schedule_delay: Duration = Key::of_telemetry("OTEL_BSP_SCHEDULE_DELAY", &Millis, "5000",
        "how long a span waits for others that are sent with it").leniently();
    otel_bsp_export_timeout: Option<Duration> = Key::of_telemetry("OTEL_BSP_EXPORT_TIMEOUT", &MillisLimit, "30000",
        "how long it may take to send a batch of spans, with whatever protocol; 0 for no limit").leniently();
    otel_bsp_max_queue_size: usize = Key::of_telemetry("OTEL_BSP_MAX_QUEUE_SIZE", &Count(1), "2048",
        "maximum number of spans that wait to be sent; more are dropped").leniently();
    otel_bsp_max_export_batch_size: usize = Key::of_telemetry("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &Count(1), "512",
        "maximum number of spans that are sent at once; at most `OTEL_BSP_MAX_QUEUE_SIZE`").leniently();
    otel_attribute_value_length_limit: Option<usize> = Key::of_telemetry("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", &Optional(Count(0)), "",
        "maximum number of characters of an attribute's value; by default there is no limit")
        .specifically("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").leniently();
    otel_attribute_count_limit: usize = Key::of_telemetry("OTEL_ATTRIBUTE_COUNT_LIMIT", &Count(0), "128",
        "maximum number of attributes of a span")
        .specifically("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").leniently();
    otel_span_link_count_limit: usize = Key::of_telemetry("OTEL_SPAN_LINK_COUNT_LIMIT", &Count(0), "128",
        "maximum number of links of a span").leniently();
    otel_propagators: Propagators = Key::of_telemetry("OTEL_PROPAGATORS", &AnyCase(PropagatorList), "tracecontext,baggage",
        "which headers of a caller are read and passed on: `tracecontext` for `traceparent` and `tracestate`, `baggage`, or `none`").leniently();
}

/// Variables that of-watchdog reads besides the ones that are keys here. They are not taken for misspelt keys.
pub(super) const WATCHDOG_KEYS: [&str; 20] = [
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

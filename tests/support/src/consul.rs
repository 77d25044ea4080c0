//! A double of a Consul agent, since Debian has no package of Consul.
//!
//! It keeps to what Consul's documentation says, and where that is silent to what its source does:
//!
//! - *Transactions* (`/v1/txn`, developer.hashicorp.com/consul/api-docs/txn): all operations happen or none; 409 with
//!   `Errors`, each with its `OpIndex` and `What`, if one fails; values in base64; `Results` without values but for
//!   reads, and without deletes. A failed operation does not stop the next one, all errors are told
//!   (`agent/consul/state/txn.go`).
//! - *Indices* (`agent/consul/state/kvs.go`): each transaction that writes has one index, which becomes the
//!   `ModifyIndex` of what it wrote, except of a key that it left as it was. `cas` with index 0 creates only;
//!   `delete-cas` of a key that does not exist succeeds.
//! - *Limits* (`agent/txn_endpoint.go`, and `limits` in the agent's configuration): 413 above 64 operations (128 since
//!   1.14), a body of 512 KiB, or a value of 512 KiB.
//! - *Reads* (`/v1/kv`, api-docs/kv): `recurse`, `keys` and `separator`; 404 where nothing is found; and newer agents
//!   take letters, digits and `,-_./` only in the path (`agent/kvs_endpoint.go`).
//! - *ACLs* (docs/security/acl): 403 for a token that does not exist; a transaction that writes without the right fails
//!   with `Permission denied` among its `Errors`; what may not be read is left out.
//! - *Consistency* (api-docs/features/consistency): the default mode may answer with what is out of date, so a read
//!   that does not ask for `consistent` is refused here.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

const LIMIT: usize = 512 * 1024;

/// What the agent does with the next requests.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    /// Answers as Consul does.
    Fine,
    /// Accepts requests and never answers.
    Silent,
    /// Answers that the servers have no leader.
    Leaderless,
    /// Answers as some other server would.
    Garbage,
}

#[derive(Clone)]
struct Entry {
    create: u64,
    modify: u64,
    flags: u64,
    value: Vec<u8>,
}

#[derive(Clone, Default)]
struct Data {
    index: u64,
    pairs: BTreeMap<String, Entry>,
}

struct Agent {
    data: Mutex<Data>,
    mood: Mutex<Mood>,
    /// The token that may write, and below which prefix.
    acl: Mutex<Option<(String, String)>>,
    ops: AtomicUsize,
    requests: AtomicU64,
    answered: AtomicU64,
}

/// An agent on a free port, with what it stores.
pub struct Server {
    agent: Arc<Agent>,
    port: u16,
    /// A runtime of its own, so that all connections end with it.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    /// Starts one.
    pub fn start() -> Self {
        let agent = Agent {
            data: Mutex::default(),
            mood: Mutex::new(Mood::Fine),
            acl: Mutex::default(),
            ops: AtomicUsize::new(64),
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        };
        let mut server = Self { agent: Arc::new(agent), port: 0, runtime: None };
        server.run();
        server
    }

    /// Runs it again, on the same port with what it stored.
    pub fn run(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = ("127.0.0.1", self.port);
        let listener = std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap()).join().unwrap()
        });
        self.port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(self.agent.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        self.runtime = Some(runtime);
    }

    /// Ends it at once, with its connections.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The URL of a state store in it, with options: `?prefix=a/`.
    pub fn url(&self, options: &str) -> String {
        format!("consul://127.0.0.1:{}{options}", self.port)
    }

    /// Changes what it does with the next requests.
    pub fn set_mood(&self, mood: Mood) {
        *self.agent.mood.lock().unwrap() = mood;
    }

    /// From now on only this token may read and write, below a prefix.
    pub fn allows(&self, token: &str, prefix: &str) {
        *self.agent.acl.lock().unwrap() = Some((token.to_owned(), prefix.to_owned()));
    }

    /// From now on it takes as many operations as Consul does since 1.14.
    pub fn is_new(&self) {
        self.agent.ops.store(128, Ordering::Relaxed);
    }

    /// Writes a key.
    pub fn put(&self, key: &str, value: &str) {
        let mut data = self.data();
        data.index += 1;
        let create = data.index;
        let value = value.as_bytes().to_vec();
        data.pairs.insert(key.to_owned(), Entry { create, modify: create, flags: 0, value });
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.data().pairs.keys().cloned().collect()
    }

    /// How many requests there have been, and the bytes of all answers.
    pub fn traffic(&self) -> (u64, u64) {
        (self.agent.requests.load(Ordering::Relaxed), self.agent.answered.load(Ordering::Relaxed))
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.agent.data.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

type Answer = (StatusCode, String);

async fn answer(State(agent): State<Arc<Agent>>, request: Request) -> Response {
    agent.requests.fetch_add(1, Ordering::Relaxed);
    let mood = *agent.mood.lock().unwrap();
    let (status, body) = match mood {
        Mood::Silent => std::future::pending().await,
        Mood::Leaderless => (StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader".to_owned()),
        Mood::Garbage => (StatusCode::OK, "<html>It works!</html>".to_owned()),
        Mood::Fine => agent.route(request).await,
    };
    agent.answered.fetch_add(body.len() as u64, Ordering::Relaxed);
    (status, Body::from(body)).into_response()
}

impl Agent {
    async fn route(&self, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        let query: Vec<&str> = parts.uri.query().unwrap_or_default().split('&').collect();
        let token = parts.headers.get("x-consul-token").map_or("", |token| token.to_str().unwrap());
        let may: Box<dyn Fn(&str) -> bool + Send> = match &*self.acl.lock().unwrap() {
            None => Box::new(|_| true),
            Some((known, prefix)) if known == token => {
                let prefix = prefix.clone();
                Box::new(move |key| key.starts_with(&prefix))
            }
            Some(_) if token.is_empty() => Box::new(|_| false),
            Some(_) => return (StatusCode::FORBIDDEN, "ACL not found".to_owned()),
        };
        if !query.contains(&"consistent") {
            return bad("these tests want consistent reads");
        }
        let Ok(body) = to_bytes(body, usize::MAX).await else { return bad("no body") };
        match (parts.method.as_str(), parts.uri.path()) {
            ("PUT", "/v1/txn") => self.txn(&body, &*may),
            ("GET", path) if path.starts_with("/v1/kv/") => self.list(&path["/v1/kv/".len()..], &query, &*may),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed".to_owned()),
        }
    }

    fn list(&self, prefix: &str, query: &[&str], may: &dyn Fn(&str) -> bool) -> Answer {
        if !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b",-_./".contains(&byte)) {
            return bad("key contains invalid character");
        }
        let data = self.data.lock().unwrap();
        let pairs: Vec<_> = data.tree(prefix).filter(|(key, _)| may(key)).collect();
        let separator = query.iter().find_map(|option| option.strip_prefix("separator="));
        let cut = |key: &str| match separator.and_then(|separator| key[prefix.len()..].find(separator)) {
            Some(at) => key[..=prefix.len() + at].to_owned(),
            None => key.to_owned(),
        };
        let found: Vec<Value> = if query.contains(&"keys") {
            pairs.iter().map(|(key, _)| cut(key)).collect::<BTreeSet<_>>().into_iter().map(Value::from).collect()
        } else if query.contains(&"recurse") {
            pairs.iter().map(|(key, entry)| entry.json(key, true)).collect()
        } else {
            return bad("not used");
        };
        if found.is_empty() {
            (StatusCode::NOT_FOUND, String::new())
        } else {
            (StatusCode::OK, Value::from(found).to_string())
        }
    }

    fn txn(&self, body: &[u8], may: &dyn Fn(&str) -> bool) -> Answer {
        if body.len() > LIMIT {
            return large(format!("Request body too large, max size: {LIMIT} bytes"));
        }
        let Ok(Value::Array(ops)) = serde_json::from_slice(body) else { return bad("Failed to parse body") };
        let limit = self.ops.load(Ordering::Relaxed);
        if ops.len() > limit {
            return large(format!("Transaction contains too many operations ({} > {limit})", ops.len()));
        }
        let mut data = self.data.lock().unwrap();
        let mut next = data.clone();
        next.index += 1;
        let mut results = Vec::new();
        let mut errors = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            let op = &op["KV"];
            let verb = op["Verb"].as_str().unwrap();
            let key = op["Key"].as_str().unwrap();
            let denied = || format!("Permission denied: token lacks permission 'key:write' on \"{key}\"");
            let done = if verb != "get-tree" && !may(key) { Err(denied()) } else { next.apply(verb, key, op) };
            match done {
                Ok(found) => results.extend(found.into_iter().map(|pair| json!({ "KV": pair }))),
                Err(what) => errors.push(json!({ "OpIndex": at, "What": what })),
            }
        }
        if !errors.is_empty() {
            return (StatusCode::CONFLICT, json!({ "Results": null, "Errors": errors }).to_string());
        }
        *data = next;
        results.retain(|result| may(result["KV"]["Key"].as_str().unwrap()));
        (StatusCode::OK, json!({ "Results": results, "Errors": null }).to_string())
    }
}

impl Data {
    fn tree<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        self.pairs.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn apply(&mut self, verb: &str, key: &str, op: &Value) -> Result<Vec<Value>, String> {
        let index = op["Index"].as_u64().unwrap_or_default();
        let found = self.pairs.get(key).map_or(0, |entry| entry.modify);
        match verb {
            "set" => Ok(vec![self.set(key, op)?]),
            "cas" if found == index => Ok(vec![self.set(key, op)?]),
            "cas" => Err(format!("failed to set key {key:?}, index is stale")),
            "get" if found == 0 => Err(format!("key {key:?} doesn't exist")),
            "get" => Ok(vec![self.pairs[key].json(key, true)]),
            "get-tree" => Ok(self.tree(key).map(|(key, entry)| entry.json(key, true)).collect()),
            "check-index" if found == 0 => Err(format!("failed to check index, key {key:?} doesn't exist")),
            "check-index" if found == index => Ok(vec![self.pairs[key].json(key, false)]),
            "check-index" => {
                Err(format!("failed index check for key {key:?}, current modify index {found} != {index}"))
            }
            "check-not-exists" if found > 0 => Err(format!("key {key:?} exists")),
            "check-not-exists" => Ok(Vec::new()),
            "delete-cas" if found > 0 && found != index => Err(format!("failed to delete key {key:?}, index is stale")),
            "delete" | "delete-cas" => {
                self.pairs.remove(key);
                Ok(Vec::new())
            }
            "delete-tree" => {
                self.pairs.retain(|other, _| !other.starts_with(key));
                Ok(Vec::new())
            }
            _ => Err(format!("unknown KV verb {verb:?}")),
        }
    }

    fn set(&mut self, key: &str, op: &Value) -> Result<Value, String> {
        let value = STANDARD.decode(op["Value"].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        if value.len() > LIMIT {
            return Err(format!("Value for key {key:?} is too large"));
        }
        let flags = op["Flags"].as_u64().unwrap_or_default();
        let index = self.index;
        let entry =
            self.pairs.entry(key.to_owned()).or_insert(Entry { create: index, modify: 0, flags, value: vec![] });
        if entry.modify == 0 || (entry.flags, &entry.value) != (flags, &value) {
            *entry = Entry { create: entry.create, modify: index, flags, value };
        }
        Ok(entry.json(key, false))
    }
}

impl Entry {
    fn json(&self, key: &str, read: bool) -> Value {
        let value = (read && !self.value.is_empty()).then(|| STANDARD.encode(&self.value));
        json!({
            "LockIndex": 0, "Key": key, "Flags": self.flags, "Value": value,
            "CreateIndex": self.create, "ModifyIndex": self.modify,
        })
    }
}

fn bad(reason: &str) -> Answer {
    (StatusCode::BAD_REQUEST, reason.to_owned())
}

fn large(reason: String) -> Answer {
    (StatusCode::PAYLOAD_TOO_LARGE, reason)
}

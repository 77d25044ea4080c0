//! From a store's address to the store.

use crate::address::Address;
use crate::{DataStore, StateStore, StoreError, consul, etcd, files, memory, redis, s3, sqlite};
use std::sync::Arc;

/// Opens the state store at an address.
///
/// - `memory`: in this process, gone with it.
/// - `consul://HOST:PORT`, or `consuls://` for TLS: in the key-value store of Consul. Options:
///   - `prefix=faas-flow/`: what all keys begin with.
///   - `token=ID` (default: `CONSUL_HTTP_TOKEN`): the ACL token.
///   - `dc=NAME` (default: the agent's): the datacenter.
///   - `ca=PATH`: a PEM file with the certificates to trust, besides the system's; TLS only.
///   - `timeout_ms=5000`: how long to wait for an answer.
/// - `etcd://HOST:PORT,HOST:PORT`, or `etcds://` for TLS, with `USER:PASSWORD@` before the hosts if need be: in etcd, 3.4
///   or later. Options:
///   - `prefix=faas-flow/`: what all keys begin with.
///   - `timeout_ms=5000`: how long to wait for an answer.
///   - `ca=PATH`, `cert=PATH` and `key=PATH`: PEM files with the certificates to trust, besides the system's, and with
///     the certificate and key to show.
/// - `sqlite:PATH` or `sqlite://PATH`: in a file, which is created with its directory where it is missing. Options
///   follow a `?`, separated by `&`:
///   - `synchronous=normal` (default): a commit survives the end of the process, but power loss may take the last ones.
///     `synchronous=full`: it survives that too.
///   - `mode=ro`: nothing is created or written; another process may write meanwhile.
///   - `busy_timeout_ms=5000`: how long to wait for a lock of another process.
///   - `max_pages=N`: the store is full at N pages of 4 KiB.
/// - `redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]`: in Redis 6.2 or newer, or what speaks its protocol; how durable a
///   commit is, is up to the server (`appendfsync`), and it must not evict keys (`maxmemory-policy noeviction`).
///   `redis+sentinel://` takes several sentinels, `A:PORT,B:PORT`, and `redis+cluster://` several nodes of a cluster;
///   `rediss`, `rediss+sentinel` and `rediss+cluster` are the same over TLS. Options, each with its value percent-encoded:
///   - `prefix=ff:`: what all keys begin with.
///   - `partitions=16`: how many parts a new store's index has, 1 to 1024; one that is there keeps its number.
///   - `timeout_ms=5000`: how long to wait for an answer, and for a connection.
///   - `master=NAME`: with sentinels, the name that they know the server by.
///   - `ca=FILE`, `cert=FILE` and `key=FILE`: over TLS, the authority that is trusted in place of the system's, and who
///     we are; PEM.
pub async fn open_state(url: &str) -> Result<Arc<dyn StateStore>, StoreError> {
    let address = Address::parse(url);
    match address.scheme {
        "consul" | "consuls" => consul::open_state(&address).await,
        "etcd" | "etcds" => etcd::open_state(&address).await,
        "memory" => memory::open_state(&address),
        "sqlite" => sqlite::open_state(&address).await,
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster" => {
            redis::open_state(&address).await
        }
        _ => Err(address.bad("use memory, sqlite:PATH, redis://HOST, etcd://HOST:PORT or consul://HOST:PORT")),
    }
}

/// Opens the data store at an address.
///
/// - `memory`: in this process, gone with it.
/// - `files:PATH` or `files://PATH`: one file per key below a directory, which is created where it is missing. Options
///   follow a `?`, separated by `&`: `synchronous` and `mode` as in [`open_state`].
/// - `redis://…` and its relatives, as in [`open_state`], with `ttl_s=2592000` in place of `partitions`: the data of a run
///   goes so many seconds after the run's last put, should nobody delete it; `0`: never. Choose more than the time for
///   which history is kept, and than a run may pause.
/// - `s3://BUCKET` or `s3://BUCKET/PREFIX`: in a bucket of any service that speaks S3, below the prefix. The access key
///   is that of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and perhaps `AWS_SESSION_TOKEN`, or else of the files
///   `s3-access-key` and `s3-secret-key`; it needs the rights to get, put, delete and list. Options:
///   - `endpoint=http://127.0.0.1:9000`: the service, where it is not Amazon's.
///   - `region=us-east-1` (default: `AWS_REGION`, or this one).
///   - `path_style=true`: the bucket is part of the path, not of the host's name (default: with an `endpoint` only).
///   - `create=true`: the bucket is created where it is missing.
///   - `secrets=/var/openfaas/secrets` (default): the directory of the files of the access key. They are read again
///     every five minutes. Where it is given, the variables do not count.
///   - `ca=PATH`: certificates in PEM that are trusted instead of the system's.
///   - `connect_timeout_ms=3000`, `timeout_ms=30000`, `attempts=3`: how long one attempt of a call may take, and how
///     many there are. The timeout does not limit the reading of a value, as long as bytes come.
pub async fn open_data(url: &str) -> Result<Arc<dyn DataStore>, StoreError> {
    let address = Address::parse(url);
    match address.scheme {
        "memory" => memory::open_data(&address),
        "files" => files::open_data(&address).await,
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster" => {
            redis::open_data(&address).await
        }
        "s3" => s3::open_data(&address).await,
        _ => Err(address.bad("use memory, files:PATH, redis://HOST or s3://BUCKET/PREFIX")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[tokio::test]
    async fn an_address_that_names_no_store_is_refused() {
        for url in [
            "",
            "x",
            "memory:x",
            "memory?mode=ro",
            "sqlite",
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:x?mode=rx",
            "sqlite:x?nmode=ro",
            "sqlite:x?max_pages=many",
            "sqlite:x?synchronous",
            "files:x",
            "redis:",
            "nosuchdb://somebody:secret@there",
        ] {
            let error = open_state(url).await.err().unwrap();
            assert_eq!(error.code(), Code::BAD_STORE_URL, "{url}: {error}");
            assert!(!error.to_string().contains("secret"));
        }
        for url in ["files", "files:", "files:x?max_pages=3", "sqlite:x"] {
            assert_eq!(open_data(url).await.err().unwrap().code(), Code::BAD_STORE_URL, "{url}");
        }
    }
}

//! Opens a store by its address.

use crate::address::Address;
use crate::{DataStore, StateStore, StoreError, consul, etcd, files, memory, redis, s3, sqlite};
use std::sync::Arc;

/// Opens the state store at an address.
///
/// Options follow a `?` and are separated by `&`; their values are percent-encoded.
///
/// - `memory`: in the memory of this process. It is lost when the process ends.
/// - `sqlite:PATH` or `sqlite://PATH`: in a file, which is created with its directory if it does not exist. Options:
///   - `synchronous=normal` (default): a commit survives a crash of the process, but power loss may lose the last ones.
///     `synchronous=full`: a commit survives power loss too.
///   - `mode=ro`: nothing is created or written; another process may write at the same time.
///   - `busy_timeout_ms=5000`: how long to wait for a lock that another process holds.
///   - `max_pages=N`: the store is full at N pages of 4 KiB.
/// - `redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]`: in Redis 6.2 or later, or a server with the same protocol. The
///   server decides how durable a commit is (`appendfsync`). A server that may evict keys is refused.
///   `redis+sentinel://` takes several sentinels, `A:PORT,B:PORT`, and `redis+cluster://` several nodes of a cluster;
///   `rediss`, `rediss+sentinel` and `rediss+cluster` are the same over TLS. Options:
///   - `prefix=ff:`: the prefix of all keys.
///   - `partitions=16`: how many partitions the index of a new store has, 1 to 1024. An existing store keeps its number.
///   - `eviction=refuse`: `allow` accepts a server that may evict keys.
///   - `timeout_ms=5000`: how long to wait for an answer, and for a connection.
///   - `master=NAME`: with sentinels, the name by which they know the server.
///   - `sentinel_user=USER`, `sentinel_password=PASSWORD`: with sentinels that require them. `USER:PASSWORD@` is for the
///     servers.
///   - `sentinel_tls=on` or `off`: whether the sentinels take TLS, if they differ from the servers.
///   - `ca=FILE`, `cert=FILE` and `key=FILE`: over TLS, PEM files with the authority to trust instead of the system's,
///     and with the client's certificate and key.
/// - `etcd://HOST:PORT,HOST:PORT`, or `etcds://` for TLS, with `USER:PASSWORD@` before the hosts if the servers require
///   authentication: in etcd 3.4 or later. Options:
///   - `prefix=faas-flow/`: the prefix of all keys.
///   - `timeout_ms=5000`: how long to wait for an answer.
///   - `ca=PATH`, `cert=PATH` and `key=PATH`: over TLS, PEM files with certificates to trust in addition to the system's,
///     and with the client's certificate and key.
/// - `consul://HOST:PORT`, or `consuls://` for TLS: in the key-value store of Consul. Options:
///   - `prefix=faas-flow/`: the prefix of all keys.
///   - `token=ID` (default: `CONSUL_HTTP_TOKEN`): the ACL token.
///   - `dc=NAME` (default: the agent's): the datacenter.
///   - `ca=PATH`: over TLS, a PEM file with certificates to trust in addition to the system's.
///   - `timeout_ms=5000`: how long to wait for an answer.
///
/// Opening checks that the store answers and was not written by a newer release.
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
/// Options follow a `?` and are separated by `&`; their values are percent-encoded.
///
/// - `memory`: in the memory of this process. It is lost when the process ends.
/// - `files:PATH` or `files://PATH`: one file per key below a directory, which is created if it does not exist. Options:
///   `synchronous` and `mode` as in [`open_state`].
/// - `redis://…` and its variants, as in [`open_state`], with `ttl_s=2592000` instead of `partitions`: the data of a run
///   expires this many seconds after the run's last put, unless it is deleted before; `0`: never. Choose more than the time
///   for which history is kept, and than a run may be paused.
/// - `s3://BUCKET` or `s3://BUCKET/PREFIX`: in a bucket of any service with the S3 protocol, below the prefix. The access
///   key comes from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and optionally `AWS_SESSION_TOKEN`, or else from the
///   files `s3-access-key` and `s3-secret-key`; it needs permission to get, put, delete and list. Options:
///   - `endpoint=http://127.0.0.1:9000`: the service, if it is not Amazon's.
///   - `region=us-east-1` (default: `AWS_REGION`, or this one).
///   - `path_style=true`: the bucket is part of the path, not of the host name (the default with an `endpoint`).
///   - `create=true`: the bucket is created if it does not exist.
///   - `secrets=/var/openfaas/secrets` (default): the directory of the access key's files, which are read again every
///     five minutes. If it is given, the variables are ignored.
///   - `ca=PATH`: a PEM file with the certificates to trust instead of the system's.
///   - `connect_timeout_ms=3000`, `timeout_ms=30000`, `attempts=3`: how long one attempt of a call may take, and how many
///     attempts there are. The timeout does not limit the download of a value as long as bytes arrive.
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
    async fn an_address_that_is_not_a_stores_is_refused() {
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

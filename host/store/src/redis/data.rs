//! Data in Redis: one hash per partition, a field per name.

use super::link::{Arguments, Link, Lua, Repeat};
use crate::{DataKey, DataStore, StoreError};
use ::redis::cmd;
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::Partition;
use std::time::Duration;

/// Stores a value and extends the lifetime of its run's data. It is one script, so that no value is stored without one.
const PUT: &str = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('EXPIRE', KEYS[1], ARGV[3])";
const PUT_FOREVER: &str = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('PERSIST', KEYS[1])";

pub(super) struct RedisData {
    link: Link,
    /// How long the data of a run is kept after its last put; `None` for ever.
    ttl: Option<Duration>,
    put: Lua,
    put_forever: Lua,
}

impl RedisData {
    pub(super) fn new(link: Link, ttl: Duration) -> Self {
        let ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
        Self { link, ttl, put: Lua::new(PUT), put_forever: Lua::new(PUT_FOREVER) }
    }

    fn key(&self, partition: &Partition) -> Vec<u8> {
        format!("{}data:{{{partition}}}", self.link.target.prefix).into_bytes()
    }
}

#[async_trait]
impl DataStore for RedisData {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        let mut arguments = Arguments::default();
        arguments.bytes(key.name().as_bytes()).bytes(&bytes);
        // Nothing would renew the expiry of what is no run's.
        let put = match self.ttl.filter(|_| key.partition().run().is_some()) {
            Some(ttl) => {
                arguments.text(ttl.as_secs());
                &self.put
            }
            None => &self.put_forever,
        };
        self.link.run(put, &[self.key(key.partition())], &arguments, Repeat::Harmless).await
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        let mut get = cmd("HGET");
        get.arg(self.key(key.partition())).arg(key.name());
        let found: Option<Vec<u8>> = self.link.ask(&get, Repeat::Harmless).await?;
        Ok(found.map(Bytes::from))
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        let mut delete = cmd("UNLINK");
        delete.arg(self.key(partition));
        self.link.ask(&delete, Repeat::Harmless).await
    }

    async fn keep(&self, partition: &Partition) -> Result<(), StoreError> {
        let mut persist = cmd("PERSIST");
        persist.arg(self.key(partition));
        self.link.ask(&persist, Repeat::Harmless).await
    }
}

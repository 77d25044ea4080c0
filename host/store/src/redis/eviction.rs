//! Whether a Redis may evict keys, so that runs and modules would vanish without anybody having deleted them.

use super::link::{Link, Repeat, To};
use crate::StoreError;
use ::redis::{FromRedisValue, Value, cmd};
use std::collections::HashMap;

/// What to do about a server that may evict keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eviction {
    /// The store is not opened.
    Refuse,
    /// The operator accepts that runs and modules may vanish.
    Allow,
}

/// What one server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Memory {
    /// `maxmemory-policy`.
    policy: String,
    /// `maxmemory`, in bytes; 0 is no limit.
    limit: Option<u64>,
}

impl Memory {
    /// Whether keys may vanish when the memory is full. The policies called `volatile` only evict keys with an expiry, but the
    /// data of a run has one, even while the run goes on.
    fn may_evict(&self) -> bool {
        self.policy != "noeviction" && self.limit != Some(0)
    }

    /// Reads the answer to `INFO memory`.
    fn of_info(answer: Value) -> Option<Self> {
        let info = String::from_redis_value(answer).ok()?;
        let field = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        let limit = field("maxmemory").and_then(|bytes| bytes.parse().ok());
        Some(Self { policy: field("maxmemory_policy")?.to_owned(), limit })
    }

    /// Reads the answer to `CONFIG GET maxmemory*`.
    fn of_config(answer: Value) -> Option<Self> {
        let mut config = HashMap::<String, String>::from_redis_value(answer).ok()?;
        let limit = config.get("maxmemory").and_then(|bytes| bytes.parse().ok());
        Some(Self { policy: config.remove("maxmemory-policy")?, limit })
    }
}

/// Refuses a server that may evict keys, or a cluster with one. If the servers do not say, this is logged.
pub(super) async fn check(link: &Link) -> Result<(), StoreError> {
    if link.target.eviction == Eviction::Allow {
        return Ok(());
    }
    let Some(servers) = ask(link).await? else {
        tracing::warn!(
            store = %link.target,
            "the store does not say whether it evicts keys: make sure that its maxmemory-policy is noeviction"
        );
        return Ok(());
    };
    match servers.into_iter().find(Memory::may_evict) {
        Some(Memory { policy, .. }) => Err(StoreError::Evicts { place: link.target.to_string(), policy }),
        None => Ok(()),
    }
}

/// What all masters say; none if one of them does not. `INFO` needs fewer rights, but `CONFIG` is in every server that speaks
/// the protocol.
async fn ask(link: &Link) -> Result<Option<Vec<Memory>>, StoreError> {
    let mut info = cmd("INFO");
    info.arg("memory");
    let mut config = cmd("CONFIG");
    config.arg("GET").arg("maxmemory*");
    for (command, read) in [(info, Memory::of_info as fn(Value) -> Option<Memory>), (config, Memory::of_config)] {
        match link.send(&command, Repeat::Harmless, To::EveryMaster).await {
            Ok(Value::Array(answers)) => {
                if let Some(servers) = answers.into_iter().map(read).collect() {
                    return Ok(Some(servers));
                }
            }
            Ok(_) => {}
            // A user without the right, or a service that does not know the command.
            Err(error) if error.code().is_some() => {}
            Err(error) => return Err(link.target.error(&error)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_with_a_limit_and_a_policy_evicts() {
        let memory = |info: &str| Memory::of_info(Value::BulkString(info.into()));
        let info = |limit: u64, policy: &str| {
            let info = format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_human:1M\r\nmaxmemory_policy:{policy}\r\n");
            memory(&info).unwrap().may_evict()
        };
        assert!(!info(0, "noeviction") && !info(1 << 20, "noeviction") && !info(0, "allkeys-lru"));
        assert!(info(1 << 20, "allkeys-lru") && info(1 << 20, "volatile-ttl"));
        // A service that does not tell its limit has one.
        assert!(memory("maxmemory_policy:volatile-lru\r\n").unwrap().may_evict());
        assert_eq!(memory("used_memory:1\r\n"), None);
    }
}

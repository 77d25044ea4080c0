//! What an operator may set. OpenFaaS hands `environment` and `environment_file` of stack.yaml to a container as environment
//! variables, so a key is a variable, and an option of the commands that take it. Options win over the environment, that over
//! a `flow.yml` beside the module, and that over defaults.

mod file;
mod kind;
mod name;
mod options;
mod secrets;
mod show;
mod stores;
mod table;
mod values;

pub(crate) use file::layer as file_layer;
pub(crate) use name::flow_name;
pub(crate) use options::{Options, Takes};
pub(crate) use secrets::FILES as SECRETS;
pub(crate) use show::{Row, rows};
pub(crate) use stores::resolve as resolve_stores;
pub(crate) use table::*;
pub(crate) use values::{Defaults, Source, Values};

use crate::{Answers, Dispatch, Settings};

/// Ended runs that a state store in memory keeps.
const MEMORY_HISTORY: usize = 1000;

impl Settings {
    /// The settings that the keys say. The stores are resolved already.
    pub(crate) fn of(values: &Values) -> Self {
        let memory = values.text(&STATE_STORE) == "memory";
        Self {
            inline_limit: values.bytes(&INLINE_LIMIT),
            body_limit: values.bytes(&BODY_LIMIT),
            read_timeout: None,
            response_limit: values.bytes(&RESPONSE_LIMIT),
            max_nodes: values.count(&MAX_NODES),
            run_nodes: values.count(&RUN_NODES),
            max_runs: values.count(&MAX_RUNS),
            max_items: values.count(&MAX_ITEMS),
            lease: values.time(&LEASE),
            commit_delay: values.time(&COMMIT_DELAY),
            call_timeout: values.time(&CALL_TIMEOUT),
            history_ttl: values.time(&HISTORY_TTL),
            history_limit: if memory { MEMORY_HISTORY } else { usize::MAX },
            max_wait: values.time(&MAX_WAIT),
            default_wait: values.limit(&DEFAULT_WAIT),
            default_method: values.text(&DEFAULT_METHOD),
            dispatch: match values.text(&DISPATCH).as_str() {
                "local" => Dispatch::Local,
                "gateway" => Dispatch::Gateway,
                _ => Dispatch::Auto,
            },
            room_wait: values.time(&ROOM_WAIT),
            answers: Answers::Withheld,
            longest_sleep: values.time(&LONGEST_SLEEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_defaults_are_the_settings() {
        let values = Values::new(Defaults::Deployed, Vec::new(), Vec::new());
        assert_eq!(format!("{:?}", Settings::of(&values)), format!("{:?}", Settings::default()));
    }
}

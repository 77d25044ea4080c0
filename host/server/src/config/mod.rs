//! The configuration. Each key is an environment variable, as OpenFaaS passes `environment` and `environment_file` of stack.yaml
//! to a container, and an option of the commands that take it. Options win over the environment, the environment over a
//! `flow.yml` next to the module, and that over the defaults.
//!
//! Every value is read once, by its key's format, into the type that the code uses: [`Values`] has a field for each key.

mod error;
mod file;
mod fit;
mod format;
mod key;
mod limits;
mod name;
mod options;
mod secrets;
mod show;
mod stores;
mod table;
mod tracing;
mod values;

pub use error::Error;
pub(crate) use fit::misfits;
pub(crate) use key::{Defaults, Group};
pub(crate) use limits::figures as limit_figures;
pub(crate) use name::flow_name;
pub(crate) use options::{Options, Scope, Takes};
pub(crate) use secrets::SECRETS;
pub(crate) use show::Row;
pub(crate) use stores::{Stores, Unspecified, resolve as resolve_stores};
pub(crate) use table::Values;
pub(crate) use tracing::trace_settings_of;
pub(crate) use values::Source;

use faas_flow_guest::LogLimits;
use faas_flow_http::ShowPayloads;
use faas_flow_replica::audit::LONGEST_AUDIT;
use faas_flow_replica::{Answers, Destinations, Settings};
use std::path::Path;
use std::sync::OnceLock;

/// The number of ended runs that a state store in memory keeps.
const MEMORY_HISTORY: usize = 1000;

impl Values {
    /// Reads a `flow.yml` into the keys that are still defaults.
    pub(crate) fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        file::read(self, path)
    }

    /// As [`Self::read_file`], with the text of the file.
    #[cfg(any(feature = "fuzzing", test))]
    pub(crate) fn read_text(&mut self, text: &str, path: &Path) -> Result<(), Error> {
        file::parse(self, text, path)
    }
}

/// Where requests may go whose URL a flow or a caller chose.
pub(crate) fn destinations_of(values: &Values) -> Destinations {
    let Values { request_hosts, callback_hosts, denied_addresses, .. } = values;
    Destinations::new(request_hosts.value.clone(), callback_hosts.value.clone(), denied_addresses.value.clone())
}

/// The settings with these values. The stores must have been resolved.
pub(crate) fn settings_of(values: &Values) -> Settings {
    let in_memory = values.state_store.value.as_deref() == Some("memory");
    Settings {
        inline_limit: values.inline_limit.value,
        body_limit: values.body_limit.value,
        read_timeout: None,
        response_limit: values.response_limit.value,
        program_headers: values.program_headers.value.clone(),
        keep_headers: values.keep_headers.value.clone(),
        max_nodes: values.max_nodes.value,
        run_nodes: values.run_nodes.value,
        max_runs: values.max_runs.value,
        max_items: values.max_items.value,
        lease: values.lease.value,
        commit_delay: values.commit_delay.value,
        call_timeout: values.call_timeout.value,
        answer_timeout: values.answer_timeout.value,
        call_keep_alive: values.call_keep_alive.value,
        request_proxy: values.request_proxy.value.clone(),
        history_ttl: values.history_ttl.value,
        history_ttl_failed: values.history_ttl_failed.value,
        history_budget: values.history_budget.value,
        history_limit: if in_memory { MEMORY_HISTORY } else { usize::MAX },
        public_url: values.public_url.value.clone().map(OnceLock::from).unwrap_or_default(),
        max_wait: values.max_wait.value,
        default_wait: values.default_wait.value,
        default_method: values.default_method.value.to_owned(),
        dispatch: values.dispatch.value,
        room_wait: values.room_wait.value,
        answers: Answers::Withheld,
        destinations: destinations_of(values),
        longest_sleep: values.longest_sleep.value,
        limits: values.limits.value.iter().cloned().collect(),
        flow_log: LogLimits { lines: values.flow_log_lines.value, bytes: values.flow_log_bytes.value },
        run_logs: values.run_logs.value,
        run_payloads: run_payloads(values),
        redact: values.redact.value.clone(),
        schedules: values.schedules.value.clone(),
        propagators: values.otel_propagators.value,
        audit_length: values.audit_length.value.min(LONGEST_AUDIT),
    }
}

/// How much of what its operations get and yield a run keeps: nothing if nobody may see it.
fn run_payloads(values: &Values) -> usize {
    match values.show_payloads.value {
        ShowPayloads::Never => 0,
        ShowPayloads::Failed | ShowPayloads::Always => values.run_payloads.value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_defaults_are_the_settings() {
        let values = Values::of(&[]).unwrap();
        assert_eq!(format!("{:?}", settings_of(&values)), format!("{:?}", Settings::default()));
    }

    /// HIST-13.
    #[test]
    fn what_nobody_may_see_is_not_kept() {
        let kept = |show| {
            let values = Values::of(&[("run_payloads", "1MiB"), ("show_payloads", show)]).unwrap();
            settings_of(&values).run_payloads
        };
        assert_eq!(["never", "failed", "always"].map(kept), [0, 1 << 20, 1 << 20]);
    }
}

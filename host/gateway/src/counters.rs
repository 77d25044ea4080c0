//! What the gateway counts, as Prometheus metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident: $help:literal),* $(,)?) => {
        /// The gateway's figures at one time. All but the last two only grow.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// Async calls that are neither settled nor in flight, as far as the queue knows.
            pub queued: u64,
            /// Deliveries in flight, including those past their ack wait and copies.
            pub in_flight: u64,
        }

        pub(crate) struct Tally {
            registry: Registry,
            $(pub $name: Counter,)*
            pub in_flight: Gauge,
            queued: Gauge,
            ended: Family<Invocation, Counter>,
            started: Family<FunctionLabel, Counter>,
            replicas: Family<FunctionLabel, Gauge>,
            /// Ended calls by function, whatever their status.
            invocations: Mutex<BTreeMap<String, u64>>,
        }

        impl Default for Tally {
            fn default() -> Self {
                let mut tally = Self {
                    registry: Registry::default(),
                    $($name: Counter::default(),)*
                    in_flight: Gauge::default(),
                    queued: Gauge::default(),
                    ended: Family::default(),
                    started: Family::default(),
                    replicas: Family::default(),
                    invocations: Mutex::default(),
                };
                let registry = &mut tally.registry;
                registry.register("gateway_function_invocation", "calls of functions that have ended", tally.ended.clone());
                registry.register(STARTED, "calls of functions that have started", tally.started.clone());
                registry.register("gateway_service_count", "replicas of functions", tally.replicas.clone());
                $(registry.register(concat!("faas_flow_gateway_", stringify!($name)), $help, tally.$name.clone());)*
                registry.register("faas_flow_gateway_queued", "async calls in the queue", tally.queued.clone());
                registry.register("faas_flow_gateway_in_flight", "deliveries in flight", tally.in_flight.clone());
                tally
            }
        }

        impl Tally {
            /// The figures. `depth` is the number of async calls that are not settled, from the queue.
            pub fn read(&self, depth: u64) -> Counters {
                let in_flight = u64::try_from(self.in_flight.get()).unwrap_or_default();
                Counters {
                    $($name: self.$name.get(),)*
                    queued: depth.saturating_sub(in_flight),
                    in_flight,
                }
            }
        }
    };
}

counters! {
    /// Async calls answered with 202.
    accepted: "async calls answered with 202",
    /// Async calls refused: too large, a malformed callback URL, or a queue that does not answer.
    refused: "async calls refused",
    /// Calls of functions made for the queue, including retries and copies.
    delivered: "calls of functions made for the queue, including retries and copies",
    /// Failed calls that were put back for another try.
    retried: "failed calls that were put back for another try",
    /// Deliveries that outlasted the ack wait, so that the message was delivered again.
    expired: "deliveries that outlasted the ack wait",
    /// Async calls given up: their last answer was not 2xx.
    failed: "async calls given up",
    /// Messages lost on purpose.
    dropped: "messages lost on purpose",
    /// Messages delivered once more on purpose.
    duplicated: "messages delivered once more on purpose",
    /// Deliveries held back on purpose.
    delayed: "deliveries held back on purpose",
    /// Callbacks answered with 2xx.
    callbacks: "callbacks answered with 2xx",
    /// Callbacks answered otherwise, or not at all.
    callback_failures: "callbacks answered otherwise, or not at all",
}

/// The name under which OpenFaaS's gateway counts the calls that have started. It lacks the `_total` that names of counters
/// should end with, and that the encoder therefore adds.
const STARTED: &str = "gateway_function_invocation_started";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FunctionLabel {
    function_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Invocation {
    function_name: String,
    code: u16,
}

impl Tally {
    fn invocations(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.invocations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of a function has started.
    pub fn started(&self, function: &str) {
        let label = FunctionLabel { function_name: function.to_owned() };
        self.started.get_or_create(&label).inc();
    }

    /// A call of a function has ended with this status.
    pub fn ended(&self, function: &str, code: u16) {
        let label = Invocation { function_name: function.to_owned(), code };
        self.ended.get_or_create(&label).inc();
        *self.invocations().entry(function.to_owned()).or_default() += 1;
    }

    /// The number of calls of a function that have ended, including those made for the queue.
    pub fn invocations_of(&self, function: &str) -> u64 {
        self.invocations().get(function).copied().unwrap_or_default()
    }

    /// The figures in Prometheus' text format: `gateway_…` under the names of OpenFaaS's gateway, those of the queue under
    /// ours. `depth` is as in [`read`](Tally::read), and `replicas` the number of replicas of each function.
    pub fn metrics(&self, depth: u64, replicas: &[(String, usize)]) -> String {
        let queued = self.read(depth).queued;
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        self.replicas.clear();
        for (function, count) in replicas {
            let label = FunctionLabel { function_name: function.clone() };
            self.replicas.get_or_create(&label).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text.replace(&format!("{STARTED}_total"), STARTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Dashboards and alerts of users depend on these: the lines of a scrape without their values, sorted.
    #[test]
    fn names_types_and_labels_stay_as_they_are() {
        let tally = Tally::default();
        tally.started("echo");
        tally.ended("echo", 200);
        let text = tally.metrics(0, &[("echo".to_owned(), 1)]);
        let lines: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with("# HELP"))
            .map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 })
            .collect();
        insta::assert_snapshot!(lines.into_iter().collect::<Vec<_>>().join("\n"));
    }
}

//! What the gateway counts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// The gateway's figures at one time. All but the last two only grow.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// Async calls that are not settled and not in flight, as far as the queue answers.
            pub queued: u64,
            /// Deliveries under way, with those past their ack wait and copies.
            pub in_flight: u64,
        }

        #[derive(Default)]
        pub(crate) struct Tally {
            $(pub $name: AtomicU64,)*
            pub in_flight: AtomicU64,
            functions: Mutex<BTreeMap<String, Invocations>>,
        }

        impl Tally {
            /// The figures, with what the queue has to say.
            pub fn read(&self, depth: u64) -> Counters {
                let in_flight = self.in_flight.load(Ordering::Relaxed);
                Counters {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    queued: depth.saturating_sub(in_flight),
                    in_flight,
                }
            }
        }

        impl Counters {
            fn totals(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

counters! {
    /// Async calls answered with 202.
    accepted,
    /// Async calls not taken: too large, a malformed callback URL, or a queue that does not answer.
    refused,
    /// Calls of functions made for the queue, with retries and copies.
    delivered,
    /// Failed calls that were put back for another try.
    retried,
    /// Deliveries that outlasted the ack wait, so that the message was delivered again.
    expired,
    /// Async calls given up: their last answer was not 2xx.
    failed,
    /// Messages lost on purpose.
    dropped,
    /// Messages delivered once more on purpose.
    duplicated,
    /// Deliveries held back on purpose.
    delayed,
    /// Callbacks answered with 2xx.
    callbacks,
    /// Callbacks answered otherwise, or not at all.
    callback_failures,
}

#[derive(Default, Clone)]
struct Invocations {
    started: u64,
    ended: BTreeMap<u16, u64>,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub fn started(&self, function: &str) {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        functions.entry(function.to_owned()).or_default().started += 1;
    }

    pub fn ended(&self, function: &str, status: u16) {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        *functions.entry(function.to_owned()).or_default().ended.entry(status).or_default() += 1;
    }

    /// How often a function was called, with calls made for the queue.
    pub fn invocations(&self, function: &str) -> u64 {
        let functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        functions.get(function).map_or(0, |invocations| invocations.ended.values().sum())
    }

    /// The figures in Prometheus' text form: `gateway_…` as the gateway of OpenFaaS names them, the queue's as ours.
    pub fn metrics(&self, depth: u64, replicas: &[(String, usize)]) -> String {
        let counters = self.read(depth);
        let functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, samples: &mut dyn Iterator<Item = (String, u64)>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let ended = functions.iter().flat_map(|(name, function)| {
            let sample = move |(code, n): (&u16, &u64)| (format!("{{function_name=\"{name}\",code=\"{code}\"}}"), *n);
            function.ended.iter().map(sample)
        });
        metric("gateway_function_invocation_total", "counter", &mut { ended });
        let started = functions.iter().map(|(name, function)| (label(name), function.started));
        metric("gateway_function_invocation_started", "counter", &mut { started });
        let replicas = replicas.iter().map(|(name, replicas)| (label(name), *replicas as u64));
        metric("gateway_service_count", "gauge", &mut { replicas });
        for (name, value) in counters.totals() {
            metric(&format!("faas_flow_gateway_{name}_total"), "counter", &mut std::iter::once((String::new(), value)));
        }
        for (name, value) in [("queued", counters.queued), ("in_flight", counters.in_flight)] {
            metric(&format!("faas_flow_gateway_{name}"), "gauge", &mut std::iter::once((String::new(), value)));
        }
        text
    }
}

fn label(function: &str) -> String {
    format!("{{function_name=\"{function}\"}}")
}

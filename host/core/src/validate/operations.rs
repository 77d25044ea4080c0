//! Checks of the operations of a node: calls, waits, and the limits over all runs.

use super::place::Place;
use super::report::shown;
use super::{Checker, DAY_MS, LONGEST_WAIT_MS};
use crate::definition::{Call, Limit, Operation, Operations, SignalSource, WaitFor};
use crate::function_path::{is_function_name, leaves_function, split_target};
use crate::limit::is_limit_name;
use crate::{Code, LONGEST_SLEEP_MS, SignalName, redact};

impl<'a> Checker<'a> {
    pub(super) fn operations(&mut self, at: &Place<'_>, operations: &'a Operations) {
        self.retry(at, operations.retry.as_ref());
        self.duration(at, "timeout", operations.timeout_ms, DAY_MS);
        self.limit(at, operations.limit.as_ref());
        for (i, operation) in operations.list.iter().enumerate() {
            let at = &Place::Operation(at, i);
            match operation {
                Operation::Modify(handler) | Operation::SleepUntil(handler) => self.handler(at, Some(handler)),
                Operation::Sleep(ms) => self.sleep(at, *ms),
                Operation::WaitFor(wait) => self.wait_for(at, wait),
                Operation::Apply(call) => {
                    self.function(at, &call.target);
                    if call.asynchronous && call.method.as_deref().is_some_and(|method| method != "POST") {
                        let message = || "an asynchronous call is always a POST, so it must not have another method";
                        self.problem(Code::BAD_CALL, at, message);
                    }
                    self.call(at, call);
                    self.nested(at, operations.limit.as_ref(), call.limit.as_ref());
                }
                Operation::Request(call) => {
                    if !call.target.starts_with("http://") && !call.target.starts_with("https://") {
                        let message =
                            || format!("`{}` is not an http or https URL", shown(&redact::text(&call.target)));
                        self.problem(Code::BAD_CALL, at, message);
                    }
                    if call.asynchronous {
                        let message = || "only a function can be called asynchronously, and this is a URL: use `apply`";
                        self.problem(Code::BAD_CALL, at, message);
                    }
                    self.call(at, call);
                    self.nested(at, operations.limit.as_ref(), call.limit.as_ref());
                }
            }
        }
    }

    /// Warns of calls that may wait for each other, since their nodes hold permits meanwhile. A rate is not held.
    fn nested(&mut self, at: &Place<'_>, of_node: Option<&'a Limit>, of_call: Option<&'a Limit>) {
        let held = |limit: Option<&'a Limit>| limit.filter(|limit| limit.figures.concurrent.is_some());
        let (Some(Limit { name: outer, .. }), Some(Limit { name: inner, .. })) = (held(of_node), held(of_call)) else {
            return;
        };
        if outer == inner {
            return self.warn(at, || {
                format!(
                    "the call needs a permit of limit {inner} while its node holds one, so that all nodes wait once they hold \
                     all permits: give the limit only to the node or only to its calls"
                )
            });
        }
        if let Some(other) = self.nested.get(&(inner.as_str(), outer.as_str())).cloned() {
            self.warn(at, || {
                format!(
                    "the call needs limit {inner} while its node holds limit {outer}, and at {other} it is the other way round, \
                     so that both may wait for each other: take the two limits in the same order"
                )
            });
        }
        self.nested.entry((outer, inner)).or_insert_with(|| at.path());
    }

    fn sleep(&mut self, at: &Place<'_>, ms: u64) {
        if ms > LONGEST_SLEEP_MS {
            let message = || format!("the sleep is {ms} ms, but must be at most {LONGEST_SLEEP_MS} ms (366 days)");
            self.problem(Code::BAD_TIMEOUT, at, message);
        }
    }

    fn wait_for(&mut self, at: &Place<'_>, wait: &WaitFor) {
        match &wait.signal {
            SignalSource::Handler(handler) => self.handler(at, Some(handler)),
            SignalSource::Named(name) => {
                if let Err(malformed) = SignalName::new(name) {
                    self.malformed(at, malformed);
                }
            }
        }
        self.handler(at, wait.recover_from.as_deref());
        self.duration(at, "timeout of the wait", wait.timeout_ms, LONGEST_SLEEP_MS);
    }

    fn limit(&mut self, at: &Place<'_>, limit: Option<&'a Limit>) {
        let Some(Limit { name, figures, key }) = limit else { return };
        self.handler(at, key.as_deref());
        if !is_limit_name(name) {
            let message =
                || format!("`{}` is not a limit's name: use 1 to 64 characters of `A-Z a-z 0-9 _ . -`", shown(name));
            return self.problem(Code::BAD_LIMIT, at, message);
        }
        if let Err(bad) = figures.check() {
            return self.problem(Code::BAD_LIMIT, at, || format!("limit {name}: {bad}"));
        }
        let (first, first_has_key) = *self.limits.entry(name).or_insert((*figures, key.is_some()));
        if first != *figures {
            let message = || {
                format!("limit {name} is `{figures}` here, but `{first}` elsewhere in this flow: say the same in both")
            };
            self.problem(Code::LIMITS_DIFFER, at, message);
        } else if first_has_key != key.is_some() {
            let (here, there) = if key.is_some() { ("a key", "none") } else { ("no key", "one") };
            let message =
                || format!("limit {name} has {here} here, but {there} elsewhere in this flow: say the same in both");
            self.problem(Code::LIMITS_DIFFER, at, message);
        }
    }

    fn function(&mut self, at: &Place<'_>, target: &str) {
        let (name, below) = split_target(target);
        if !is_function_name(name) {
            let message = || format!("`{}` is not a function's name", shown(&redact::text(target)));
            self.problem(Code::BAD_CALL, at, message);
        } else if leaves_function(below) {
            let message = || {
                let (target, name) = (shown(&redact::text(target)), shown(name));
                format!("the path of `{target}` leaves function {name}: write it without `..`, in any spelling")
            };
            self.problem(Code::PATH_LEAVES_FUNCTION, at, message);
        }
    }

    fn call(&mut self, at: &Place<'_>, call: &'a Call) {
        self.limit(at, call.limit.as_ref());
        for handler in [&call.prepare, &call.receive, &call.recover, &call.recover_from] {
            self.handler(at, handler.as_deref());
        }
        self.retry(at, call.retry.as_ref());
        if let Some(status) = call.retry_on.iter().find(|status| !(100..=599).contains(*status)) {
            let message = || format!("`retry-on` has the status {status}, but statuses are 100 to 599");
            self.problem(Code::BAD_RETRY, at, message);
        }
        let longest = if call.asynchronous { LONGEST_WAIT_MS } else { DAY_MS };
        self.duration(at, "timeout", call.timeout_ms, longest);
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if let Some(method) = call.method.as_deref().filter(|method| !token(method)) {
            self.problem(Code::BAD_CALL, at, || format!("`{}` is not an HTTP method", shown(method)));
        }
        for (name, value) in &call.headers {
            if !token(name) || value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                self.problem(Code::BAD_CALL, at, || format!("the header `{}` is malformed", shown(name)));
            }
        }
    }
}

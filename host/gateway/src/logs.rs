//! The latest lines that flows have logged, for `faas-cli logs`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use faas_flow_core::text::write_printable;
use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::NAMESPACE;

/// How many lines are kept.
const KEPT: usize = 1000;
/// How many bytes of text they may have together.
const KEPT_BYTES: usize = 1 << 20;
/// How many lines a reader may be behind before it misses some.
const BEHIND: usize = 256;
/// The target of what flows log.
const TARGET: &str = "flow";

/// The latest lines, at most 1,000 and 1 MiB of text. Clones share them. As a layer of a subscriber, it records what flows
/// log.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    followers: broadcast::Sender<Arc<Line>>,
}

#[derive(Debug)]
struct Line {
    at: SystemTime,
    function: String,
    /// The run, as nothing else distinguishes those who log here.
    instance: String,
    text: String,
}

/// Which lines are read.
pub(crate) struct Wanted {
    pub function: String,
    /// A run; empty for all.
    pub instance: String,
    pub since: Option<SystemTime>,
}

impl Wanted {
    fn has(&self, line: &Line) -> bool {
        line.function == self.function
            && (self.instance.is_empty() || line.instance == self.instance)
            && self.since.is_none_or(|since| line.at >= since)
    }
}

impl Default for Logs {
    fn default() -> Self {
        let (followers, _) = broadcast::channel(BEHIND);
        Self(Arc::new(Mutex::new(Kept { lines: VecDeque::new(), bytes: 0, followers })))
    }
}

impl Logs {
    fn add(&self, line: Line) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Arc::new(line);
        kept.bytes += line.text.len();
        kept.lines.push_back(line.clone());
        while kept.lines.len() > KEPT || kept.bytes > KEPT_BYTES {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.text.len();
        }
        // Perhaps nobody follows.
        let _ = kept.followers.send(line);
    }

    /// The lines that are wanted, each as a line of JSON: those that are kept, or only the `last` of them, and then, if
    /// `follow` says so, those that follow within this time.
    pub(crate) fn read(
        &self,
        wanted: Wanted,
        last: Option<usize>,
        follow: Option<Duration>,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        // Under one lock, so that no line is read twice or missed.
        let (lines, followed) = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let lines: Vec<_> = kept.lines.iter().filter(|line| wanted.has(line)).cloned().collect();
            (lines, follow.map(|time| (kept.followers.subscribe(), Instant::now() + time)))
        };
        let skipped = last.map_or(0, |last| lines.len().saturating_sub(last));
        let later = stream::unfold((followed, wanted), async |(followed, wanted)| {
            let (mut lines, until) = followed?;
            loop {
                match tokio::time::timeout_at(until, lines.recv()).await {
                    Ok(Ok(line)) if wanted.has(&line) => return Some((line, (Some((lines, until)), wanted))),
                    Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                    Ok(Err(RecvError::Closed)) | Err(_) => return None,
                }
            }
        });
        stream::iter(lines.into_iter().skip(skipped)).chain(later).map(|line| Ok(line.json()))
    }
}

impl Line {
    fn json(&self) -> Bytes {
        let line = json!({
            "name": self.function, "namespace": NAMESPACE, "instance": self.instance,
            "timestamp": humantime::format_rfc3339_millis(self.at).to_string(), "text": self.text,
        });
        format!("{line}\n").into()
    }
}

/// The fields of an event of a flow.
#[derive(Default)]
struct Fields {
    flow: String,
    run: String,
    path: String,
    labels: String,
    message: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "flow" => &mut self.flow,
            "run" => &mut self.run,
            "path" => &mut self.path,
            "labels" => &mut self.labels,
            "message" => &mut self.message,
            _ => return,
        };
        // Writing to a string cannot fail.
        let _ = write_printable(text, value);
    }
}

impl<S: tracing::Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { flow, run, path, labels, message } = fields;
        let labels = if labels.is_empty() { labels } else { format!(" ({labels})") };
        let text = format!("{} {run} {path}{labels}: {message}", event.metadata().level());
        self.add(Line { at: SystemTime::now(), function: flow, instance: run, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_executor::block_on;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    fn read(logs: &Logs, wanted: Wanted, last: Option<usize>) -> Vec<String> {
        let lines = block_on(logs.read(wanted, last, None).collect::<Vec<_>>());
        lines.into_iter().map(|line| String::from_utf8(line.unwrap().to_vec()).unwrap()).collect()
    }

    fn of(function: &str, instance: &str) -> Wanted {
        Wanted { function: function.to_owned(), instance: instance.to_owned(), since: None }
    }

    #[test]
    fn what_flows_log_is_read_by_flow_and_run_and_nothing_else_is() {
        let logs = Logs::default();
        let guard = tracing_subscriber::registry().with(logs.clone()).set_default();
        for run in ["r1", "r2"] {
            tracing::info!(target: "flow", run, flow = "greet", path = "n1", "hello\u{1b}[2J");
        }
        tracing::info!(target: "flow", run = "r3", flow = "other", path = "n1", "hello");
        tracing::warn!(run = "r4", flow = "greet", "the host's own");
        drop(guard);
        let lines = read(&logs, of("greet", ""), None);
        assert_eq!(lines.len(), 2);
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["name"], &line["instance"]), (&"greet".into(), &"r1".into()));
        assert_eq!(line["text"], r"INFO r1 n1: hello\u{1b}[2J");
        assert_eq!(read(&logs, of("greet", "r2"), None), lines[1..]);
        assert_eq!(read(&logs, of("greet", ""), Some(1)), lines[1..]);
        let later = Wanted { since: Some(SystemTime::now() + Duration::from_secs(60)), ..of("greet", "") };
        assert_eq!(read(&logs, later, None), [] as [String; 0]);
    }

    #[test]
    fn only_so_many_lines_and_bytes_are_kept() {
        let logs = Logs::default();
        let line = |text: String| Line { at: SystemTime::now(), function: "f".into(), instance: "r".into(), text };
        (0..3 * KEPT).for_each(|number| logs.add(line(number.to_string())));
        assert_eq!(read(&logs, of("f", ""), None).len(), KEPT);
        (0..3).for_each(|_| logs.add(line("x".repeat(KEPT_BYTES / 2))));
        assert_eq!(read(&logs, of("f", ""), None).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_gets_later_lines_for_a_while() {
        let logs = Logs::default();
        let line =
            |text: &str| Line { at: SystemTime::now(), function: "f".into(), instance: "r".into(), text: text.into() };
        logs.add(line("first"));
        let mut lines = Box::pin(logs.read(of("f", ""), None, Some(Duration::from_secs(30))));
        logs.add(line("second"));
        let text =
            |line: Option<Result<Bytes, Infallible>>| String::from_utf8(line.unwrap().unwrap().to_vec()).unwrap();
        assert!(text(lines.next().await).contains("first"));
        assert!(text(lines.next().await).contains("second"));
        assert!(lines.next().await.is_none(), "after 30 s it ends");
    }
}

//! How log lines are written, here and in the program `faas-flow`.

use faas_flow_core::text::{bounded, write_printable};
use serde_json::Value;
use std::fmt;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How many digits of a digest are shown to people.
const SHORT: usize = 12;

/// A log line as an object, on a line of its own: `timestamp`, `level`, `target`, `message`, and the fields of the line by their
/// names. Each text is of bounded length.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut object = Object::default();
        object.insert("timestamp", humantime::format_rfc3339_millis(SystemTime::now()).to_string());
        object.insert("level", event.metadata().level().as_str().to_lowercase());
        object.insert("target", event.metadata().target());
        event.record(&mut object);
        writeln!(writer, "{}", Value::Object(object.0))
    }
}

/// The fields of a line.
#[derive(Default)]
struct Object(serde_json::Map<String, Value>);

impl Object {
    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field.name(), bounded(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field.name(), bounded(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field.name(), value);
    }
}

/// The fields of a log line. Each is of bounded length and on the same line, and none controls a terminal, since values may
/// come from anybody.
pub fn fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let write = |writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
        match (field.name(), writer.has_ansi_escapes()) {
            ("message", _) => {}
            (name, true) => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            (name, false) => write!(writer, "{name}=")?,
        }
        if field.name() == "digest" {
            let digest = format!("{value:?}");
            return write!(writer, "{:.SHORT$}", digest.trim_matches('"'));
        }
        write_printable(writer, value)
    };
    debug_fn(write).delimited(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Result, Write};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::util::SubscriberInitExt as _;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_value_forges_no_line_controls_no_terminal_and_does_not_fill_the_disk() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format =
            tracing_subscriber::fmt().fmt_fields(fields()).with_ansi(false).with_writer(move || writer.clone());
        let nasty = "x\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{9b}31m\u{2028}\u{202e}";
        let guard = format.set_default();
        tracing::warn!(error = %nasty, name = nasty, "{nasty}");
        tracing::warn!(error = %"y".repeat(1 << 20), "long");
        drop(guard);
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 2, "{written:?}");
        assert!(!written.contains(|c: char| c != '\n' && faas_flow_core::text::is_control(c)), "{written:?}");
        assert!(written.len() < 20_000 && written.contains("cut off"), "{}", written.len());
        assert!(written.contains(r"x\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J"), "{written:?}");
    }

    #[test]
    fn a_line_of_json_is_one_object_with_the_fields_of_the_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format = tracing_subscriber::fmt().event_format(Json).with_writer(move || writer.clone());
        let guard = format.set_default();
        let (trace, nobody) = (Some("0af7651916cd43dd8448eb211c80319c"), None::<&str>);
        tracing::warn!(target: "flow", run = "r", path = %"F[1]/n", attempt = 2, trace, nobody, "two\nlines\u{1b}");
        tracing::info!(error = %"y".repeat(1 << 20), "long");
        drop(guard);
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let objects: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut first = objects[0].as_object().unwrap().clone();
        assert!(first.remove("timestamp").unwrap().as_str().unwrap().ends_with('Z'));
        let expected = serde_json::json!({
            "level": "warn", "target": "flow", "run": "r", "path": "F[1]/n", "attempt": 2,
            "trace": "0af7651916cd43dd8448eb211c80319c", "message": "two\nlines\u{1b}",
        });
        assert_eq!(Value::Object(first), expected);
        assert!(objects.len() == 2 && written.len() < 20_000, "{}", written.len());
    }

    #[test]
    fn people_see_the_beginning_of_a_digest() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format =
            tracing_subscriber::fmt().fmt_fields(fields()).with_ansi(false).with_writer(move || writer.clone());
        let guard = format.set_default();
        let digest = "0123456789abcdef".repeat(4);
        tracing::warn!(digest = digest.as_str(), "hello");
        drop(guard);
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(written.ends_with("hello digest=0123456789ab\n"), "{written}");
    }
}

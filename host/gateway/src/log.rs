//! How log lines are written, here and in the program `faas-flow`.

use faas_flow_core::text::write_printable;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// The fields of a log line. Each is of bounded length and on the same line, and none controls a terminal, since values may
/// come from anybody.
pub fn fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let write = |writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
        match (field.name(), writer.has_ansi_escapes()) {
            ("message", _) => {}
            (name, true) => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            (name, false) => write!(writer, "{name}=")?,
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
}

//! Lines of the log about a run, or about a node of it. All of them have the same fields, so that one filter finds everything
//! about a run: `run`, `flow`, for nodes `path` and, if it is known, `attempt`; and `digest` and `trace`, as the lines have that
//! the flow's code logs.
//!
//! What is logged about a run that is not open here, such as one that cannot be read, has what is known of it.

/// Logs about an open run: `log_run!(warn, live, code = %code, "commit failed")`.
macro_rules! log_run {
    ($level:ident, $live:expr, $($rest:tt)*) => {{
        let live: &$crate::live::Live = &$live;
        let (digest, trace) = (live.log.digest(), live.log.trace());
        tracing::$level!(run = %live.id, flow = %live.flow.name, digest, trace, $($rest)*)
    }};
}

/// Logs about a node of an open run, with the number of its attempt, or `None`: `log_node!(warn, live, (path, 2), "not sent")`.
macro_rules! log_node {
    ($level:ident, $live:expr, ($path:expr, $attempt:expr), $($rest:tt)*) => {{
        let live: &$crate::live::Live = &$live;
        let (digest, trace) = (live.log.digest(), live.log.trace());
        let attempt: Option<u32> = $attempt.into();
        tracing::$level!(run = %live.id, flow = %live.flow.name, path = %$path, attempt, digest, trace, $($rest)*)
    }};
}

pub(crate) use {log_node, log_run};

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Those who log about runs that are not open here, and how many lines.
    const NOT_OPEN: [(&str, usize); 5] =
        [("deadlines.rs", 1), ("limits/tend.rs", 1), ("schedules/fire.rs", 4), ("skew.rs", 1), ("sweep.rs", 2)];

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_line_about_an_open_run_has_all_that_identifies_it() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut others = Vec::new();
        for path in files(&sources).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
            let name = path.strip_prefix(&sources).unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.split("tracing::").skip(1).filter(|rest| {
                let call = rest.split(';').next().unwrap_or_default();
                let logs = ["trace!", "debug!", "info!", "warn!", "error!"].iter().any(|level| call.starts_with(level));
                logs && (call.contains("run = %") || call.contains("%run"))
            });
            let count = lines.count();
            if count > 0 && name != "log.rs" {
                others.push((name, count));
            }
        }
        others.sort();
        let others: Vec<_> = others.iter().map(|(name, count)| (&**name, *count)).collect();
        assert_eq!(others, NOT_OPEN, "use log_run! or log_node! for runs that are open");
    }
}

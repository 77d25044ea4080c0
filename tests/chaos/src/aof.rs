//! What Redis wrote down, write by write: every version of every document, in the order of the commits.

use anyhow::{Context, Result, bail};
use faas_flow_core::run::{Progress, Scope, decode};
use std::collections::HashMap;
use std::path::Path;

/// A field of a run's hash that holds a scope's document.
const SCOPE: &[u8] = b"dscope:";

/// What the files say of the nodes of all runs.
#[derive(Debug, Default)]
pub struct Commits {
    /// Nodes that came to be done.
    pub done: usize,
    /// Those that came to be done a second time, or whose output changed after.
    pub repeated: usize,
    /// How often each node may have made each of its calls, by `RUN/PATH`: once in each attempt of its history, and once in
    /// an attempt that the end of the run cut off.
    attempts: HashMap<String, usize>,
}

impl Commits {
    /// Reads the append-only files of a server whose files were never rewritten.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for entry in folder.join("appendonlydir").read_dir().context("Redis kept no append-only files")? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".incr.aof") {
                files.push(path);
            }
        }
        files.sort();
        let mut nodes = Nodes::default();
        for file in files {
            let bytes = std::fs::read(&file)?;
            let mut rest = bytes.as_slice();
            // A server that was killed may have left half a command at the end; it cuts that off when it starts again.
            while let Some(command) = command(&mut rest)? {
                nodes.note(&command)?;
            }
        }
        Ok(nodes.commits)
    }

    /// How many of the calls with an idempotency key no attempt in the history explains. `times` is their number.
    pub fn unexplained(&self, key: &str, times: usize) -> usize {
        let attempts = key.rsplit_once('/').and_then(|(node, _)| self.attempts.get(node));
        times.saturating_sub(attempts.copied().unwrap_or_default())
    }
}

#[derive(Default)]
struct Nodes {
    /// By run and path: whether it is done, and what it yielded.
    last: HashMap<String, (bool, Option<String>)>,
    /// How often each came to be done.
    times: HashMap<String, usize>,
    commits: Commits,
}

impl Nodes {
    fn note(&mut self, command: &[&[u8]]) -> Result<()> {
        let [name, key, fields @ ..] = command else { return Ok(()) };
        if !name.eq_ignore_ascii_case(b"hset") {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        let run = key.rsplit(':').next().unwrap_or_default();
        for pair in fields.chunks_exact(2) {
            let [field, bytes] = pair else { continue };
            if !field.starts_with(SCOPE) {
                continue;
            }
            let scope: Scope = decode(bytes)?;
            for node in scope.nodes {
                let path = format!("{run}/{}", scope.path.node(&node.id));
                let cut_off = usize::from(node.progress != Progress::Done);
                let repeated = node.tries.as_ref().map_or(0, |tries| tries.repeated as usize);
                self.commits.attempts.insert(path.clone(), node.attempts.len() + repeated + cut_off);
                let now = (node.progress == Progress::Done, node.output.map(|output| format!("{output:?}")));
                let before = self.last.insert(path.clone(), now.clone()).unwrap_or_default();
                if now.0 && !before.0 {
                    self.commits.done += 1;
                    let times = self.times.entry(path).or_default();
                    *times += 1;
                    self.commits.repeated += usize::from(*times > 1);
                } else if before.0 && now != before {
                    self.commits.repeated += 1;
                }
            }
        }
        Ok(())
    }
}

/// Takes one command off: `*N`, then N times `$LENGTH` and so many bytes. None at the end, or where it is cut off.
fn command<'a>(rest: &mut &'a [u8]) -> Result<Option<Vec<&'a [u8]>>> {
    let mut at = *rest;
    let Some(count) = number(&mut at, b'*')? else { return Ok(None) };
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(length) = number(&mut at, b'$')? else { return Ok(None) };
        let Some((part, behind)) = at.split_at_checked(length) else { return Ok(None) };
        let Some(behind) = behind.strip_prefix(b"\r\n") else { return Ok(None) };
        parts.push(part);
        at = behind;
    }
    *rest = at;
    Ok(Some(parts))
}

fn number(at: &mut &[u8], mark: u8) -> Result<Option<usize>> {
    let Some(end) = at.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let (line, behind) = at.split_at(end + 1);
    let digits = line.strip_prefix(&[mark]).map(<[u8]>::trim_ascii_end);
    let Some(digits) = digits.and_then(|digits| std::str::from_utf8(digits).ok()) else {
        bail!("an append-only file of Redis cannot be read at {:?}", String::from_utf8_lossy(line))
    };
    *at = behind;
    Ok(Some(digits.parse()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_explained_by_an_attempt_of_its_node() {
        let commits = Commits { attempts: HashMap::from([("r/C[c1]/n".to_owned(), 2)]), ..Commits::default() };
        let times = [("r/C[c1]/n/0", 2), ("r/C[c1]/n/0", 3), ("r/m/0", 1), ("", 1)];
        assert_eq!(times.map(|(key, times)| commits.unexplained(key, times)), [0, 1, 1, 1]);
    }

    #[test]
    fn commands_are_read_up_to_one_that_is_cut_off() {
        let mut rest: &[u8] = b"*2\r\n$4\r\nPING\r\n$2\r\nx\n\r\n*1\r\n$4\r\nPI";
        assert_eq!(command(&mut rest).unwrap(), Some(vec![&b"PING"[..], b"x\n"]));
        assert_eq!(command(&mut rest).unwrap(), None);
    }
}

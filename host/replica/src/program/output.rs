//! What a program writes: its answer to stdout, and what it says to stderr.

use super::process::Broken;
use crate::memory;
use bytes::{Bytes, BytesMut};
use faas_flow_guest::Reservation;
use rustix::io::{ioctl_fionread, read};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most lines of what a program says that an error repeats, and the most characters of them together.
const TAIL: (usize, usize) = (10, 1000);
/// The longest line, in bytes. A longer one is taken for several.
const LINE: usize = 8 * 1024;

/// Takes each line that a program used as a function writes to stderr, without its end: the function's name and the line.
pub type ProgramLines = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The answer of a program, as far as it has been read.
pub(super) struct Answer<P> {
    pipe: Option<P>,
    limit: usize,
    bytes: BytesMut,
    room: Reservation,
}

impl<P: AsyncRead + AsFd + Unpin> Answer<P> {
    pub(super) fn new(pipe: Option<P>, limit: usize) -> Self {
        Self { pipe, limit, bytes: BytesMut::new(), room: memory::reservation() }
    }

    /// Reads to the end of the pipe. What cannot be read ends it. May be dropped at any time.
    pub(super) async fn read(&mut self) -> Result<(), Broken> {
        while let Some(pipe) = &mut self.pipe {
            match pipe.read_buf(&mut self.bytes).await {
                Ok(read @ 1..) => self.grown(read).await?,
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
        Ok(())
    }

    /// Reads what is in the pipe at this moment.
    pub(super) async fn rest(&mut self) -> Result<(), Broken> {
        let rest = self.pipe.take().map(|pipe| in_pipe(&pipe)).unwrap_or_default();
        self.bytes.extend_from_slice(&rest);
        self.grown(rest.len()).await
    }

    async fn grown(&mut self, by: usize) -> Result<(), Broken> {
        if self.bytes.len() > self.limit {
            return Err(Broken::TooLarge(self.limit));
        }
        Ok(memory::grow(&mut self.room, by).await?)
    }

    pub(super) fn finish(self) -> Bytes {
        self.room.hold(self.bytes.freeze())
    }
}

/// What is in a pipe at this moment, without waiting for more.
fn in_pipe(pipe: &impl AsFd) -> Vec<u8> {
    let size = ioctl_fionread(pipe).ok().and_then(|size| usize::try_from(size).ok()).unwrap_or_default();
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match read(pipe, room) {
            Ok(read @ 1..) => filled += read,
            Ok(0) | Err(_) => break,
        }
    }
    bytes.truncate(filled);
    bytes
}

/// The last lines that a program has written to stderr so far, also while it runs. All clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    pub(crate) fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (most, _) = TAIL;
        if lines.len() == most {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines as one text.
    pub(crate) fn text(&self) -> String {
        let (_, most) = TAIL;
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let text = text.trim();
        let count = text.chars().count();
        if count <= most {
            text.to_owned()
        } else {
            format!("… {}", text.chars().skip(count - most).collect::<String>())
        }
    }
}

/// What a program says: shown line by line, and the last lines kept. When this is dropped, a line that has no end yet counts
/// as one.
pub(crate) struct Said {
    name: String,
    show: Option<ProgramLines>,
    line: Vec<u8>,
    last: LastLines,
}

impl Said {
    /// What the program of a function says, to be shown so.
    pub(crate) fn new(name: &str, show: Option<ProgramLines>, last: LastLines) -> Self {
        Self { name: name.to_owned(), show, line: Vec::new(), last }
    }

    /// Reads to the end of the pipe. May be dropped at any time.
    pub(super) async fn read(&mut self, pipe: &mut Option<impl AsyncRead + Unpin>) {
        let mut chunk = BytesMut::with_capacity(LINE);
        while let Some(open) = pipe {
            match open.read_buf(&mut chunk).await {
                Ok(1..) => self.take(&chunk),
                Ok(0) | Err(_) => *pipe = None,
            }
            chunk.clear();
        }
    }

    /// Reads what is in the pipe at this moment, and ends the last line.
    pub(super) fn rest(&mut self, pipe: &Option<impl AsFd>) {
        if let Some(pipe) = pipe {
            self.take(&in_pipe(pipe));
        }
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
                continue;
            }
            if self.line.len() == LINE {
                self.end_line();
            }
            self.line.push(byte);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        if let Some(show) = &self.show {
            show(&self.name, &line);
        }
        self.last.add(line.into_owned());
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_as_they_come_and_the_last_ones_are_kept() {
        let shown: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = shown.clone();
        let last = LastLines::default();
        let show: ProgramLines = Arc::new(move |_, line| lines.lock().unwrap().push(line.to_owned()));
        let mut said = Said::new("f", Some(show), last.clone());
        said.take(b"one\ntw");
        assert_eq!(*shown.lock().unwrap(), ["one"]);
        said.take(b"o\r\n\n\xff");
        said.rest(&None::<std::fs::File>);
        assert_eq!(*shown.lock().unwrap(), ["one", "two", "", "\u{fffd}"]);
        assert_eq!(last.text(), "one\ntwo\n\n\u{fffd}");
        for line in 0..20 {
            said.take(format!("line {line}\n").as_bytes());
        }
        assert!(last.text().starts_with("line 10\n") && last.text().ends_with("line 19"));
        said.take("x".repeat(3 * LINE).as_bytes());
        assert_eq!(shown.lock().unwrap().len(), 26);
        assert_eq!(last.text().chars().count(), 1002);
        said.take(b"password: ");
        drop(said);
        assert!(last.text().ends_with("password:"), "{}", last.text());
    }
}

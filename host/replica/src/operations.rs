//! What the operations of a node get and yield, as far as it is kept with the run: the beginning of each piece of data, without what
//! the key `redact` hides. What is cut off can no longer be read as JSON, so it is hidden before that.

use super::apart::apart_if;
use super::attempt::NodeAttempt;
use super::call::{CallKind, NodeCall};
use super::retries::count;
use faas_flow_core::redact::{self, Rules};
use faas_flow_core::run::{Hidden, OperationData, OperationKind, Preview, Side};
use faas_flow_core::{Content, MediaType};
use faas_flow_guest::KeepBudget;
use std::collections::VecDeque;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes are kept of one piece of data.
const PREVIEW: usize = 16 << 10;
/// How many bytes are kept under one claim of a node. A few such documents fit into one commit.
const CLAIM: usize = 192 << 10;
/// What a piece of data costs besides its bytes and its names, and what a preview does, in bytes.
const PIECE: usize = 64;
/// How many of several pieces beside each other are kept, such as the inputs of an aggregator.
pub(super) const BESIDE: usize = 8;
/// The size of JSON from which on other tasks of this worker go on elsewhere while it is looked through, in bytes.
const LARGE: usize = 64 << 10;

/// Whose data it is, and which of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    kind: OperationKind,
    operation: Option<usize>,
    /// What is called, with secrets.
    target: Option<&'a str>,
    number: Option<u32>,
    from: &'a str,
    of: usize,
    status: Option<u16>,
}

impl<'a> Whose<'a> {
    /// That of a handler of the node.
    pub(super) fn handler(kind: OperationKind) -> Self {
        Self { kind, operation: None, target: None, number: None, from: "", of: 0, status: None }
    }

    /// That of the operation with this index.
    pub(super) fn operation(kind: OperationKind, index: usize) -> Self {
        Self { operation: Some(index), ..Self::handler(kind) }
    }

    /// That of a try of a call.
    pub(super) fn call(NodeCall { index, kind, call }: NodeCall<'a>, number: u32) -> Self {
        let kind = match kind {
            CallKind::Function => OperationKind::Apply,
            CallKind::Url => OperationKind::Request,
        };
        Self { target: Some(&call.target), number: Some(number), ..Self::operation(kind, index) }
    }

    /// What this handler makes of the same call.
    pub(super) fn by(self, kind: OperationKind) -> Self {
        Self { kind, ..self }
    }

    /// One of several pieces: what has come from there, or goes there.
    pub(super) fn beside(self, from: &'a str, of: usize) -> Self {
        Self { from, of, ..self }
    }

    pub(super) fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl NodeAttempt<'_> {
    /// Keeps what was got or yielded, if that is kept.
    pub(super) fn keep(&self, whose: Whose<'_>, side: Side, content: &Content) {
        let Some(kept) = self.notes.operations() else { return };
        let Whose { kind, operation, target, number, from, of, status } = whose;
        let data = OperationData {
            at: self.live.services.now(),
            attempt: self.context.attempt,
            kind,
            operation: operation.map(count),
            target: target.map(redact::place),
            number,
            side,
            from: from.to_owned(),
            of: count(of),
            status,
            preview: 0,
        };
        kept.add(data, preview(content, &self.live.services.settings.redact));
    }

    /// The same, of data that is made only if it is kept.
    pub(super) fn keep_with(&self, whose: Whose<'_>, side: Side, content: impl FnOnce() -> Content) {
        if self.notes.operations().is_some() {
            self.keep(whose, side, &content());
        }
    }

    /// The same, of text that is no data of the flow, such as the names of branches.
    pub(super) fn keep_text(&self, whose: Whose<'_>, side: Side, text: impl FnOnce() -> String) {
        let text_plain = || MediaType::parse("text/plain; charset=utf-8").unwrap_or_default();
        self.keep_with(whose, side, || Content::new(text(), text_plain()));
    }

    /// The same, of several pieces beside each other: the first of them are kept.
    pub(super) fn keep_each(&self, whose: Whose<'_>, side: Side, pieces: &[(String, Content)]) {
        for (from, content) in pieces.iter().take(BESIDE) {
            self.keep(whose.beside(from, pieces.len()), side, content);
        }
    }
}

/// The beginning of data, without what the rules hide in all of it.
fn preview(content: &Content, rules: &Rules) -> Preview {
    let size = content.bytes.len() as u64;
    let media_type = content.media_type.clone();
    let hidden = apart_if(!rules.is_empty() && content.bytes.len() > LARGE, || rules.hide(content.clone()));
    let Ok((shown, is_hidden)) = hidden else {
        return Preview { media_type, size, bytes: bytes::Bytes::new(), hidden: Hidden::All };
    };
    let size = shown.bytes.len() as u64;
    // A copy, since a part of it would hold all of it in memory.
    let bytes = bytes::Bytes::copy_from_slice(beginning(&shown.bytes));
    Preview { media_type, size, bytes, hidden: if is_hidden { Hidden::Parts } else { Hidden::Nothing } }
}

/// At most as many bytes as are kept. A character of text is not cut through.
fn beginning(bytes: &[u8]) -> &[u8] {
    let Some(begin) = bytes.get(..PREVIEW) else { return bytes };
    match std::str::from_utf8(begin) {
        Err(error) if error.error_len().is_none() => begin.get(..error.valid_up_to()).unwrap_or(begin),
        _ => begin,
    }
}

/// What the operations of a node got and yielded under one claim: the latest of it, as far as the run's budget reaches. What came
/// last says most about how the node ended, so what came before makes room for it.
#[derive(Debug)]
pub(super) struct NodeOperations {
    budget: Arc<KeepBudget>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pieces: VecDeque<(OperationData, Arc<Preview>)>,
    /// What it has taken of the budget.
    bytes: usize,
    dropped: u32,
}

impl NodeOperations {
    pub(super) fn new(budget: Arc<KeepBudget>) -> Self {
        Self { budget, kept: Mutex::default() }
    }

    /// Adds a piece of data. What is the same as before is kept once: what one operation yields, the next one gets.
    fn add(&self, data: OperationData, preview: Preview) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut preview = Arc::new(preview);
        loop {
            let same = kept.pieces.iter().rev().map(|(_, known)| known).find(|known| **known == preview);
            let is_new = same.is_none();
            if let Some(same) = same.cloned() {
                preview = same;
            }
            let needs = cost(&data) + if is_new { cost_of(&preview) } else { 0 };
            if kept.bytes + needs <= CLAIM && self.budget.take(needs) {
                kept.bytes += needs;
                kept.pieces.push_back((data, preview));
                return;
            }
            kept.dropped = kept.dropped.saturating_add(1);
            // It is not to count as a user of what is dropped.
            preview = Arc::new(Preview::clone(&preview));
            let Some((oldest, of_oldest)) = kept.pieces.pop_front() else { return };
            let freed = cost(&oldest) + Arc::into_inner(of_oldest).map_or(0, |preview| cost_of(&preview));
            kept.bytes -= freed;
            self.budget.release(freed);
        }
    }

    /// Takes the data, its previews, and how many pieces were dropped. What was taken still counts towards the budget.
    pub(super) fn take(&self) -> (Vec<OperationData>, Vec<Preview>, u32) {
        let Kept { pieces, dropped, .. } = take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let mut previews: Vec<Arc<Preview>> = Vec::new();
        let mut list = Vec::with_capacity(pieces.len());
        for (mut data, preview) in pieces {
            let known = previews.iter().position(|known| Arc::ptr_eq(known, &preview));
            data.preview = count(known.unwrap_or(previews.len()));
            if known.is_none() {
                previews.push(preview);
            }
            list.push(data);
        }
        (list, previews.into_iter().map(Arc::unwrap_or_clone).collect(), dropped)
    }
}

impl Drop for NodeOperations {
    /// What was not taken makes room for others: the node was cut off.
    fn drop(&mut self) {
        self.budget.release(self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).bytes);
    }
}

fn cost(data: &OperationData) -> usize {
    PIECE + data.from.len() + data.target.as_ref().map_or(0, String::len)
}

fn cost_of(preview: &Preview) -> usize {
    PIECE + preview.bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(attempt: u32) -> OperationData {
        OperationData {
            at: 1,
            attempt,
            kind: OperationKind::Modify,
            operation: None,
            target: None,
            number: None,
            side: Side::Output,
            from: String::new(),
            of: 0,
            status: None,
            preview: 0,
        }
    }

    fn rules(rule: &str) -> Rules {
        let mut rules = Rules::default();
        rules.add(rule).unwrap();
        rules
    }

    fn json(text: impl Into<bytes::Bytes>) -> Content {
        Content::new(text, MediaType::JSON)
    }

    /// HIST-13.
    #[test]
    fn what_is_hidden_is_hidden_before_the_rest_is_cut_off() {
        let long = "x".repeat(PREVIEW);
        let text = format!("{{\"card\":4711,\"note\":\"{long}\"}}");
        let kept = preview(&json(text.clone()), &rules("/card"));
        assert_eq!((kept.bytes.len(), kept.size, kept.hidden), (PREVIEW, text.len() as u64 + 1, Hidden::Parts));
        assert!(kept.bytes.starts_with(b"{\"card\":\"***\",\"note\":\"xx"));
        let broken = preview(&json("{\"card\":4711"), &rules("/card"));
        assert_eq!((&*broken.bytes, broken.size, broken.hidden), (&b""[..], 12, Hidden::All));
        let kept = preview(&json(text), &Rules::default());
        assert!(kept.is_cut() && kept.hidden == Hidden::Nothing);
    }

    #[test]
    fn a_character_is_not_cut_through() {
        let kept = preview(&json("€".repeat(PREVIEW)), &Rules::default());
        assert_eq!((kept.bytes.len(), kept.size), (PREVIEW / 3 * 3, 3 * PREVIEW as u64));
        assert_eq!(beginning(&[0xff; PREVIEW + 1]).len(), PREVIEW);
    }

    /// HIST-13.
    #[test]
    fn what_is_the_same_is_kept_once() {
        let budget = KeepBudget::new(3 * PIECE + 2 * PIECE + 2);
        let kept = NodeOperations::new(budget.clone());
        for (attempt, text) in [(1, "a"), (2, "b"), (3, "a")] {
            kept.add(data(attempt), preview(&json(text), &Rules::default()));
        }
        assert!(!budget.take(1), "all of it is used");
        let (list, previews, dropped) = kept.take();
        assert_eq!(list.iter().map(|data| data.preview).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(previews.iter().map(|preview| &*preview.bytes).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(dropped, 0);
    }

    /// HIST-13.
    #[test]
    fn what_came_first_makes_room_and_is_counted() {
        let piece = 2 * PIECE + 1;
        let budget = KeepBudget::new(2 * piece);
        let (first, second) = (NodeOperations::new(budget.clone()), NodeOperations::new(budget.clone()));
        let add =
            |kept: &NodeOperations, text: &'static str| kept.add(data(1), preview(&json(text), &Rules::default()));
        let texts = |kept: &NodeOperations| {
            let (_, previews, dropped) = kept.take();
            (
                previews
                    .into_iter()
                    .map(|preview| String::from_utf8(preview.bytes.into()).unwrap())
                    .collect::<String>(),
                dropped,
            )
        };
        for text in ["a", "b"] {
            add(&first, text);
        }
        for text in ["c", "d"] {
            add(&second, text);
        }
        assert_eq!(texts(&second), (String::new(), 2), "the other node has used the budget");
        add(&first, "e");
        assert_eq!(texts(&first), ("be".to_owned(), 1));
        drop(first);
        add(&second, "f");
        assert_eq!(texts(&second), (String::new(), 1), "what was taken counts on");
        let cut_off = KeepBudget::new(piece);
        let third = NodeOperations::new(cut_off.clone());
        add(&third, "g");
        drop(third);
        assert!(cut_off.take(piece), "what was cut off frees its bytes");
    }

    /// HIST-13.
    #[test]
    fn a_claim_keeps_no_more_than_a_commit_takes() {
        let kept = NodeOperations::new(KeepBudget::new(usize::MAX >> 1));
        for attempt in 0..100 {
            let large = vec![u8::try_from(attempt).unwrap(); PREVIEW + 1];
            kept.add(data(attempt), preview(&Content::from(large), &Rules::default()));
        }
        let (list, previews, dropped) = kept.take();
        assert_eq!((list.len(), previews.len(), dropped), (11, 11, 89));
        assert_eq!(list.last().unwrap().attempt, 99);
    }
}

//! What is stored of the schedules of a flow, and how it changes: which moments are fired, and which are not.
//!
//! A replica decides by changing this document by compare-and-swap, and then does what it has decided. What it has decided and
//! not yet done is in the document too, so that another replica does it if this one is lost.

use super::spec::{Missed, Overlap, Timed};
use crate::{Code, FlowName, Millis, RunId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A moment that nobody has fired for so long is missed, in milliseconds. One that is fired later than at its time, but not so
/// late, is fired as any other.
pub const LATE: Millis = 60_000;
/// How many missed moments are caught up on with [`Missed::All`].
pub const MOST_CAUGHT_UP: usize = 1000;
/// How many moments that get no run are counted together.
const MOST_COUNTED: usize = 1000;
/// How many moments may wait for the end of a run with [`Overlap::Queue`].
pub const MOST_WAITING: usize = 100;
/// How many moments of one schedule are decided on at a time.
const AT_A_TIME: usize = 10;
/// How many runs of one schedule may be decided on and not yet begun.
const MOST_FIRING: usize = 20;
/// How many past moments of a schedule are kept.
const REMEMBERED: usize = 10;
/// When a moment is overdue by so much, nobody fires by the stored expression any more, and any replica may replace it.
const OVERDUE: Millis = LATE / 2;

/// The schedules of one flow, as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Schedules {
    /// Since when the replica that changed them last has served what they follow from. Replicas that have served an older
    /// version, or an older configuration, do not change them back while they are being replaced.
    pub as_of: Millis,
    /// Drawn when the document was first written, and a part of the ids of all runs, so that nobody guesses them.
    #[serde(default)]
    pub salt: String,
    /// When a replica that serves them as they are stored has last said so. It does when others have doubted it.
    #[serde(default, skip_serializing_if = "is_never")]
    pub confirmed: Millis,
    /// When a replica that serves others first saw that nobody has confirmed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<Millis>,
    /// By name.
    #[serde(default)]
    pub schedules: BTreeMap<String, Kept>,
}

fn is_never(at: &Millis) -> bool {
    *at == 0
}

/// What is stored of one schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    /// The expression and time zone from which `next` follows.
    pub clockwork: String,
    /// The earliest moment that has not been decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
    /// Whether an operator has paused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Whether the flow has it no more. It is remembered, so that it is still paused if it comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Moments that wait for the end of the run before, the earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Millis>,
    /// What is decided and not yet done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firing: Vec<Firing>,
    /// Runs of a backfill that may still go on, so that not too many of them do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backfilling: Vec<RunId>,
    /// The latest run that it has begun, or is about to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<RunId>,
    /// What became of the latest moments, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Past>,
}

/// A run that is to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Firing {
    /// The moment that it is for.
    pub moment: Millis,
    /// Its request id.
    pub run: RunId,
    /// When that was decided.
    pub decided: Millis,
    /// The run that is to be stopped before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<RunId>,
}

/// What was decided, each with the name of its schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// The runs that are to begin.
    pub begin: Vec<(String, Firing)>,
    /// The moments that get no run.
    pub passed: Vec<(String, Passed)>,
}

/// Moments that get no run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The first one.
    pub moment: Millis,
    /// Why: they are skipped, or were missed.
    pub fate: Fate,
    /// How many there are. Of very many, at least so many.
    pub count: usize,
}

/// What became of a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Past {
    /// The moment; of several that were missed or skipped together, the earliest.
    pub moment: Millis,
    /// What became of it.
    pub fate: Fate,
    /// The run, if one was to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why no run began, if it was to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// What became of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// A run began.
    Started,
    /// Nothing, since the run before had not ended, or too many moments waited for its end.
    Skipped,
    /// Nothing, since no replica was there. Further moments may have been missed after it.
    Missed,
    /// A run was to begin, but could not.
    Failed,
}

impl Fate {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Started => "started",
            Fate::Skipped => "skipped",
            Fate::Missed => "missed",
            Fate::Failed => "failed",
        }
    }
}

impl Kept {
    fn begin(&mut self, timed: &Timed, now: Millis) {
        self.clockwork = timed.spec.clockwork();
        self.next = timed.when.after(now);
        self.gone = false;
        self.waiting.clear();
    }

    /// Whether the schedule fires by this expression.
    pub fn follows(&self, timed: &Timed) -> bool {
        !self.gone && self.clockwork == timed.spec.clockwork()
    }

    /// Pauses it: no moment is fired until it is resumed.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Resumes it: the moments until now are passed over.
    pub fn resume(&mut self, timed: &Timed, now: Millis) {
        if self.paused {
            self.paused = false;
            self.next = timed.when.after(now);
        }
    }

    fn remember(&mut self, moment: Millis, fate: Fate, run: Option<RunId>, code: Option<Code>) {
        self.past.insert(0, Past { moment, fate, run, code });
        self.past.truncate(REMEMBERED);
    }

    /// Whether it has to be known whether its latest run has ended, for what is decided now.
    fn depends_on_latest(&self, timed: &Timed, now: Millis) -> bool {
        let is_due = self.next.is_some_and(|next| next <= now) || !self.waiting.is_empty();
        !self.paused && is_due && timed.spec.overlap != Overlap::Allow && self.follows(timed)
    }

    /// Decides on what is due.
    fn decide(
        &mut self,
        (flow, timed): (&FlowName, &Timed),
        (now, salt): (Millis, &str),
        is_running: &dyn Fn(&RunId) -> bool,
        decided: &mut Decided,
    ) {
        if self.paused || !self.follows(timed) {
            return;
        }
        let name = &timed.spec.name;
        let mut pass = |moment, fate, count| decided.passed.push((name.clone(), Passed { moment, fate, count }));
        let overlap = timed.spec.overlap;
        let mut is_busy =
            overlap != Overlap::Allow && (!self.firing.is_empty() || self.latest.as_ref().is_some_and(is_running));
        if let Some((moment, count)) = self.pass_over_missed(timed, now) {
            pass(moment, Fate::Missed, count);
        }
        for _ in 0..AT_A_TIME {
            if self.firing.len() >= MOST_FIRING {
                break;
            }
            let moment = if !self.waiting.is_empty() && !is_busy {
                self.waiting.remove(0)
            } else if let Some(next) = self.next.filter(|next| *next <= now) {
                if overlap == Overlap::Replace && !self.firing.is_empty() {
                    // The run that is to be replaced has not begun.
                    break;
                }
                // It may take longer to stop a run on another replica than until the next moment. A run for each moment that has
                // passed meanwhile would only be stopped by the next one, and come later each time.
                let latest = timed.when.before(now + 1).filter(|at| overlap == Overlap::Replace && *at > next);
                if let Some(latest) = latest {
                    self.remember(next, Fate::Skipped, None, None);
                    pass(next, Fate::Skipped, count(timed, next, latest));
                }
                let next = latest.unwrap_or(next);
                self.next = timed.when.after(next);
                if overlap == Overlap::Queue && (is_busy || !self.waiting.is_empty()) {
                    if self.waiting.len() < MOST_WAITING {
                        self.waiting.push(next);
                    } else {
                        self.remember(next, Fate::Skipped, None, None);
                        pass(next, Fate::Skipped, 1);
                    }
                    continue;
                }
                if overlap == Overlap::Skip && is_busy {
                    self.remember(next, Fate::Skipped, None, None);
                    pass(next, Fate::Skipped, 1);
                    continue;
                }
                next
            } else {
                break;
            };
            let Some(run) = super::run_of((flow, &timed.spec.name), moment, salt) else { continue };
            let replaces = self.latest.clone().filter(|_| overlap == Overlap::Replace && is_busy);
            let firing = Firing { moment, run: run.clone(), decided: now, replaces };
            self.firing.push(firing.clone());
            decided.begin.push((name.clone(), firing));
            self.latest = Some(run);
            is_busy = overlap != Overlap::Allow;
        }
    }

    /// Passes over the missed moments for which no run is to begin. Answers with the first of them, and how many there are.
    fn pass_over_missed(&mut self, timed: &Timed, now: Millis) -> Option<(Millis, usize)> {
        let from = now.saturating_sub(LATE);
        let next = self.next.filter(|next| *next < from)?;
        let go_on = match timed.spec.missed {
            Missed::Skip => timed.when.after(from.saturating_sub(1)),
            Missed::One => timed.when.before(from),
            Missed::All => Some(earliest_caught_up(timed, next, from)),
        };
        if go_on == Some(next) {
            return None;
        }
        self.remember(next, Fate::Missed, None, None);
        self.next = go_on;
        Some((next, count(timed, next, go_on.map_or(from, |go_on| go_on.min(from)))))
    }
}

/// How many moments there are from one of them to the end, which does not count; of very many, so many.
fn count(timed: &Timed, first: Millis, end: Millis) -> usize {
    let moments = std::iter::successors(Some(first), |at| timed.when.after(*at));
    moments.take_while(|at| *at < end).take(MOST_COUNTED).count()
}

/// The moment from which on missed moments are caught up on.
fn earliest_caught_up(timed: &Timed, next: Millis, from: Millis) -> Millis {
    let are_few = std::iter::successors(Some(next), |at| timed.when.after(*at)).nth(MOST_CAUGHT_UP);
    if are_few.is_none_or(|at| at >= from) {
        return next;
    }
    let back = std::iter::successors(timed.when.before(from), |at| timed.when.before(*at));
    back.take(MOST_CAUGHT_UP).last().unwrap_or(next)
}

impl Schedules {
    /// The name of the document in the flow's partition.
    pub const DOC: &'static str = "schedules";

    /// The schedules of a flow of which nothing is stored yet.
    pub fn new(salt: String) -> Self {
        Self { salt, ..Self::default() }
    }

    /// Takes over which schedules there are, by a replica that has served them since `as_of`. A schedule that is new begins with
    /// the first moment after now, and so does one whose expression has changed. What was paused stays paused.
    pub fn reconcile(&mut self, schedules: &[Timed], as_of: Millis, now: Millis) {
        // A stored moment that has not come was written by a clock that was ahead, and does not count.
        let is_newer = as_of >= self.as_of || self.as_of > now;
        let is_newer = is_newer || self.is_orphaned(now) || self.is_unconfirmed(schedules, now);
        let mut has_changed = false;
        for timed in schedules {
            match self.schedules.get_mut(&timed.spec.name) {
                None if is_newer => {
                    self.get_or_begin(timed, now);
                    has_changed = true;
                }
                Some(kept) if !kept.follows(timed) && (is_newer || kept.is_abandoned(now)) => {
                    kept.begin(timed, now);
                    has_changed = true;
                }
                _ => {}
            }
        }
        for (name, kept) in &mut self.schedules {
            let is_there = schedules.iter().any(|timed| timed.spec.name == *name);
            if !is_there && !kept.gone && (is_newer || kept.is_abandoned(now)) {
                (kept.gone, kept.next) = (true, None);
                kept.waiting.clear();
                kept.firing.clear();
                has_changed = true;
            }
        }
        // One that is gone and was not paused need not be remembered.
        self.schedules.retain(|_, kept| !kept.gone || kept.paused);
        if has_changed {
            self.as_of = if self.as_of > now { as_of } else { self.as_of.max(as_of) };
            self.doubted = None;
        }
    }

    /// Whether nobody serves the schedules that are stored any more. A replica that serves others doubts that somebody does, and
    /// waits for one that confirms it. Without this, nobody would notice the loss of a replica that has only removed schedules:
    /// none of the others is overdue.
    fn is_unconfirmed(&mut self, schedules: &[Timed], now: Millis) -> bool {
        let follows = |timed: &Timed| self.schedules.get(&timed.spec.name).is_some_and(|kept| kept.follows(timed));
        let served = schedules.iter().filter(|timed| follows(timed)).count();
        let stored = self.schedules.values().filter(|kept| !kept.gone).count();
        if served == schedules.len() && served == stored {
            if self.doubted.take().is_some() {
                self.confirmed = now;
            }
            return false;
        }
        match self.doubted {
            Some(doubted) => now > doubted.saturating_add(OVERDUE),
            None => {
                if now > self.confirmed.max(self.as_of).saturating_add(OVERDUE) {
                    self.doubted = Some(now);
                }
                false
            }
        }
    }

    /// Whether the replicas that know the stored schedules are gone: one of them is overdue.
    fn is_orphaned(&self, now: Millis) -> bool {
        self.schedules.values().any(|kept| !kept.paused && kept.next.is_some() && kept.is_abandoned(now))
    }

    /// What is stored of a schedule. If nothing is, it begins with the first moment after now.
    pub fn get_or_begin(&mut self, timed: &Timed, now: Millis) -> &mut Kept {
        self.schedules.entry(timed.spec.name.clone()).or_insert_with(|| {
            let mut kept = Kept::default();
            kept.begin(timed, now);
            kept
        })
    }

    /// The latest runs of which it has to be known whether they have ended, for what is decided now.
    pub fn asks_for(&self, schedules: &[Timed], now: Millis) -> Vec<RunId> {
        let asking = schedules.iter().filter_map(|timed| {
            self.schedules.get(&timed.spec.name).filter(|kept| kept.depends_on_latest(timed, now))?.latest.clone()
        });
        asking.collect()
    }

    /// Decides on what is due.
    pub fn decide(
        &mut self,
        flow: &FlowName,
        schedules: &[Timed],
        now: Millis,
        is_running: impl Fn(&RunId) -> bool,
    ) -> Decided {
        let mut decided = Decided::default();
        for timed in schedules {
            let Some(kept) = self.schedules.get_mut(&timed.spec.name) else { continue };
            kept.decide((flow, timed), (now, &self.salt), &is_running, &mut decided);
        }
        decided
    }

    /// What was decided at or before this moment and is not yet done.
    pub fn undone(&self, at: Millis) -> Vec<(String, Firing)> {
        let all = self.schedules.iter().flat_map(|(name, kept)| kept.firing.iter().map(move |firing| (name, firing)));
        all.filter(|(_, firing)| firing.decided <= at).map(|(name, firing)| (name.clone(), firing.clone())).collect()
    }

    /// Notes that a run has begun, or with a code that it cannot begin.
    pub fn done(&mut self, name: &str, moment: Millis, failed: Option<Code>) {
        let Some(kept) = self.schedules.get_mut(name) else { return };
        let Some(at) = kept.firing.iter().position(|firing| firing.moment == moment) else { return };
        let firing = kept.firing.remove(at);
        let fate = if failed.is_some() { Fate::Failed } else { Fate::Started };
        kept.remember(moment, fate, Some(firing.run), failed);
    }

    /// The next moment at which there is something to decide or to do; none if there will be nothing.
    pub fn wakes(&self, now: Millis) -> Option<Millis> {
        let soon = now + 1000;
        let of = |kept: &Kept| {
            let is_soon = !kept.firing.is_empty() || (!kept.waiting.is_empty() && !kept.paused);
            let next = kept.next.filter(|_| !kept.paused && !kept.gone);
            next.into_iter().chain(is_soon.then_some(soon)).min()
        };
        self.schedules.values().filter_map(of).min()
    }
}

impl Kept {
    /// Whether no replica fires by the stored expression any more.
    fn is_abandoned(&self, now: Millis) -> bool {
        !self.gone && self.next.is_none_or(|next| now > next.saturating_add(OVERDUE))
    }
}

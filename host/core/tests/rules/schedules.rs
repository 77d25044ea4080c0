//! Schedules, in virtual time.

mod many_replicas;
mod written;

use faas_flow_core::schedule::{
    BadSchedule, Fate, Firing, LATE, MOST_CAUGHT_UP, MOST_WAITING, Missed, Overlap, Passed, Schedule, ScheduleEntry,
    ScheduleInput, Schedules, Timed, When, pointless, run_of,
};
use faas_flow_core::{Code, Definition, FlowName, Millis, Plan, RunId, moment, parse_moment};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: Millis = 1000;
const HOUR: Millis = 3600 * SECOND;

fn at(text: &str) -> Millis {
    parse_moment(text).unwrap()
}

fn flow() -> FlowName {
    FlowName::new("import").unwrap()
}

fn when(when: &str, zone: Option<&str>) -> When {
    When::parse(when, zone).unwrap_or_else(|error| panic!("{when}: {error}"))
}

fn timed(name: &str, when: &str, missed: Missed, overlap: Overlap) -> Timed {
    Schedule { name: name.to_owned(), when: when.to_owned(), missed, overlap, ..Schedule::default() }.timed().unwrap()
}

fn next(expression: &str, zone: Option<&str>, after: &str, count: usize) -> Vec<String> {
    when(expression, zone).following(at(after)).take(count).map(moment).collect()
}

/// The stored schedules with one replica that looks at them.
struct Store {
    stored: Schedules,
    timed: Vec<Timed>,
    running: BTreeSet<RunId>,
}

impl Store {
    fn new(timed: Timed, now: Millis) -> Self {
        let mut stored = Schedules::new("salt".to_owned());
        stored.reconcile(std::slice::from_ref(&timed), now, now);
        Self { stored, timed: vec![timed], running: BTreeSet::new() }
    }

    /// Decides, and begins the runs, which then run. Answers with their moments.
    fn look(&mut self, now: Millis) -> Vec<Millis> {
        let decided = self.stored.decide(&flow(), &self.timed, now, |run| self.running.contains(run)).begin;
        for (name, firing) in &decided {
            if let Some(before) = &firing.replaces {
                assert!(self.running.remove(before), "what is replaced runs");
            }
            self.running.insert(firing.run.clone());
            self.stored.done(name, firing.moment, None);
        }
        decided.into_iter().map(|(_, firing)| firing.moment).collect()
    }

    fn fates(&self) -> Vec<(Millis, Fate)> {
        let kept = self.stored.schedules.values().next().unwrap();
        kept.past.iter().map(|past| (past.moment, past.fate)).collect()
    }
}

/// SCHED-4, SCHED-5.
#[test]
fn a_moment_that_is_late_is_fired_and_one_that_is_missed_follows_the_policy() {
    let began = at("2026-11-30T10:00:00Z");
    let after = |missed: Missed, away: Millis| {
        let mut store = Store::new(timed("s", "every 1m", missed, Overlap::Allow), began);
        let fired = store.look(began + away);
        (fired.into_iter().map(|at| (at - began) / SECOND).collect::<Vec<_>>(), store.fates().last().copied())
    };
    for missed in [Missed::Skip, Missed::One, Missed::All] {
        assert_eq!(after(missed, 60 * SECOND), (vec![60], Some((began + 60 * SECOND, Fate::Started))));
        assert_eq!(after(missed, 60 * SECOND + LATE).0, [60, 120], "late is not missed");
    }
    assert_eq!(after(Missed::Skip, 330 * SECOND), (vec![300], Some((began + 60 * SECOND, Fate::Missed))));
    assert_eq!(after(Missed::One, 330 * SECOND), (vec![240, 300], Some((began + 60 * SECOND, Fate::Missed))));
    assert_eq!(
        after(Missed::All, 330 * SECOND),
        (vec![60, 120, 180, 240, 300], Some((began + 60 * SECOND, Fate::Started)))
    );
}

/// SCHED-5.
#[test]
fn a_month_of_missed_seconds_is_bounded() {
    let began = at("2026-11-01T00:00:00Z");
    let back = at("2026-12-01T00:00:00Z");
    for when in ["every 1s", "* * * * * *"] {
        let mut store = Store::new(timed("s", when, Missed::All, Overlap::Allow), began);
        let mut fired = Vec::new();
        loop {
            let now = store.look(back);
            if now.is_empty() {
                break;
            }
            assert!(now.len() <= 10, "a few at a time");
            fired.extend(now);
        }
        let late = (LATE / SECOND) as usize + 1;
        assert_eq!(fired.len(), MOST_CAUGHT_UP + late, "{when}");
        assert_eq!(fired.last(), Some(&back));
        assert!(fired.is_sorted());
    }
}

/// SCHED-6.
#[test]
fn a_schedule_that_fires_each_second_and_takes_ten_follows_its_policy() {
    let began = at("2026-11-30T10:00:00Z");
    let fired = |overlap: Overlap| {
        let mut store = Store::new(timed("s", "every 1s", Missed::Skip, overlap), began);
        let mut begun: BTreeMap<RunId, Millis> = BTreeMap::new();
        let (mut fired, mut most) = (Vec::new(), 0);
        for second in 1..=60 {
            let now = began + second * SECOND;
            store.running.retain(|run| begun.get(run).is_none_or(|at| now < at + 10 * SECOND));
            fired.extend(store.look(now).into_iter().map(|at| (at - began) / SECOND));
            for run in &store.running {
                begun.entry(run.clone()).or_insert(now);
            }
            most = most.max(store.running.len());
        }
        let waiting = store.stored.schedules["s"].waiting.len();
        (fired, most, waiting)
    };
    assert_eq!(fired(Overlap::Allow), ((1..=60).collect(), 10, 0));
    assert_eq!(fired(Overlap::Skip), (vec![1, 11, 21, 31, 41, 51], 1, 0));
    assert_eq!(fired(Overlap::Queue), (vec![1, 2, 3, 4, 5, 6], 1, 54));
    assert_eq!(fired(Overlap::Replace), ((1..=60).collect(), 1, 0));
}

/// SCHED-6: to stop a run that another replica executes may take longer than until the next moment.
#[test]
fn a_schedule_that_replaces_slowly_stays_up_to_date() {
    let began = at("2026-11-30T10:00:00Z");
    let mut store = Store::new(timed("s", "every 1s", Missed::Skip, Overlap::Replace), began);
    let (mut begun, mut skipped) = (Vec::new(), 0);
    for second in 1..=300 {
        let now = began + second * SECOND;
        // The run before is stopped after seven seconds.
        for (name, firing) in store.stored.undone(now - 7 * SECOND) {
            store.stored.done(&name, firing.moment, None);
        }
        let decided = store.stored.decide(&flow(), &store.timed, now, |_| true);
        begun.extend(decided.begin.iter().map(|(_, firing)| (now - firing.moment) / SECOND));
        skipped += decided.passed.iter().map(|(_, passed)| passed.count).sum::<usize>();
    }
    assert_eq!(begun, [0; 43], "none is late");
    assert_eq!(skipped, 42 * 6);
}

/// SCHED-6.
#[test]
fn only_so_many_moments_wait() {
    let began = at("2026-11-30T10:00:00Z");
    let mut store = Store::new(timed("s", "every 1s", Missed::Skip, Overlap::Queue), began);
    for second in 1..=200 {
        store.look(began + second * SECOND);
    }
    assert_eq!(store.stored.schedules["s"].waiting.len(), MOST_WAITING);
    assert_eq!(store.fates()[0], (began + 200 * SECOND, Fate::Skipped));
    store.running.clear();
    assert_eq!(store.look(began + 201 * SECOND), [began + 2 * SECOND], "the first that waited");
}

/// SCHED-7.
#[test]
fn a_paused_schedule_fires_nothing_and_makes_nothing_up() {
    let began = at("2026-11-30T10:00:00Z");
    for missed in [Missed::Skip, Missed::One, Missed::All] {
        let mut store = Store::new(timed("s", "every 1m", missed, Overlap::Allow), began);
        store.stored.schedules.get_mut("s").unwrap().pause();
        assert_eq!(store.look(began + HOUR), [0; 0]);
        assert_eq!(store.stored.wakes(began + HOUR), None);
        let timed = store.timed[0].clone();
        store.stored.schedules.get_mut("s").unwrap().resume(&timed, began + HOUR);
        assert_eq!(store.look(began + HOUR + 59 * SECOND), [0; 0]);
        assert_eq!(store.look(began + HOUR + 60 * SECOND), [began + HOUR + 60 * SECOND]);
    }
}

/// SCHED-8.
#[test]
fn another_version_changes_schedules_and_what_is_paused_stays_paused() {
    let began = at("2026-11-30T10:00:00Z");
    let of = |name: &str, when: &str| timed(name, when, Missed::Skip, Overlap::Skip);
    let (old, new) = ([of("a", "every 1m"), of("b", "every 1m")], [of("a", "every 1h"), of("c", "every 1m")]);
    let mut stored = Schedules::default();
    stored.reconcile(&old, began, began);
    stored.schedules.get_mut("a").unwrap().pause();
    stored.schedules.get_mut("b").unwrap().pause();
    let swapped = began + 90 * SECOND;
    stored.reconcile(&new, swapped, swapped);
    assert_eq!(stored.schedules["a"].next, Some(began + HOUR));
    assert!(stored.schedules["a"].paused && stored.schedules["b"].gone);
    assert_eq!(stored.schedules["c"].next, Some(began + 120 * SECOND));
    // A replica that still serves the old version changes nothing back.
    let after = stored.clone();
    stored.reconcile(&old, began, swapped + SECOND);
    assert_eq!(stored, after);
    assert_eq!(stored.decide(&flow(), &old, began + 120 * SECOND, |_| false).begin, []);
    // The old version comes back.
    let back = swapped + HOUR;
    stored.reconcile(&old, back, back);
    assert!(stored.schedules["b"].paused && !stored.schedules["b"].gone && !stored.schedules.contains_key("c"));
}

/// SCHED-8.
#[test]
fn nobody_fires_by_an_expression_that_no_replica_has_for_long() {
    let began = at("2026-11-30T10:00:00Z");
    let of = |when: &str| [timed("a", when, Missed::Skip, Overlap::Skip)];
    let mut stored = Schedules::default();
    // A replica that began later, and is gone.
    stored.reconcile(&of("every 1m"), began + HOUR, began);
    let due = began + 60 * SECOND;
    stored.reconcile(&of("every 1h"), began, due + LATE);
    assert_eq!(stored.schedules["a"].next, Some(began + HOUR));
}

/// SCHED-8: a rollout that is rolled back leaves the replicas that had the schedules before.
#[test]
fn when_the_replicas_with_newer_schedules_are_gone_older_ones_go_on_with_all_of_theirs() {
    let began = at("2026-11-30T10:00:00Z");
    let of = |name: &str, when: &str| timed(name, when, Missed::Skip, Overlap::Skip);
    let (old, new) = ([of("p", "every 1s"), of("q", "every 1s")], [of("p", "every 3s")]);
    let mut stored = Schedules::default();
    stored.reconcile(&old, began, began);
    stored.reconcile(&new, began + SECOND, began + SECOND);
    stored.reconcile(&old, began, began + LATE / 2);
    assert!(!stored.schedules.contains_key("q"), "the newer replica is there, as far as anybody knows");
    let now = began + LATE;
    stored.reconcile(&old, began, now);
    assert_eq!(stored.schedules["p"].next, Some(now + SECOND));
    assert_eq!(stored.schedules["q"].next, Some(now + SECOND));
}

/// SCHED-8: nothing is overdue if the newer replica has only removed a schedule.
#[test]
fn what_a_newer_replica_has_removed_comes_back_once_nobody_confirms_it() {
    let began = at("2026-11-30T10:00:00Z");
    let of = |name: &str| timed(name, "every 24h", Missed::Skip, Overlap::Skip);
    let (old, new) = ([of("p"), of("q")], [of("p")]);
    let removed = began + SECOND;
    let comes_back = |is_there: bool| {
        let mut stored = Schedules::default();
        stored.reconcile(&old, began, began);
        stored.reconcile(&new, removed, removed);
        let mut changes = 0;
        for second in 2..600 {
            let (before, now) = (stored.clone(), began + second * SECOND);
            stored.reconcile(&old, began, now);
            if is_there {
                stored.reconcile(&new, removed, now);
            }
            changes += usize::from(stored != before);
            if stored.schedules.contains_key("q") {
                return Some((second, changes));
            }
        }
        assert!(changes <= 40, "they do not write all the time, but {changes} times in ten minutes");
        None
    };
    assert_eq!(comes_back(true), None);
    assert!(matches!(comes_back(false), Some((60..=65, 2))), "{:?}", comes_back(false));
}

/// SCHED-12. What happened to each moment is told once, for logs and metrics.
#[test]
fn skipped_moments_are_reported() {
    let began = at("2026-11-30T10:00:00Z");
    let mut store = Store::new(timed("s", "every 1m", Missed::Skip, Overlap::Skip), began);
    store.look(began + 60 * SECOND);
    let mut passed = |now| store.stored.decide(&flow(), &store.timed, now, |_| true).passed;
    let of = |moment, fate, count| ("s".to_owned(), Passed { moment, fate, count });
    assert_eq!(passed(began + 120 * SECOND), [of(began + 120 * SECOND, Fate::Skipped, 1)]);
    assert_eq!(passed(began + 121 * SECOND), []);
    let expected = [of(began + 180 * SECOND, Fate::Missed, 58), of(began + HOUR + 60 * SECOND, Fate::Skipped, 1)];
    assert_eq!(passed(began + HOUR + 61 * SECOND)[..], expected[..]);
}

/// SCHED-9.
#[test]
fn a_clock_that_jumps_fires_no_moment_twice() {
    let began = at("2026-11-30T10:00:00Z");
    let mut store = Store::new(timed("s", "every 1m", Missed::Skip, Overlap::Allow), began);
    assert_eq!(store.look(began + 60 * SECOND).len(), 1);
    let ahead = store.look(began + 60 * SECOND + HOUR);
    assert_eq!(ahead, [began + HOUR, began + HOUR + 60 * SECOND], "the rest of the hour is missed");
    assert_eq!(store.look(began + 120 * SECOND), [0; 0], "it is set back");
    assert_eq!(store.look(began + HOUR + 60 * SECOND), [0; 0]);
    assert_eq!(store.look(began + HOUR + 120 * SECOND).len(), 1);
}

/// SCHED-12.
#[test]
fn what_cannot_begin_is_noted_with_its_code_and_what_is_undone_is_known() {
    let began = at("2026-11-30T10:00:00Z");
    let mut store = Store::new(timed("s", "every 1m", Missed::Skip, Overlap::Skip), began);
    let now = began + 60 * SECOND;
    let decided = store.stored.decide(&flow(), &store.timed, now, |_| false).begin;
    let (name, Firing { moment, run, .. }) = decided[0].clone();
    assert_eq!(store.stored.undone(now), decided, "another replica finds it");
    assert_eq!(store.stored.undone(now - 1), []);
    assert_eq!(store.stored.wakes(now), Some(now + SECOND));
    store.stored.done(&name, moment, Some(Code::BODY_TOO_LARGE));
    let past = &store.stored.schedules["s"].past[0];
    assert_eq!((past.fate, past.run.as_ref(), past.code), (Fate::Failed, Some(&run), Some(Code::BODY_TOO_LARGE)));
    store.stored.done(&name, moment, None);
    assert_eq!(store.stored.schedules["s"].past.len(), 1, "only the first report counts");
}

/// The stored form of schedules: documents of this build are read by all later ones.
#[test]
fn schedules_are_stored_as_they_have_always_been() {
    let began = at("2026-11-30T10:00:00Z");
    let mut store = Store::new(timed("s", "@hourly", Missed::Skip, Overlap::Queue), began);
    store.look(began + HOUR);
    store.look(began + 2 * HOUR);
    store.running.clear();
    store.stored.decide(&flow(), &store.timed, began + 2 * HOUR, |_| false);
    store.stored.schedules.get_mut("s").unwrap().pause();
    let golden = r#"{"as-of":1796032800000,"salt":"salt","schedules":{"s":{"clockwork":"@hourly","next":1796043600000,"paused":true,"firing":[{"moment":1796040000000,"run":"s-20261130T120000Z-6be0cf426710","decided":1796040000000}],"latest":"s-20261130T120000Z-6be0cf426710","past":[{"moment":1796036400000,"fate":"started","run":"s-20261130T110000Z-d52dd01a74f0"}]}}}"#;
    assert_eq!(serde_json::to_string(&store.stored).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Schedules>(golden).unwrap(), store.stored);
    assert_eq!(serde_json::from_str::<Schedules>(r#"{"as-of":1}"#).unwrap().schedules.len(), 0);
}

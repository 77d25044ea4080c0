//! Schedules, in virtual time.

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

/// SCHED-2.
#[test]
fn moments_are_those_of_cron_with_seconds_nicknames_and_intervals() {
    let from = "2026-11-30T10:00:00Z";
    assert_eq!(next("30 2 * * *", None, from, 2), ["2026-12-01T02:30:00Z", "2026-12-02T02:30:00Z"]);
    assert_eq!(next("15 30 2 * * MON", None, from, 1), ["2026-12-07T02:30:15Z"]);
    assert_eq!(next("*/20 * * * * *", None, from, 2), ["2026-11-30T10:00:20Z", "2026-11-30T10:00:40Z"]);
    assert_eq!(next("@daily", None, from, 1), ["2026-12-01T00:00:00Z"]);
    assert_eq!(next("0 0 L * *", None, "2027-02-01T00:00:00Z", 1), ["2027-02-28T00:00:00Z"]);
    assert_eq!(next("every 10m", None, "2026-11-30T10:03:00Z", 2), ["2026-11-30T10:10:00Z", "2026-11-30T10:20:00Z"]);
    assert_eq!(next("every 24h", None, from, 1), ["2026-12-01T00:00:00Z"]);
    assert_eq!(next("0 0 29 2 *", None, from, 1), ["2028-02-29T00:00:00Z"]);
    let daily = when("0 30 2 * * *", Some("europe/berlin"));
    assert_eq!(daily.after(at("2026-12-01T00:00:00Z")).map(moment).as_deref(), Some("2026-12-01T01:30:00Z"));
    assert_eq!(daily.before(at("2026-12-01T01:30:00Z")).map(moment).as_deref(), Some("2026-11-30T01:30:00Z"));
    assert_eq!(daily.before(at("2026-12-01T01:30:00.001Z")).map(moment).as_deref(), Some("2026-12-01T01:30:00Z"));
    assert_eq!(when("every 1s", None).before(500), None);
}

/// SCHED-3. In Berlin, 02:00 to 03:00 does not exist on 28 March 2027, and 02:00 to 03:00 comes twice on 25 October 2026.
#[test]
fn a_missing_hour_fires_behind_the_gap_and_a_doubled_one_fires_once() {
    let berlin = Some("Europe/Berlin");
    let spring = "2027-03-27T12:00:00Z";
    assert_eq!(next("0 30 2 * * *", berlin, spring, 2), ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]);
    assert_eq!(next("0 0 3 * * *", berlin, spring, 1), ["2027-03-28T01:00:00Z"], "three o'clock is there");
    let autumn = "2026-10-24T12:00:00Z";
    assert_eq!(next("0 30 2 * * *", berlin, autumn, 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // What fires several times a day follows the clock on the wall.
    let every_half = next("0 0,30 * * * *", berlin, "2027-03-28T00:00:00Z", 3);
    assert_eq!(every_half, ["2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"]);
    assert_eq!(next("0 15,45 2 * * *", berlin, spring, 1), ["2027-03-29T00:15:00Z"]);
    assert_eq!(
        next("0 15 * * * *", berlin, "2026-10-25T00:00:00Z", 2),
        ["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z"]
    );
    // An interval knows no zones.
    assert_eq!(next("every 1h", None, "2027-03-28T00:30:00Z", 2), ["2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"]);
}

/// SCHED-13.
#[test]
fn what_is_no_schedule_is_refused_with_what_to_do() {
    let refused = |when: &str, zone: Option<&str>| When::parse(when, zone).unwrap_err();
    let long = "*".repeat(1 << 20);
    for bad in [
        "",
        "soon",
        "* * * *",
        "61 * * * *",
        "* * 25 * * *",
        "1 2 3 4 5 6 7",
        "@reboot",
        "@never",
        "every",
        "every day",
        "every 0s",
        "every 1500ms",
        "every 32d",
        "every 745h",
        "\u{202e}* * * * *",
        &long,
    ] {
        let error = refused(bad, None);
        assert!(matches!(error, BadSchedule::When { .. }), "{bad}: {error}");
        assert_eq!(error.code(), Code::BAD_SCHEDULE);
        assert!(error.to_string().len() < 400 && !error.to_string().contains('\u{202e}'), "{error}");
    }
    for never in ["0 0 30 2 *", "0 0 0 31 4,6,9,11 *"] {
        assert_eq!(refused(never, None).code(), Code::SCHEDULE_NEVER, "{never}");
    }
    assert_eq!(
        refused("@daily", Some("Europe/Berlni")).to_string(),
        "there is no time zone `Europe/Berlni`: did you mean `Europe/Berlin`?"
    );
    assert_eq!(refused("@daily", Some("Mars")).code(), Code::UNKNOWN_TIME_ZONE);
    assert!(refused("every 1h", Some("Europe/Berlin")).to_string().contains("no time zone"));

    let schedule = |name: &str| Schedule { name: name.to_owned(), when: "@daily".to_owned(), ..Schedule::default() };
    for name in ["", "a b", "ü", &"n".repeat(33)] {
        assert!(matches!(schedule(name).timed(), Err(BadSchedule::Name { .. })), "{name}");
    }
    let input = ScheduleInput { body: vec![0; (64 << 10) + 1], media_type: String::new() };
    assert!(Schedule { input: Some(input), ..schedule("a") }.timed().unwrap_err().to_string().contains("65537 bytes"));
    let input = ScheduleInput { body: Vec::new(), media_type: "json".to_owned() };
    assert!(Schedule { input: Some(input), ..schedule("a") }.timed().is_err());
}

/// SCHED-13.
#[test]
fn the_schedules_of_a_definition_are_checked_with_it() {
    let schedule =
        |name: &str, when: &str| Schedule { name: name.to_owned(), when: when.to_owned(), ..Default::default() };
    let plan = |schedules: Vec<Schedule>| {
        Plan::new(Definition { schedules, ..faas_flow_core::testing::flow(faas_flow_core::testing::lone()) })
    };
    assert!(plan(vec![schedule("a", "@daily"), schedule("b", "every 5s")]).is_ok());
    let problems =
        plan(vec![schedule("a", "@daily"), schedule("a", "@daily"), schedule("b", "0 0 30 2 *")]).unwrap_err();
    let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::BAD_SCHEDULE, Code::SCHEDULE_NEVER], "{problems:?}");
    let many = (0..101).map(|n| schedule(&format!("s{n}"), "@daily")).collect();
    assert_eq!(plan(many).unwrap_err().len(), 1);
}

/// SCHED-1.
#[test]
fn the_id_of_a_run_is_made_of_flow_schedule_and_moment() {
    let run_of = |flow: &FlowName, name: &str, salt: &str| run_of((flow, name), at("2026-12-01T01:30:00Z"), salt);
    let run = run_of(&flow(), "nightly", "salt").unwrap();
    assert_eq!(run.as_str(), "nightly-20261201T013000Z-88a7d065b4df");
    let other = FlowName::new("export").unwrap();
    assert_ne!(run_of(&other, "nightly", "salt").unwrap(), run, "flows share stores");
    assert_ne!(run_of(&flow(), "nightly", "other").unwrap(), run, "nobody guesses it");
    assert!(run_of(&flow(), &"n".repeat(32), "salt").is_some());
}

/// SCHED-8.
#[test]
fn a_line_of_the_configuration_takes_the_place_of_the_flows_schedule() {
    let line = "import/nightly=0 30 2 * * *; time-zone=Europe/Berlin; missed=one; overlap=queue; content-type=text/plain; input=a;b=c";
    let entry = ScheduleEntry::parse(line).unwrap();
    let schedule = entry.schedule.clone().unwrap();
    assert_eq!((entry.flow.as_ref().map(FlowName::as_str), entry.name.as_str()), (Some("import"), "nightly"));
    assert_eq!(
        (schedule.time_zone.as_deref(), schedule.missed, schedule.overlap),
        (Some("Europe/Berlin"), Missed::One, Overlap::Queue)
    );
    assert_eq!(schedule.input, Some(ScheduleInput { body: b"a;b=c".to_vec(), media_type: "text/plain".to_owned() }));
    let declared = ["nightly", "poll"].map(|name| Schedule {
        name: name.to_owned(),
        when: "@daily".to_owned(),
        ..Default::default()
    });
    let entries = [entry, ScheduleEntry::parse("poll=off").unwrap(), ScheduleEntry::parse("new = every 5s").unwrap()];
    let names = |flow: &FlowName| -> Vec<String> {
        ScheduleEntry::over(&entries, flow, &declared)
            .into_iter()
            .map(|schedule| format!("{} {}", schedule.name, schedule.when))
            .collect()
    };
    assert_eq!(names(&flow()), ["nightly 0 30 2 * * *", "new every 5s"]);
    assert_eq!(names(&FlowName::new("other").unwrap()), ["nightly @daily", "new every 5s"]);
    for bad in [
        "",
        "nightly",
        "a b=@daily",
        "n=@daily; missed=never",
        "n=@daily; colour=red",
        "n=@daily; x",
        "n=; a=b",
        "B_/n=@daily",
    ] {
        assert!(ScheduleEntry::parse(bad).is_err(), "{bad}");
    }
    let secret = ScheduleEntry::parse("n=@daily; colour=red; input=s3cret").unwrap_err().to_string();
    assert!(!secret.contains("s3cret"), "{secret}");
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

/// SCHED-2: the parser replaces names wherever they are.
#[test]
fn names_of_days_and_months_are_refused_in_other_fields() {
    for (expression, says) in [
        ("MON * * * *", "`MON` is no minute"),
        ("* JAN * * *", "`JAN` is no hour"),
        ("* * MON * *", "`MON` is no day of the month"),
        ("* * * MON *", "`MON` is no month"),
        ("* * * * JAN", "`JAN` is no day of the week"),
        ("mon * * * * *", "`mon` is no second"),
        ("0 L * * *", "`L` is no hour"),
    ] {
        let refused = When::parse(expression, None).unwrap_err();
        assert_eq!(refused.code(), Code::BAD_SCHEDULE, "{expression}");
        assert!(refused.to_string().contains(says), "{expression}: {refused}");
    }
    for good in
        ["0 9 * JAN-mar MON-FRI", "0 0 LW * *", "0 0 15W * *", "0 0 * * FRI#L", "0 0 * * 5L", "0 9 * * +sun,Tue#2"]
    {
        when(good, None);
    }
}

/// SCHED-13.
#[test]
fn a_media_type_without_an_input_is_refused() {
    let refused = ScheduleEntry::parse("a=@daily; content-type=text/plain").unwrap_err();
    assert!(refused.to_string().contains("has a `content-type`, but no `input`"), "{refused}");
    ScheduleEntry::parse("a=@daily; content-type=text/plain; input=").unwrap();
}

#[test]
fn entries_that_concern_nothing_are_told() {
    let entries = |lines: &[&str]| lines.iter().map(|line| ScheduleEntry::parse(line).unwrap()).collect::<Vec<_>>();
    let (flow, other) = (flow(), FlowName::new("report").unwrap());
    let declared = [timed("nightly", "@daily", Missed::Skip, Overlap::Skip).spec];
    let served = [(&flow, &declared[..]), (&other, &[][..])];
    let useful = ["nightly=off", "weekly=@weekly", "weekly=off", "report/x=@daily", "import/nightly=@hourly"];
    assert_eq!(pointless(&entries(&useful), &served), [""; 0]);
    let told = pointless(&entries(&["imprt/nightly=@daily", "nigthly=off", "report/nightly=off"]), &served);
    assert_eq!(
        told,
        [
            "the schedule `imprt/nightly` is ignored, since no flow `imprt` is served here: did you mean `import`?",
            "`nigthly=off` switches nothing off, since no flow here has a schedule `nigthly`: did you mean `nightly`?",
            "`nightly=off` switches nothing off, since no flow here has a schedule `nightly`",
        ]
    );
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
fn what_is_passed_over_is_told() {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// SCHED-2, SCHED-13. Whatever is written, it is refused, or it has moments that come one after the other.
    #[test]
    fn whatever_is_written_it_is_refused_or_has_moments(
        when in prop_oneof![
            "[0-9*/,LW#@+?A-Z -]{0,40}",
            "([0-9*]{1,2}([/,-][0-9]{1,2}){0,2} ){4,5}[0-7*](#[1-5]|L)?",
            "every [0-9a-z.]{0,12}",
            ".{0,40}",
        ],
        zone in proptest::option::of(prop_oneof!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", ".{0,20}"]),
        from in 0..4_000_000_000_000_u64,
    ) {
        let Ok(when) = When::parse(&when, zone.as_deref()) else { return Ok(()) };
        let moments: Vec<Millis> = when.following(from).take(20).collect();
        prop_assert!(moments.iter().all(|at| *at > from && at % SECOND == 0), "{:?}", moments);
        prop_assert!(moments.is_sorted_by(|one, next| one < next), "{:?}", moments);
        for pair in moments.windows(2) {
            prop_assert_eq!(when.before(pair[1]), Some(pair[0]), "back from {}", moment(pair[1]));
        }
    }
}

/// What a replica of the property below is about to do.
#[derive(Debug, Clone)]
enum Step {
    /// It reads, decides and commits, unless another one has committed since it read.
    Look(usize),
    /// It begins one of the runs that it has decided on.
    Begin(usize),
    /// It notes that the run has begun.
    Note(usize),
    /// It is lost, with all that it was about to do, and begins anew.
    Die(usize),
    /// It reads, and commits what it has decided only at the end of its next step.
    Stall(usize),
    /// Time passes, in milliseconds.
    Pass(Millis),
    /// A run ends.
    End,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(Step::Look),
        4 => (0..3_usize).prop_map(Step::Begin),
        3 => (0..3_usize).prop_map(Step::Note),
        1 => (0..3_usize).prop_map(Step::Die),
        2 => (0..3_usize).prop_map(Step::Stall),
        4 => (1..9_000_u64).prop_map(Step::Pass),
        1 => Just(Step::End),
    ];
    proptest::collection::vec(step, 1..400)
}

/// Runs that are to begin, with the names of their schedules.
type Firings = Vec<(String, Firing)>;

#[derive(Default)]
struct Replica {
    to_begin: Firings,
    to_note: Firings,
    stalled: Option<(Schedules, u64, Firings)>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// SCHED-1, SCHED-4. Whatever replicas do, and whenever they are lost, each moment has at most one run, and in the end
    /// each has exactly one if nothing was missed and overlap is allowed.
    #[test]
    fn each_moment_has_exactly_one_run(steps in steps(), overlap in 0..4_usize) {
        let overlap = Overlap::ALL[overlap].1;
        let began = at("2026-11-30T10:00:00Z");
        let timed = vec![timed("s", "every 5s", Missed::All, overlap)];
        let (mut stored, mut version, mut now) = (Schedules::default(), 0_u64, began);
        let mut replicas: Vec<Replica> = (0..3).map(|_| Replica::default()).collect();
        // What the store has: a run is created once, whoever tries.
        let mut runs: BTreeMap<RunId, Millis> = BTreeMap::new();
        let mut running: BTreeSet<RunId> = BTreeSet::new();
        stored.reconcile(&timed, began, began);
        let decide = |stored: &Schedules, running: &BTreeSet<RunId>, now: Millis| {
            let mut changed = stored.clone();
            let mut begin = changed.undone(now.saturating_sub(5_000));
            changed.reconcile(&timed, began, now);
            begin.extend(changed.decide(&flow(), &timed, now, |run| running.contains(run)).begin);
            (changed, begin)
        };
        let mut begin = |firing: &Firing, running: &mut BTreeSet<RunId>| {
            if let Some(before) = &firing.replaces {
                running.remove(before);
            }
            if runs.insert(firing.run.clone(), firing.moment).is_none() {
                running.insert(firing.run.clone());
            }
        };
        for step in steps {
            match step {
                Step::Look(replica) => {
                    let (changed, begin) = decide(&stored, &running, now);
                    (stored, version) = (changed, version + 1);
                    replicas[replica].to_begin.extend(begin);
                }
                Step::Stall(replica) => {
                    let replica = &mut replicas[replica];
                    match replica.stalled.take() {
                        Some((changed, at, begin)) if at == version => {
                            (stored, version) = (changed, version + 1);
                            replica.to_begin.extend(begin);
                        }
                        Some(_) => {}
                        None => {
                            let (changed, begin) = decide(&stored, &running, now);
                            replica.stalled = Some((changed, version, begin));
                        }
                    }
                }
                Step::Begin(replica) => {
                    if let Some((name, firing)) = replicas[replica].to_begin.pop() {
                        begin(&firing, &mut running);
                        replicas[replica].to_note.push((name, firing));
                    }
                }
                Step::Note(replica) => {
                    if let Some((name, firing)) = replicas[replica].to_note.pop() {
                        stored.done(&name, firing.moment, None);
                        version += 1;
                    }
                }
                Step::Die(replica) => replicas[replica] = Replica::default(),
                Step::Pass(time) => now += time,
                Step::End => drop(running.pop_first()),
            }
            if overlap != Overlap::Allow {
                prop_assert!(running.len() <= 1, "{overlap:?}: {running:?}");
            }
        }
        // In the end one replica is left, and runs end.
        for _ in 0..1500 {
            let (changed, undone) = decide(&stored, &running, now);
            stored = changed;
            for (name, firing) in undone {
                begin(&firing, &mut running);
                stored.done(&name, firing.moment, None);
            }
            running.clear();
            now += 1_000;
            if stored.schedules["s"].next.is_some_and(|next| next > now) && stored.schedules["s"].waiting.is_empty()
                && stored.schedules["s"].firing.is_empty() && now > began + 5_000 {
                break;
            }
        }
        let moments: Vec<Millis> = runs.values().copied().collect();
        let unique: BTreeSet<Millis> = moments.iter().copied().collect();
        prop_assert_eq!(moments.len(), unique.len(), "no moment has two runs");
        if matches!(overlap, Overlap::Allow | Overlap::Queue) {
            let all: BTreeSet<Millis> = when("every 5s", None).following(began).take_while(|at| *at <= now - 1_000).collect();
            prop_assert_eq!(unique.difference(&all).count(), 0);
            prop_assert_eq!(all.difference(&unique).copied().collect::<Vec<_>>(), Vec::<Millis>::new(), "no moment is without");
        }
    }
}

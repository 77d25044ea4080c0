//! Seeds by the thousand, and every single fault at every step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use faas_flow_sim::{
    APART, Asks, DELAYS, EventFault, Fault, Faults, Flows, HOWS, How, JOBS, Job, Outcome, Versions, calls, schedules,
    seed, single, skewed, stopped, swaps,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};

static FLOWS: LazyLock<Flows> = LazyLock::new(|| Flows::load().unwrap());

/// Simulates the seeds, of which as many run as the environment says, and shows what went wrong in any of them.
fn seeds(usual: u64, again: &str, simulate: impl Fn(u64) -> anyhow::Result<Outcome> + Sync) {
    let seeds = std::env::var("FAAS_FLOW_SEEDS").map_or(usual, |seeds| seeds.parse().unwrap());
    let wrong = Mutex::new(Vec::new());
    all(seeds, |number| {
        let found = simulate(number).map_or_else(|error| vec![format!("{error:#}")], |outcome| outcome.wrong);
        if !found.is_empty() {
            wrong.lock().unwrap().push(format!("{again} --seed {number}: {}", found.join("; ")));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {seeds} seeds:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs `each` for all numbers on two threads.
fn all(numbers: u64, each: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < numbers) {
                    each(number);
                }
            });
        }
    });
}

#[test]
fn whatever_goes_wrong_every_run_ends_and_no_node_is_committed_twice() {
    seeds(2000, "cargo xtask sim", |number| seed(&FLOWS, number, None));
}

/// CHILD-1, CHILD-2, ASYNC-1, ASYNC-2, STOP-2: among flows that call flows, and functions that answer later.
#[test]
fn whatever_goes_wrong_flows_that_call_flows_end_after_them_and_each_answer_counts_once() {
    seeds(600, "cargo xtask sim --calls", |number| calls(&FLOWS, number));
}

#[test]
fn whatever_goes_wrong_while_a_flow_is_swapped_every_run_is_that_of_one_version() {
    let versions = Versions::load().unwrap();
    seeds(400, "cargo xtask sim --swaps", |number| swaps(&versions, number));
    for number in 0..10 {
        let (one, other) = (swaps(&versions, number).unwrap(), swaps(&versions, number).unwrap());
        assert!(one.trace == other.trace, "seed {number} went otherwise the second time");
    }
}

/// SCHED-1, SCHED-4, SCHED-6.
#[test]
fn whatever_goes_wrong_each_moment_of_a_schedule_has_exactly_one_run() {
    seeds(100, "cargo xtask sim --schedules", |number| schedules(&FLOWS, number));
    let (one, other) = (schedules(&FLOWS, 1).unwrap(), schedules(&FLOWS, 1).unwrap());
    assert!(one.trace == other.trace, "it went otherwise the second time");
}

/// STOP-2.
#[test]
fn whatever_goes_wrong_no_call_begins_after_a_stop_was_answered() {
    let seeds = std::env::var("FAAS_FLOW_SEEDS").map_or(400, |seeds| seeds.parse().unwrap());
    let answered = AtomicU64::new(0);
    all(seeds, |number| {
        let outcome = stopped(&FLOWS, number).unwrap_or_else(|error| panic!("seed {number}: {error:#}"));
        assert!(outcome.wrong.is_empty(), "seed {number}: {:?}\n{}", outcome.wrong, outcome.trace);
        if outcome.trace.contains("stop r0: 200") {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(answered.into_inner() >= seeds / 3, "few stops were answered: does this still test something?");
}

/// FAIL-9.
#[test]
fn a_run_fails_within_a_tenth_of_a_second_after_its_deadline_paused_or_not() {
    for how in HOWS {
        let job = Job { flow: "fixture", query: "case=deadline-in-a-row", body: "in", asks: Asks::Later };
        let outcome = single(&FLOWS, job, how, Faults::None).unwrap();
        assert!(outcome.wrong.is_empty(), "{:?}\n{}", outcome.wrong, outcome.trace);
        assert!(outcome.ends[0].starts_with("failed") && outcome.ends[0].contains("FF0210"), "{:?}", outcome.ends);
        let took = outcome.took[0];
        assert!((1500..1600).contains(&took), "it took {took} ms\n{}", outcome.trace);
    }
}

/// SLEEP-3: replicas look for what is due all the time, and the run is not among it until it is to go on.
#[test]
fn a_run_that_sleeps_is_not_read() {
    let job = Job { flow: "fixture", query: "case=sleep-alone&ms=60000", body: "hi", asks: Asks::Later };
    for how in HOWS {
        let outcome = single(&FLOWS, job, how, Faults::None).unwrap();
        assert!(outcome.ends[0].starts_with("succeeded"), "{:?}\n{}", outcome.ends, outcome.trace);
        let asleep = outcome.trace.lines().filter(|line| {
            let ms = line.split_once(" ms").and_then(|(ms, _)| ms.trim().parse().ok());
            ms.is_some_and(|ms: f64| (5_000.0..60_000.0).contains(&ms))
        });
        let (looks, others): (Vec<_>, Vec<_>) = asleep.partition(|line| line.ends_with("looks for runs that are due"));
        assert!(looks.len() > 100, "{} looks", looks.len());
        assert!(others.is_empty(), "{others:#?}");
    }
}

/// START-2: replicas look for what is due all the time, and the run is not among it until it starts.
#[test]
fn a_run_that_starts_later_is_not_read_and_then_ends_once() {
    let job = Job { flow: "async-chain", query: "", body: "hi", asks: Asks::Start("60s") };
    for how in HOWS {
        let outcome = single(&FLOWS, job, how, Faults::None).unwrap();
        assert!(outcome.wrong.is_empty(), "{:?}\n{}", outcome.wrong, outcome.trace);
        assert!(outcome.ends[0].starts_with("succeeded"), "{:?}\n{}", outcome.ends, outcome.trace);
        assert_eq!(outcome.most_calls, 1, "{}", outcome.trace);
        assert!(outcome.took[0] < 2_000, "it started {} ms late", outcome.took[0]);
        let before = outcome.trace.lines().filter(|line| {
            let ms = line.split_once(" ms").and_then(|(ms, _)| ms.trim().parse().ok());
            ms.is_some_and(|ms: f64| (5_000.0..59_000.0).contains(&ms))
        });
        let (looks, others): (Vec<_>, Vec<_>) = before.partition(|line| line.ends_with("looks for runs that are due"));
        assert!(looks.len() > 100, "{} looks", looks.len());
        assert!(others.is_empty(), "{others:#?}");
    }
}

/// The set-ups in which a job meets every fault: the queue has no part in a run of one node, and a wide for-each takes long.
fn set_ups(job: Job) -> Vec<How> {
    let wide = job.query == "case=items" && job.body.len() > 10;
    match job.asks {
        Asks::Now => vec![HOWS[0], HOWS[1]],
        _ if wide => vec![HOWS[0], HOWS[2]],
        _ => HOWS.to_vec(),
    }
}

/// The jobs without those that call flows or wait for the queue: how far these come within a time depends on what goes wrong.
fn jobs() -> impl Iterator<Item = Job> {
    JOBS.into_iter().filter(|job| !job.query.starts_with("case=calls"))
}

/// What this run of the job ended with is right.
fn ends_right(job: Job, (outcome, skew): (&Outcome, u64), right: &Outcome, when: &str) {
    let (end, right) = (&outcome.ends[0], &right.ends[0]);
    assert!(job.may_end(end, right, skew), "{job:?} {when} ended with {end}, and not with {right}\n{}", outcome.trace);
}

#[test]
fn a_single_fault_at_any_step_changes_no_result() {
    let every = std::env::var_os("FAAS_FLOW_EVERY_FAULT").is_some();
    let met = jobs().flat_map(|job| {
        let hows = set_ups(job);
        // Each fault is tried in one of the set-ups, a different one each time; in all of them if the environment asks for it, as
        // the nightly does.
        let among = if every { 1 } else { hows.len() };
        hows.into_iter().enumerate().map(move |(place, how)| (job, how, place % among, among))
    });
    for (job, how, place, among) in met {
        let right = single(&FLOWS, job, how, Faults::None).unwrap();
        assert!(right.wrong.is_empty(), "{job:?}: {:?}", right.wrong);
        let at_steps = (0..right.steps).flat_map(|step| Fault::ALL.map(|fault| Faults::One(step, fault)));
        let of_events = (0..right.events).flat_map(|event| EventFault::ALL.map(|fault| Faults::Event(event, fault)));
        let in_turn = |number: &usize| (number + number / Fault::ALL.len()) % among == place;
        let faults = at_steps.chain(of_events).enumerate().filter(|(number, _)| in_turn(number));
        let faults: Vec<Faults> = faults.map(|(_, fault)| fault).collect();
        all(faults.len() as u64, |number| {
            let faults = faults[number as usize];
            let outcome =
                single(&FLOWS, job, how, faults).unwrap_or_else(|error| panic!("{job:?} {faults:?}: {error:#}"));
            assert!(outcome.wrong.is_empty(), "{job:?} {how:?} {faults:?}: {:?}\n{}", outcome.wrong, outcome.trace);
            ends_right(job, (&outcome, 0), &right, &format!("{how:?} {faults:?}"));
        });
    }
}

#[test]
fn replicas_whose_clocks_are_apart_call_nothing_twice() {
    for job in JOBS.into_iter().filter(|job| job.body != "busy" && !matches!(job.asks, Asks::Again(_))) {
        for how in set_ups(job) {
            let right = single(&FLOWS, job, how, Faults::None).unwrap();
            let outcome = skewed(&FLOWS, job, how).unwrap_or_else(|error| panic!("{job:?} {how:?}: {error:#}"));
            assert!(outcome.wrong.is_empty(), "{job:?} {how:?}: {:?}\n{}", outcome.wrong, outcome.trace);
            ends_right(job, (&outcome, APART), &right, &format!("{how:?}"));
            assert!(outcome.most_calls <= right.most_calls, "{job:?} {how:?}\n{}", outcome.trace);
        }
    }
}

/// Also while others run beside it, and whatever they leave behind.
#[test]
fn a_seed_repeats_itself() {
    let repeats = std::env::var("FAAS_FLOW_REPEATS").map_or(20, |repeats| repeats.parse().unwrap());
    all(repeats, |number| {
        for simulate in [|number| seed(&FLOWS, number, None), |number| calls(&FLOWS, number)] {
            let (one, other) = (simulate(number).unwrap().trace, simulate(number).unwrap().trace);
            let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
            assert!(one == other, "seed {number} went otherwise the second time: {differ:?}");
        }
    });
}

#[test]
fn what_only_the_flows_own_code_does_shares_commits() {
    for job in JOBS.into_iter().filter(|job| job.asks == Asks::Later) {
        let [each, together] = DELAYS.map(|delay| commits_of(job, How { commit_delay: delay, ..HOWS[0] }));
        assert!(together <= each, "{job:?}: {together} commits instead of {each}");
        let nodes = match job.query {
            "case=ends" | "case=sub-dag" => 4,
            "case=reversed-branches" => 5,
            _ => continue,
        };
        // Its start and each node's end; its start, and its end with all that came before it. One more is of the replica's
        // first look after its runs, which comes in between.
        assert_eq!((each, together), (1 + nodes + 1, 2 + 1), "{job:?}");
    }
}

fn commits_of(job: Job, how: How) -> usize {
    let outcome = single(&FLOWS, job, how, Faults::None).unwrap();
    outcome.trace.lines().filter(|line| line.contains("commits to") && !line.contains("commits to r0 [],")).count()
}

//! Replicas that fire the same schedule, and are lost at any moment.

use super::*;

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
        // What the store has: a run is created once, by one of the replicas that try.
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

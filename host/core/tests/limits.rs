//! Limits over all runs: the rules of one key, with several replicas that come, go and are lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use faas_flow_core::limit::{
    Allowance, Entered, Figures, Line, Lines, MOST_WAITING, SHARDS, Scope, Share, Ticket, shard_of,
};
use faas_flow_core::run::{ClaimToken, WaitId, decode, encode};
use faas_flow_core::testing::Random;
use faas_flow_core::{FlowName, Millis, NodePath, RunId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const LEASE: Millis = 10_000;
const HOUR: Millis = 3_600_000;

/// The flow whose limit it is, in tests with only one flow.
fn greet() -> Option<FlowName> {
    Some(FlowName::new("greet").unwrap())
}

fn ticket(number: usize) -> Ticket {
    let run = RunId::new(format!("r{number}")).unwrap();
    Ticket { flow: greet().unwrap(), run, node: NodePath::parse("n").unwrap(), operation: Some(0) }
}

fn allows(figures: Figures) -> Allowance {
    Allowance { figures, scope: Scope::Of(greet()) }
}

fn concurrent(most: u32) -> Allowance {
    allows(Figures { concurrent: Some(most), per_second: None })
}

fn rate(per_second: f64) -> Allowance {
    allows(Figures { concurrent: None, per_second: Some(per_second) })
}

fn enter(line: &mut Line, allowance: &Allowance, owner: &str, number: usize, now: Millis) -> Entered {
    line.enter(allowance, (owner, &greet(), &ticket(number)), now, now, LEASE)
}

/// LIMIT-1, LIMIT-3.
#[test]
fn who_comes_when_it_is_full_waits_in_the_order_of_arrival() {
    let (figures, mut line) = (concurrent(2), Line::default());
    let entered: Vec<_> = (0..5).map(|number| enter(&mut line, &figures, "a", number, number as u64)).collect();
    assert_eq!(entered, [Entered::Granted, Entered::Granted, Entered::Waits, Entered::Waits, Entered::Waits]);
    assert_eq!((line.place_of(&ticket(2)), line.place_of(&ticket(4))), (Some(0), Some(2)));
    line.leave("a", &ticket(1));
    let admitted = line.admit(&figures, "a", 10, LEASE);
    assert_eq!(admitted.iter().map(|waiter| &waiter.ticket).collect::<Vec<_>>(), [&ticket(2)]);
    // Who asks again keeps its place.
    assert_eq!(enter(&mut line, &figures, "a", 4, 11), Entered::Waits);
    assert_eq!(line.place_of(&ticket(4)), Some(1));
    // Who came before comes before, though it asks later.
    line.enter(&figures, ("b", &greet(), &ticket(9)), 3, 12, LEASE);
    assert_eq!([3, 9, 4].map(|number| line.place_of(&ticket(number))), [Some(0), Some(1), Some(2)]);
}

/// LIMIT-5.
#[test]
fn what_a_lost_replica_held_is_free_when_its_lease_has_run_out() {
    let (figures, mut line) = (concurrent(1), Line::default());
    assert_eq!(enter(&mut line, &figures, "a", 0, 0), Entered::Granted);
    assert_eq!(enter(&mut line, &figures, "b", 1, 1), Entered::Waits);
    assert_eq!(enter(&mut line, &figures, "c", 2, 2), Entered::Waits);
    line.expire(LEASE - 1);
    assert!(line.admit(&figures, "c", LEASE - 1, LEASE).is_empty());
    assert!(line.renew("c", &ticket(2), 5 * LEASE));
    line.expire(LEASE + 1);
    // So is its place in line.
    let admitted = line.admit(&figures, "c", LEASE + 1, LEASE);
    assert_eq!(admitted[0].ticket, ticket(2));
    assert!(!line.renew("a", &ticket(0), 9 * LEASE) && !line.renew("b", &ticket(1), 9 * LEASE));
}

/// LIMIT-5.
#[test]
fn a_clock_that_jumps_an_hour_ahead_and_back_does_not_stop_a_rate() {
    let (figures, mut line, start) = (rate(2.0), Line::default(), 10 * HOUR);
    let ask = |line: &mut Line, number: usize, now: Millis| {
        line.expire(now);
        line.bound(&figures, now, LEASE);
        enter(line, &figures, "a", number, now)
    };
    assert_eq!(ask(&mut line, 0, start), Entered::Granted);
    assert_eq!(ask(&mut line, 1, start + HOUR), Entered::Granted);
    // The next call begins after the time of one call, by the clock that has gone back.
    assert_eq!(ask(&mut line, 2, start + 1000), Entered::Waits);
    assert_eq!(line.next_admission(&figures, start + 1000), Some(start + 1500));
    assert!(line.admit(&figures, "a", start + 1499, LEASE).is_empty());
    assert_eq!(line.admit(&figures, "a", start + 1500, LEASE).len(), 1);
    // Clocks may disagree by a lease: what one has written that is a little ahead counts.
    let mut line = Line::default();
    assert_eq!(ask(&mut line, 3, start + LEASE / 2), Entered::Granted);
    assert_eq!(ask(&mut line, 4, start), Entered::Waits);
    assert_eq!(line.next_admission(&figures, start), Some(start + LEASE / 2 + 500));
    // So does the share of a replica.
    let mut share = Share::default();
    assert!(share.take(2.0, start + HOUR) && !share.take(2.0, start) && !share.take(2.0, start + 499));
    assert!(share.take(2.0, start + 500));
}

/// LIMIT-5.
#[test]
fn what_was_held_by_a_clock_an_hour_ahead_is_free_a_lease_later() {
    let (figures, mut line, start) = (concurrent(1), Line::default(), 10 * HOUR);
    assert_eq!(enter(&mut line, &figures, "a", 0, start + HOUR), Entered::Granted);
    line.bound(&figures, start, LEASE);
    assert_eq!(enter(&mut line, &figures, "b", 1, start), Entered::Waits);
    line.expire(start + LEASE - 1);
    assert!(line.admit(&figures, "b", start + LEASE - 1, LEASE).is_empty());
    assert!(line.renew("b", &ticket(1), start + 2 * LEASE));
    line.expire(start + LEASE);
    assert_eq!(line.admit(&figures, "b", start + LEASE, LEASE).len(), 1);
    // A place in line ends a lease later, too, and a parked permit does not.
    assert_eq!(enter(&mut line, &figures, "c", 2, start + HOUR), Entered::Waits);
    line.park(("b", &greet(), &ticket(1)), false, start + 1_000 * LEASE);
    line.bound(&figures, start + LEASE, LEASE);
    line.expire(start + 2 * LEASE);
    assert_eq!((line.place_of(&ticket(2)), line.held(&Scope::All)), (None, 1));
}

/// LIMIT-4.
#[test]
fn a_permit_is_taken_up_as_it_is_only_by_the_replica_that_has_it_and_only_for_as_long_as_it_need_not_be_renewed() {
    let (figures, mut line) = (concurrent(1), Line::default());
    enter(&mut line, &figures, "a", 0, 0);
    enter(&mut line, &figures, "b", 1, 0);
    let has_permit = |line: &Line, owner, number, now| line.has_permit(owner, &ticket(number), now, LEASE);
    assert!(has_permit(&line, "a", 0, LEASE / 2));
    assert!(!has_permit(&line, "a", 0, LEASE / 2 + 1), "it has to be renewed");
    assert!(!has_permit(&line, "b", 0, 0), "another replica has it");
    assert!(!has_permit(&line, "b", 1, 0), "it waits in line");
    line.park(("a", &greet(), &ticket(0)), false, 9 * LEASE);
    assert!(!has_permit(&line, "a", 0, 0), "nobody renews it");
}

/// LIMIT-4, LIMIT-5.
#[test]
fn a_suspended_node_keeps_its_place_for_as_long_as_it_takes() {
    let (figures, mut line) = (concurrent(1), Line::default());
    enter(&mut line, &figures, "a", 0, 0);
    enter(&mut line, &figures, "a", 1, 1);
    let wait = WaitId { claim: ClaimToken::new(7), operation: 0 };
    assert!(line.fall_asleep(&ticket(1), wait));
    line.renew("a", &ticket(0), 9_000 * LEASE);
    line.expire(8_000 * LEASE);
    line.leave("a", &ticket(0));
    let admitted = line.admit(&figures, "b", 8_000 * LEASE, LEASE);
    assert_eq!((admitted[0].asleep, line.hold_of(&ticket(1)).unwrap().owner.as_str()), (Some(wait), "b"));
    assert!(!line.fall_asleep(&ticket(1), wait), "it has its permit");
    // The replica on which it goes on takes the permit over, so that no other one can give it back.
    assert_eq!(enter(&mut line, &figures, "c", 1, 8_000 * LEASE + 1), Entered::Granted);
    line.leave("b", &ticket(1));
    assert_eq!(line.held(&Scope::All), 1);
}

/// LIMIT-6.
#[test]
fn a_parked_permit_stays_until_it_is_given_up() {
    let (figures, mut line) = (concurrent(8), Line::default());
    assert_eq!(enter(&mut line, &figures, "a", 0, 0), Entered::Leased);
    let before = line.held(&Scope::All);
    line.park(("a", &greet(), &ticket(0)), true, 1_000 * LEASE);
    assert_eq!(line.held(&Scope::All), before);
    line.expire(2 * LEASE);
    assert_eq!(line.held(&Scope::All), 1);
    line.drop_ticket(&ticket(0));
    assert!(line.is_empty());
}

/// LIMIT-7.
#[test]
fn keys_that_differ_in_every_run_leave_nothing_behind() {
    let figures = allows(Figures { concurrent: Some(4), per_second: Some(1.0) });
    let mut lines = Lines::default();
    for number in 0..1_000_000 {
        let (key, now) = (format!("tenant-{number}"), number as u64 * 10);
        lines.line(&key).enter(&figures, ("a", &greet(), &ticket(number)), now, now, LEASE);
        lines.line(&key).leave("a", &ticket(number));
        lines.line(&key).keep_lease(("a", &greet()), 0..=0, false, now);
        lines.expire(now);
        assert!(lines.len() <= 101, "{}", lines.len());
    }
    lines.expire(1_000_000_000);
    assert!(lines.is_empty() && encode(&lines).len() <= 2);
    let shards: BTreeSet<u32> = (0..1000).map(|number| shard_of(&format!("tenant-{number}"))).collect();
    assert_eq!(shards.len(), SHARDS as usize);
}

/// LIMIT-3.
#[test]
fn the_line_is_not_longer_than_a_document_may_be() {
    let (figures, mut line) = (concurrent(1), Line::default());
    let entered: Vec<_> = (0..MOST_WAITING + 2).map(|number| enter(&mut line, &figures, "a", number, 5)).collect();
    assert_eq!(
        (entered[0], entered[MOST_WAITING], entered[MOST_WAITING + 1]),
        (Entered::Granted, Entered::Waits, Entered::Full)
    );
    assert!(encode(&line).len() < 256 * 1024);
}

/// LIMIT-8.
#[test]
fn a_limit_that_the_operator_defines_counts_over_all_flows_and_forgets_nobody() {
    let flows = ["greet", "part"].map(|name| Some(FlowName::new(name).unwrap()));
    let of = |flow: usize, most| {
        let figures = Figures { concurrent: Some(most), per_second: None };
        Allowance { figures, scope: Scope::Of(flows[flow].clone()) }
    };
    let of_operator = |most| Allowance { scope: Scope::All, ..concurrent(most) };
    let mut line = Line::default();
    let enter = |line: &mut Line, allowance: &Allowance, flow: usize, number: usize| {
        line.enter(allowance, ("a", &flows[flow], &ticket(number)), number as u64, number as u64, LEASE)
    };
    // Each flow has its limit to itself.
    assert_eq!(enter(&mut line, &of(0, 1), 0, 0), Entered::Granted);
    assert_eq!(enter(&mut line, &of(1, 1), 1, 1), Entered::Granted);
    assert_eq!(enter(&mut line, &of(0, 1), 0, 2), Entered::Waits);
    assert_eq!(enter(&mut line, &of(1, 1), 1, 3), Entered::Waits);
    let waits = |line: &Line| line.queue.iter().map(|waiter| waiter.ticket.clone()).collect::<Vec<_>>();
    // The operator defines it: those in flight count together, and those who wait go on in the order of arrival.
    assert!(line.admit(&of_operator(2), "a", 10, LEASE).is_empty());
    line.leave("a", &ticket(1));
    let admitted = line.admit(&of_operator(2), "a", 11, LEASE);
    assert_eq!((admitted[0].ticket.clone(), waits(&line)), (ticket(2), vec![ticket(3)]));
    assert!(line.is_busy(&of_operator(9)) && line.admit(&of_operator(2), "a", 12, LEASE).is_empty());
    // The operator does not define it any more: only its own flow keeps anybody from going on.
    assert_eq!(line.held(&Scope::Of(flows[0].clone())), 2);
    assert!(line.admit(&of(0, 1), "a", 13, LEASE).is_empty());
    assert_eq!(line.admit(&of(1, 1), "a", 13, LEASE)[0].ticket, ticket(3));
    // What has been leased for one flow counts under the operator's limit, too.
    let mut line = Line::default();
    assert_eq!(enter(&mut line, &of(0, 40), 0, 0), Entered::Leased);
    assert!(line.is_busy(&of_operator(2)) && !line.is_busy(&of(1, 2)));
    assert_eq!(enter(&mut line, &of_operator(2), 1, 1), Entered::Waits);
    line.keep_lease(("a", &flows[0]), 1..=1, false, LEASE);
    assert_eq!(line.admit(&of_operator(2), "a", 2, LEASE).len(), 1);
}

#[test]
fn the_stored_form_has_been_the_same_since_the_first_version() {
    let (figures, mut line) = (concurrent(1), Line::default());
    enter(&mut line, &figures, "a", 0, 0);
    enter(&mut line, &figures, "b", 1, 1);
    line.fall_asleep(&ticket(1), WaitId { claim: ClaimToken::new(7), operation: 0 });
    let json = serde_json::to_string(&line).unwrap();
    let stored = r#"{"h":[{"w":"a","p":1,"u":10000,"t":{"f":"greet","r":"r0","n":"n","o":0},"f":"greet"}],"q":[{"t":{"f":"greet","r":"r1","n":"n","o":0},"a":1,"u":10001,"w":"b","z":{"claim":7,"operation":0},"f":"greet"}]}"#;
    assert_eq!(json, stored);
    assert_eq!(decode::<Line>(&encode(&line)).unwrap(), line);
    assert_eq!([shard_of(""), shard_of("acme"), shard_of("é")], [12, 13, 13]);
}

/// What a replica of the model has.
#[derive(Default)]
struct Replica {
    is_lost: bool,
    /// Calls in flight, with permits of their own or with leased ones.
    own: BTreeSet<usize>,
    leased: BTreeSet<usize>,
    waiting: BTreeSet<usize>,
    share: Share,
    renewed: Millis,
}

/// Replicas that share one key.
struct Model {
    allowance: Allowance,
    line: Line,
    replicas: Vec<Replica>,
    now: Millis,
    next: usize,
    /// When calls began.
    began: Vec<Millis>,
}

impl Model {
    fn new(allowance: Allowance, replicas: usize) -> Self {
        let replicas = (0..replicas).map(|_| Replica::default()).collect();
        Self { allowance, line: Line::default(), replicas, now: 1_000_000, next: 0, began: Vec::new() }
    }

    fn permits(&self, owner: &str) -> (u32, f64) {
        self.line.lease_of(owner, &greet()).map_or((0, 0.0), |hold| (hold.permits, hold.share))
    }

    /// A replica asks for a permit for another call.
    fn ask(&mut self, which: usize) {
        let (owner, number) = (which.to_string(), self.next);
        self.next += 1;
        let (permits, share) = self.permits(&owner);
        let replica = &mut self.replicas[which];
        let is_busy = !self.line.queue.is_empty();
        let has_permit = self.allowance.figures.concurrent.is_none() || (replica.leased.len() as u32) < permits;
        let may = !is_busy && (permits > 0 || share > 0.0) && has_permit;
        if may && (self.allowance.figures.per_second.is_none() || replica.share.take(share, self.now)) {
            replica.leased.insert(number);
            return self.began.push(self.now);
        }
        match enter(&mut self.line, &self.allowance, &owner, number, self.now) {
            Entered::Leased => {
                replica.leased.insert(number);
                self.began.push(self.now);
            }
            Entered::Granted => {
                replica.own.insert(number);
                self.began.push(self.now);
            }
            Entered::Waits => drop(replica.waiting.insert(number)),
            Entered::Full => {}
        }
        self.see();
    }

    /// A call of a replica ends.
    fn end(&mut self, which: usize) {
        let replica = &mut self.replicas[which];
        if let Some(number) = replica.own.pop_first() {
            self.line.leave(&which.to_string(), &ticket(number));
        } else {
            replica.leased.pop_first();
        }
    }

    /// Replicas renew what they have, and those who wait get what is free.
    fn tick(&mut self) {
        self.line.expire(self.now);
        self.line.bound(&self.allowance, self.now, LEASE);
        for (which, replica) in self.replicas.iter_mut().enumerate().filter(|(_, replica)| !replica.is_lost) {
            let owner = which.to_string();
            if self.now >= replica.renewed + LEASE / 3 || !self.line.queue.is_empty() {
                for number in replica.own.iter().chain(&replica.waiting) {
                    assert!(self.line.renew(&owner, &ticket(*number), self.now + LEASE), "nobody takes it away");
                }
                let (used, is_busy) = (replica.leased.len() as u32, !self.line.queue.is_empty());
                self.line.keep_lease((&owner, &greet()), used..=used, used > 0 && !is_busy, self.now + LEASE);
                replica.renewed = self.now;
            }
        }
        let before = self.line.queue.clone();
        let admitted = self.line.admit(&self.allowance, "0", self.now, LEASE);
        // First come, first served.
        let first: VecDeque<_> = before.iter().take(admitted.len()).cloned().collect();
        assert_eq!(first, VecDeque::from(admitted.clone()));
        self.see();
    }

    /// Replicas see who of those that waited has got a permit.
    fn see(&mut self) {
        for replica in &mut self.replicas {
            let line = &self.line;
            for number in replica.waiting.extract_if(.., |number| line.hold_of(&ticket(*number)).is_some()) {
                replica.own.insert(number);
                self.began.push(self.now);
            }
        }
    }

    fn lose(&mut self, which: usize) {
        // What it executed is cut off with it.
        self.replicas[which] = Replica { is_lost: true, ..Replica::default() };
    }

    fn in_flight(&self) -> u32 {
        self.replicas.iter().map(|replica| (replica.own.len() + replica.leased.len()) as u32).sum()
    }
}

/// The most calls that began within this time.
fn most_within(began: &[Millis], time: Millis) -> usize {
    let mut counts: BTreeMap<Millis, usize> = BTreeMap::new();
    for moment in began {
        *counts.entry(*moment).or_default() += 1;
    }
    counts.keys().map(|first| counts.range(*first..*first + time).map(|(_, count)| count).sum()).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 30, ..ProptestConfig::default() })]

    /// LIMIT-1, LIMIT-3, LIMIT-5: for any order of what replicas do, and any loss of them.
    #[test]
    fn never_more_than_the_limit_are_in_flight_and_everything_comes_back(seed in any::<u64>(), most in 1..40u32, replicas in 1..5usize, calls in 1..300usize) {
        let mut random = Random(seed | 1);
        let mut model = Model::new(concurrent(most), replicas);
        for _ in 0..calls {
            let which = random.below(replicas);
            let is_lost = model.replicas[which].is_lost;
            match random.below(12) {
                0..=5 if !is_lost => model.ask(which),
                6..=8 if !is_lost => model.end(which),
                9 if which > 0 && random.below(6) == 0 => model.lose(which),
                _ => model.now += random.below(3000) as u64,
            }
            model.tick();
            let held = model.line.held(&model.allowance.scope);
            prop_assert!(held <= most, "{held} of {most}");
            prop_assert!(model.in_flight() <= most);
        }
        for which in 0..replicas {
            model.lose(which);
        }
        model.now += LEASE;
        model.tick();
        model.now += LEASE;
        model.tick();
        prop_assert!(model.line.is_empty(), "{:?}", model.line);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 30, ..ProptestConfig::default() })]

    /// LIMIT-2: as many as the limit says over a long time, and no second has a tenth more.
    #[test]
    fn a_rate_is_kept_within_a_tenth_by_several_replicas(seed in any::<u64>(), per_second in prop::sample::select(vec![0.5, 2.0, 10.0, 37.0, 120.0]), replicas in 1..5usize, demand in 0.3..4.0f64) {
        let mut random = Random(seed | 1);
        let mut model = Model::new(rate(per_second), replicas);
        let step = 10;
        let seconds = if per_second < 5.0 { 30 } else { 5 };
        let mut due = 0.0;
        for _ in 0..seconds * 1000 / step {
            model.now += step;
            due += per_second * demand * step as f64 / 1000.0;
            while due >= 1.0 {
                due -= 1.0;
                // A longer line would only take the test longer.
                if model.line.queue.len() < 6 {
                    model.ask(random.below(replicas));
                }
            }
            for which in 0..replicas {
                model.end(which);
                model.end(which);
            }
            model.tick();
        }
        let all = model.began.len() as f64;
        let most = per_second * seconds as f64;
        prop_assert!(all <= most * 1.1 + 1.0, "{all} of {most}");
        if demand > 1.2 {
            prop_assert!(all >= most * 0.9 - 1.0, "{all} of {most}");
        }
        let in_a_second = most_within(&model.began, 1000) as f64;
        prop_assert!(in_a_second <= (per_second * 1.1).max(per_second + 1.0).ceil() + 1.0, "{in_a_second} in a second");
    }
}

//! What people write: expressions, time zones, definitions, and lines of the configuration.

use super::*;

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
    // What fires several times a day follows local time.
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
fn a_malformed_schedule_is_refused_with_what_to_do() {
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

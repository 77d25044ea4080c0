//! The lists of runs and of their labels.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_entries_in_the_lists_are_skipped_and_counted() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=2")).await.unwrap();
    let names: Vec<RunId> = (0..20).map(|n| run(&format!("a-run-with-an-id-of-its-own-{n}"))).collect();
    for r in &names {
        store.commit(&part(r), everything(r, 0)).await.unwrap();
    }
    let mut connection = raw(&server);
    // Entries of an index that sort before and after the runs, and then keys of runs.
    for (index, score) in [("due", 0), ("due", 8), ("runs", 0), ("runs", 99)] {
        for id in ["not/a/run", "\u{0}"] {
            let id = format!("{id} {index} {score}");
            connection.zadd::<_, _, _, ()>(format!("ff:{{0}}:{index}"), id, score).unwrap();
        }
    }
    let (whole, others): (Vec<_>, Vec<_>) = {
        let first = |name: &&RunId| keys(&mut raw(&server)).contains(&format!("ff:{{0}}:run:{name}"));
        names.iter().partition(first)
    };
    redis::Cmd::new().arg(&["SET", &format!("ff:{{0}}:run:{}", whole[0]), "x"]).query::<()>(&mut connection).unwrap();
    let entry = format!("ff:{{0}}:run:{}", whole[1]);
    redis::Cmd::new().arg(&["HSET", &entry, "e", "x"]).query::<()>(&mut connection).unwrap();
    let all = |limit| RunQuery::latest(limit);
    assert_eq!(store.due(9, 100).await.unwrap().len(), 19, "one of them cannot be read at all");
    assert_eq!(store.runs(&all(100)).await.unwrap().runs.len(), 18, "and one has no entry");
    assert_eq!(store.malformed_entries(), 10);
    for limit in [1, 5, 18] {
        assert_eq!(store.due(9, limit).await.unwrap().len(), limit);
        assert_eq!(store.runs(&all(limit)).await.unwrap().runs.len(), limit);
    }
    // The whole index of a partition.
    for index in ["due", "runs"] {
        redis::Cmd::new().arg(&["SET", &format!("ff:{{0}}:{index}"), "x"]).query::<()>(&mut connection).unwrap();
    }
    let mut due = store.due(9, 100).await.unwrap();
    due.sort_unstable();
    let mut others: Vec<RunId> = others.into_iter().cloned().collect();
    others.sort_unstable();
    assert_eq!(due, others);
    assert_eq!(store.runs(&all(100)).await.unwrap().runs.len(), others.len());
    assert_eq!(store.malformed_entries(), 12);
}

fn labels(text: &str) -> faas_flow_core::Labels {
    let mut labels = faas_flow_core::Labels::new();
    labels.add_all(text).unwrap();
    labels
}

/// LABEL-2: also if a run has expired, and nobody deletes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_words_goes_with_its_runs() {
    // Besides its labels, each run has its status, flow, version and id in the index.
    const WORDS: u64 = 4;
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=1")).await.unwrap();
    let mut connection = raw(&server);
    let mut sizes = || {
        let labels: u64 = connection.zcard("ff:{0}:labels").unwrap();
        (labels, connection.hlen::<_, u64>("ff:{0}:labeled").unwrap())
    };
    let put = async |name: &str, text: &str, due| {
        let entry = RunEntry { labels: labels(text), ..entry(&run(name), due, None) };
        store.commit(&part(&run(name)), Change { entry: Some(entry), ..Change::default() }).await.unwrap();
    };
    put("r", "order=42,part=1", None).await;
    put("q", "order=42", Some(7)).await;
    assert_eq!(sizes(), (3 + 2 * WORDS, 2));
    put("r", "order=42,part=1", None).await;
    put("r", "order=43,part=1", None).await;
    assert_eq!(sizes(), (3 + 2 * WORDS, 2), "a label that is replaced leaves nothing behind");
    store.delete(&part(&run("r"))).await.unwrap();
    assert_eq!(sizes(), (1 + WORDS, 1));
    let query = RunQuery { labels: labels("order=42"), ..RunQuery::latest(10) };
    assert_eq!(store.runs(&query).await.unwrap().runs.len(), 1);
    // As when it expires.
    raw(&server).del::<_, ()>("ff:{0}:run:q").unwrap();
    assert_eq!(store.due(u64::MAX >> 12, 10).await.unwrap(), []);
    assert_eq!(sizes(), (0, 0));
    put("p", "order=42", None).await;
    raw(&server).del::<_, ()>("ff:{0}:run:p").unwrap();
    assert_eq!(store.runs(&query).await.unwrap().runs, []);
    assert_eq!(sizes(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_release_without_an_index_of_words_are_found() {
    let server = server(&[]);
    let url = url(&server, "?partitions=2");
    let store = open_state(&url).await.unwrap();
    for n in 0..50 {
        let r = run(&format!("r{n}"));
        store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    }
    let mut connection = raw(&server);
    // That a new store has no such runs is known from the start, so that the first list does not look for them.
    assert_eq!(connection.del::<_, usize>("ff:indexed").unwrap(), 1);
    for key in ["{0}:labels", "{0}:labeled", "{1}:labels", "{1}:labeled"] {
        connection.del::<_, ()>(format!("ff:{key}")).unwrap();
    }
    let store = open_state(&url).await.unwrap();
    let running = RunQuery { status: Some(Status::Running), ..RunQuery::latest(100) };
    assert_eq!(store.runs(&running).await.unwrap().runs.len(), 50);
    assert_eq!((store.counts(None).await.unwrap().total(), store.repaired_entries()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_does_not_fit_its_runs_is_repaired_and_counted() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=1")).await.unwrap();
    let r = run("r");
    store.commit(&part(&r), everything(&r, 0)).await.unwrap();
    let failed = RunQuery { status: Some(Status::Failed), ..RunQuery::latest(9) };
    assert_eq!(store.runs(&failed).await.unwrap().runs, []);
    let mut connection = raw(&server);
    let indexed: String = connection.hget("ff:{0}:labeled", "r").unwrap();
    let wrong = indexed.replace("running", "failed");
    connection.hset::<_, _, _, ()>("ff:{0}:labeled", "r", &wrong).unwrap();
    let start = indexed.split(' ').next().unwrap();
    for (from, to) in [(":s=running", ":s=failed"), (":f=f=running", ":f=f=failed")] {
        connection.zrem::<_, _, ()>("ff:{0}:labels", format!("{from} {start} r")).unwrap();
        connection.zadd::<_, _, _, ()>("ff:{0}:labels", format!("{to} {start} r"), 0).unwrap();
    }
    assert_eq!(store.counts(None).await.unwrap().of(Status::Failed), 1);
    assert_eq!(store.runs(&failed).await.unwrap().runs, [], "the entry counts");
    let counts = store.counts(None).await.unwrap();
    assert_eq!((counts.of(Status::Failed), counts.of(Status::Running), store.repaired_entries()), (0, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_are_read_page_by_page() {
    let server = server(&[]);
    let store = open_state(&url(&server, "?partitions=3")).await.unwrap();
    let commits = (0..4000_u64).map(|n| {
        let (store, r) = (store.clone(), run(&format!("r{n}")));
        let flow = FlowName::new(if n % 1000 == 0 { "rare" } else { "flow" }).unwrap();
        let labels = labels(&format!("third={}", n % 3));
        let entry = RunEntry { started: n / 2, flow, labels, ..entry(&r, None, None) };
        async move { store.commit(&part(&r), Change { entry: Some(entry), ..Change::default() }).await.unwrap() }
    });
    futures_util::future::join_all(commits).await;
    let query = |flow: Option<&str>, limit| RunQuery {
        flow: flow.map(|flow| FlowName::new(flow).unwrap()),
        ..RunQuery::latest(limit)
    };
    let all = store.runs(&query(None, usize::MAX)).await.unwrap().runs;
    assert_eq!(all.len(), 4000);
    assert!(all.windows(2).all(|pair| (pair[0].started, &pair[0].run) > (pair[1].started, &pair[1].run)));
    assert_eq!(store.runs(&query(None, 1500)).await.unwrap().runs, all[..1500]);
    let third: Vec<RunEntry> = all.iter().filter(|entry| entry.labels == labels("third=1")).cloned().collect();
    for limit in [1, 1100, usize::MAX] {
        let found = store.runs(&RunQuery { labels: labels("third=1"), ..query(None, limit) }).await.unwrap().runs;
        assert_eq!(found, third[..limit.min(third.len())]);
    }
    let rare = store.runs(&query(Some("rare"), 3)).await.unwrap().runs;
    assert_eq!(rare.iter().map(|entry| entry.run.as_str()).collect::<Vec<_>>(), ["r3000", "r2000", "r1000"]);
}

//! What a commit costs beside the bare round trip. To be run by hand: `--ignored --nocapture`.

use crate::servers::redis;
use crate::{run, url};
use faas_flow_store::{Change, Expect, Put, open_state};
use std::time::{Duration, Instant};

const ROUNDS: u64 = 5000;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_commit_beside_a_ping() {
    let server = redis(&[]);
    let store = open_state(&url(&server, "")).await.unwrap();
    let client = redis::Client::open(url(&server, "")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for size in [100, 1000, 32 << 10] {
        let (mut pings, mut commits, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        let r = run(&format!("r{size}"));
        for version in 0..ROUNDS {
            let begun = Instant::now();
            redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap();
            pings.push(begun.elapsed());
            let put = Put { doc: "x".into(), expect: Expect::Version(version), bytes: vec![7; size].into() };
            let begun = Instant::now();
            store.commit(&r, Change { puts: vec![put], ..Change::default() }).await.unwrap();
            commits.push(begun.elapsed());
            let begun = Instant::now();
            store.read(&r, &["x".into()]).await.unwrap();
            reads.push(begun.elapsed());
        }
        let [pings, commits, reads] = [pings, commits, reads].map(median);
        println!("{size} bytes: ping {pings:?}, commit {commits:?}, read {reads:?}");
    }
    let begun = Instant::now();
    let all = (0..64).map(|n| {
        let (store, r) = (store.clone(), run(&format!("c{n}")));
        tokio::spawn(async move {
            for version in 0..200 {
                let put = Put { doc: "x".into(), expect: Expect::Version(version), bytes: vec![7; 1000].into() };
                store.commit(&r, Change { puts: vec![put], ..Change::default() }).await.unwrap();
            }
        })
    });
    for task in all.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    println!("64 at a time: {:.0} commits/s", 64.0 * 200.0 / begun.elapsed().as_secs_f64());
}

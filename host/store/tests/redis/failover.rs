//! Redis behind one address, which a failover leads to another server.

use crate::{everything, part, raw, run, store_code};
use faas_flow_core::Code;
use faas_flow_store::{DataKey, open_data, open_state};
use faas_flow_test_support::proxy::Proxy;
use faas_flow_test_support::redis::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_behind_one_address_is_followed() {
    let pair = Pair::new();
    let proxy = Proxy::before(pair.servers[0].port()).await;
    let url = format!("redis://127.0.0.1:{}?timeout_ms=20000", proxy.port);
    let (state, data, r) = (open_state(&url).await.unwrap(), open_data(&url).await.unwrap(), run("r"));
    let key = DataKey::new(part(&r), "n").unwrap();
    state.commit(&part(&r), everything(&r, 0)).await.unwrap();
    for (version, place) in [(1, 1), (2, 0)] {
        pair.promote(place);
        // The kept connection still leads to the server that is a replica now.
        proxy.lead_to(pair.servers[place].port());
        state.commit(&part(&r), everything(&r, version)).await.unwrap();
        data.put(&key, version.to_string().into()).await.unwrap();
        assert_eq!(data.get(&key).await.unwrap().unwrap(), version.to_string());
        let docs: u64 = redis::cmd("DBSIZE").query(&mut raw(&pair.servers[place])).unwrap();
        assert!(docs > 1, "nothing is on the new master");
    }
    assert_eq!(state.read(&part(&r), &["x".into()]).await.unwrap()[0].as_ref().unwrap().version, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_fails_as_long_as_the_address_leads_to_a_replica_and_no_longer() {
    let pair = Pair::new();
    let proxy = Proxy::before(pair.servers[0].port()).await;
    let hasty = open_state(&format!("redis://127.0.0.1:{}?timeout_ms=500", proxy.port)).await.unwrap();
    let patient = open_state(&format!("redis://127.0.0.1:{}?timeout_ms=60000", proxy.port)).await.unwrap();
    let r = run("r");
    hasty.commit(&part(&r), everything(&r, 0)).await.unwrap();
    pair.promote(1);
    let error = hasty.commit(&part(&r), everything(&r, 1)).await.unwrap_err();
    assert_eq!(store_code(error), Code::STORE_READ_ONLY);
    let waiting = tokio::spawn({
        let r = r.clone();
        async move { patient.commit(&part(&r), everything(&r, 1)).await }
    });
    tokio::task::yield_now().await;
    proxy.lead_to(pair.servers[1].port());
    waiting.await.unwrap().unwrap();
    hasty.commit(&part(&r), everything(&r, 2)).await.unwrap();
}

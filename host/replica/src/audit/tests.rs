use super::*;
use faas_flow_store::open_state;

fn entry(at: Millis) -> AuditEntry {
    AuditEntry {
        at,
        action: "stop".to_owned(),
        actor: Actor { who: Some("alice".to_owned()), ..Actor::default() },
        flow: None,
        run: RunId::new("r1").ok(),
        target: String::new(),
        outcome: AuditOutcome::Done,
        code: None,
    }
}

async fn all(store: &dyn StateStore, kept: u64) -> Vec<Millis> {
    let (head, _) = read_head(store).await.unwrap();
    let mut found = Vec::new();
    for number in oldest(head.latest, kept)..=head.latest {
        found.extend(read_page(store, number).await.unwrap().0.entries.iter().map(|entry| entry.at));
    }
    found
}

#[tokio::test]
async fn entries_are_kept_in_order_and_old_ones_go() {
    let store = open_state("memory").await.unwrap();
    for from in (0..1_000).step_by(7) {
        append(&*store, (from..1_000.min(from + 7)).map(entry).collect(), 250).await.unwrap();
    }
    let kept = all(&*store, 250).await;
    assert_eq!(kept, (600..1_000).collect::<Vec<_>>());
    let documents = store.read_all(&Partition::of_audit()).await.unwrap();
    let stored: usize = documents.iter().map(|(_, document)| document.bytes.len()).sum();
    assert!(stored < 100_000, "{stored} bytes");
}

#[tokio::test]
async fn replicas_that_write_at_once_lose_nothing() {
    let store = open_state("memory").await.unwrap();
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for at in 0..20 {
                append(&*store, vec![entry(writer * 100 + at)], 1_000).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut kept = all(&*store, 1_000).await;
    kept.sort_unstable();
    assert_eq!(kept, (0..8).flat_map(|writer| (0..20).map(move |at| writer * 100 + at)).collect::<Vec<_>>());
}

#[test]
fn refusals_do_not_push_out_what_was_done() {
    let audit = Audit::default();
    let now = 10 * HOUR;
    assert_eq!((0..10 * REFUSED).filter(|_| audit.has_room(now)).count(), REFUSED);
    assert!(!audit.has_room(now + HOUR - 1) && audit.has_room(now + HOUR));
}

use crate::{Change, CommitError, Expect, Put, RunQuery, StateStore, StoreError, conformance, open_state};
use faas_flow_core::{Code, Partition, RunId};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const ALL: RunQuery = RunQuery::latest(10);

fn url(directory: &TempDir, options: &str) -> String {
    format!("sqlite:{}{options}", directory.path().join("state.db").display())
}

fn beside(directory: &TempDir) -> Connection {
    Connection::open(directory.path().join("state.db")).unwrap()
}

fn part(n: usize) -> Partition {
    Partition::of_run(&RunId::new(format!("run{n}")).unwrap())
}

fn change(expect: Expect, bytes: impl Into<bytes::Bytes>) -> Change {
    Change { puts: vec![Put { doc: "x".into(), expect, bytes: bytes.into() }], ..Change::default() }
}

async fn opening_fails(url: &str) -> StoreError {
    let error = open_state(url).await.err().unwrap();
    let path = Path::new(url.trim_start_matches("sqlite:").split('?').next().unwrap());
    assert!(error.to_string().contains(&path.display().to_string()), "{error} does not name the place");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    for options in ["", "?synchronous=full"] {
        let directory = tempfile::tempdir().unwrap();
        let url = url(&directory, options);
        conformance::state_store(|| async { open_state(&url).await.unwrap() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_can_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) =
        (open_state(&url(&directory, "")).await.unwrap(), open_state(&url(&directory, "")).await.unwrap());
    one.commit(&part(1), change(Expect::Absent, "1")).await.unwrap();
    assert_eq!(other.commit(&part(1), change(Expect::Absent, "2")).await, Err(CommitError::Conflict));
    other.commit(&part(1), change(Expect::Version(1), "2")).await.unwrap();
    assert_eq!(one.read_all(&part(1)).await.unwrap()[0].1.bytes, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_can_create_a_store_at_once() {
    let directory = tempfile::tempdir().unwrap();
    // Long enough on a busy machine.
    let url = url(&directory, "?busy_timeout_ms=60000");
    let opened: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let url = url.clone();
                async move { open_state(&url).await }
            })
        })
        .collect();
    for (n, store) in opened.into_iter().enumerate() {
        store.await.unwrap().unwrap().commit(&part(n), change(Expect::Absent, "1")).await.unwrap();
    }
}

#[tokio::test]
async fn commits_survive_reopening_and_missing_directories_are_created() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("a/b/state.db").display());
    let store = open_state(&url).await.unwrap();
    store.commit(&part(1), change(Expect::Absent, "1")).await.unwrap();
    drop(store);
    assert_eq!(std::fs::read_dir(directory.path().join("a/b")).unwrap().count(), 1, "the log was not removed");
    let store = open_state(&url).await.unwrap();
    assert_eq!(store.commit(&part(1), change(Expect::Version(1), "2")).await.unwrap().versions, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_store_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_state(&url(&directory, "?busy_timeout_ms=50")).await.unwrap();
    store.commit(&part(1), change(Expect::Absent, "1")).await.unwrap();
    let holder = beside(&directory);
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let commits: Vec<_> = (1..=20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(&part(n), change(Expect::Any, "2")).await })
        })
        .collect();
    for commit in commits {
        let CommitError::Store(error) = commit.await.unwrap().unwrap_err() else { panic!("a lock is not a conflict") };
        assert_eq!(error.code(), Code::STORE_LOCKED);
        assert!(error.to_string().contains("state.db"), "{error}");
    }
    assert_eq!(store.delete(&part(1)).await.unwrap_err().code(), Code::STORE_LOCKED);
    assert_eq!(store.read_all(&part(1)).await.unwrap()[0].1.bytes, "1", "reads do not wait for the lock");
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.commit(&part(1), change(Expect::Version(1), "2")).await.unwrap().versions, [2]);
}

#[tokio::test]
async fn the_error_of_a_store_that_is_locked_at_the_start_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let holder = beside(&directory);
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(opening_fails(&url(&directory, "?busy_timeout_ms=10")).await.code(), Code::STORE_LOCKED);
    holder.execute_batch("ROLLBACK").unwrap();
    open_state(&url(&directory, "")).await.unwrap();
}

#[tokio::test]
async fn a_read_only_store_sees_the_writers_commits_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(opening_fails(&url(&directory, "?mode=ro")).await.code(), Code::STORE_NOT_FOUND);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let writer = open_state(&url(&directory, "")).await.unwrap();
    let reader = open_state(&url(&directory, "?mode=ro")).await.unwrap();
    writer.commit(&part(1), change(Expect::Absent, "1")).await.unwrap();
    assert_eq!(reader.read_all(&part(1)).await.unwrap().len(), 1);
    let error = reader.commit(&part(1), change(Expect::Any, "2")).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_READ_ONLY);
    assert_eq!(reader.delete(&part(1)).await.unwrap_err().code(), Code::STORE_READ_ONLY);
    drop(writer);
    assert_eq!(reader.read_all(&part(1)).await.unwrap()[0].1.version, 1, "the reader works without the writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_keeps_its_data_and_accepts_what_fits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_state(&url(&directory, "?max_pages=64")).await.unwrap();
    store.commit(&part(0), change(Expect::Absent, "kept")).await.unwrap();
    // Large and small commits share transactions: the large ones must not make the small ones fail.
    let commits: Vec<_> = (1..=20)
        .map(|n| {
            let store: Arc<dyn StateStore> = store.clone();
            let bytes = vec![1; if n % 2 == 0 { 1 << 20 } else { 10 }];
            tokio::spawn(async move { store.commit(&part(n), change(Expect::Any, bytes)).await })
        })
        .collect();
    for (n, commit) in (1..).zip(commits) {
        match commit.await.unwrap() {
            Ok(_) => assert_eq!(n % 2, 1),
            Err(error) => assert_eq!((error.code(), n % 2), (Code::STORE_FULL, 0)),
        }
    }
    assert_eq!(store.read_all(&part(0)).await.unwrap()[0].1.bytes, "kept");
    assert_eq!(store.read_all(&part(2)).await.unwrap(), []);
}

#[tokio::test]
async fn a_newer_store_is_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    drop(open_state(&url(&directory, "")).await.unwrap());
    beside(&directory).pragma_update(None, "user_version", 7).unwrap();
    for options in ["", "?mode=ro"] {
        let error = opening_fails(&url(&directory, options)).await;
        assert!(matches!(error, StoreError::Newer { found: 7, known: 1, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_of_another_program_is_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.db");
    let text = "not a database, but long enough to be taken for one ".repeat(100);
    std::fs::write(&file, &text).unwrap();
    for options in ["", "?mode=ro"] {
        assert_eq!(opening_fails(&url(&directory, options)).await.code(), Code::STORE_CORRUPT);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    std::fs::remove_file(&file).unwrap();
    beside(&directory).execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&file).unwrap();
    for options in ["", "?mode=ro"] {
        assert_eq!(opening_fails(&url(&directory, options)).await.code(), Code::STORE_CORRUPT);
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_malformed_row_is_reported_and_the_rest_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_state(&url(&directory, "")).await.unwrap();
    store.commit(&part(1), change(Expect::Absent, "1")).await.unwrap();
    let odd = "INSERT INTO runs (run, flow, digest, status, started) VALUES ('r', 'f', 'short', 'running', 1)";
    beside(&directory).execute_batch(odd).unwrap();
    assert_eq!(store.runs(&ALL).await.unwrap_err().code(), Code::STORE_CORRUPT);
    assert_eq!(store.read_all(&part(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_in_a_write_protected_directory_is_read_only() {
    // Not even root can create files there.
    if Path::new("/sys/kernel").is_dir() {
        assert_eq!(opening_fails("sqlite:/sys/state.db").await.code(), Code::STORE_READ_ONLY);
        assert_eq!(opening_fails("sqlite:/sys/folder/state.db").await.code(), Code::STORE_READ_ONLY);
    }
    let directory = tempfile::tempdir().unwrap();
    drop(open_state(&url(&directory, "")).await.unwrap());
    let access = |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    access(0o555);
    // Permissions do not apply to root.
    if std::fs::File::create_new(directory.path().join("new")).is_err() {
        assert_eq!(opening_fails(&url(&directory, "")).await.code(), Code::STORE_READ_ONLY);
    }
    access(0o755);
    open_state(&url(&directory, "")).await.unwrap();
}

#[tokio::test]
async fn only_this_user_may_read_the_file_and_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["", "-wal", "-shm"].map(|end| directory.path().join(format!("state.db{end}")));
    let modes = || files.each_ref().map(|file| std::fs::metadata(file).unwrap().permissions().mode() & 0o777);
    let store = open_state(&url(&directory, "")).await.unwrap();
    store.commit(&part(1), change(Expect::Absent, "1")).await.unwrap();
    assert_eq!(modes(), [0o600; 3]);
    // As an older release left them.
    for file in &files {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let other = open_state(&url(&directory, "")).await.unwrap();
    assert_eq!(modes(), [0o600; 3]);
    assert_eq!(other.read_all(&part(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_directory_is_not_a_store() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("state.db")).unwrap();
    assert_eq!(opening_fails(&url(&directory, "")).await.code(), Code::STORE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_is_opened_and_one_that_is_gone_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let other = tempfile::tempdir().unwrap();
    let store = open_state(&url(&directory, "")).await.unwrap();
    store.commit(&part(1), change(Expect::Absent, "old")).await.unwrap();
    assert_eq!(store.read_all(&part(1)).await.unwrap().len(), 1);
    let backup = open_state(&url(&other, "")).await.unwrap();
    backup.commit(&part(2), change(Expect::Absent, "backup")).await.unwrap();
    drop(backup);

    std::fs::remove_file(&path).unwrap();
    let error = store.commit(&part(1), change(Expect::Any, "lost")).await.unwrap_err();
    assert_eq!(error.code(), Code::STORE_UNAVAILABLE, "a commit to a file that nobody finds again: {error}");
    assert_eq!(store.read_all(&part(1)).await.unwrap_err().code(), Code::STORE_UNAVAILABLE);
    std::fs::copy(other.path().join("state.db"), &path).unwrap();
    assert_eq!(store.read_all(&part(1)).await.unwrap(), []);
    assert_eq!(store.read_all(&part(2)).await.unwrap()[0].1.bytes, "backup");
    store.commit(&part(2), change(Expect::Version(1), "new")).await.unwrap();
    drop(store);
    let again = open_state(&url(&directory, "")).await.unwrap();
    assert_eq!(again.read_all(&part(2)).await.unwrap()[0].1.bytes, "new");
    assert_eq!(again.read_all(&part(1)).await.unwrap(), [], "the log of the old file is not taken for the new one's");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_short_while_commits_keep_coming() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_state(&url(&directory, "")).await.unwrap();
    let commits: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..150 {
                    store.commit(&part(n), change(Expect::Any, vec![7; 200_000])).await.unwrap();
                }
            })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap();
    }
    let size = std::fs::metadata(directory.path().join("state.db-wal")).unwrap().len();
    assert!(size < 200 << 20, "240 MB were written, and the log has {size} bytes");
}

/// LABEL-1: what an older build has written has no table of labels. Who only reads it finds none; who writes it adds the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_an_older_build_has_no_labels() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunId::new("r").unwrap();
    let commit = async |labels: &str| {
        let store = open_state(&url(&directory, "")).await.unwrap();
        let mut all = faas_flow_core::Labels::new();
        all.add_all(labels).unwrap();
        let flow = faas_flow_core::FlowName::new("flow").unwrap();
        let (digest, status) = (faas_flow_core::Digest::of(b"m"), faas_flow_core::Status::Running);
        let entry = crate::RunEntry {
            run: run.clone(),
            flow,
            digest,
            status,
            labels: all,
            failure: None,
            started: 1,
            ended: None,
            due: None,
        };
        store.commit(&Partition::of_run(&run), Change { entry: Some(entry), ..Change::default() }).await.unwrap();
    };
    commit("").await;
    beside(&directory).execute_batch("DROP TABLE labels").unwrap();
    let mut labels = faas_flow_core::Labels::new();
    labels.add("order=42").unwrap();
    let query = RunQuery { labels: labels.clone(), ..ALL };
    let reader = open_state(&url(&directory, "?mode=ro")).await.unwrap();
    assert_eq!(reader.runs(&ALL).await.unwrap().runs.len(), 1);
    assert_eq!(
        (reader.runs(&query).await.unwrap().runs.len(), reader.entry(&run).await.unwrap().unwrap().labels.len()),
        (0, 0)
    );
    drop(reader);
    commit("order=42").await;
    let reader = open_state(&url(&directory, "?mode=ro")).await.unwrap();
    assert_eq!(reader.runs(&query).await.unwrap().runs[0].labels, labels);
}

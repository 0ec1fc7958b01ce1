//! Databases that are away, locked, damaged or somebody else's: said in words, and over when they are.

use std::fs;
use std::time::{Duration, Instant};

use super::*;
use crate::run::store::{RunFilter, StoreError, TakeBack};

#[track_caller]
fn unavailable(store: &dyn RunStore) -> String {
    match store.check() {
        Err(StoreError::Unavailable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn comes_back(store: &dyn RunStore) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = store.check() {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "not a database at all, but more than a hundred bytes long: ".repeat(20)).unwrap();
    let index = folder.path().join("index");
    let other = rusqlite::Connection::open(&index).unwrap();
    other.execute_batch("CREATE TABLE Resources (id INTEGER)").unwrap();
    drop(other);
    let newer = folder.path().join("newer");
    sqlite::open(newer.clone()).check().unwrap();
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.execute_batch("UPDATE orthanc_ai_settings SET value = 99 WHERE name = 'schema'").unwrap();
    drop(connection);
    for (path, expected) in [
        (text, "the file is not a SQLite database"),
        (index, "the database of another program"),
        (newer, "of a newer version of this plugin: found 99, expected at most 3"),
    ] {
        let before = fs::read(&path).unwrap();
        let store = sqlite::open(path.clone());
        let reason = unavailable(&*store);
        assert!(reason.contains(expected), "{reason}");
        assert!(!reason.contains(folder.path().to_str().unwrap()), "a path in \"{reason}\"");
        assert!(matches!(store.insert(&run("1"), WITHOUT_LIMIT), Err(StoreError::Unavailable { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_damaged_file_is_not_written_over() {
    let bench = Bench::file().unwrap();
    let store = bench.open();
    for uid in 0..50 {
        insert(&*store, &run(&uid.to_string()));
    }
    drop(store);
    // Without the log's last words, and with holes.
    let mut bytes = fs::read(bench.path()).unwrap();
    assert!(bytes.len() > 40_000, "{}", bytes.len());
    bytes[8192..40_000].fill(0x5a);
    fs::write(bench.path(), &bytes).unwrap();
    let store = bench.open();
    assert!(unavailable(&*store).contains("the database file is damaged"));
    assert!(store.insert(&run("x"), WITHOUT_LIMIT).is_err());
    assert_eq!(fs::read(bench.path()).unwrap(), bytes);
}

#[test]
fn a_folder_that_comes_late_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite::open(folder.path().join("late").join("runs.sqlite"));
    assert!(unavailable(&*store).contains("cannot be opened or made"));
    fs::create_dir(folder.path().join("late")).unwrap();
    comes_back(&*store);
    insert(&*store, &run("1"));
}

#[test]
fn a_lock_of_another_program_passes() {
    let bench = Bench::file().unwrap();
    let store = bench.open();
    store.check().unwrap();
    let other = rusqlite::Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.insert(&run("1"), WITHOUT_LIMIT).unwrap_err().to_string();
    assert!(error.contains("locked by another program"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    insert(&*store, &run("1"));
}

#[test]
fn a_record_that_cannot_be_read_stops_nobody() {
    let bench = Bench::file().unwrap();
    let store = bench.open();
    let (bad, good) = (insert(&*store, &run("1")), insert(&*store, &run("2")));
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute("UPDATE orthanc_ai_runs SET document = '{}' WHERE id = ?1", [&bad.id.0]).unwrap();
    assert!(matches!(store.get(&bad.id), Err(StoreError::Unreadable { id, .. }) if id == bad.id));
    let listed = store.list(&RunFilter::default()).unwrap();
    assert_eq!(listed.iter().map(|r| &r.id).collect::<Vec<_>>(), [&good.id]);
    assert_eq!(claimed(&*store, "a").0.id, good.id);
    let state: String =
        connection.query_row("SELECT state FROM orthanc_ai_runs WHERE id = ?1", [&bad.id.0], |row| row.get(0)).unwrap();
    assert_eq!(state, "Failed");
    assert!(store.remove(&bad.id).unwrap());
}

#[test]
fn a_panic_inside_a_change_changes_nothing() {
    let bench = Bench::file().unwrap();
    let store = bench.open();
    let waiting = insert(&*store, &run("1"));
    let (_, lease) = claimed(&*store, "a");
    let change = || store.update(&lease, &mut |_| panic!("planted"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(change)).is_err());
    assert_eq!(state(&*store, &waiting), RunState::Running);
    finish(&*store, &lease, RunState::Succeeded);
}

#[test]
fn a_database_server_may_go_and_come_back() {
    let Some(mut server) = PostgresServer::start() else { return };
    let store = postgres::open(server.database().parse().unwrap(), None);
    let kept = insert(&*store, &run("1"));
    server.stop();
    let error = store.insert(&run("2"), WITHOUT_LIMIT).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(store.get(&kept.id).is_err() && store.list(&RunFilter::default()).is_err());
    server.restart();
    comes_back(&*store);
    assert_eq!(state(&*store, &kept), RunState::Queued);
    insert(&*store, &run("2"));
}

#[test]
fn a_refused_connection_names_no_password() {
    let Some(server) = PostgresServer::start() else { return };
    let address = format!("{} password=secret", server.address("nothing"));
    let reason = unavailable(&*postgres::open(address.parse().unwrap(), None));
    assert!(reason.contains("\"nothing\" does not exist"), "{reason}");
    let nowhere = "host=/nowhere user=somebody password=secret dbname=nothing";
    let reason = unavailable(&*postgres::open(nowhere.parse().unwrap(), None));
    assert!(!reason.contains("secret") && !reason.contains("nowhere"), "{reason}");
}

#[test]
fn nodes_that_start_together_make_one_schema() {
    for bench in [Bench::postgres(), Bench::file()].into_iter().flatten() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| comes_back(&*bench.open()));
            }
        });
        insert(&*bench.open(), &run("1"));
    }
}

#[test]
fn an_older_schema_becomes_this_one() {
    let bench = Bench::file().unwrap();
    let running = insert(&*bench.open(), &run("1"));
    claimed(&*bench.open(), "a");
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    let older = "ALTER TABLE orthanc_ai_runs DROP COLUMN heartbeat; DROP TABLE orthanc_ai_feedback;
        UPDATE orthanc_ai_settings SET value = 1 WHERE name = 'schema'";
    connection.execute_batch(older).unwrap();
    drop(connection);
    let store = bench.open();
    assert_eq!(state(&*store, &running), RunState::Running);
    // Of a version that recorded no heartbeats: nobody is at it any more.
    store.take_back(TakeBack::Silent { node: "a", silence: MINUTE }, 3).unwrap();
    assert_eq!(claimed(&*store, "a").0.attempts, 2);
}

//! Several Orthancs on one archive: PostgreSQL has the index and the runs, the DICOM files lie in a folder that all of them see.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use orthanc_ai::phantom::{ExamOptions, PhantomInstance};
use serde_json::{Value, json};

use crate::automatic::reports;
use crate::exam;
use crate::on_every_orthanc;
use crate::postgres_server::PostgresServer;
use crate::server::{Answer, DEMO, Options, Orthanc, Version};

on_every_orthanc!(
    three_servers_one_of_which_is_killed_make_each_result_once,
    one_receives_and_another_works,
    servers_of_one_name_leave_each_other_their_runs,
    servers_share_a_sqlite_file,
);

const STABLE_AGE: Duration = Duration::from_secs(3);

/// What the servers share.
struct Cluster {
    version: Version,
    index: String,
    storage: tempfile::TempDir,
    database: PostgresServer,
}

impl Cluster {
    fn new(version: Version) -> Option<Self> {
        let database = PostgresServer::start()?;
        Some(Self { version, index: database.database(), storage: tempfile::tempdir().unwrap(), database })
    }

    /// All connections are encrypted: Orthanc's by its OpenSSL, ours by rustls beside it.
    fn encrypted(version: Version) -> Option<Self> {
        let database = PostgresServer::start_with_tls()?;
        let index = format!("{} sslmode=require", database.tcp_address(&database.database()));
        Some(Self { version, index, storage: tempfile::tempdir().unwrap(), database })
    }

    /// One server of it.
    fn node(&self, name: &str, ai: Value) -> Orthanc {
        let orthanc = json!({
            "Name": name,
            // By default made from the machine: two servers on one would keep each other's jobs.
            "DatabaseServerIdentifier": name,
            "StorageDirectory": self.storage.path(),
            "IndexDirectory": self.storage.path(),
            "StableAge": STABLE_AGE.as_secs(),
            "PostgreSQL": {
                "EnableIndex": true,
                "EnableStorage": false,
                "Lock": false,
                "ConnectionUri": self.index,
                "IndexConnectionsCount": 5,
            },
        });
        let plugins = &["libOrthancPostgreSQLIndex.so"];
        Orthanc::with(self.version, &Options { ai, orthanc, plugins, ..Options::default() })
    }
}

fn rules() -> Value {
    json!([{"Name": "study", "Model": DEMO}])
}

fn runs(server: &Orthanc) -> Vec<Value> {
    server.get("/ai/runs?limit=10000").ok().as_array().unwrap().clone()
}

/// Waits until there are `count` runs and all have succeeded; as long as there is progress.
#[track_caller]
fn wait_succeeded(server: &Orthanc, count: usize) -> Vec<Value> {
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let runs = runs(server);
        let done = runs.iter().filter(|r| r["State"] == "Succeeded").count();
        if done == count && runs.len() == count {
            return runs;
        }
        if done > best {
            (best, since) = (done, Instant::now());
        }
        let others: Vec<&Value> = runs.iter().filter(|r| r["State"] != "Succeeded").collect();
        let n = runs.len();
        assert!(since.elapsed() < Duration::from_secs(120), "{done} of {n}: {others:#?}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// A quarter of the usual size.
fn small(seed: u64) -> ExamOptions {
    ExamOptions { size: (416, 320), spacing_mm: 0.56, ..exam::options(seed) }
}

/// As many studies: one exam's images under other names, since painting hundreds takes minutes.
fn exams(seed: u64, count: usize) -> Vec<Vec<Vec<u8>>> {
    let views = exam::views(&small(seed));
    let names = [
        (tags::PATIENT_ID, VR::LO),
        (tags::STUDY_INSTANCE_UID, VR::UI),
        (tags::SERIES_INSTANCE_UID, VR::UI),
        (tags::SOP_INSTANCE_UID, VR::UI),
    ];
    let file = |view: &PhantomInstance, number: usize| {
        exam::rewrite(view.object.clone(), |dataset| {
            for (tag, vr) in names {
                let name = dataset.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_string();
                exam::put_text(dataset, tag, vr, &format!("{name}.{}", number + 1));
            }
        })
    };
    (0..count).map(|number| views.iter().map(|view| file(view, number)).collect()).collect()
}

/// Large enough that a run takes some seconds.
fn large_files(seed: u64) -> Vec<Vec<u8>> {
    exam::files(&ExamOptions { size: (2496, 1920), spacing_mm: 0.093, ..exam::options(seed) })
}

/// What has been sent, to whom.
struct Sent {
    study: String,
    /// Of the server that took each image.
    nodes: Vec<usize>,
    last: Instant,
    /// Images that a server did not take: it was killed meanwhile, or its database let another server go first.
    refused: usize,
}

/// As a load balancer does: an image that a server does not take goes to the next one. Most studies go to one server, every
/// fifth to all of them by turns.
fn send(nodes: &[Orthanc], number: usize, files: &[Vec<u8>], dead: &AtomicUsize) -> Sent {
    let mut sent = Sent { study: String::new(), nodes: Vec::new(), last: Instant::now(), refused: 0 };
    for (i, file) in files.iter().enumerate() {
        let mut at = if number.is_multiple_of(5) { number + i } else { number } % nodes.len();
        loop {
            if at != dead.load(Ordering::SeqCst) {
                if let Some(answer) = nodes[at].try_upload(file).filter(|a| a.status == 200) {
                    sent.study = answer.json()["ParentStudy"].as_str().unwrap().to_string();
                    break;
                }
                sent.refused += 1;
                assert!(sent.refused < 100, "no server takes study {number}\n{}", nodes[at].log());
            }
            at = (at + 1) % nodes.len();
        }
        sent.nodes.push(at);
    }
    sent.last = Instant::now();
    sent
}

fn three_servers_one_of_which_is_killed_make_each_result_once(version: Version) {
    const STUDIES: usize = 300;
    const CLIENTS: usize = 4;
    const DEAD: usize = 0;
    let Some(cluster) = Cluster::new(version) else { return };
    // A database of their own: its backups, its rights and its upgrades have nothing to do with the index.
    let runs_database = cluster.database.database();
    let start = |name: &str| {
        let settings = json!({"PostgreSql": runs_database, "Node": name, "LeaseSeconds": 5});
        cluster.node(name, json!({"Rules": rules(), "Threads": 1, "Runs": settings}))
    };
    let mut nodes = ["one", "two", "three"].map(start);
    // The position in the log of changes is known after a moment.
    let ready = Instant::now() + Duration::from_secs(2);
    let exams = exams(70_000, STUDIES);
    std::thread::sleep(ready.saturating_duration_since(Instant::now()));
    let begin = Instant::now();
    let (next, dead) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let sent = Mutex::new(BTreeMap::new());
    let mut death = begin;
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= STUDIES {
                        return;
                    }
                    let study = send(&nodes, number, &exams[number], &dead);
                    sent.lock().unwrap().insert(number, study);
                }
            });
        }
        while sent.lock().unwrap().len() < STUDIES / 2 {
            std::thread::sleep(Duration::from_millis(20));
        }
        nodes[DEAD].kill_under_way();
        death = Instant::now();
        // Its clients see for themselves that it is dead, and later are told.
        std::thread::sleep(Duration::from_secs(1));
        dead.store(DEAD, Ordering::SeqCst);
    });
    let (sent, sending) = (sent.into_inner().unwrap(), begin.elapsed());
    nodes[DEAD].kill();
    let runs_of = wait_succeeded(&nodes[1], STUDIES);
    let all = begin.elapsed();
    // What the log of changes has of the results is read, and nothing comes of it.
    std::thread::sleep(STABLE_AGE * 2 + Duration::from_secs(5));
    let check = |asked: &Orthanc| {
        let counts: Vec<usize> = sent.values().map(|s| reports(asked, &s.study)).collect();
        let wrong: Vec<_> = counts.iter().enumerate().filter(|(_, n)| **n != 1).collect();
        assert!(wrong.is_empty(), "studies with another number of results than one: {wrong:?}");
        assert_eq!(asked.count_instances(), 5 * STUDIES as u64);
    };
    check(&nodes[2]);
    let lists = [&nodes[1], &nodes[2]].map(|n| n.get("/ai/runs?limit=10000").ok());
    assert_eq!(lists[0], lists[1]);
    assert_eq!(lists[0].as_array().unwrap().len(), STUDIES, "a run a study");

    let by = |name: &str| runs_of.iter().filter(|r| r["Node"] == name).count();
    let attempts: u64 = runs_of.iter().map(|r| r["Attempts"].as_u64().unwrap()).sum();
    let before = |s: &&Sent| s.last < death;
    let of_dead = sent.values().filter(before).filter(|s| s.nodes.iter().all(|n| *n == DEAD));
    let unstable = of_dead.clone().filter(|s| death - s.last < STABLE_AGE).count();
    let (of_dead, before) = (of_dead.count(), sent.values().filter(before).count());
    eprintln!(
        "cluster, Orthanc {}: {STUDIES} studies in {:.0} s (sent in {:.0} s), {before} of them before the kill, {of_dead} to the \
         server that was killed, {unstable} of which were not stable; runs of one {}, two {}, three {}; {attempts} attempts; {} \
         images refused",
        version.name(),
        all.as_secs_f64(),
        sending.as_secs_f64(),
        by("one"),
        by("two"),
        by("three"),
        sent.values().map(|s| s.refused).sum::<usize>(),
    );
    assert!(unstable > 0, "the kill has come too late to show anything");

    // It comes back, reads the log from where the others are, and has nothing to do.
    nodes[DEAD].start_again();
    std::thread::sleep(STABLE_AGE * 2 + Duration::from_secs(5));
    check(&nodes[DEAD]);
    assert_eq!(nodes[DEAD].get("/ai/runs?limit=10000").ok(), lists[0]);
}

fn one_receives_and_another_works(version: Version) {
    let Some(cluster) = Cluster::encrypted(version) else { return };
    // In the database of the index: the names of our tables do not collide with Orthanc's.
    let authority = cluster.database.folder().join("ca.pem");
    let settings =
        |name: &str| json!({"PostgreSql": cluster.index, "PostgreSqlCaCertificates": authority, "Node": name});
    let receiver = json!({"Worker": false, "Rules": rules(), "Runs": settings("receiver")});
    let receiver = cluster.node("receiver", receiver);
    let worker = cluster.node("worker", json!({"Runs": settings("worker")}));
    let sessions = "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND";
    let count = |of: &str| cluster.database.query(&cluster.index, &format!("SELECT count(*) {sessions} {of}"));
    wait_until("a session of each node", || count("application_name = 'orthanc-ai' AND ssl").trim() == "2");
    assert_eq!(count("NOT ssl").trim(), "0");
    // The position in the log of changes is known after a moment.
    std::thread::sleep(Duration::from_secs(2));
    let exams: Vec<_> = (0..4).map(|i| exam::files(&small(71_000 + i))).collect();
    let studies: Vec<String> = exams.iter().map(|exam| upload(&receiver, exam)).collect();
    let runs = wait_succeeded(&receiver, 4);
    // In more than one attempt where Orthanc's database refused a result, as the receiver's transaction went first.
    assert!(runs.iter().all(|r| r["Node"] == "worker"), "{runs:#?}");
    for study in &studies {
        assert_eq!((reports(&receiver, study), reports(&worker, study)), (1, 1), "{study}: {runs:#?}");
    }
    assert_eq!(receiver.get("/ai").ok()["Worker"], false);
    assert_eq!((receiver.get("/ai/health").status, worker.get("/ai/health").status), (200, 200));

    // Asked here, seen and changed there.
    receiver.post("/ai/queue/suspend", &json!({})).ok();
    let forced = json!({"Model": DEMO, "Force": true});
    let asked = taken(|| receiver.post(&format!("/studies/{}/ai", studies[0]), &forced)).ok();
    let asked = format!("/ai/runs/{}", asked["ID"].as_str().unwrap());
    assert_eq!(worker.get(&asked).ok()["State"], "Queued");
    taken(|| worker.post(&format!("{asked}/cancel"), &json!({}))).ok();
    assert_eq!(receiver.get(&asked).ok()["State"], "Cancelled");
    let retried = taken(|| worker.post(&format!("{asked}/retry"), &json!({}))).ok();
    let retried = format!("/ai/runs/{}", retried["ID"].as_str().unwrap());
    assert_eq!(receiver.get(&retried).ok()["State"], "Queued");
    worker.post("/ai/queue/resume", &json!({})).ok();
    let finished = wait_finished(&receiver, &retried);
    assert_eq!((&finished["State"], &finished["Node"]), (&json!("Succeeded"), &json!("worker")));
    assert_eq!(reports(&worker, &studies[0]), 2);
    taken(|| receiver.delete(&retried)).ok();
    assert_eq!(worker.get(&retried).status, 404);
    assert_eq!(reports(&worker, &studies[0]), 1);

    // The receiver ends what the worker is at.
    let study = upload(&worker, &large_files(71_100));
    let stopped = (0..20).any(|_| {
        let run = taken(|| receiver.post(&format!("/studies/{study}/ai"), &forced)).ok();
        let run = format!("/ai/runs/{}", run["ID"].as_str().unwrap());
        wait_until("a run that runs", || receiver.get(&run).ok()["State"] != "Queued");
        let cancelled = receiver.post(&format!("{run}/cancel"), &json!({}));
        let finished = wait_finished(&receiver, &run);
        cancelled.status == 200 && finished["State"] == "Cancelled" && finished["Stored"] == json!([])
    });
    assert!(stopped, "no run that the worker was at could be cancelled at the receiver");
}

/// As a client does: what Orthanc's database refused, since another server's transaction went first, is asked for again.
#[track_caller]
fn taken(request: impl Fn() -> Answer) -> Answer {
    let again = |n| {
        std::thread::sleep(Duration::from_millis(300) * u32::from(n > 0));
        Some(request()).filter(|answer| answer.status < 500)
    };
    (0..10).find_map(again).unwrap_or_else(&request)
}

/// As a modality does: an image that the server refused, since another server's transaction went first, is sent again.
#[track_caller]
fn upload(server: &Orthanc, files: &[Vec<u8>]) -> String {
    let mut study = String::new();
    for file in files {
        let taken = (0..10).find_map(|_| server.try_upload(file).filter(|a| a.status == 200));
        let answer = taken.unwrap_or_else(|| panic!("an image is refused ten times\n{}", server.log()));
        study = answer.json()["ParentStudy"].as_str().unwrap().to_string();
    }
    study
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not after 90 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn wait_finished(server: &Orthanc, run: &str) -> Value {
    wait_until(run, || server.get(run).ok()["Finished"].is_string());
    server.get(run).ok()
}

/// Forced runs on one study.
fn ask(server: &Orthanc, study: &str, count: usize) {
    for _ in 0..count {
        taken(|| server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Force": true}))).ok();
    }
}

fn is_running(server: &Orthanc) -> bool {
    server.get("/ai/runs?state=Running").ok() != json!([])
}

fn servers_of_one_name_leave_each_other_their_runs(version: Version) {
    let Some(cluster) = Cluster::new(version) else { return };
    let ai = json!({"Runs": {"PostgreSql": cluster.index, "Node": "twin"}});
    let mut first = cluster.node("first", ai.clone());
    let study = upload(&first, &large_files(72_000));
    ask(&first, &study, 12);
    let second = cluster.node("second", ai);
    let done = wait_succeeded(&second, 12);
    assert!(done.iter().all(|r| r["Attempts"] == 1), "a live server's run was taken: {done:#?}");
    // An earlier life is told from a live server all the same, and long before its lease of a minute has run out.
    drop(second);
    ask(&first, &study, 1);
    wait_until("a run that runs", || is_running(&first));
    first.kill();
    let death = Instant::now();
    first.start_again();
    let done = wait_succeeded(&first, 13);
    assert_eq!(done[0]["Attempts"], 2, "{:#}", done[0]);
    assert!(death.elapsed() < Duration::from_secs(50), "{:?}", death.elapsed());
    assert_eq!(reports(&first, &study), 13);
}

/// Two servers on one machine need no database server for their runs.
fn servers_share_a_sqlite_file(version: Version) {
    const STUDIES: usize = 20;
    let Some(cluster) = Cluster::new(version) else { return };
    let start = |name: &str| {
        let runs = json!({"Database": cluster.storage.path().join("runs.sqlite"), "Node": name, "LeaseSeconds": 5});
        cluster.node(name, json!({"Rules": rules(), "Threads": 1, "Runs": runs}))
    };
    let mut nodes = ["one", "two"].map(start);
    std::thread::sleep(Duration::from_secs(2));
    let studies: Vec<String> =
        exams(73_000, STUDIES).iter().enumerate().map(|(i, exam)| upload(&nodes[i % 2], exam)).collect();
    wait_until("a run that runs", || is_running(&nodes[1]));
    nodes[0].kill();
    let done = wait_succeeded(&nodes[1], STUDIES);
    nodes[0].start_again();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(runs(&nodes[0]), done);
    assert!(studies.iter().all(|study| reports(&nodes[0], study) == 1));
    assert_eq!(nodes[0].count_instances(), 5 * STUDIES as u64);
    let attempts: u64 = done.iter().map(|r| r["Attempts"].as_u64().unwrap()).sum();
    eprintln!("a SQLite file of two servers: {STUDIES} studies, {attempts} attempts");
}

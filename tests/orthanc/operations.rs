//! What an administrator relies on: marks on studies, the audit log, metrics, and who may do what.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use orthanc_ai::api::permissions::PERMISSIONS;
use orthanc_ai::orthanc::rest_server::Method;
use orthanc_ai::run::metrics::NAMES;
use serde_json::{Value, json};

use crate::exam;
use crate::on_every_orthanc;
use crate::server::{DEMO, Options, Orthanc, Version, basic, root};

on_every_orthanc!(
    a_study_shows_how_its_analyses_ended,
    marks_are_the_administrators_choice,
    a_text_of_somebody_else_is_left_alone,
    the_audit_log_knows_who_did_what,
    metrics_follow_what_happens,
    nobody_gets_in_without_credentials,
    pages_of_other_sites_can_change_nothing,
    no_route_takes_a_path_of_the_disk,
    a_lua_filter_lets_some_users_alone_analyse,
);

const METADATA: &str = "4230";

/// A server with the demo model alone: nothing else has to be loaded.
pub struct Server {
    orthanc: Orthanc,
    models: tempfile::TempDir,
}

impl std::ops::Deref for Server {
    type Target = Orthanc;

    fn deref(&self) -> &Orthanc {
        &self.orthanc
    }
}

pub fn start(version: Version, options: Options) -> Server {
    let models = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("models").join(DEMO), models.path().join(DEMO)).unwrap();
    let mut ai = json!({"ModelsDirectory": models.path(), "Threads": 1});
    if let Some(more) = options.ai.as_object() {
        ai.as_object_mut().unwrap().extend(more.clone());
    }
    Server { orthanc: Orthanc::with(version, &Options { ai, ..options }), models }
}

/// An exam whose images cannot be decoded: each claims twice the rows that its pixel data holds.
fn broken(seed: u64) -> Vec<Vec<u8>> {
    exam::changed(&exam::options(seed), |_, dataset| {
        dataset.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(1664u16)));
    })
}

/// Waits for something that another thread does.
#[track_caller]
pub fn wait<T>(server: &Orthanc, what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not after 60 s\n{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn ended(server: &Orthanc, count: usize) -> Vec<Value> {
    wait(server, &format!("{count} runs to end"), || {
        let runs = server.get("/ai/runs").ok().as_array().unwrap().clone();
        (runs.len() == count && runs.iter().all(|r| r["Finished"].is_string())).then_some(runs)
    })
}

/// The study's labels; None on a server that has none.
fn labels(server: &Orthanc, study: &str) -> Option<Vec<String>> {
    let answer = server.get(&format!("/studies/{study}/labels"));
    (answer.status == 200).then(|| serde_json::from_value(answer.json()).unwrap())
}

#[track_caller]
fn assert_labels(server: &Orthanc, version: Version, study: &str, expected: &[&str]) {
    match version {
        Version::V1_10_1 => assert_eq!(labels(server, study), None),
        Version::V1_13_0 => assert_eq!(labels(server, study).unwrap(), expected),
    }
}

/// Each model's state as the study's metadata has it.
fn standing(server: &Orthanc, study: &str, metadata: &str) -> Option<BTreeMap<String, String>> {
    let answer = server.get(&format!("/studies/{study}/metadata/{metadata}"));
    if answer.status == 404 {
        return None;
    }
    let models = answer.ok();
    let state = |(model, ended): (&String, &Value)| (model.clone(), ended["State"].as_str().unwrap().to_owned());
    Some(models.as_object().unwrap().iter().map(state).collect())
}

#[track_caller]
fn assert_standing(server: &Orthanc, study: &str, expected: &str) {
    assert_eq!(standing(server, study, METADATA), Some(BTreeMap::from([(DEMO.to_owned(), expected.to_owned())])));
}

fn a_study_shows_how_its_analyses_ended(version: Version) {
    let ai = json!({"Rules": [{"Name": "all", "Model": DEMO}]});
    let orthanc = json!({"OverwriteInstances": true});
    let server = start(version, Options { ai, orthanc, ..Options::default() });
    let study = server.upload_study(&broken(7001));
    let failed = ended(&server, 1).remove(0);
    assert_eq!(failed["State"], "Failed", "{failed:#}");
    assert_labels(&server, version, &study, &["ai-failed"]);
    assert_standing(&server, &study, "Failed");
    // A mark is no new image: the study stays stable, and nobody analyses it again.
    let stable = || {
        let changes = server.get("/changes?limit=1000").ok();
        changes["Changes"].as_array().unwrap().iter().filter(|c| c["ChangeType"] == "StableStudy").count()
    };
    let before = stable();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!((stable(), ended(&server, 1).len()), (before, 1));
    // Whole images in the broken ones' place.
    assert_eq!(server.upload_study(&exam::files(&exam::options(7001))), study);
    let retried = server.post(&format!("/ai/runs/{}/retry", failed["ID"].as_str().unwrap()), &json!({})).ok();
    let succeeded = ended(&server, 2).remove(0);
    assert_eq!((&succeeded["ID"], &succeeded["State"]), (&retried["ID"], &json!("Succeeded")), "{succeeded:#}");
    assert_labels(&server, version, &study, &["ai-done"]);
    assert_standing(&server, &study, "Succeeded");
    // A run that somebody cancels says nothing of the study.
    server.post("/ai/queue/suspend", &json!({})).ok();
    let waiting = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Force": true})).ok();
    server.post(&format!("/ai/runs/{}/cancel", waiting["ID"].as_str().unwrap()), &json!({})).ok();
    assert_labels(&server, version, &study, &["ai-done"]);
    // What is deleted marks nothing.
    server.delete(&format!("/ai/runs/{}", succeeded["ID"].as_str().unwrap())).ok();
    assert_labels(&server, version, &study, &["ai-failed"]);
    server.delete(&format!("/ai/runs/{}", failed["ID"].as_str().unwrap())).ok();
    assert_labels(&server, version, &study, &[]);
    assert_eq!(standing(&server, &study, METADATA), None);
    assert_eq!(server.count_instances(), 4);
    assert!(!server.log().contains("not marked") && !server.log().contains("is not written"), "{}", server.log());
}

fn marks_are_the_administrators_choice(version: Version) {
    let with = |marks: Value, orthanc: Value| {
        let server = start(version, Options { ai: json!({"Marks": marks}), orthanc, ..Options::default() });
        let study = server.upload_study(&exam::files(&exam::options(7011)));
        assert_eq!(server.analyse(&study)["State"], "Succeeded");
        (server, study)
    };
    let (server, study) = with(json!({"DoneLabel": "", "FailedLabel": "", "Metadata": 0}), json!({}));
    assert_labels(&server, version, &study, &[]);
    assert_eq!(standing(&server, &study, METADATA), None);
    // A name for the number, and a server that refuses to overwrite what it was not asked to.
    let named = json!({"UserMetadata": {"AiState": 4711}, "CheckRevisions": true});
    let (server, study) = with(json!({"DoneLabel": "seen-by-ai", "Metadata": 4711}), named);
    assert_labels(&server, version, &study, &["seen-by-ai"]);
    let of_demo = |state: &str| Some(BTreeMap::from([(DEMO.to_owned(), state.to_owned())]));
    assert_eq!(standing(&server, &study, "AiState"), of_demo("Succeeded"));
    let text = || server.get(&format!("/studies/{study}/metadata/AiState")).body;
    let first = text();
    let again = json!({"Model": DEMO, "Synchronous": true, "Force": true});
    let again = server.post(&format!("/studies/{study}/ai"), &again).ok();
    assert_ne!(text(), first, "the second run is not remembered: {}", server.log());
    assert!(String::from_utf8(text()).unwrap().contains(again["ID"].as_str().unwrap()));
    for run in server.get("/ai/runs").ok().as_array().unwrap() {
        server.delete(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok();
    }
    assert_eq!(standing(&server, &study, "AiState"), None, "{}", server.log());
    assert!(!server.log().contains("is not written"), "{}", server.log());
}

fn a_text_of_somebody_else_is_left_alone(version: Version) {
    let server = start(version, Options::default());
    let study = server.upload_study(&exam::files(&exam::options(7021)));
    let path = format!("/studies/{study}/metadata/{METADATA}");
    assert_eq!(call(&server, "PUT", &path, &[], b"of another program").0, 200);
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
    assert_eq!(server.get(&path).body, b"of another program");
    assert_labels(&server, version, &study, &["ai-done"]);
    assert!(server.log().contains("set Ai.Marks.Metadata to another number"), "{}", server.log());
}

const USERS: &str = r#"{"alice": "secret of alice", "bob": "secret of bob"}"#;

pub fn with_users(version: Version, options: Options) -> Server {
    let mut orthanc =
        json!({"AuthenticationEnabled": true, "RegisteredUsers": serde_json::from_str::<Value>(USERS).unwrap()});
    if let Some(more) = options.orthanc.as_object() {
        orthanc.as_object_mut().unwrap().extend(more.clone());
    }
    start(version, Options { orthanc, ..options })
}

fn the_audit_log_knows_who_did_what(version: Version) {
    let server = with_users(version, Options { fault: true, ..Options::default() });
    let study = server.upload_study(&exam::files(&exam::options(7031)));
    let run = server.analyse(&study);
    let id = run["ID"].as_str().unwrap();
    server.post("/ai/queue/suspend", &json!({})).ok();
    // By another user.
    let bob = basic("bob", "secret of bob");
    let headers = [("Authorization", bob.as_str()), ("Content-Type", "application/json")];
    let body = json!({"Model": DEMO, "Force": true}).to_string();
    let (status, answer) = call(&server, "POST", &format!("/studies/{study}/ai"), &headers, body.as_bytes());
    assert_eq!(status, 200, "{answer}");
    let waiting: Value = serde_json::from_str(&answer).unwrap();
    let waiting = waiting["ID"].as_str().unwrap();
    assert_eq!(call(&server, "POST", &format!("/ai/runs/{waiting}/cancel"), &headers, b"{}").0, 200);
    server.delete(&format!("/ai/runs/{id}")).ok();
    if version == Version::V1_10_1 {
        assert!(!server.log().contains("audit:"), "{}", server.log());
        return;
    }
    // The core tells its handlers on a thread of its own.
    let entries = wait(&server, "five entries", || {
        let log = server.log();
        let entries: Vec<String> = log.lines().filter_map(|l| Some(l.split_once("audit: ai ")?.1.to_owned())).collect();
        (entries.len() >= 5).then_some(entries)
    });
    let instance = run["Stored"][0]["ID"].as_str().unwrap();
    for (entry, (user, action, run, more)) in entries.iter().zip([
        ("alice", "ai-analysis-requested", id, "\"Origin\":\"Rest\""),
        ("", "ai-results-stored", id, instance),
        ("bob", "ai-analysis-requested", waiting, DEMO),
        ("bob", "ai-run-cancelled", waiting, DEMO),
        ("alice", "ai-results-deleted", id, instance),
    ]) {
        let begin = format!("user=\"{user}\" Some(Study) {study} {action} {{\"RunID\":\"{run}\"");
        assert!(entry.starts_with(&begin) && entry.contains(more), "{entry}\n{begin}");
        assert!(!entry.contains("PHANTOM") && !entry.contains("secret"), "{entry}");
    }
    assert_eq!(entries.len(), 5, "{entries:#?}");
}

/// What a scrape shows of us, by name and labels.
pub fn scrape(server: &Orthanc) -> BTreeMap<String, f64> {
    let answer = server.get("/tools/metrics-prometheus");
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    if let Ok(file) = std::env::var("METRICS_DUMP") {
        std::fs::write(file, &text).unwrap();
    }
    // name{labels} value time
    let value = |line: &str| {
        let mut words = line.rsplitn(3, ' ');
        let (_, value, name) = (words.next()?, words.next()?, words.next()?);
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|line| line.starts_with("orthanc_ai_")).filter_map(value).collect()
}

fn metrics_follow_what_happens(version: Version) {
    let server = start(version, Options::default());
    let (study, bad) = (server.upload_study(&exam::files(&exam::options(7041))), server.upload_study(&broken(7042)));
    let of_demo = |name: &str, more: &str| format!("{name}{{model=\"{DEMO}\"{more}}}");
    let runs = |state: &str| of_demo("orthanc_ai_runs_total", &format!(",state=\"{state}\""));
    let infer = of_demo("orthanc_ai_stage_seconds_total", ",stage=\"infer\"");
    let last = of_demo("orthanc_ai_last_success_timestamp_seconds", "");
    let before = scrape(&server);
    let names: Vec<&str> = before.keys().map(|name| name.split('{').next().unwrap()).collect();
    for (name, _) in NAMES {
        assert!(names.contains(&name), "{name} is not in {before:#?}");
    }
    for name in [&runs("Succeeded"), &runs("Failed"), &runs("Cancelled"), &infer, &last] {
        assert_eq!(before[name], 0.0, "{name}");
    }
    assert!(before["orthanc_ai_models{state=\"Ready\"}"] >= 1.0, "{before:#?}");
    assert!(before["orthanc_ai_process_resident_memory_bytes"] > 5e7, "{before:#?}");
    server.analyse(&study);
    server.post(&format!("/studies/{bad}/ai"), &json!({"Model": DEMO, "Synchronous": true})).error(422);
    // A run is counted when its end is on record, a moment after who waits for it knows.
    let counted = |state: &str, n: f64| {
        wait(&server, &format!("{n} runs {state}"), || (scrape(&server)[&runs(state)] == n).then_some(()));
    };
    counted("Succeeded", 1.0);
    counted("Failed", 1.0);
    let after = scrape(&server);
    assert!(after[&infer] > 0.0 && after[&infer] < 60.0, "{after:#?}");
    let now = chrono::Utc::now().timestamp() as f64;
    // 1.10.1 keeps numbers of 24 bits.
    let exact = if version == Version::V1_10_1 { 128.0 } else { 30.0 };
    assert!((now - after[&last]).abs() <= exact, "{} at {now}", after[&last]);
    server.post("/ai/queue/suspend", &json!({})).ok();
    let waiting: Vec<Value> = (0..2)
        .map(|_| server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Force": true})).ok())
        .collect();
    let length = |n: f64| {
        wait(&server, "the queue's length", || (scrape(&server)["orthanc_ai_queue_length"] == n).then_some(()));
    };
    length(2.0);
    server.post(&format!("/ai/runs/{}/cancel", waiting[0]["ID"].as_str().unwrap()), &json!({})).ok();
    server.post("/ai/queue/resume", &json!({})).ok();
    ended(&server, 4);
    length(0.0);
    counted("Succeeded", 2.0);
    assert_eq!(scrape(&server)["orthanc_ai_store_reachable"], 1.0);
}

/// A request as it goes over the wire: nothing is added to the headers.
pub fn call(server: &Orthanc, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut connection = TcpStream::connect(("127.0.0.1", server.http)).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n",
        server.http
    );
    connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{method} {path}: no status in \"{answer}\""));
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// With the originals' routes, too.
fn with_every_route() -> Options {
    Options { ai: json!({"CompatibilityRoutes": true}), ..Options::default() }
}

/// An address for each line of the list of permissions: of a study, its report's instance and its run, or of nothing.
fn addresses(study: &str, instance: &str, run: &str) -> Vec<(Method, String)> {
    let address = |path: &str| {
        let path = path.trim_start_matches('^').trim_end_matches('$');
        let path = path.replace("(studies|series|instances)", "studies").replace("(suspend|resume)", "resume");
        let path = path.replace("(series|instances)", "instances");
        let path = path.replace("(report.csv|report.html|report.pdf)", "report.pdf");
        let path = path.replace("([^/]+)", DEMO).replace("(.*)", "index.html");
        // As the originals' pages call them.
        let path = path.replace("(mammography|segmentation)", "mammography").replace("/?", "/");
        let id = match path.split('/').nth(1).unwrap() {
            "studies" => study,
            // No series has the id of an instance: such an address leads nowhere.
            "instances" | "series" => instance,
            _ => run,
        };
        path.replace("([a-f0-9-]+)", id)
    };
    PERMISSIONS.iter().map(|p| (p.method, address(p.path))).collect()
}

fn nobody_gets_in_without_credentials(version: Version) {
    let server = with_users(version, with_every_route());
    let files = exam::files(&exam::options(7051));
    let study = server.upload_study(&files);
    // What a run does inside the server needs no credentials.
    let run = server.analyse(&study);
    assert_eq!(run["State"], "Succeeded");
    assert_standing(&server, &study, "Succeeded");
    assert_labels(&server, version, &study, &["ai-done"]);
    let (instance, id) = (run["Stored"][0]["ID"].as_str().unwrap(), run["ID"].as_str().unwrap());
    let json = ("Content-Type", "application/json");
    let alice = basic("alice", "secret of alice");
    let wrong = basic("alice", "guessed");
    let count = server.count_instances();
    let addresses = addresses(&study, instance, id);
    assert!(addresses.len() >= 17);
    for (method, path) in &addresses {
        let method = method.as_str();
        for headers in [&[json][..], &[json, ("Authorization", wrong.as_str())]] {
            assert_eq!(call(&server, method, path, headers, b"").0, 401, "{method} {path}");
        }
    }
    assert_eq!((server.count_instances(), server.get("/ai/runs").ok().as_array().unwrap().len()), (count, 1));
    // The last ones first: what deletes the run comes after what looks at it.
    for (method, path) in addresses.iter().filter(|(m, _)| *m != Method::Delete) {
        let (status, body) = call(&server, method.as_str(), path, &[json, ("Authorization", &alice)], b"");
        // A finished run cannot be cancelled, a report is no segmentation, nothing has been evaluated, and without a body nothing is asked for.
        let expected = match path.rsplit('/').next().unwrap() {
            _ if path.starts_with("/ai/evaluations/") => 404,
            _ if path.starts_with("/ai/compat/") => match path.rsplit('/').nth(1).unwrap() {
                "health" => 200,
                // A run is no image.
                _ if path.contains(id) => 404,
                _ => 400,
            },
            "images" | "evaluate" => 400,
            "feedback" if *method == Method::Post => 400,
            "cancel" => 409,
            "overlay.png" | "frames" | "overlays.zip" => 422,
            "surface.stl" | "surface.html" => 404,
            _ => 200,
        };
        assert_eq!(status, expected, "{} {path}: {body}", method.as_str());
    }
}

fn pages_of_other_sites_can_change_nothing(version: Version) {
    let server = start(version, with_every_route());
    let study = server.upload_study(&exam::files(&exam::options(7061)));
    let run = server.analyse(&study);
    let (instance, id) = (run["Stored"][0]["ID"].as_str().unwrap(), run["ID"].as_str().unwrap());
    let origin = ("Origin", "http://elsewhere.example");
    let posts: Vec<String> = addresses(&study, instance, id)
        .into_iter()
        .filter_map(|(method, path)| (method == Method::Post).then_some(path))
        .collect();
    assert_eq!(posts.len(), 12);
    for path in posts.iter().chain([&"/ai/queue/suspend".to_owned()]) {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/related; boundary=x"] {
            for body in [&b""[..], b"{}"] {
                let (status, answer) = call(&server, "POST", path, &[("Content-Type", kind), origin], body);
                assert_eq!(status, 415, "{path} {kind}: {answer}");
                assert_eq!(call(&server, "POST", path, &[("Content-Type", kind)], body).0, 415, "{path} {kind}");
            }
        }
        // Of a form with files Orthanc makes a request of each part, with the part's own headers.
        for headers in
            ["X: y", "Content-Disposition: form-data; name=\"a\"", "Host: a\r\nContent-Type: application/json"]
        {
            let form = format!("--x\r\n{headers}\r\n\r\n{{}}\r\n--x--\r\n");
            for path in [path.clone(), format!("/{path}"), path.replacen("ai", "%61i", 1)] {
                let kind = ("Content-Type", "multipart/form-data; boundary=x");
                let (status, answer) = call(&server, "POST", &path, &[kind, origin], form.as_bytes());
                assert!(status == 403 || status == 404, "{path} {headers}: {status} {answer}");
            }
        }
        // A script may leave the content type away; the browser says where it comes from.
        for body in [&b""[..], b"{}"] {
            assert_eq!(call(&server, "POST", path, &[origin], body).0, 415, "{path}");
        }
        // The address of a picture, say.
        for method in ["delete", "PUT", "post"] {
            let (status, answer) = call(&server, "GET", &format!("{path}?_method={method}"), &[], b"");
            assert!((400..500).contains(&status) || status == 200, "{path} {method}: {answer}");
        }
    }
    let (status, answer) = call(&server, "GET", &format!("/ai/runs/{id}?_method=delete"), &[origin], b"");
    assert_eq!(status, 403, "{answer}");
    let runs = server.get("/ai/runs").ok();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs:#}");
    assert_eq!(server.get("/ai").ok()["Suspended"], false);
    assert_eq!(server.get(run["Stored"][0]["Path"].as_str().unwrap()).status, 200);
    // curl without data, and the page itself.
    assert_eq!(call(&server, "POST", "/ai/queue/resume", &[], b"").0, 200);
    let json = ("Content-Type", "application/json; charset=utf-8");
    assert_eq!(call(&server, "POST", "/ai/queue/resume", &[json, origin], b"{}").0, 200);
    assert_eq!(call(&server, "DELETE", &format!("/ai/runs/{id}"), &[], b"").0, 200);
}

fn no_route_takes_a_path_of_the_disk(version: Version) {
    let server = start(version, with_every_route());
    let study = server.upload_study(&exam::files(&exam::options(7071)));
    let run = server.analyse(&study);
    let (instance, id) = (run["Stored"][0]["ID"].as_str().unwrap(), run["ID"].as_str().unwrap());
    for (method, path) in addresses(&study, instance, id) {
        if method == Method::Post {
            for key in ["Path", "File", "Folder", "Weights", "ModelsDirectory", "Output", "Target"] {
                let answer = server.post(&path, &json!({key: "/etc/passwd"}));
                if path.starts_with("/ai/compat/") {
                    // These pass over what they do not know, as the originals did.
                    let body = String::from_utf8_lossy(&answer.body);
                    assert!(matches!(answer.status, 400 | 404 | 422) && !body.contains("passwd"), "{path}: {body}");
                } else {
                    let details = answer.error(400);
                    assert!(details.contains(key), "{path}: {details}");
                }
            }
        }
    }
    let path = format!("/studies/{study}/ai");
    for body in [
        json!({"Model": "/etc/passwd"}),
        json!({"Model": "../../etc"}),
        json!({"Model": DEMO, "Channels": ["/etc/passwd"]}),
        json!({"Model": DEMO, "Channels": ["../../../../../../../../../../etc/passwd"]}),
    ] {
        server.post(&path, &body).error(400);
    }
    for path in [
        "/ai/app/../../../../etc/passwd",
        "/ai/app/%2e%2e/%2e%2e/etc/passwd",
        "/ai/app//etc/passwd",
        "/ai/models/..%2f..%2fetc",
    ] {
        let (status, body) = call(&server, "GET", path, &[], b"");
        assert!(status == 404 || status == 400, "{path}: {status}");
        assert!(!body.contains("root:"), "{path}");
    }
    // Nor does an answer give one away.
    let disk = [server.folder(), server.models.path(), &root()].map(|folder| folder.display().to_string());
    for (method, path) in addresses(&study, instance, id) {
        if method == Method::Get {
            let (_, body) = call(&server, "GET", &path, &[], b"");
            assert!(disk.iter().all(|folder| !body.contains(folder)), "{path}: {body}");
        }
    }
}

fn a_lua_filter_lets_some_users_alone_analyse(version: Version) {
    let orthanc = json!({"LuaScripts": [root().join("lua/allow_analysis_to.lua")]});
    let server = with_users(version, Options { orthanc, ..Options::default() });
    let study = server.upload_study(&exam::files(&exam::options(7081)));
    let path = format!("/studies/{study}/ai");
    let bob = basic("bob", "secret of bob");
    let headers = [("Authorization", bob.as_str()), ("Content-Type", "application/json")];
    for (method, path, expected) in [
        ("GET", path.as_str(), 200),
        ("POST", &path, 403),
        ("POST", "/ai/queue/suspend", 403),
        ("POST", "//ai/queue/suspend/", 403),
        ("POST", "/%61i/queue/suspend", 403),
        ("POST", &format!("{path}/"), 403),
        ("DELETE", "/ai/runs/1b2c", 403),
        ("GET", "/ai/runs", 200),
        ("POST", "/tools/lookup", 200),
    ] {
        assert_eq!(call(&server, method, path, &headers, b"{}").0, expected, "{method} {path}");
    }
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
}

//! A real Orthanc with the plugin, on free ports and an own folder, killed on drop.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

#[allow(clippy::duplicate_mod)]
#[path = "../support/ports.rs"]
mod ports;
use ports::free_port;

/// The servers that every live test runs on: the oldest and the newest supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1_10_1,
    V1_13_0,
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_10_1 => "1.10.1",
            Self::V1_13_0 => "1.13.0",
        }
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `../shared`, or what `ORTHANC_AI_SHARED` names.
pub fn shared(path: &str) -> Option<PathBuf> {
    let base = std::env::var_os("ORTHANC_AI_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = base.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}

pub struct Orthanc {
    pub http: u16,
    pub dicom: u16,
    version: Version,
    child: Child,
    folder: tempfile::TempDir,
    log: PathBuf,
    /// Of the first of `RegisteredUsers`, for every request.
    authorization: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| {
            panic!("status {}, not JSON ({e}): {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// An error in Orthanc's own form; gives its Details.
    #[track_caller]
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        for key in ["HttpError", "HttpStatus", "Message", "Method", "OrthancError", "OrthancStatus", "Uri"] {
            assert!(body.get(key).is_some(), "no {key} in {body}");
        }
        assert_eq!(body["HttpStatus"], status);
        body["Details"].as_str().unwrap_or_else(|| panic!("no Details in {body}")).to_string()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// What a test changes of the usual configuration.
#[derive(Default)]
pub struct Options {
    /// Merged into the "Ai" section.
    pub ai: Value,
    /// Merged into the whole configuration.
    pub orthanc: Value,
    /// The plugin built with the feature `fault-injection`.
    pub fault: bool,
    /// Files of Orthanc's own plugins that it loads, too.
    pub plugins: &'static [&'static str],
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        for (k, v) in from {
            into.insert(k.clone(), v.clone());
        }
    }
}

/// Where the server has its own plugins.
fn plugins_folder(version: Version) -> PathBuf {
    let out = Command::new(root().join("scripts/orthanc.sh")).args([version.name(), "--plugins"]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim())
}

fn process(version: Version, folder: &Path, log: &Path) -> Child {
    let out = fs::File::options().create(true).append(true).open(log).unwrap();
    Command::new(root().join("scripts/orthanc.sh"))
        .arg(version.name())
        .arg(folder.join("orthanc.json"))
        // dcmtk reads it: without, each C-STORE of a small instance waits 40 ms for a delayed acknowledgement.
        .env("TCP_NODELAY", "1")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap()
}

/// HTTP basic authentication.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

impl Orthanc {
    pub fn start(version: Version) -> Self {
        Self::with(version, &Options::default())
    }

    pub fn with(version: Version, options: &Options) -> Self {
        let mut server = Self::spawn(version, options);
        server.wait_ready();
        server
    }

    /// Where the options load no plugin, or one that stays off.
    pub fn without_plugin(version: Version, options: &Options) -> Self {
        let mut server = Self::spawn(version, options);
        server.wait("the server", |s| s.try_get("/system").is_some());
        server
    }

    /// Where the plugin is expected to stay off.
    pub fn with_plugin_off(version: Version, options: &Options) -> Self {
        let server = Self::without_plugin(version, options);
        assert_eq!(server.get("/ai").status, 404);
        server
    }

    fn spawn(version: Version, options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http, dicom) = (free_port(), free_port());
        let name = if options.fault { "build/fault-injection/libOrthancAi.so" } else { "build/libOrthancAi.so" };
        let plugin = root().join(name);
        assert!(plugin.exists(), "{name} is not built: run `make build` (or `make test`, which does)");
        let mut plugins = vec![plugin];
        for own in options.plugins {
            let path = plugins_folder(version).join(own);
            assert!(path.exists(), "{own} is not installed: scripts/setup.sh test does it");
            plugins.push(path);
        }
        // Not in the background: tests have deadlines, and share the machine with compilers and browsers.
        let mut ai = json!({"Enable": true, "ModelsDirectory": root().join("models"), "Background": false});
        merge(&mut ai, &options.ai);
        let mut config = json!({
            "Name": "orthanc-ai test",
            "StorageDirectory": folder.path().join("storage"),
            "IndexDirectory": folder.path().join("storage"),
            "HttpPort": http,
            "DicomPort": dicom,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "HttpCompressionEnabled": false,
            "StableAge": 1,
            "Plugins": plugins,
            "Ai": ai,
        });
        merge(&mut config, &options.orthanc);
        let file = folder.path().join("orthanc.json");
        fs::write(&file, serde_json::to_vec_pretty(&config).unwrap()).unwrap();
        let log = folder.path().join("orthanc.log");
        let child = process(version, folder.path(), &log);
        let user = config["RegisteredUsers"].as_object().and_then(|users| users.iter().next());
        let authorization = user.map(|(name, password)| basic(name, password.as_str().unwrap()));
        Self { http, dicom, version, child, folder, log, authorization }
    }

    /// Starts a server that has ended once more, on what it has left. Its log goes on.
    #[allow(dead_code)]
    pub fn start_again(&mut self) {
        assert!(self.child.try_wait().unwrap().is_some(), "it is still running");
        self.child = process(self.version, self.folder.path(), &self.log);
        self.wait_ready();
    }

    /// As the kernel ends a process when memory is short: without a word.
    #[allow(dead_code)]
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Until somebody else has killed it.
    #[track_caller]
    #[allow(dead_code)]
    pub fn wait_killed(&mut self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{what}: it still lives\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same while other threads talk to it.
    pub fn kill_under_way(&self) {
        assert!(Command::new("kill").args(["-KILL", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Changes the configuration that the next start reads.
    #[allow(dead_code)]
    pub fn configure(&self, change: impl FnOnce(&mut Value)) {
        let file = self.folder.path().join("orthanc.json");
        let mut config = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut config);
        fs::write(&file, serde_json::to_vec_pretty(&config).unwrap()).unwrap();
    }

    /// Sends files by C-STORE, as a modality with the AE title does.
    #[track_caller]
    #[allow(dead_code)]
    pub fn store_scu(&self, aet: &str, files: &[Vec<u8>]) {
        let folder = tempfile::tempdir().unwrap();
        for (i, file) in files.iter().enumerate() {
            fs::write(folder.path().join(format!("{i:05}.dcm")), file).unwrap();
        }
        let port = self.dicom.to_string();
        let out = Command::new("storescu")
            .env("TCP_NODELAY", "1")
            .args(["-aet", aet, "-aec", "ORTHANC", "+sd", "127.0.0.1", &port])
            .arg(folder.path())
            .output()
            .expect("storescu (package dcmtk)");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Until the models are loaded.
    pub fn wait_ready(&mut self) {
        self.wait("the models", |s| {
            s.try_get("/ai/models").is_some_and(|a| {
                a.status == 200 && a.json().as_array().unwrap().iter().all(|m| m["State"] != "Loading")
            })
        });
    }

    fn wait(&mut self, what: &str, ready: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("Orthanc ended with {status}:\n{}", self.log());
            }
            if ready(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: not ready after 120 s:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(180)))
            .build()
            .into()
    }

    #[track_caller]
    fn answer(response: ureq::http::Response<ureq::Body>) -> Answer {
        Self::try_answer(response).unwrap()
    }

    fn try_answer(response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
        let status = response.status().as_u16();
        let text = |v: &ureq::http::HeaderValue| v.to_str().unwrap_or_default().to_string();
        let headers = response.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect();
        let body = response.into_body().with_config().limit(1 << 30).read_to_vec()?;
        Ok(Answer { status, headers, body })
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    fn try_get(&self, path: &str) -> Option<Answer> {
        self.authorized(Self::agent().get(self.url(path))).call().ok().map(Self::answer)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|| panic!("GET {path}: no answer:\n{}", self.log()))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        Self::answer(self.authorized(Self::agent().delete(self.url(path))).call().unwrap())
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, "application/json", body.to_string().as_bytes())
    }

    #[track_caller]
    pub fn post_bytes(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let request = self.authorized(Self::agent().post(self.url(path))).header("Content-Type", content_type);
        match request.send(body) {
            Ok(response) => Self::answer(response),
            Err(e) => panic!("POST {path}: {e}:\n{}", self.log()),
        }
    }

    /// Uploads one DICOM file.
    #[track_caller]
    pub fn upload(&self, file: &[u8]) -> Answer {
        self.post_bytes("/instances", "application/dicom", file)
    }

    /// Uploads one file; None where the server ends the connection without an answer.
    pub fn try_upload(&self, file: &[u8]) -> Option<Answer> {
        self.authorized(Self::agent().post(self.url("/instances"))).send(file).and_then(Self::try_answer).ok()
    }

    /// Uploads a study; gives Orthanc's id of it.
    #[track_caller]
    pub fn upload_study(&self, files: &[Vec<u8>]) -> String {
        let mut ids: Vec<String> =
            files.iter().map(|f| self.upload(f).ok()["ParentStudy"].as_str().unwrap().to_string()).collect();
        ids.pop().expect("no file")
    }

    #[track_caller]
    pub fn count_instances(&self) -> u64 {
        self.get("/statistics").ok()["CountInstances"].as_u64().unwrap()
    }

    /// Runs the demo model and waits.
    #[track_caller]
    pub fn analyse(&self, study: &str) -> Value {
        self.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Synchronous": true})).ok()
    }

    pub fn terminate(&mut self) -> std::process::ExitStatus {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running 60 s after SIGTERM:\n{}", self.log());
    }

    /// Scheduling policies of the server's threads with the name (proc(5), stat: field 41).
    #[allow(dead_code)]
    pub fn thread_policies(&self, name: &str) -> Vec<i32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let stats = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
        let named = stats.filter(|stat| stat.contains(&format!("({name})")));
        named.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(41 - 3).unwrap().parse().unwrap()).collect()
    }

    /// Resident memory in bytes: (now, peak). For `benches/end_to_end.rs`.
    #[allow(dead_code)]
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::File::open(format!("/proc/{}/status", self.child.id())).unwrap();
        let (mut now, mut peak) = (0, 0);
        for line in BufReader::new(status).lines().map_while(Result::ok) {
            let kib = || line.split_whitespace().nth(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0) * 1024;
            if line.starts_with("VmRSS:") {
                now = kib();
            } else if line.starts_with("VmHWM:") {
                peak = kib();
            }
        }
        (now, peak)
    }
}

pub const DEMO: &str = "mammography-4view-demo";

impl Drop for Orthanc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each test on each supported server, as two tests that say which.
#[macro_export]
macro_rules! on_every_orthanc {
    ($($test:ident),+ $(,)?) => {
        mod v1_10_1 { $(#[test] fn $test() { super::$test($crate::server::Version::V1_10_1); })+ }
        mod v1_13_0 { $(#[test] fn $test() { super::$test($crate::server::Version::V1_13_0); })+ }
    };
}

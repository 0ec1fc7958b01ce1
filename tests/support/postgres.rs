//! A PostgreSQL server of the tests' own: a folder below the temporary one, a Unix socket in it, gone with the test's process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

// Also the live servers' own: this file stands in the library's tests without them.
#[allow(clippy::duplicate_mod)]
#[path = "ports.rs"]
mod ports;

pub struct PostgresServer {
    programs: PathBuf,
    folder: PathBuf,
    /// Of `localhost`, where it listens there beside its socket.
    port: Option<u16>,
    tls: bool,
    /// The server ends at a line, and the folder too when this is closed: with the process, however that ends.
    running: Option<(Child, ChildStdin)>,
}

impl PostgresServer {
    /// None, and a line that says so, where no server is installed (Debian: package postgresql).
    pub fn start() -> Option<Self> {
        let mut server = Self::make()?;
        server.restart();
        Some(server)
    }

    /// One that listens at `localhost`, too.
    #[allow(dead_code)]
    pub fn start_with_tcp() -> Option<Self> {
        let mut server = Self::make_with_port()?;
        server.restart();
        Some(server)
    }

    /// The same with a certificate for `localhost` of the authority in `ca.pem`; `other.pem` is another one.
    #[allow(dead_code)]
    pub fn start_with_tls() -> Option<Self> {
        let mut server = Self::make_with_port()?;
        server.tls = true;
        let script = r#"cd "$1"
            key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch"
            openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj /CN=ca
            openssl req -x509 $key -keyout other.key -out other.pem -days 2 -subj /CN=other
            openssl req $key -keyout server.key -out server.csr -subj /CN=localhost -addext subjectAltName=DNS:localhost
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2 -out server.pem
            chmod 600 server.key"#;
        run(Command::new("sh").args(["-ec", script, "sh"]).arg(&server.folder));
        server.restart();
        Some(server)
    }

    /// Not started yet.
    fn make() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: no PostgreSQL server is installed (package postgresql)");
            return None;
        };
        let folder = run(Command::new("mktemp").args(["-d", "/tmp/orthanc-ai-pg-XXXXXX"])).trim().to_string();
        let folder = PathBuf::from(folder);
        let mut initdb = Command::new(programs.join("initdb"));
        run(initdb.args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"]).arg(folder.join("data")));
        Some(Self { programs, folder, port: None, tls: false, running: None })
    }

    /// One that will listen at `localhost`, too.
    fn make_with_port() -> Option<Self> {
        let mut server = Self::make()?;
        server.port = Some(ports::free_port());
        Some(server)
    }

    #[allow(dead_code)]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new and empty database; its connection string.
    pub fn database(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        run(self.client("createdb").args(["-U", "postgres", &name]));
        self.address(&name)
    }

    pub fn address(&self, database: &str) -> String {
        let port = self.port.map(|port| format!(" port={port}")).unwrap_or_default();
        format!("host={} user=postgres dbname={database}{port}", self.folder.display())
    }

    /// Of the same database at `localhost`.
    #[allow(dead_code)]
    pub fn tcp_address(&self, address: &str) -> String {
        address.replace(&self.folder.display().to_string(), "localhost")
    }

    /// What a statement answers in the database of a connection string.
    #[allow(dead_code)]
    pub fn query(&self, address: &str, sql: &str) -> String {
        run(Command::new(self.programs.join("psql")).args(["-AtX", "-d", address, "-c", sql]))
    }

    /// One of PostgreSQL's programs, told where the server is.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-h").arg(&self.folder).args(["-p", &self.port.unwrap_or(5432).to_string()]);
        command
    }

    /// Starts the server, or starts it again after [`Self::stop`].
    pub fn restart(&mut self) {
        let script = r#""$1" -D "$2/data" -k "$2" -c "listen_addresses=$3" -p "$4" -c fsync=off -c max_connections=50 -c ssl="$5" \
                -c ssl_cert_file="$2/server.pem" -c ssl_key_file="$2/server.key" >"$2/log" 2>&1 &
            if read -r _; then kill -QUIT $!; wait $!; else kill -QUIT $!; wait $!; rm -rf "$2"; fi"#;
        let mut command =
            unprivileged(Command::new("sh").args(["-c", script, "sh"]).arg(self.programs.join("postgres")));
        let listen = if self.port.is_some() { "127.0.0.1" } else { "" };
        let (port, tls) = (self.port.unwrap_or(5432).to_string(), if self.tls { "on" } else { "off" });
        command.arg(&self.folder).args([listen, &port, tls]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        self.running = Some((child, stdin));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.is_ready() {
            assert!(
                Instant::now() < deadline,
                "{}",
                std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_ready(&self) -> bool {
        self.client("pg_isready").arg("-q").status().is_ok_and(|status| status.success())
    }

    /// As a power failure would: connections end without a word.
    pub fn stop(&mut self) {
        if let Some((mut child, mut stdin)) = self.running.take() {
            let _ = stdin.write_all(b"\n");
            let _ = child.wait();
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
        let _ = unprivileged(Command::new("rm").arg("-rf").arg(&self.folder)).status();
    }
}

/// The newest server on this machine.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|v| Some(v.ok()?.path().join("bin")));
    let version = |bin: &PathBuf| bin.parent().and_then(Path::file_name).and_then(|v| v.to_str()?.parse::<u32>().ok());
    folders.filter(|bin| bin.join("initdb").is_file()).max_by_key(version)
}

/// PostgreSQL refuses to run as root.
fn unprivileged(command: &mut Command) -> Command {
    use std::os::unix::fs::MetadataExt;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let mut program = vec![command.get_program().to_os_string()];
    program.extend(command.get_args().map(Into::into));
    let mut words = if is_root { ["runuser", "-u", "postgres", "--"].map(Into::into).to_vec() } else { Vec::new() };
    words.extend(program);
    let mut unprivileged = Command::new(&words[0]);
    unprivileged.args(&words[1..]).current_dir("/");
    unprivileged
}

fn run(command: &mut Command) -> String {
    let output = unprivileged(command).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

//! A PostgreSQL server for one test program, on a data folder of its own; it ends with the program.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The database that others are copied from.
const TEMPLATE: &str = "template_of_tests";

pub struct PostgresServer {
    port: u16,
    folder: PathBuf,
    programs: PathBuf,
    watcher: Option<Child>,
}

impl PostgresServer {
    /// Starts a server on a new data folder.
    pub fn start() -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("matraz-postgres-").tempdir().unwrap().keep();
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        if let Some(user) = other_user() {
            for path in [&folder, &data] {
                std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
            }
        }
        let made = command(&programs.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "tests", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { port, folder, programs, watcher: None };
        server.resume();
        server
    }

    /// Starts the server on its data folder. It ends when this program does, however that comes.
    pub fn resume(&mut self) {
        // The shell waits for a word, then stops the server that it started. Without a word, because this program is no
        // more, it takes the folder away too.
        let script = r#"folder=$0; "$@" & server=$!; read -r word; kill -INT $server; wait $server
            [ "$word" = keep ] || rm -rf "$folder""#;
        let watcher = command(Path::new("sh"))
            .args(["-c", script])
            .arg(&self.folder)
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-p", &self.port.to_string(), "-k", ""])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400", "-c", "fsync=off"])
            .args(["-c", "full_page_writes=off", "-c", "autovacuum=off"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        self.watcher = Some(watcher);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.sql("SELECT 1").0 {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the server as an administrator does who is in a hurry: connections are cut.
    pub fn stop(&mut self) {
        let mut watcher = self.watcher.take().unwrap();
        watcher.stdin.take().unwrap().write_all(b"keep\n").unwrap();
        watcher.wait().unwrap();
    }

    /// The URI of a database.
    pub fn uri(&self, database: &str) -> String {
        format!("postgresql://tests@127.0.0.1:{}/{database}", self.port)
    }

    /// A new database, a copy of the one that `fill` filled when it was called for the first of them.
    pub fn database(&self, name: &str) -> String {
        let (made, message) = self.sql(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"));
        assert!(made, "{message}");
        self.uri(name)
    }

    /// A new database without tables.
    pub fn empty_database(&self, name: &str) -> String {
        let (made, message) = self.sql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        assert!(made, "{message}");
        self.uri(name)
    }

    /// The empty database that [`database`](Self::database) is going to copy.
    pub fn template(&self) -> String {
        let (made, message) = self.sql(&format!("CREATE DATABASE {TEMPLATE}"));
        assert!(made, "{message}");
        self.uri(TEMPLATE)
    }

    fn sql(&self, statement: &str) -> (bool, String) {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, &self.uri("postgres")])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A command that does not run as root: PostgreSQL refuses that.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    // The folder of the tests may be closed to the other user.
    command.current_dir("/");
    if let Some(user) = other_user() {
        command.uid(user).gid(user);
    }
    command
}

/// The user `nobody`, when this one is root.
fn other_user() -> Option<u32> {
    const NOBODY: u32 = 65534;
    use std::os::unix::fs::MetadataExt as _;
    let me = std::fs::metadata("/proc/self").unwrap().uid();
    (me == 0).then_some(NOBODY)
}

/// The folder of `initdb` and `postgres`: Debian keeps it out of the PATH.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().find(|folder| folder.join("initdb").exists());
    found.unwrap_or_else(|| panic!("these tests need PostgreSQL: scripts/postgres.sh installs it"))
}

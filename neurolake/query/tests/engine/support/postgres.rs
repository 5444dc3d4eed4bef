//! A real PostgreSQL server that writes down every statement it gets.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The password of the user `reader`.
pub(crate) const PASSWORD: &str = "canary 'pass\"word";

/// A server that stops when dropped.
pub(crate) struct Postgres {
    folder: TempDir,
    pub(crate) port: u16,
    /// How much of the log was read.
    read: Cell<usize>,
}

/// Where Debian or the path has the programs.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = versions
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// The server refuses to run as root.
fn unprivileged(name: &str) -> Command {
    let program = program(name);
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", user(), "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

fn user() -> &'static str {
    let known = Command::new("id").arg("postgres").output().unwrap();
    if known.status.success() {
        "postgres"
    } else {
        "nobody"
    }
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Postgres {
    /// A new cluster with the users `postgres` and `reader`. Texts sort as in English, which is
    /// not the order of their bytes.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        if is_root() {
            run(Command::new("chown")
                .args(["-R", user()])
                .arg(folder.path()));
        }
        run(unprivileged("initdb")
            .current_dir(folder.path())
            .arg("-D")
            .arg(folder.path().join("data"))
            .arg("--pwfile")
            .arg(&password)
            .args([
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--no-sync",
            ])
            .args([
                "--locale=C.UTF-8",
                "--locale-provider=icu",
                "--icu-locale=en-US",
            ]));
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Self {
            folder,
            port,
            read: Cell::new(0),
        };
        server.resume();
        let password = PASSWORD.replace('\'', "''");
        server.psql(&format!("CREATE USER reader PASSWORD '{password}'"));
        server
    }

    /// The cluster's folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts the server on its port.
    pub(crate) fn resume(&self) {
        let folder = self.folder.path().display();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={folder} \
             -c log_statement=all -c log_line_prefix= -c fsync=off -c logging_collector=off \
             -c log_connections=on",
            self.port
        );
        run(unprivileged("pg_ctl")
            .current_dir(self.folder.path())
            .args(["start", "-w", "-s", "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(self.log())
            .arg("-o")
            .arg(options)
            .stdout(Stdio::null()));
    }

    /// Stops the server without a word to its clients.
    pub(crate) fn stop(&self) {
        let _stopped = unprivileged("pg_ctl")
            .current_dir(self.folder.path())
            .args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(self.data())
            .stdin(Stdio::null())
            .output();
    }

    /// Puts a file that only the server's user may read into the cluster.
    pub(crate) fn secret_file(&self, name: &str, from: &Path) {
        let path = self.data().join(name);
        fs::copy(from, &path).unwrap();
        if is_root() {
            run(Command::new("chown").arg(user()).arg(&path));
        }
        run(Command::new("chmod").arg("600").arg(&path));
    }

    /// What `psql` answers as the owner of everything: lines of CSV.
    pub(crate) fn psql(&self, sql: &str) -> String {
        let mut child = Command::new(program("psql"))
            .args([
                "-X",
                "-q",
                "--csv",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-f",
                "-",
            ])
            .arg("host=127.0.0.1 user=postgres dbname=postgres")
            .env("PGPORT", self.port.to_string())
            .env("PGPASSWORD", PASSWORD)
            .env("PGTZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(sql.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The log since the last call.
    pub(crate) fn logged(&self) -> String {
        let log = String::from_utf8(fs::read(self.log()).unwrap()).unwrap();
        let new = log[self.read.get()..].to_owned();
        self.read.set(log.len());
        new
    }

    /// The statements over prepared or unprepared queries that came since the last call, without
    /// those over the server's own catalog.
    pub(crate) fn statements(&self) -> Vec<String> {
        let log = self.logged();
        let statements = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once("LOG:  execute ")?;
            let (_, sql) = rest.split_once(": ")?;
            Some(sql.to_owned())
        });
        statements
            .filter(|sql| !sql.contains("pg_catalog"))
            .collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(15).collect();
            println!("the end of the server's log: {last:#?}");
        }
        self.stop();
    }
}

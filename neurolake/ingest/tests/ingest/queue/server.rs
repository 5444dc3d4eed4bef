//! A NATS server of a test's own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Names the program, if it isn't `nats-server` on the path.
const PROGRAM: &str = "NEUROLAKE_NATS_SERVER";

pub(super) struct Server {
    folder: TempDir,
    arguments: Vec<String>,
    process: Child,
    port: u16,
}

impl Server {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        // It chooses a free port and writes it down.
        let process = spawn(folder.path(), &arguments, -1);
        let ports = folder
            .path()
            .join(format!("nats-server_{}.ports", process.id()));
        let port = port(&ports);
        Self {
            folder,
            arguments,
            process,
            port,
        }
    }

    /// Three servers that share what they keep.
    pub(super) fn cluster() -> [Self; 3] {
        let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let addresses = sockets.map(|socket| socket.local_addr().expect("an address"));
        let url = |address| format!("nats://{address}");
        let routes = addresses.map(url).join(",");
        [0, 1, 2].map(|number| {
            Self::start(&[
                "--server_name",
                &format!("server{number}"),
                "--cluster_name",
                "test",
                "--cluster",
                &url(addresses[number]),
                "--routes",
                &routes,
            ])
        })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("kills");
        self.process.wait().expect("ends");
    }

    /// Starts it again where it was.
    pub(super) fn restart(&mut self) {
        self.process = spawn(self.folder.path(), &self.arguments, i32::from(self.port));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path, arguments: &[String], port: i32) -> Child {
    let program = std::env::var_os(PROGRAM).map_or_else(|| "nats-server".into(), PathBuf::from);
    let log = fs::File::create(folder.join("log")).expect("a log");
    let spawned = Command::new(&program)
        .args([
            "--jetstream",
            "--addr",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .arg("--store_dir")
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    spawned.unwrap_or_else(|error| {
        panic!(
            "can't run `{}`: {error}\nhint: the tests of the NATS queue need it; install Debian's \
             package `nats-server`, or name the program in {PROGRAM}",
            program.display()
        )
    })
}

fn port(file: &Path) -> u16 {
    let begun = Instant::now();
    loop {
        let content = fs::read_to_string(file).unwrap_or_default();
        let port = content.split("://127.0.0.1:").nth(1);
        let digits = port.map(|port| port.split(|c: char| !c.is_ascii_digit()).next());
        if let Some(Some(Ok(port))) = digits.map(|digits| digits.map(str::parse)) {
            return port;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the server doesn't start"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

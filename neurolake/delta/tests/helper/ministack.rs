//! A server that speaks S3 and DynamoDB: `ministack` from PyPI, in a virtual environment beside the
//! test's executable.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use tempfile::TempDir;

/// It is stopped when this is dropped.
pub(crate) struct Ministack {
    child: Child,
    pub(crate) endpoint: String,
    // Its files; deleted with it.
    _folder: TempDir,
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const HINT: &str = "these tests need python3 with venv, and `ministack` 1.5.33 from PyPI";

fn environment() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let executable = std::env::current_exe().unwrap();
        // target/debug/deps/delta-...
        let target = executable.ancestors().nth(3).unwrap();
        let folder = target.join("test-environments/ministack-1.5.33");
        let ready = folder.join("ready");
        if !ready.is_file() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let pip = folder.join("bin/pip");
            run(Command::new(pip).args(["install", "--quiet", "ministack==1.5.33"]));
            std::fs::write(&ready, "").unwrap();
        }
        folder
    };
    MADE.get_or_init(make).clone()
}

fn run(command: &mut Command) {
    let output = command.output().expect(HINT);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{HINT}: {command:?} failed:\n{told}"
    );
}

/// Free when it was asked for; the listener is closed again.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Ministack {
    pub(crate) async fn start() -> Self {
        let program = tokio::task::spawn_blocking(environment).await.unwrap();
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program.join("bin/ministack"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", "s3,dynamodb,iam,sts")
            .env("AUTH", "true")
            .env("S3_DATA_DIR", folder.path().join("s3"))
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect(HINT);
        let mut server = Self {
            child,
            endpoint: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        };
        server.ready().await;
        server
    }

    async fn ready(&mut self) {
        let client = reqwest::Client::new();
        let health = format!("{}/_ministack/health", self.endpoint);
        let wait = async {
            while !client
                .get(&health)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                assert!(
                    self.child.try_wait().unwrap().is_none(),
                    "{HINT}: it stopped"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), wait)
            .await
            .expect(HINT);
    }

    /// Makes a bucket.
    pub(crate) async fn bucket(&self, name: &str) -> AmazonS3 {
        let made = reqwest::Client::new()
            .put(format!("{}/{name}", self.endpoint))
            .send();
        assert_eq!(made.await.unwrap().status(), 200);
        client(&self.endpoint, name).build().unwrap()
    }
}

/// Reaches a bucket at this address.
pub(crate) fn client(endpoint: &str, bucket: &str) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_endpoint(endpoint)
        .with_region("us-east-1")
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
}

//! `up`: a real process, asked over a real socket.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::runs::Folder;

/// How long an answer or an end may take: a test that waits for ever says nothing.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Up {
    pub child: Child,
    pub address: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it and waits for its first line, which is its address.
pub(crate) fn up(folder: &Folder) -> Up {
    let mut child = folder
        .command(&["up", "--http", "127.0.0.1:0"])
        .stderr(folder.log("up.log"))
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut up = Up {
        child,
        address: String::new(),
    };
    let (said, first) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        let _ = said.send(line);
        // What else it says has somewhere to go.
        let _ = io::copy(&mut stdout, &mut io::sink());
    });
    let line = first.recv_timeout(PATIENCE).unwrap_or_default();
    let address = line.trim().strip_prefix("http://").map(str::to_owned);
    up.address = address.unwrap_or_else(|| panic!("it didn't start: {}", folder.read("up.log")));
    up
}

pub(crate) fn ask(address: &str, request: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

fn get(address: &str, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
    )
    .unwrap()
}

pub(crate) fn terminate(child: &mut Child) -> Option<i32> {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!(
        "process {id} was asked to end, and goes on:\n{}",
        threads(child)
    );
}

/// What each thread of a process waits for, where the system tells.
fn threads(child: &Child) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id()));
    let tasks = tasks.into_iter().flatten().flatten();
    let told = tasks.map(|task| {
        let told = ["comm", "wchan", "syscall"].map(|name| {
            let told = fs::read_to_string(task.path().join(name));
            told.unwrap_or_default().trim().to_owned()
        });
        told.join(" ")
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn it_serves_everything_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut up = up(&folder);
    let endpoints = folder.read(".neurolake/endpoints.json");
    let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
    assert_eq!(endpoints["http"], format!("http://{}", up.address));
    assert_eq!(
        endpoints["catalog"],
        format!("http://{}/catalog.json", up.address)
    );
    assert_eq!(endpoints["pid"], up.child.id());
    let home = get(&up.address, "/");
    assert!(
        home.starts_with("HTTP/1.1 200") && home.contains("<html"),
        "{home}"
    );
    let page = get(&up.address, "/lab/animals.md");
    assert!(
        page.contains(&up.address),
        "snippets name the real address: {page}"
    );
    assert!(get(&up.address, "/catalog.json").contains(&up.address));
    assert!(get(&up.address, "/nowhere").starts_with("HTTP/1.1 404"));
    let sql = "select count(*) as n from lab.numbers";
    let answer = ask(
        &up.address,
        &format!(
            "POST /api/sql?format=csv HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{sql}",
            up.address,
            sql.len()
        ),
    )
    .unwrap();
    assert!(answer.contains("n\n3\n"), "{answer}");
    assert_eq!(terminate(&mut up.child), Some(0));
    assert!(!folder.path(".neurolake/endpoints.json").exists());
    assert_eq!(folder.read(".neurolake/.gitignore"), "*\n");
}

#[test]
fn a_second_one_on_the_same_folder_is_told_of_the_first() {
    let folder = Folder::new();
    let first = up(&folder);
    let run = folder.expect(4, &["up", "--http", "127.0.0.1:0"]);
    assert!(run.stderr.contains("served already"), "{}", run.stderr);
    assert!(run.stderr.contains(&first.address), "{}", run.stderr);
    assert!(
        folder.path(".neurolake/endpoints.json").exists(),
        "of the first"
    );
}

#[test]
fn one_that_was_killed_is_no_obstacle() {
    let folder = Folder::new();
    let mut first = up(&folder);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = up(&folder);
    let endpoints = folder.read(".neurolake/endpoints.json");
    assert!(endpoints.contains(&second.address), "{endpoints}");
}

#[test]
fn a_taken_port_and_an_open_door_are_refused_with_a_way_out() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = folder.expect(4, &["up", "--http", &address]);
    assert!(run.stderr.contains("--http 127.0.0.1:0"), "{}", run.stderr);
    for door in ["--pg", "--flight"] {
        let run = folder.expect(4, &["up", "--http", "127.0.0.1:0", door, &address]);
        let hint = format!("{door} 127.0.0.1:0");
        assert!(run.stderr.contains(&hint), "{}", run.stderr);
    }
    let run = folder.expect(2, &["up", "--http", "nonsense"]);
    assert!(run.stderr.contains("hint: write it like"), "{}", run.stderr);
    folder.write("neurolake.toml", "[http]\nlisten = \"0.0.0.0:0\"\n");
    let run = folder.expect(2, &["up"]);
    assert!(run.stderr.contains("`http.listen`"), "{}", run.stderr);
    assert!(run.stderr.contains("[accounts.NAME]"), "{}", run.stderr);
    for door in ["pg", "flight"] {
        let settings = format!("[{door}]\nlisten = \"0.0.0.0:0\"\n");
        folder.write("neurolake.toml", &settings);
        let run = folder.expect(2, &["up", "--http", "127.0.0.1:0"]);
        let key = format!("`{door}.listen`");
        assert!(run.stderr.contains(&key), "{}", run.stderr);
        folder.write("neurolake.toml", "");
        let option = format!("--{door}");
        let by_hand = ["up", "--http", "127.0.0.1:0", &option, "0.0.0.0:0"];
        let run = folder.expect(2, &by_hand);
        assert!(run.stderr.contains(&option), "{}", run.stderr);
    }
    folder.write("neurolake.toml", "[flight]\npublic = \"lake:1\"\n");
    let run = folder.expect(2, &["up", "--http", "127.0.0.1:0"]);
    assert!(run.stderr.contains("`flight.public`"), "{}", run.stderr);
}

//! The preview as a browser and an editor meet it: real requests, real edits. Nothing here depends
//! on how fast anything is; deadlines only end what would never end.

#[path = "support/lake.rs"]
#[expect(dead_code, reason = "shared with the tests of the other commands")]
mod lake;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use lake::{Lake, NEURAL};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_mins(1);
const SURGERY: &str = "crates/lab/src/surgery.rs";
const PAGE: &str = "/surgery/surgeries.html";

struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Server {
    fn start(lake: &Lake, arguments: &[&str]) -> Self {
        let mut all = vec!["serve", "--port", "0"];
        all.extend(arguments);
        let mut child = lake
            .command(&all)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the address");
        let address = line
            .trim()
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        assert!(address.contains(':'), "no address: {line:?}");
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream
    }

    fn send(&self, head: &str) -> Answer {
        let mut stream = self.connect();
        stream
            .write_all(format!("{head}\r\n\r\n").as_bytes())
            .expect("a request");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.expect("a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// HTTP/1.0, so that a body comes as it is and the connection ends with it.
    fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.0"))
    }

    fn events(&self) -> Events {
        let mut stream = self.connect();
        stream
            .write_all(b"GET /live-events HTTP/1.1\r\nhost: lake\r\n\r\n")
            .expect("a request");
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                if let Some(data) = line.strip_prefix("data: ") {
                    let json: Value = serde_json::from_str(data).expect("JSON");
                    let problems = json["problems"].as_array().expect("a list").iter();
                    let problems = problems.map(|text| text.as_str().expect("text").to_owned());
                    if sender.send(problems.collect()).is_err() {
                        return;
                    }
                }
            }
        });
        let events = Events(events);
        // What is the case when a browser comes.
        events.next();
        events
    }
}

struct Events(Receiver<Vec<String>>);

impl Events {
    fn next(&self) -> Vec<String> {
        self.0.recv_timeout(DEADLINE).expect("an event")
    }

    /// Writing a file may be seen in several steps.
    fn until(&self, is_right: impl Fn(&[String]) -> bool) -> Vec<String> {
        loop {
            let problems = self.next();
            if is_right(&problems) {
                return problems;
            }
        }
    }

    fn good(&self) {
        self.until(<[String]>::is_empty);
    }

    fn problem(&self, text: &str) {
        self.until(|problems| problems.iter().any(|problem| problem.contains(text)));
    }
}

#[test]
fn answers_as_a_web_server() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let home = server.get("/");
    assert_eq!(home.status, 200);
    assert_eq!(
        home.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(home.body.contains("Lab lake") && home.body.contains("assets/live.js?page="));
    assert_eq!(server.get("/index.html").body, home.body);
    for (path, content_type) in [
        ("/neural/", "text/html; charset=utf-8"),
        (PAGE, "text/html; charset=utf-8"),
        (
            "/surgery/surgeries.html?from=search#c-duration",
            "text/html; charset=utf-8",
        ),
        ("/surgery/surgeries.json", "application/json"),
        ("/surgery/surgeries.md", "text/markdown; charset=utf-8"),
        ("/catalog.json", "application/json"),
        ("/assets/site.css", "text/css; charset=utf-8"),
        ("/assets/site.js", "text/javascript; charset=utf-8"),
        ("/assets/live.js", "text/javascript; charset=utf-8"),
        ("/assets/search-index.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
        ("/surgery/surgeries%2Ehtml", "text/html; charset=utf-8"),
        ("/llms.txt", "text/plain; charset=utf-8"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let found = answer.header("content-type");
        // The type goes by the decoded path.
        assert_eq!(found, Some(content_type), "{path}");
        let etag = answer.header("etag").expect("a hash");
        let again = server.send(&format!(
            "GET {path} HTTP/1.0\r\nif-none-match: \"x\", {etag}"
        ));
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        let head = server.send(&format!("HEAD {path} HTTP/1.0"));
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("etag"), Some(etag), "{path}");
    }
    let lost = server.get("/no/such/page.html");
    assert_eq!(lost.status, 404);
    assert!(lost.body.contains("</html>"), "the site's own page");
    for path in ["/%", "/%2", "/%zz", "/%+f", "/%ff%fe", "/\u{e9}", "/%00"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.send("DELETE / HTTP/1.0").status, 405);
    assert_eq!(
        server.send("POST / HTTP/1.0\r\ncontent-length: 0").status,
        405
    );
    for nonsense in ["nonsense\r\n\r\n", "\x16\x03\x01\0\r\n\r\n", "\r\n\r\n"] {
        let mut stream = server.connect();
        stream.write_all(nonsense.as_bytes()).expect("no request");
        let mut text = String::new();
        // The connection may be cut with what was sent still unread.
        let _ = stream.read_to_string(&mut text);
        assert_eq!(text, "");
    }
    assert_eq!(server.get("/").body, home.body, "still there");
}

#[test]
fn serves_nothing_but_the_site() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    for path in [
        "/../Cargo.toml",
        "/assets/../../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "/%2e%2e%2fCargo.toml",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/..\\Cargo.toml",
        "/Cargo.toml",
        "/crates/lab/src/lib.rs",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            !answer.body.contains("[workspace]") && !answer.body.contains("root:"),
            "{path}"
        );
    }
}

#[test]
fn keeps_a_connection_for_the_next_request() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let mut stream = server.connect();
    let request = |path: &str, end: &str| format!("GET {path} HTTP/1.1\r\nhost: lake\r\n{end}\r\n");
    for path in ["/surgery/surgeries.json", "/neural/band_power.json"] {
        stream
            .write_all(request(path, "").as_bytes())
            .expect("a request");
    }
    let last = request("/llms.txt", "connection: close\r\n");
    stream.write_all(last.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("three answers");
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
    let place = |word: &str| text.find(word).expect("an answer");
    assert!(place("\"duration\"") < place("\"power\""), "in order");
    assert!(place("\"power\"") < place("Lab lake"), "in order");
}

#[test]
fn shows_an_edit() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let events = server.events();
    let before = server.get(PAGE);
    lake.edit(
        SURGERY,
        "From incision to closure.",
        "Between first and last cut.",
    );
    loop {
        events.good();
        let after = server.get(PAGE);
        if after.body.contains("Between first and last cut.") {
            assert_ne!(after.header("etag"), before.header("etag"));
            break;
        }
    }
    // What an edit doesn't concern isn't loaded again.
    let other = server.get("/neural/band_power.html");
    lake.edit(SURGERY, "Between first and last cut.", "Skin to skin.");
    loop {
        events.good();
        if server.get(PAGE).body.contains("Skin to skin.") {
            break;
        }
    }
    let same = server.get("/neural/band_power.html");
    assert_eq!(same.header("etag"), other.header("etag"));
    assert!(
        !lake.path("target/catalog").exists(),
        "something was written"
    );
}

#[test]
fn shows_mistakes_and_keeps_the_rest() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let events = server.events();

    lake.edit(
        "crates/lab/src/neural.rs",
        "partition_by(implant_id)",
        "partition_by(implnt_id)",
    );
    events.problem("did you mean `implant_id`?");
    assert_eq!(server.get(PAGE).status, 200);
    assert_eq!(server.get("/catalog.json").status, 200);
    // Whoever comes now sees the same.
    let late = server.connect();
    let mut reader = BufReader::new(late.try_clone().expect("a handle"));
    (&late)
        .write_all(b"GET /live-events HTTP/1.1\r\nhost: lake\r\n\r\n")
        .expect("a request");
    let mut text = String::new();
    while !text.contains("data: ") {
        assert_ne!(reader.read_line(&mut text).expect("an event"), 0);
    }
    assert!(text.contains("did you mean `implant_id`?"), "{text}");
    lake.write("crates/lab/src/neural.rs", NEURAL);
    events.good();
    assert_eq!(server.get("/neural/band_power.html").status, 200);

    // Half of a keystroke: the tables of the file stay as they were.
    lake.edit(SURGERY, "pub duration: i32,\n}", "pub duration: i32,\n");
    events.problem("surgery.rs");
    let page = server.get(PAGE);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("From incision to closure."));
    lake.edit(SURGERY, "pub duration: i32,\n", "pub duration: i32,\n}");
    events.good();
}

#[test]
fn starts_with_mistakes() {
    let lake = Lake::new();
    lake.edit(
        "crates/lab/src/neural.rs",
        "partition_by(implant_id)",
        "partition_by(implnt_id)",
    );
    lake.edit(SURGERY, "pub duration: i32,\n}", "pub duration: i32,\n");
    let server = Server::start(&lake, &[]);
    assert_eq!(server.get("/").status, 200);
    let events = server.events();
    lake.edit(SURGERY, "pub duration: i32,\n", "pub duration: i32,\n}");
    events.until(|problems| problems.len() == 1);
    assert_eq!(server.get(PAGE).status, 200);
}

#[test]
fn follows_the_manifest() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let events = server.events();
    lake.edit("Cargo.toml", "Lab lake", "Red lake");
    loop {
        events.good();
        if server.get("/").body.contains("Red lake") {
            break;
        }
    }
    lake.edit(
        "Cargo.toml",
        "[workspace.metadata.neurolake]",
        "[workspace.metadata.neurolake",
    );
    events.problem("cargo can't read the workspace");
    assert!(
        server.get("/").body.contains("Red lake"),
        "the last good state"
    );
    // Another edit doesn't make the manifest any better.
    lake.edit(SURGERY, "closure.", "closure, cleaned.");
    events.problem("cargo can't read the workspace");
    lake.edit(
        "Cargo.toml",
        "[workspace.metadata.neurolake",
        "[workspace.metadata.neurolake]",
    );
    events.good();
    lake.edit("Cargo.toml", "title =", "tilte =");
    events.problem("did you mean `title`?");
}

#[test]
fn finds_new_modules_and_members() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let events = server.events();
    // The line before the file, and the file in a folder that isn't there yet.
    lake.edit(
        "crates/lab/src/lib.rs",
        "pub mod neural;",
        "pub mod devices;\npub mod neural;",
    );
    events.problem("devices");
    lake.write(
        "crates/lab/src/devices/mod.rs",
        &NEURAL.replace("neural.", "devices."),
    );
    events.good();
    assert_eq!(server.get("/devices/band_power.html").status, 200);
    // As a checkout of another branch and back does.
    fs::remove_dir_all(lake.path("crates/lab/src/devices")).expect("a folder");
    events.problem("devices");
    lake.write(
        "crates/lab/src/devices/mod.rs",
        &NEURAL.replace("neural.", "devices."),
    );
    events.good();
    lake.edit(
        "crates/lab/src/devices/mod.rs",
        "Power over the baseline.",
        "Power, in short.",
    );
    loop {
        events.good();
        if server
            .get("/devices/band_power.html")
            .body
            .contains("Power, in short.")
        {
            break;
        }
    }
    // A file as a target of its own, which only cargo knows of.
    lake.write(
        "crates/lab/src/bin/import.rs",
        "fn main() {}\n\n/// Imports.\nmod imports {\n    use neurolake::prelude::*;\n\n    /// Imports, one row each.\n    #[table(delta = \"s3://lab/imports\")]\n    pub struct Imports {\n        /// Number.\n        pub import_id: i64,\n    }\n}\n",
    );
    loop {
        events.good();
        if server.get("/imports/imports.html").status == 200 {
            break;
        }
    }
}

#[test]
fn follows_templates_for_grafana() {
    const FILE: &str = "/grafana/provisioning/datasources/lab.yaml";
    let lake = Lake::new();
    lake.edit(
        "Cargo.toml",
        "title =",
        "postgres = \"127.0.0.1:5432\"\ntitle =",
    );
    let template = "boards/datasource.yaml.j2";
    lake.write(template, "user: reader");
    let server = Server::start(&lake, &["--grafana-templates", "boards"]);
    let events = server.events();
    assert_eq!(server.get(FILE).body, "user: reader\n");
    lake.write(template, "user: {{ writer");
    events.problem("datasource.yaml.j2:1");
    lake.write(template, "user: writer");
    events.good();
    assert_eq!(server.get(FILE).body, "user: writer\n");
}

#[test]
fn follows_templates() {
    let lake = Lake::new();
    lake.write(
        "look/404.html",
        "<!doctype html><title>Lost at sea</title></html>",
    );
    lake.write(
        "snips/45-julia.j2",
        "{# title: Julia | language: text #}\nread()",
    );
    let server = Server::start(&lake, &["--templates", "look", "--snippets", "snips"]);
    let events = server.events();
    assert!(server.get("/nowhere").body.contains("Lost at sea"));

    lake.write(
        "look/404.html",
        "<!doctype html><title>{{ oops</title></html>",
    );
    events.problem("404.html");
    let apology = server.get(PAGE);
    assert_eq!(apology.status, 503);
    assert!(
        apology.body.contains("assets/live.js?page="),
        "it comes back by itself"
    );
    lake.write(
        "look/404.html",
        "<!doctype html><title>Back home</title></html>",
    );
    events.good();
    assert!(server.get("/nowhere").body.contains("Back home"));
    assert_eq!(server.get(PAGE).status, 200);

    lake.write(
        "snips/45-julia.j2",
        "{# title: Julia | language: text #}\n{{ oops",
    );
    events.problem("45-julia.j2:2");
    lake.write(
        "snips/45-julia.j2",
        "{# title: Julia | language: text #}\nopen()",
    );
    events.good();
    assert_eq!(server.get(PAGE).status, 200);

    // Well-formed, and fails on the page only.
    lake.write("look/table.html", "{{ no_such_thing.name }}</html>");
    events.good();
    let apology = server.get(PAGE);
    assert_eq!(apology.status, 500);
    assert!(apology.body.contains("table.html"), "{}", apology.body);
    assert!(
        apology.body.contains("assets/live.js?page="),
        "it comes back by itself"
    );
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn polls_on_request() {
    let lake = Lake::new();
    let server = Server::start(&lake, &["--poll"]);
    let events = server.events();
    // Edits within a second of each other, and of the same length.
    for (from, to) in [
        ("closure", "CLOSURE"),
        ("CLOSURE", "Closure"),
        ("Closure", "closure"),
    ] {
        lake.edit(SURGERY, from, to);
        events.good();
        assert!(
            server.get(PAGE).body.contains(&format!("incision to {to}")),
            "{to}"
        );
    }
    lake.edit(
        "crates/lab/src/lib.rs",
        "pub mod neural;",
        "pub mod devices;\npub mod neural;",
    );
    events.problem("devices");
    lake.write(
        "crates/lab/src/devices/mod.rs",
        &NEURAL.replace("neural.", "devices."),
    );
    events.good();
    assert_eq!(server.get("/devices/band_power.html").status, 200);
}

#[test]
fn answers_everybody_while_somebody_types() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let events = server.events();
    let (is_over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let (server, is_over, answers) = (&server, &is_over, &answers);
            scope.spawn(move || {
                let paths = ["/", PAGE, "/neural/", "/neural/band_power.html"];
                while !is_over.load(Ordering::Relaxed) {
                    let answer = server.get(paths[reader % paths.len()]);
                    assert_eq!(answer.status, 200);
                    assert!(answer.body.trim_end().ends_with("</html>"), "half a page");
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 0..10 {
            let text = lake.read(SURGERY);
            lake.write(
                SURGERY,
                &text.replace("closure", &format!("closure{number}")),
            );
            events.next();
        }
        let enough = answers.load(Ordering::Relaxed) + 50;
        while answers.load(Ordering::Relaxed) < enough {
            std::thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn survives_browsers_that_go_away() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    for _ in 0..30 {
        let mut stream = server.connect();
        stream
            .write_all(b"GET /live-events HTTP/1.1\r\nhost: lake\r\n\r\n")
            .expect("a request");
        let mut stream = server.connect();
        stream
            .write_all(b"GET /catalog.json HTTP/1.1\r\nhost: lake\r\n\r\n")
            .expect("a request");
        let mut stream = server.connect();
        stream.write_all(b"GET /half").expect("half a request");
    }
    let events = server.events();
    for number in 0..3 {
        let text = lake.read(SURGERY);
        lake.write(
            SURGERY,
            &text.replace("closure", &format!("closure{number}")),
        );
        events.good();
    }
    assert_eq!(server.get(PAGE).status, 200);
}

#[test]
fn does_not_wait_for_the_slow() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let mut stalled = Vec::new();
    for _ in 0..4 {
        // More answers than fit into the buffers of a connection, and nobody reads them.
        let size = server.get("/assets/site.css").body.len();
        let mut stream = server.connect();
        let request = b"GET /assets/site.css HTTP/1.1\r\nhost: lake\r\n\r\n";
        stream
            .set_write_timeout(Some(Duration::from_millis(200)))
            .expect("a deadline");
        for _ in 0..8_000_000 / size {
            if stream.write_all(request).is_err() {
                break;
            }
        }
        stalled.push(stream);
        // A body that never comes.
        let mut stream = server.connect();
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: lake\r\ncontent-length: 100000\r\n\r\n")
            .expect("half a request");
        stalled.push(stream);
        // A listener that doesn't listen.
        let mut stream = server.connect();
        stream
            .write_all(b"GET /live-events HTTP/1.1\r\nhost: lake\r\n\r\n")
            .expect("a request");
        stalled.push(stream);
    }
    let events = server.events();
    for number in 0..3 {
        let text = lake.read(SURGERY);
        lake.write(
            SURGERY,
            &text.replace("closure", &format!("closure{number}")),
        );
        events.good();
        assert_eq!(server.get(PAGE).status, 200);
    }
    drop(stalled);
    assert_eq!(server.get(PAGE).status, 200);
}

#[test]
fn says_that_the_port_is_taken() {
    let lake = Lake::new();
    let server = Server::start(&lake, &[]);
    let port = server.address.rsplit(':').next().expect("a port");
    let run = lake.expect(2, &["serve", "--port", port]);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    assert!(
        run.stderr
            .contains(&format!("can't listen on 127.0.0.1:{port}")),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("`--port 0`"), "{}", run.stderr);
    let run = lake.expect(
        2,
        &["serve", "--bind", "no.such.host.invalid", "--port", "0"],
    );
    assert!(run.stderr.contains("can't listen on"), "{}", run.stderr);
}

#[test]
fn listens_where_it_is_told() {
    let lake = Lake::new();
    let server = Server::start(&lake, &["--bind", "localhost"]);
    assert_eq!(server.get("/").status, 200);
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let server = Server::start(&lake, &["--bind", "::1"]);
        assert!(server.address.starts_with("[::1]:"), "{}", server.address);
        assert_eq!(server.get("/").status, 200);
    }
}

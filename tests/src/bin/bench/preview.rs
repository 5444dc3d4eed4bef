//! How long `serve` takes from saving a file to the new page.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure;

/// What each save took, in milliseconds.
pub(crate) struct Saves {
    /// Until the browser is told.
    pub(crate) told: Vec<f64>,
    /// Until the browser has the new page.
    pub(crate) shown: Vec<f64>,
    /// Processor time of one save.
    pub(crate) cpu: f64,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Edits the docs of one table several times. `file` holds `text`, which `page` shows.
pub(crate) fn saves(
    program: &Path,
    workspace: &Path,
    (file, text, page): (&Path, &str, &str),
    rounds: usize,
) -> io::Result<Saves> {
    let mut child = Command::new(program)
        .args(["serve", "--port", "0", "--quiet"])
        .current_dir(workspace)
        .env_remove("CARGO_TARGET_DIR")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().expect("it is piped");
    let server = Server(child);
    let mut address = String::new();
    BufReader::new(stdout).read_line(&mut address)?;
    let address = address
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let mut stream = TcpStream::connect(&address)?;
    stream.set_read_timeout(Some(Duration::from_mins(2)))?;
    stream.write_all(b"GET /live-events HTTP/1.1\r\nhost: lake\r\n\r\n")?;
    let mut events = BufReader::new(stream).lines();
    let mut event = || -> io::Result<()> {
        for line in events.by_ref() {
            if line?.starts_with("data: ") {
                return Ok(());
            }
        }
        Err(io::Error::other("the preview ended"))
    };
    event()?;
    get(&address, page)?;
    let source = fs::read_to_string(file)?;
    let mut saves = Saves {
        told: Vec::new(),
        shown: Vec::new(),
        cpu: 0.0,
    };
    let cpu = || measure::stat(server.0.id()).map_or(0.0, |(_, cpu)| cpu);
    let before = cpu();
    for round in 0..rounds {
        let new = format!("Edited in round {round}.");
        let start = Instant::now();
        fs::write(file, source.replacen(text, &new, 1))?;
        loop {
            event()?;
            let told = start.elapsed().as_secs_f64() * 1e3;
            if get(&address, page)?.contains(&new) {
                saves.told.push(told);
                saves.shown.push(start.elapsed().as_secs_f64() * 1e3);
                break;
            }
        }
    }
    saves.cpu = (cpu() - before) * 1e3 / rounds as f64;
    fs::write(file, source)?;
    Ok(saves)
}

fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET /{path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

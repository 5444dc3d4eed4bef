//! Runs programs and reads from `/proc` what they cost, which needs no unsafe code.

use std::fs;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often memory is looked at. What grows and shrinks in between is the system's secret, except
/// for the high-water mark, which it keeps while the process lives.
const SAMPLE: Duration = Duration::from_millis(5);
/// Ticks of a second in `/proc/PID/stat`; the same on every Linux.
const TICKS: f64 = 100.0;

/// What one run cost.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    /// User and system time, of children too.
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    /// Largest resident set of any one process.
    pub(crate) rss: u64,
    pub(crate) stderr: String,
}

/// Runs a command that must end well.
pub(crate) fn run(command: &mut Command) -> io::Result<Cost> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
    let mut pipe = child.stderr.take().expect("it is piped");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let (mut rss, mut wall) = (0, 0.0);
    let mut cpu = 0.0;
    // A process that ended stays in `/proc` until somebody waits for it, with its times complete.
    while let Some((state, time)) = stat(child.id()) {
        (cpu, wall) = (time, start.elapsed().as_secs_f64());
        if state == "Z" {
            break;
        }
        rss = rss.max(peak(child.id()));
        std::thread::sleep(SAMPLE);
    }
    let status = child.wait()?;
    let stderr = reader.join().expect("reading doesn't panic")?;
    if status.success() {
        Ok(Cost {
            cpu,
            wall,
            rss,
            stderr,
        })
    } else {
        Err(io::Error::other(format!(
            "{command:?} ended with {status}\n{stderr}"
        )))
    }
}

/// State, and user and system time with that of children that ended, in seconds.
pub(crate) fn stat(process: u32) -> Option<(String, f64)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold anything, except that it ends with the last `)`.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|ticks| ticks.parse::<f64>().ok());
    Some(((*fields.first()?).to_owned(), ticks.sum::<f64>() / TICKS))
}

/// High-water mark of a process or of one below it, in bytes.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let own = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kilobytes| kilobytes * 1024);
    let tasks = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children: Vec<u32> = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    children.into_iter().map(peak).fold(own, u64::max)
}

/// The least of a figure.
pub(crate) fn least(costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> f64 {
    costs.iter().map(figure).fold(f64::INFINITY, f64::min)
}

/// Least, middle and largest.
pub(crate) fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let last = figures.len() - 1;
    (figures[0], figures[last / 2], figures[last])
}

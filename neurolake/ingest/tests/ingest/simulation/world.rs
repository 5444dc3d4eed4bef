//! What all share: the objects, the queue, the time, and what is known to be true.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use neurolake_delta::{Location, LogOptions};
use neurolake_ingest::Flush;
use neurolake_ingest::queue::Stream;
use neurolake_ingest::queue::memory::MemoryQueue;
use neurolake_model::{Catalog, Type};
use object_store::ObjectMeta;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::random::Random;
use crate::faulty::{Course, Fault, Faulty, Kind, Rules};
use crate::simulated::Clock;

/// What a seed decides for the whole run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) random: Random,
    /// Faults of a thousand requests.
    store_faults: u64,
    queue_faults: u64,
    /// Spans of a thousand in which hardly anything works.
    outages: u64,
    /// What was listed may be a little old.
    lists_late: bool,
    pub(crate) processes: u64,
    pub(crate) producers: u64,
    /// Requests of each producer.
    pub(crate) requests: u64,
    /// Time between two events of chaos, about.
    pub(crate) restless: Duration,
    pub(crate) kills: bool,
    pub(crate) freezes: bool,
    pub(crate) upgrades: bool,
    /// Of a thousand requests.
    pub(crate) poison: u64,
    pub(crate) partitioned: bool,
    pub(crate) compacts: bool,
    pub(crate) cleans: bool,
    pub(crate) skewed: bool,
    pub(crate) flush: Flush,
    pub(crate) tail_bytes: usize,
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let often = |random: &mut Random| random.happens(600);
        Self {
            store_faults: random.pick(&[0, 5, 20, 60, 200]),
            queue_faults: random.pick(&[0, 5, 20, 100]),
            outages: random.pick(&[0, 0, 50, 200]),
            lists_late: random.happens(300),
            processes: random.between(1, 3),
            producers: random.between(2, 4),
            requests: random.between(8, 20),
            restless: Duration::from_secs(random.pick(&[3, 20, 100])),
            kills: often(random),
            freezes: often(random),
            upgrades: often(random),
            poison: random.pick(&[0, 30, 200]),
            partitioned: random.happens(400),
            compacts: often(random),
            cleans: often(random),
            skewed: random.happens(300),
            flush: Flush {
                age: Duration::from_millis(random.pick(&[20, 250, 1_000])),
                rows: usize::try_from(random.pick(&[3, 20, 65_536])).unwrap(),
                bytes: 8 << 20,
                grace: Duration::from_millis(random.pick(&[0, 500, 5_000, 60_000])),
            },
            tail_bytes: usize::try_from(random.pick(&[0, 4_000, 100_000_000])).unwrap(),
            random: random.fork(),
        }
    }
}

/// What a row must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Table,
    DeadLetters,
}

#[derive(Default)]
pub(crate) struct Facts {
    /// All rows that were ever sent.
    pub(crate) sent: BTreeMap<i64, Fate>,
    /// Those of them that were acknowledged.
    pub(crate) acknowledged: BTreeMap<i64, u64>,
    /// Commits of each table as they happened.
    pub(crate) commits: BTreeMap<String, Vec<Bytes>>,
    /// Commits that came too late to count: others of the same version had been cleaned up.
    pub(crate) strays: Vec<(String, u64)>,
    made: HashMap<Path, Duration>,
    pub(crate) looks: u64,
    story: Vec<String>,
    violation: Option<String>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<Clock>,
    pub(crate) objects: Arc<InMemory>,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) stream: Stream,
    pub(crate) facts: Mutex<Facts>,
    chance: Mutex<Random>,
    is_calm: AtomicBool,
}

impl World {
    pub(crate) fn new(plan: Plan, clock: Arc<Clock>) -> Arc<Self> {
        let chance = plan.random.clone().fork();
        Arc::new(Self {
            plan,
            clock,
            objects: Arc::default(),
            queue: Arc::default(),
            stream: Stream::new("lab", "events"),
            facts: Mutex::default(),
            chance: Mutex::new(chance),
            is_calm: AtomicBool::new(false),
        })
    }

    /// Chance for somebody who begins now.
    pub(crate) fn random(&self) -> Random {
        self.chance.lock().unwrap().fork()
    }

    /// From now on everything works.
    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
        self.note("nothing fails any more");
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, what: impl AsRef<str>) {
        let mut line = String::new();
        let seconds = self.clock.now().as_secs_f64();
        write!(line, "{seconds:>12.3} {}", what.as_ref()).unwrap();
        self.facts.lock().unwrap().story.push(line);
    }

    /// What must never happen, seen where nobody can be told.
    fn violated(&self, what: String) {
        self.note(&what);
        let violation = &mut self.facts.lock().unwrap().violation;
        violation.get_or_insert(what);
    }

    pub(crate) fn refuse_violations(&self) {
        if let Some(violation) = &self.facts.lock().unwrap().violation {
            panic!("{violation}");
        }
    }

    pub(crate) fn story(&self) -> Vec<String> {
        self.facts.lock().unwrap().story.clone()
    }

    pub(crate) fn summary(&self) -> String {
        let facts = self.facts.lock().unwrap();
        let commits = facts.commits.iter();
        let commits = commits.map(|(table, commits)| format!("{} in {table}", commits.len()));
        format!(
            "{} of {} rows acknowledged, {} looks, commits: {}, {} strays, {:?}",
            facts.acknowledged.len(),
            facts.sent.len(),
            facts.looks,
            commits.collect::<Vec<_>>().join(" and "),
            facts.strays.len(),
            self.clock.now(),
        )
    }

    /// Takes what is logged into the story.
    pub(crate) fn listen(self: &Arc<Self>) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(Scribe(Arc::clone(self)))
            .with_env_filter("neurolake_ingest=info,neurolake_delta=info")
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// The table as one process reaches it.
    pub(crate) fn location(self: &Arc<Self>, who: &str) -> Location {
        let link = Link {
            world: Arc::clone(self),
            who: who.to_owned(),
            chance: Mutex::new((self.random(), self.random())),
        };
        Location {
            store: Faulty::new(Arc::clone(&self.objects) as _, Arc::new(link)),
            ..self.plain()
        }
    }

    /// The table without faults.
    pub(crate) fn plain(&self) -> Location {
        Location::new(
            "s3://lake/lab/events".parse().unwrap(),
            Arc::clone(&self.objects) as _,
        )
    }

    /// A process has a clock of its own, which may be wrong.
    pub(crate) fn options(&self, random: &mut Random) -> LogOptions {
        let hours = match self.plan.skewed {
            true => random.pick(&[0, 1, 2, 3, 4]),
            false => 2,
        };
        let skew = Duration::from_hours(hours);
        let clock = Arc::clone(&self.clock);
        LogOptions {
            clock: Arc::new(move || clock.wall() + skew - Duration::from_hours(2)),
        }
    }

    /// What the tables are declared to be, in a first and a second version.
    pub(crate) fn catalog(&self, version: u64) -> Catalog {
        let column = |name, data_type: Type, nullable| json!({ "name": name, "type": data_type, "nullable": nullable });
        let mut columns = vec![
            column("id", Type::Int64, false),
            column("source", Type::String, true),
        ];
        if version > 1 {
            columns.push(column("extra", Type::Float64, true));
        }
        let partition_by = match self.plan.partitioned {
            true => vec![json!({ "name": "source", "type": Type::String })],
            false => vec![],
        };
        crate::catalog(&json!(columns), &json!(partition_by))
    }

    /// Whether at this moment hardly anything works.
    fn is_outage(&self) -> bool {
        let span = self.clock.now().as_secs() / 40;
        let seed = self.plan.random.clone().fork().below(u64::MAX);
        Random::new(seed ^ span.wrapping_mul(0x5851_F42D_4C95_7F2D)).happens(self.plan.outages)
    }

    fn fault(&self, random: &mut Random, usual: u64) -> Option<u64> {
        let faults = if self.is_outage() { 900 } else { usual };
        random.happens(faults).then(|| random.below(100))
    }

    /// What goes wrong with a request to the queue, as a number below 100.
    pub(crate) fn queue_fault(&self, random: &mut Random) -> Option<u64> {
        self.fault(random, self.plan.queue_faults)
    }
}

/// How long a request takes.
pub(crate) fn latency(random: &mut Random) -> Duration {
    match random.happens(10) {
        true => random.upto(Duration::from_secs(50)),
        false => random.duration(Duration::from_micros(200), Duration::from_millis(30)),
    }
}

/// One process's way to the store.
struct Link {
    world: Arc<World>,
    who: String,
    /// For the process itself, and for deltalake's threads, whose requests come in any order.
    chance: Mutex<(Random, Random)>,
}

impl Rules for Link {
    fn course(&self, kind: Kind, path: &Path, can_wait: bool) -> Course {
        if self.world.is_calm() {
            return Course::default();
        }
        let mut chance = self.chance.lock().unwrap();
        let random = match can_wait {
            true => &mut chance.0,
            false => &mut chance.1,
        };
        // Opening a table takes many requests, which must have a chance to succeed together.
        let usual = match can_wait {
            true => self.world.plan.store_faults,
            false => self.world.plan.store_faults / 5,
        };
        let is_change = matches!(kind, Kind::Create | Kind::Put);
        let fault = self.world.fault(random, usual).map(|chosen| match chosen {
            ..25 => Fault::Fails,
            25..40 => Fault::Hangs,
            _ if !is_change => Fault::Fails,
            40..65 => Fault::AnswerLost,
            65..80 => Fault::Silent,
            80..90 => Fault::HappensLater(random.upto(Duration::from_secs(1))),
            _ => Fault::HappensLater(random.upto(Duration::from_mins(4))),
        });
        let course = Course {
            there: latency(random),
            fault: fault.unwrap_or_default(),
            back: latency(random),
        };
        if let Some(fault) = fault {
            let what = format!("{}: {kind:?} of `{path}`: {fault:?}", self.who);
            self.world.note(what);
        }
        course
    }

    fn on_put(&self, path: &Path, content: &Bytes) {
        let now = self.world.clock.now();
        let mut facts = self.world.facts.lock().unwrap();
        facts.made.insert(path.clone(), now);
        let Some((table, version)) = commit_of(path) else {
            return;
        };
        let commits = facts.commits.entry(table.clone()).or_default();
        let next = commits.len() as u64;
        if version == next {
            commits.push(content.clone());
        }
        if version < next {
            facts.strays.push((table.clone(), version));
        }
        drop(facts);
        let who = &self.who;
        match version.cmp(&next) {
            std::cmp::Ordering::Equal => self
                .world
                .note(format!("{who}: {table} has version {version}")),
            std::cmp::Ordering::Less => self.world.note(format!(
                "{who}: version {version} of {table} came into the past"
            )),
            std::cmp::Ordering::Greater => self.world.violated(format!(
                "{who}: {table} has version {version}, but none of {next}"
            )),
        }
    }

    fn told(&self, object: ObjectMeta) -> ObjectMeta {
        let facts = self.world.facts.lock().unwrap();
        let made = facts.made.get(&object.location).copied();
        ObjectMeta {
            last_modified: Clock::calendar(made.unwrap_or_default()).into(),
            ..object
        }
    }

    fn is_listed(&self, object: &ObjectMeta) -> bool {
        let age = self.world.clock.now().checked_sub(
            self.world
                .facts
                .lock()
                .unwrap()
                .made
                .get(&object.location)
                .copied()
                .unwrap_or_default(),
        );
        let is_new = age.is_some_and(|age| age < Duration::from_secs(2));
        !(self.world.plan.lists_late && is_new && !self.world.is_calm())
    }
}

/// The table and the version of a commit.
fn commit_of(path: &Path) -> Option<(String, u64)> {
    let (table, name) = path.as_ref().split_once("/_delta_log/")?;
    let version = name.strip_suffix(".json")?;
    Some((table.to_owned(), version.parse().ok()?))
}

#[derive(Clone)]
struct Scribe(Arc<World>);

impl io::Write for Scribe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.note(String::from_utf8_lossy(line).trim());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Scribe {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

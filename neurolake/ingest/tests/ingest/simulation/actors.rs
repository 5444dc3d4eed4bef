//! Who does what, and when.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use neurolake_delta::compact::{CompactOptions, compact};
use neurolake_delta::maintenance::{LogUpkeep, keep_log};
use neurolake_delta::time::{sleep, timeout};
use neurolake_delta::vacuum::{Scope, VacuumOptions, vacuum};
use neurolake_ingest::entry::{DeadLetter, Request};
use neurolake_ingest::queue::{Key, Queue, Record};
use tokio::task::JoinSet;

use super::audit;
use super::process::{Control, Process};
use super::random::Random;
use super::world::{Fate, World};

/// As long as a client waits.
const PATIENCE: Duration = Duration::from_secs(40);

/// The processes that are there.
struct Crew {
    world: Arc<World>,
    processes: Mutex<Vec<Arc<Process>>>,
    started: AtomicU64,
    /// Of the declaration of those that start now.
    version: AtomicU64,
    next_row: AtomicI64,
}

pub(crate) async fn run(world: &Arc<World>) {
    let crew = Arc::new(Crew {
        world: Arc::clone(world),
        processes: Mutex::default(),
        started: AtomicU64::new(0),
        version: AtomicU64::new(1),
        next_row: AtomicI64::new(1_000_000),
    });
    crew.fill_up();
    let mut others = JoinSet::new();
    others.spawn(chaos(Arc::clone(&crew)));
    others.spawn(look(Arc::clone(&crew)));
    if world.plan.compacts {
        others.spawn(maintain(Arc::clone(world), "compactor", Task::Compact));
        others.spawn(maintain(
            Arc::clone(world),
            "second compactor",
            Task::Compact,
        ));
    }
    if world.plan.cleans {
        others.spawn(maintain(Arc::clone(world), "log keeper", Task::KeepLog));
        others.spawn(maintain(Arc::clone(world), "vacuum", Task::Vacuum));
    }
    let mut producers = JoinSet::new();
    for producer in 0..world.plan.producers {
        producers.spawn(produce(Arc::clone(&crew), producer));
    }
    while let Some(produced) = producers.join_next().await {
        produced.unwrap();
    }
    others.abort_all();
    while let Some(ended) = others.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    crew.settle().await;
}

impl Crew {
    fn fill_up(&self) {
        let mut processes = self.processes.lock().unwrap();
        processes.retain(|process| !process.control.is_dead());
        while (processes.len() as u64) < self.world.plan.processes {
            processes.push(self.start());
        }
    }

    fn start(&self) -> Arc<Process> {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        Process::start(&self.world, number, self.version.load(Ordering::Relaxed))
    }

    fn pick(&self, random: &mut Random) -> Option<Arc<Process>> {
        let processes = self.processes.lock().unwrap();
        let live: Vec<_> = processes
            .iter()
            .filter(|process| !process.control.is_dead())
            .collect();
        let chosen = random.below(live.len().max(1) as u64);
        let chosen = live.get(usize::try_from(chosen).unwrap());
        chosen.map(|process| Arc::clone(process))
    }

    /// Nothing fails any more, and somebody new writes what is left.
    async fn settle(&self) {
        self.world.calm_down();
        let old = std::mem::take(&mut *self.processes.lock().unwrap());
        // Some of them have slept until now.
        for process in &old {
            process.control.thaw();
        }
        sleep(Duration::from_mins(20)).await;
        for process in &old {
            process.control.kill();
            process.join().await;
        }
        let last = self.start();
        sleep(Duration::from_mins(2)).await;
        last.end().await;
    }
}

/// What a producer sends in one request.
struct Parcel {
    key: String,
    content: Content,
}

enum Content {
    Rows(Vec<i64>),
    /// The last one doesn't fit, and the client wants it kept.
    Quarantined(Vec<i64>, i64),
    /// Accepted under a declaration with another type.
    Misfit(Vec<i64>),
    /// Accepted under a declaration with a column that can't be added.
    Required(Vec<i64>),
    /// Not what was put into the queue.
    Damaged(i64),
}

impl Content {
    fn draw(random: &mut Random, crew: &Crew) -> Self {
        let one = || crew.next_row.fetch_add(1, Ordering::Relaxed);
        let count = random.pick(&[1, 1, 2, 5]);
        let ids: Vec<_> = (0..count).map(|_| one()).collect();
        if !random.happens(crew.world.plan.poison) {
            return Self::Rows(ids);
        }
        match random.below(4) {
            0 => Self::Quarantined(ids, one()),
            1 => Self::Misfit(ids),
            2 => Self::Required(ids),
            _ => Self::Damaged(ids[0]),
        }
    }

    fn rows(&self) -> Vec<(i64, Fate)> {
        let all = |ids: &[i64], fate| ids.iter().map(|id| (*id, fate)).collect();
        match self {
            Self::Rows(ids) => all(ids, Fate::Table),
            Self::Quarantined(ids, dead) => {
                let mut rows: Vec<_> = all(ids, Fate::Table);
                rows.push((*dead, Fate::DeadLetters));
                rows
            }
            Self::Misfit(ids) | Self::Required(ids) => all(ids, Fate::DeadLetters),
            Self::Damaged(id) => vec![(*id, Fate::DeadLetters)],
        }
    }

    fn request(&self, process: &Process) -> Request {
        let source = |id: &i64| format!("source {}", id % 3);
        let batch = |ids: &[i64], id: ArrayRef, more: Option<(Field, ArrayRef)>| {
            let data_type = id.data_type().clone();
            let sources = StringArray::from_iter_values(ids.iter().map(source));
            let mut fields = vec![
                Field::new("id", data_type, false),
                Field::new("source", DataType::Utf8, true),
            ];
            let mut columns = vec![id, Arc::new(sources) as ArrayRef];
            if process.version > 1 {
                fields.push(Field::new("extra", DataType::Float64, true));
                let extra = ids
                    .iter()
                    .map(|id| (id % 2 == 0).then_some(*id as f64 / 10.0));
                columns.push(Arc::new(extra.collect::<Float64Array>()));
            }
            if let Some((field, column)) = more {
                fields.push(field);
                columns.push(column);
            }
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
        };
        let numbers = |ids: &[i64]| Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef;
        let mut dead = Vec::new();
        let rows = match self {
            Self::Rows(ids) => batch(ids, numbers(ids), None),
            Self::Quarantined(ids, id) => {
                dead.push(DeadLetter {
                    row: i32::try_from(ids.len()).unwrap(),
                    reason: "it doesn't fit".into(),
                    payload: format!(r#"{{"id": "{id}"}}"#),
                });
                batch(ids, numbers(ids), None)
            }
            Self::Misfit(ids) => {
                let texts = ids.iter().map(|id| format!("poison {id}"));
                batch(ids, Arc::new(StringArray::from_iter_values(texts)), None)
            }
            Self::Required(ids) => {
                let field = Field::new("required", DataType::Int32, false);
                let column = Arc::new(Int32Array::from(vec![7; ids.len()]));
                batch(ids, numbers(ids), Some((field, column)))
            }
            Self::Damaged(_) => unreachable!("it is no request"),
        };
        Request {
            received: process.ingest.now(),
            rows,
            dead,
        }
    }
}

async fn produce(crew: Arc<Crew>, producer: u64) {
    let world = Arc::clone(&crew.world);
    let mut random = world.random();
    for number in 0..world.plan.requests {
        let gap = match random.below(1_000) {
            ..500 => Duration::from_millis(300),
            500..850 => Duration::from_secs(10),
            850..980 => Duration::from_mins(3),
            _ => Duration::from_hours(3),
        };
        sleep(random.upto(gap)).await;
        let parcel = Parcel {
            key: format!("{producer}-{number}"),
            content: Content::draw(&mut random, &crew),
        };
        let rows = parcel.content.rows();
        world
            .facts
            .lock()
            .unwrap()
            .sent
            .extend(rows.iter().copied());
        for attempt in 0..40 {
            let sent = parcel.send(&crew, &mut random).await;
            if let Some(offset) = sent {
                let mut facts = world.facts.lock().unwrap();
                facts
                    .acknowledged
                    .extend(rows.iter().map(|(id, _)| (*id, offset)));
                drop(facts);
                let ids: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
                let (key, content) = (&parcel.key, parcel.content.name());
                world.note(format!(
                    "{key} ({content} {ids:?}) is acknowledged at {offset}"
                ));
                break;
            }
            if random.happens(50) {
                world.note(format!("{} is given up", parcel.key));
                break;
            }
            let longest = Duration::from_millis(100) * 2u32.pow(attempt.min(8));
            sleep(random.upto(longest)).await;
        }
    }
}

impl Content {
    fn name(&self) -> &'static str {
        match self {
            Self::Rows(_) => "rows",
            Self::Quarantined(..) => "quarantined",
            Self::Misfit(_) => "misfit",
            Self::Required(_) => "required",
            Self::Damaged(_) => "damaged",
        }
    }
}

impl Parcel {
    /// The offset, if it is acknowledged.
    async fn send(&self, crew: &Crew, random: &mut Random) -> Option<u64> {
        let process = crew.pick(random)?;
        let stream = &crew.world.stream;
        let key = Some(Key::new(self.key.clone(), self.key.as_bytes()));
        let call = async {
            let appended = match &self.content {
                Content::Damaged(id) => {
                    let payload = format!("\u{1}damaged {id}").into();
                    let record = Record { payload, key };
                    process.queue.append(stream, record).await?
                }
                content => {
                    let request = content.request(&process);
                    process.ingest.accept(stream, request, key).await?
                }
            };
            Ok::<_, neurolake_ingest::ingest::Refused>(appended.offset)
        };
        match timeout(PATIENCE, process.call(&crew.world, call)).await {
            Ok(Some(Ok(offset))) => Some(offset),
            Ok(Some(Err(error))) => {
                let name = &process.name;
                crew.world
                    .note(format!("{}: {name} says: {error}", self.key));
                None
            }
            Ok(None) | Err(_) => None,
        }
    }
}

/// Kills, stops and replaces processes.
async fn chaos(crew: Arc<Crew>) {
    let plan = &crew.world.plan;
    let mut random = crew.world.random();
    loop {
        sleep(random.upto(plan.restless * 2)).await;
        let Some(process) = crew.pick(&mut random) else {
            crew.fill_up();
            continue;
        };
        let name = &process.name;
        match random.below(10) {
            0..4 if plan.kills => {
                crew.world.note(format!("{name} is going to be killed"));
                process.random_kill(&mut random);
                sleep(random.upto(Duration::from_secs(10))).await;
            }
            4..8 if plan.freezes && !process.control.is_frozen() => {
                let longest = random.pick(&[500, 5_000, 60_000, 900_000, 10_800_000]);
                let asleep = random.upto(Duration::from_millis(longest));
                crew.world.note(format!("{name} sleeps for {asleep:?}"));
                process.control.freeze();
                let process = Arc::clone(&process);
                tokio::spawn(async move {
                    sleep(asleep).await;
                    process.control.thaw();
                });
            }
            8 if plan.upgrades => crew.version.store(2, Ordering::Relaxed),
            9 => {
                // One more than there should be.
                let mut processes = crew.processes.lock().unwrap();
                if (processes.len() as u64) < plan.processes + 1 {
                    processes.push(crew.start());
                }
            }
            _ => {}
        }
        crew.fill_up();
    }
}

/// Reads the table and what is on its way, as a query does.
async fn look(crew: Arc<Crew>) {
    let world = &crew.world;
    let mut random = world.random();
    loop {
        sleep(random.upto(Duration::from_secs(20))).await;
        let Some(process) = crew.pick(&mut random) else {
            continue;
        };
        let acknowledged: BTreeSet<i64> = {
            let facts = world.facts.lock().unwrap();
            facts.acknowledged.keys().copied().collect()
        };
        let table = audit::table(world).await;
        sleep(random.upto(Duration::from_millis(200))).await;
        let tail = process.ingest.tail(&world.stream, table.offset);
        if let Ok(Some(Ok(tail))) = timeout(PATIENCE, process.call(world, tail)).await {
            audit::look(world, &process.name, &acknowledged, &table, &tail).await;
        }
    }
}

#[derive(Clone, Copy)]
enum Task {
    Compact,
    KeepLog,
    Vacuum,
}

/// Does a task from time to time, and is killed and stopped as everybody else.
async fn maintain(world: Arc<World>, who: &'static str, task: Task) {
    let mut random = world.random();
    loop {
        let pause = random.pick(&[5, 60, 60, 3_600]);
        sleep(random.upto(Duration::from_secs(pause))).await;
        let control = Arc::new(Control::default());
        if world.plan.kills && random.happens(200) {
            control.kill_after(random.below(100));
        }
        if world.plan.freezes && random.happens(100) {
            let (control, random) = (Arc::clone(&control), &mut random);
            let (before, asleep) = (
                random.upto(Duration::from_secs(1)),
                random.upto(Duration::from_hours(2)),
            );
            tokio::spawn(async move {
                sleep(before).await;
                control.freeze();
                sleep(asleep).await;
                control.thaw();
            });
        }
        let done = Box::pin(perform(&world, who, task, &mut random));
        let done = control.run(&world.clock, timeout(Duration::from_hours(1), done));
        if let Some(Ok(done)) = done.await {
            world.note(format!("{who}: {done}"));
        }
    }
}

async fn perform(world: &Arc<World>, who: &str, task: Task, random: &mut Random) -> String {
    let location = world.location(who);
    let options = world.options(random);
    match task {
        Task::Compact => {
            let options = CompactOptions {
                target_bytes: 1 << 20,
                fan_in: random.pick(&[2, 4]),
                settle: Duration::from_secs(random.pick(&[0, 5])),
                commit_bytes: random.pick(&[1, 1 << 30]),
                log: options,
            };
            format!("{:?}", compact(&location, &options).await)
        }
        Task::KeepLog => {
            let upkeep = LogUpkeep {
                checkpoint_every: random.pick(&[1, 5, 20]),
                retention: Duration::from_hours(1),
                clock: options.clock,
            };
            format!("{:?}", keep_log(&location, &upkeep).await)
        }
        Task::Vacuum => {
            let options = VacuumOptions {
                // Longer than anybody sleeps.
                retention: Duration::from_hours(4),
                scope: random.pick(&[Scope::Removed, Scope::Everything]),
                clock: options.clock,
                ..VacuumOptions::default()
            };
            format!("{:?}", vacuum(&location, &options).await)
        }
    }
}

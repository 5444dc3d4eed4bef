//! Everything at once, decided by a seed: producers that repeat what they aren't sure of; doors and
//! writers that are killed at any line, sleep for hours and run twice; compaction, vacuum and log
//! cleanup beside them; a store and a queue that fail, stay silent, and do later what they called
//! failed; new columns, poison; readers in between. At the end every row that was acknowledged is in
//! the table or its dead letters, once, and so is the table as deltalake reads it.
//!
//! Time is simulated, so that a seed gives the same run each time, but for the moments at which
//! deltalake's own threads ask the store.
//!
//! `NEUROLAKE_TEST_SEED=7` runs one seed and shows what happened, `NEUROLAKE_TEST_SEEDS=1000` many.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::simulated;
use random::Random;
use world::{Plan, World};

mod actors;
mod audit;
mod process;
mod queue;
mod random;
mod world;

/// Seeds that have failed once, but for those of an ordinary run.
const KEPT: &[u64] = &[];
/// How many others an ordinary run takes.
const SEEDS: u64 = 20;
/// Of a failed run, the newest events.
const SHOWN: usize = 400;

#[test]
fn nothing_is_lost_and_nothing_is_doubled() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let only: Option<u64> = number("NEUROLAKE_TEST_SEED");
    let seeds: Vec<u64> = match only {
        Some(seed) => vec![seed],
        None => {
            let many = number("NEUROLAKE_TEST_SEEDS").unwrap_or(SEEDS);
            KEPT.iter().copied().chain(0..many).collect()
        }
    };
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let next = || usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                while let Some(seed) = seeds.get(next()) {
                    if !holds(*seed, only.is_some()) {
                        failed.lock().unwrap().push(*seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {} seeds fail: {failed:?}",
        failed.len(),
        seeds.len()
    );
}

/// Runs a seed, and tells the story if it fails.
fn holds(seed: u64, is_shown: bool) -> bool {
    let told = Arc::new(Mutex::new(None));
    let run = AssertUnwindSafe(|| {
        simulated::run(async |clock| {
            let world = World::new(Plan::draw(&mut Random::new(seed)), clock);
            *told.lock().unwrap() = Some(Arc::clone(&world));
            let _tracing = world.listen();
            actors::run(&world).await;
            audit::check(&world).await;
        });
    });
    let started = std::time::Instant::now();
    let ended = panic::catch_unwind(run);
    let world = told.lock().unwrap().take().unwrap();
    if ended.is_err() || is_shown {
        let story = world.story();
        let shown = story
            .len()
            .saturating_sub(if is_shown { usize::MAX } else { SHOWN });
        println!("seed {seed}: {:#?}", world.plan);
        println!("{}", story[shown..].join("\n"));
        println!(
            "seed {seed} {}",
            if ended.is_err() { "FAILED" } else { "holds" }
        );
    }
    if std::env::var_os("NEUROLAKE_TEST_SEEDS").is_some() || is_shown {
        println!(
            "seed {seed}: {} in {:?}",
            world.summary(),
            started.elapsed()
        );
    }
    ended.is_ok()
}

//! Live sessions that never took place: participants who move a cursor from the middle of the
//! screen to one of eight targets, their implants, and the events that would come of it.
//!
//! | table | rows | different in each row | how it is made |
//! | - | - | - | - |
//! | [`NormalizedBandPower`] | one per 15 ms, lost packets left out | `session_id`, `bin` | channels tuned to the intended velocity 90 ms ahead, noise that falls off as 1/f, masked and noisy channels |
//! | [`CursorEvents`] | a move per 15 ms, clicks and releases | `session_id`, `seq` (from 0, without gaps) | reaches of the smallest jerk, tremor, misses, trials given up |
//! | [`DeviceHealth`] | one a second | `implant_id`, `ts` | battery, heat, radio, counters of packets |
//!
//! A session's number is its start in microseconds, so that each run has sessions of its own. All
//! else follows from the settings: the same give the same rows, whatever the speed and whatever
//! happens to the server. [`sessions`] makes them again, for those who audit what arrived.

mod channels;
mod device;
mod reaches;
mod session;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use neurolake::Table;
use neurolake::ingest::{Batching, Client, Delivery, IngestError, Producer, Sender};
use neurolake::simulation::{
    Progress, SimulationError, SimulationSettings, Stop, TableTotals, Totals,
};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};

pub use session::{Bin, PARTICIPANTS, Session};

use crate::behavior::CursorEvents;
use crate::neural::NormalizedBandPower;
use crate::telemetry::DeviceHealth;

const SECOND: i64 = 1_000_000;
const FIRMWARE: &str = "4.2.1";
/// Channels of an implant.
const CHANNELS: usize = 1_024;
/// How long the first event of a request waits for others: a few frames on a screen.
const MAX_AGE: Duration = Duration::from_millis(40);
const PROGRESS: Duration = Duration::from_secs(1);

/// The sessions of a simulation, each an endless iterator over its bins.
///
/// # Errors
/// [`SimulationError::Settings`]
pub fn sessions(settings: &SimulationSettings) -> Result<Vec<Session>, SimulationError> {
    let wrong = |message: String| Err(SimulationError::Settings(message));
    if !(1..=CHANNELS).contains(&settings.channels) {
        return wrong(format!(
            "an implant has 1 to {CHANNELS} channels, not {}",
            settings.channels
        ));
    }
    if !(1..=PARTICIPANTS).contains(&settings.participants) {
        return wrong(format!(
            "there are 1 to {PARTICIPANTS} participants, not {}",
            settings.participants
        ));
    }
    if !(1.0..=1_000.0).contains(&settings.rate_hz) {
        return wrong(format!(
            "signals have 1 to 1000 rows a second, not {}",
            settings.rate_hz
        ));
    }
    if settings.speed.is_nan() || settings.speed <= 0.0 {
        return wrong(format!("time can't pass {} times as fast", settings.speed));
    }
    let slots = 0..settings.participants;
    Ok(slots.map(|slot| Session::new(settings, slot)).collect())
}

/// Sends sessions to a server until their time is over or they are stopped, and waits until the
/// server has taken all of it. While the server is down, so is the simulation.
///
/// # Errors
/// [`SimulationError::Settings`]; [`SimulationError::Ingest`] if the server refuses the events.
pub async fn run(
    settings: SimulationSettings,
    mut stop: Stop,
    progress: Progress,
) -> Result<Totals, SimulationError> {
    let sessions = sessions(&settings)?;
    let client = Client::new(&settings.url)?.patience(Duration::MAX);
    let (power, of_power) = open(
        &client.table::<NormalizedBandPower>(),
        ["session_id", "bin"],
    )?;
    let (cursor, of_cursor) = open(&client.table::<CursorEvents>(), ["session_id", "seq"])?;
    let (health, of_health) = open(&client.table::<DeviceHealth>(), ["implant_id", "ts"])?;
    let clock = Clock::new(&settings);
    let start = settings.start.as_micros();
    let totals = || {
        let tallies = [&of_power, &of_cursor, &of_health];
        Totals {
            tables: tallies.map(Tally::totals).into(),
            simulated_seconds: clock.seconds(),
            trouble: tallies.iter().find_map(|tally| tally.trouble()),
        }
    };
    let make = async {
        let mut sessions = sessions;
        while clock.next_bin().await {
            for bin in sessions.iter_mut().filter_map(Iterator::next) {
                if let Some(row) = &bin.power {
                    power.push(row).await?;
                    of_power.add(row.bin);
                }
                for row in &bin.cursor {
                    cursor.push(row).await?;
                    of_cursor.add(row.seq);
                }
                if let Some(row) = &bin.health {
                    health.push(row).await?;
                    of_health.add(row.ts.as_micros() - start);
                }
            }
        }
        Ok::<(), IngestError>(())
    };
    let made = tokio::select! {
        biased;
        () = &mut stop => Ok(()),
        made = make => made,
        () = tell(&progress, &totals) => Ok(()),
    };
    made?;
    let close = async { tokio::try_join!(power.close(), cursor.close(), health.close()) };
    tokio::select! {
        biased;
        closed = close => closed.map(drop)?,
        () = tell(&progress, &totals) => (),
    }
    Ok(totals())
}

/// Says again and again how far it is.
async fn tell(progress: &Progress, totals: &(impl Fn() -> Totals + Sync)) {
    let mut tick = interval(PROGRESS);
    loop {
        tick.tick().await;
        progress(&totals());
    }
}

fn open<T: Table + serde::Serialize>(
    producer: &Producer<T>,
    unique_by: [&str; 2],
) -> Result<(Sender<T>, Tally), IngestError> {
    let name = producer.table();
    let sender = producer.sender(Batching {
        max_age: MAX_AGE,
        ..Batching::default()
    })?;
    let tally = Tally {
        delivery: sender.watch(),
        made: Mutex::new(TableTotals {
            table: name,
            unique_by: unique_by.map(str::to_owned).into(),
            ..TableTotals::default()
        }),
    };
    Ok((sender, tally))
}

/// What was made of one table, and what came of it.
struct Tally {
    delivery: watch::Receiver<Delivery>,
    made: Mutex<TableTotals>,
}

impl Tally {
    fn add(&self, id: i64) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.made += 1;
        made.sum += id;
    }

    fn totals(&self) -> TableTotals {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let delivery = self.delivery.borrow();
        TableTotals {
            acknowledged: delivery.acknowledged,
            requests: delivery.batches,
            duplicates: delivery.duplicates,
            offset: delivery.offset,
            ..made.clone()
        }
    }

    fn trouble(&self) -> Option<String> {
        self.delivery.borrow().trouble.clone()
    }
}

/// Waits for simulated time to pass.
struct Clock {
    begin: Instant,
    bin: Duration,
    speed: f64,
    /// Bins that are over.
    bins: AtomicU64,
    last: Option<u64>,
}

impl Clock {
    fn new(settings: &SimulationSettings) -> Self {
        let micros = (SECOND as f64 / settings.rate_hz).round() as u64;
        let bin = Duration::from_micros(micros);
        let last = settings.duration.map(|duration| {
            let bins = duration.as_micros() / u128::from(micros);
            u64::try_from(bins).unwrap_or(u64::MAX)
        });
        Self {
            begin: Instant::now(),
            bin,
            speed: settings.speed,
            bins: AtomicU64::new(0),
            last,
        }
    }

    /// Simulated time that has passed.
    fn seconds(&self) -> f64 {
        self.bin.as_secs_f64() * self.bins.load(Ordering::Relaxed) as f64
    }

    /// Waits until the next bin is over; `false` at the end of the simulation.
    async fn next_bin(&self) -> bool {
        let next = self.bins.load(Ordering::Relaxed) + 1;
        if self.last.is_some_and(|last| next > last) {
            return false;
        }
        if self.speed.is_finite() {
            let seconds = self.bin.as_secs_f64() * next as f64 / self.speed;
            let due = Duration::try_from_secs_f64(seconds)
                .ok()
                .and_then(|passed| self.begin.checked_add(passed));
            match due {
                Some(due) => sleep_until(due).await,
                // Slower than any clock counts.
                None => std::future::pending().await,
            }
        }
        self.bins.store(next, Ordering::Relaxed);
        true
    }
}

//! A runtime of one thread in which time passes only when nobody has anything to do: an hour takes
//! no time, and the order of events is the same each time.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use neurolake_delta::time::{self, Time};

/// When simulations begin, for calendars.
const BEGINNING: Duration = Duration::from_hours(500_000);

/// The time of one simulation.
#[derive(Default)]
pub(crate) struct Clock(Mutex<State>);

#[derive(Default)]
struct State {
    now: Duration,
    held: usize,
    /// Of sleepers that wake at the same time, the first comes first.
    next: u64,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    /// Of the simulation as a whole.
    whole: Option<Waker>,
}

impl Clock {
    /// The time as calendars have it.
    pub(crate) fn wall(&self) -> SystemTime {
        Self::calendar(self.now())
    }

    /// Another moment as calendars have it.
    pub(crate) fn calendar(moment: Duration) -> SystemTime {
        SystemTime::UNIX_EPOCH + BEGINNING + moment
    }

    /// How many parts of the simulation wait for other threads.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not every test stops tasks"
    )]
    pub(crate) fn held(&self) -> usize {
        self.0.lock().unwrap().held
    }

    /// Nobody has anything to do: it is the time of the next sleeper.
    fn pass(&self) {
        let mut state = self.0.lock().unwrap();
        if state.held > 0 {
            return;
        }
        if let Some(((at, _), waker)) = state.sleepers.pop_first() {
            state.now = state.now.max(at);
            // The sleeper's task may be gone. Then nobody would come back here.
            let whole = state.whole.clone();
            drop(state);
            waker.wake();
            whole.into_iter().for_each(Waker::wake);
        }
    }
}

struct Sleep {
    clock: Arc<Clock>,
    at: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = Arc::clone(&self.clock);
        let mut state = clock.0.lock().unwrap();
        if let Some(key) = self.key.take() {
            state.sleepers.remove(&key);
        }
        if state.now >= self.at {
            return Poll::Ready(());
        }
        state.next += 1;
        let key = (self.at, state.next);
        state.sleepers.insert(key, context.waker().clone());
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.0.lock().unwrap().sleepers.remove(&key);
        }
    }
}

/// The clock as the code under test sees it.
struct Shared(Arc<Clock>);

impl Time for Shared {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn sleep_until(&self, at: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Sleep {
            clock: Arc::clone(&self.0),
            at,
            key: None,
        })
    }

    fn hold(&self) {
        self.0.0.lock().unwrap().held += 1;
    }

    fn release(&self) {
        self.0.0.lock().unwrap().held -= 1;
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }
}

/// Runs a simulation to its end.
pub(crate) fn run<T>(simulation: impl AsyncFnOnce(Arc<Clock>) -> T) -> T {
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            time::simulate(None);
        }
    }
    let clock = Arc::new(Clock::default());
    let passing = Arc::clone(&clock);
    let runtime = tokio::runtime::Builder::new_current_thread()
        // For what is not simulated.
        .enable_time()
        .on_thread_park(move || passing.pass())
        .build()
        .unwrap();
    let _ended = Ended;
    time::simulate(Some(Arc::new(Shared(Arc::clone(&clock)))));
    let mut simulation = pin!(simulation(Arc::clone(&clock)));
    runtime.block_on(poll_fn(|context| {
        clock.0.lock().unwrap().whole = Some(context.waker().clone());
        simulation.as_mut().poll(context)
    }))
}

//! Pauses and deadlines of everything that commits. They are tokio's, unless a simulation of faults
//! takes time over: there an hour must pass in an instant, and the same way each time.
//!
//! tokio can pause its clock, too, but only with a feature for which the whole engine would have to
//! be built a second time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::ops::Add;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Time of a simulation.
pub trait Time: Send + Sync {
    /// Since its beginning.
    fn now(&self) -> Duration;

    /// Ends when it is so late.
    fn sleep_until(&self, at: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Lets no time pass until [`Time::release`] was called as often.
    fn hold(&self);

    /// Ends what [`Time::hold`] began.
    fn release(&self);
}

thread_local! {
    static SIMULATED: RefCell<Option<Arc<dyn Time>>> = const { RefCell::new(None) };
    static ELSEWHERE: Cell<bool> = const { Cell::new(false) };
}

static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// Takes time over, or gives it back, for everything that runs on this thread.
pub fn simulate(time: Option<Arc<dyn Time>>) {
    SIMULATED.set(time);
}

fn simulated() -> Option<Arc<dyn Time>> {
    SIMULATED.with_borrow(Clone::clone)
}

/// A point in time, by a clock that nobody sets. It may stand still while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// This moment.
    pub fn now() -> Self {
        Self(simulated().map_or_else(|| START.elapsed(), |time| time.now()))
    }

    /// Since then.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// There was no answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer in time")]
pub struct Elapsed;

/// Waits so long.
pub async fn sleep(duration: Duration) {
    sleep_until(Instant::now() + duration).await;
}

/// Waits until then.
pub async fn sleep_until(at: Instant) {
    match simulated() {
        Some(time) => time.sleep_until(at.0).await,
        None => tokio::time::sleep(at.0.saturating_sub(START.elapsed())).await,
    }
}

/// Waits for an answer, but not longer than this.
///
/// # Errors
/// It takes longer.
pub async fn timeout<T>(patience: Duration, answer: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout_at(Instant::now() + patience, answer).await
}

/// Waits for an answer, but not longer than until then.
///
/// # Errors
/// It takes longer.
pub async fn timeout_at<T>(at: Instant, answer: impl Future<Output = T>) -> Result<T, Elapsed> {
    let answer = pin!(answer);
    tokio::select! {
        biased;
        answer = answer => Ok(answer),
        () = sleep_until(at) => Err(Elapsed),
    }
}

/// Waits for work that is done in other threads. A simulation doesn't see when they are busy: it
/// must not let time pass meanwhile.
pub async fn elsewhere<T>(work: impl Future<Output = T>) -> T {
    let _held = simulated().map(Held::new);
    let mut work = pin!(work);
    poll_fn(|context| {
        let before = ELSEWHERE.replace(true);
        let polled = work.as_mut().poll(context);
        ELSEWHERE.set(before);
        polled
    })
    .await
}

/// Whether the caller is part of such work, so that it would wait for ever for simulated time.
pub fn is_elsewhere() -> bool {
    ELSEWHERE.get() || simulated().is_none()
}

struct Held(Arc<dyn Time>);

impl Held {
    fn new(time: Arc<dyn Time>) -> Self {
        time.hold();
        Self(time)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl fmt::Debug for dyn Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.now()).finish()
    }
}

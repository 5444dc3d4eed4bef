//! What is killed and stopped as one: a door, its writers, and whoever calls them.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use neurolake_ingest::{Ingest, Settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::queue::Link;
use super::random::Random;
use super::world::World;
use crate::simulated::Clock;

/// Stops tasks as SIGSTOP and SIGKILL do: they are no longer polled, or dropped where they wait.
#[derive(Default)]
pub(crate) struct Control(Mutex<State>);

#[derive(Default)]
struct State {
    is_frozen: bool,
    is_dead: bool,
    /// How often it may still be polled.
    polls: Option<u64>,
    /// How many of its tasks wait for other threads. Time stands still then, so that none of them
    /// can sleep: one may wait for another.
    holds: usize,
    wakers: Vec<Waker>,
}

impl Control {
    pub(crate) fn freeze(&self) {
        self.0.lock().unwrap().is_frozen = true;
    }

    pub(crate) fn thaw(&self) {
        self.change(|state| state.is_frozen = false);
    }

    pub(crate) fn kill(&self) {
        self.change(|state| state.is_dead = true);
    }

    /// Kills it after it was polled so often.
    pub(crate) fn kill_after(&self, polls: u64) {
        self.change(|state| state.polls = Some(polls));
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().unwrap().is_dead
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.0.lock().unwrap().is_frozen
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether a task may be polled; `None` if it is dead.
    fn allows(&self, waker: &Waker) -> Option<bool> {
        let last = {
            let mut state = self.0.lock().unwrap();
            if !state.wakers.iter().any(|known| known.will_wake(waker)) {
                state.wakers.push(waker.clone());
            }
            if !state.is_dead && (!state.is_frozen || state.holds > 0) {
                state.polls = state.polls.map(|polls| polls.saturating_sub(1));
            }
            state.polls == Some(0) && !state.is_dead
        };
        if last {
            self.kill();
        }
        let state = self.0.lock().unwrap();
        (!state.is_dead).then_some(!state.is_frozen || state.holds > 0)
    }

    /// Runs a task; `None` if it was killed.
    pub(crate) async fn run<T>(&self, clock: &Clock, task: impl Future<Output = T>) -> Option<T> {
        let mut task = Box::pin(task);
        let mut holds = 0;
        let ended = poll_fn(|context| {
            match self.allows(context.waker()) {
                None => return Poll::Ready(None),
                Some(false) => return Poll::Pending,
                Some(true) => {}
            }
            let before = clock.held();
            let polled = task.as_mut().poll(context).map(Some);
            let mut state = self.0.lock().unwrap();
            state.holds = state.holds + clock.held() - before;
            holds = holds + clock.held() - before;
            polled
        });
        let ended = ended.await;
        drop(task);
        // What it still held went with it.
        self.0.lock().unwrap().holds -= holds;
        ended
    }
}

/// A door with its writers.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) ingest: Ingest,
    pub(crate) control: Arc<Control>,
    pub(crate) queue: Arc<Link>,
    /// Version of the declaration.
    pub(crate) version: u64,
    end: watch::Sender<bool>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl Process {
    pub(crate) fn start(world: &Arc<World>, number: u64, version: u64) -> Arc<Self> {
        let name = format!("p{number}");
        world.note(format!("{name} starts with declaration {version}"));
        let location = world.location(&name);
        let queue = Link::new(world, &name);
        let mut random = world.random();
        let settings = Settings {
            flush: world.plan.flush.clone(),
            tail_bytes: world.plan.tail_bytes,
            lag: std::time::Duration::from_hours(24),
            ..Settings::default()
        };
        let ingest = Ingest::new(
            &world.catalog(version),
            Arc::clone(&queue) as _,
            Arc::new(move |_: &str, _: &str| Ok(location.clone())),
            settings,
            world.options(&mut random),
        );
        let control = Arc::new(Control::default());
        let (end, ending) = watch::channel(false);
        let writers = ingest.writers(&(Arc::new(|_: &_, _| {}) as _));
        let writers = writers.into_iter().map(|writer| {
            let (world, control) = (Arc::clone(world), Arc::clone(&control));
            let (ending, name) = (ending.clone(), name.clone());
            tokio::spawn(async move {
                let ended = control.run(&world.clock, writer.run(ending)).await;
                world.note(match ended {
                    Some(()) => format!("{name} ends"),
                    None => format!("{name} is killed"),
                });
            })
        });
        let writers = writers.collect();
        Arc::new(Self {
            name,
            control,
            queue,
            version,
            end,
            writers: Mutex::new(writers),
            ingest,
        })
    }

    /// Runs a call to it; `None` if it is killed meanwhile.
    pub(crate) async fn call<T>(&self, world: &World, call: impl Future<Output = T>) -> Option<T> {
        self.control.run(&world.clock, call).await
    }

    /// Lets it write what is left.
    pub(crate) async fn end(&self) {
        self.end.send_replace(true);
        self.join().await;
    }

    pub(crate) async fn join(&self) {
        let writers = std::mem::take(&mut *self.writers.lock().unwrap());
        for writer in writers {
            writer.await.unwrap();
        }
    }

    pub(crate) fn random_kill(&self, random: &mut Random) {
        match random.happens(300) {
            true => self.control.kill(),
            false => self.control.kill_after(random.below(60)),
        }
    }
}

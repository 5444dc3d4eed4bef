//! Who has a role of a table, when holders crash, sleep and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use neurolake_delta::lease::Terms;
use neurolake_delta::{Lease, Location};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::hooked::{Hooked, Kind, broken};

const SOON: Duration = Duration::from_secs(20);

/// Short, but long against what a busy machine takes for a request in memory.
fn terms() -> Terms {
    Terms {
        time_to_live: Duration::from_millis(600),
    }
}

fn location(store: Arc<dyn ObjectStore>) -> Location {
    Location::new("s3://lake/t".parse().unwrap(), store)
}

async fn acquire(location: &Location, who: &str) -> Lease {
    let acquired = Lease::acquire(location, "writer", who, terms());
    timeout(SOON, acquired).await.unwrap().unwrap()
}

async fn files(store: &InMemory) -> Vec<String> {
    let folder = "t/_neurolake/writer".into();
    let files: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    let names = files.iter().map(|file| file.location.filename().unwrap());
    names.map(ToOwned::to_owned).collect()
}

/// A store that can be cut off: requests hang, as when the cable is pulled or the process sleeps.
fn with_cable(store: &Arc<InMemory>) -> (Location, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&cut);
    let hooked = Hooked::new(Arc::clone(store) as _, move |_| {
        let is_cut = Arc::clone(&is_cut);
        Box::pin(async move {
            while is_cut.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        })
    });
    (location(hooked), cut)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_only_one_at_a_time() {
    let store = Arc::new(InMemory::new());
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks = (0..8).map(|task| {
        let location = location(Arc::clone(&store) as _);
        let inside = Arc::clone(&inside);
        tokio::spawn(async move {
            let lease = acquire(&location, &format!("task {task}")).await;
            assert!(lease.is_held());
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
            let epoch = lease.epoch();
            // Both ways to end it.
            if task % 2 == 0 {
                lease.release().await;
            } else {
                drop(lease);
            }
            epoch
        })
    });
    let mut epochs: Vec<u64> = futures::future::join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_cut_off_stops_believing_before_the_next_begins() {
    let store = Arc::new(InMemory::new());
    let (remote, cut) = with_cable(&store);
    let old = acquire(&remote, "old").await;
    // It renews far longer than one time to live.
    sleep(terms().time_to_live * 3).await;
    assert!(old.is_held());
    let near = location(Arc::clone(&store) as _);
    let waiting = Lease::try_acquire(&near, "writer", "new", terms());
    assert!(waiting.await.unwrap().is_none());

    cut.store(true, Ordering::SeqCst);
    let cut_at = Instant::now();
    let new = tokio::spawn(async move {
        let new = acquire(&near, "new").await;
        (new, Instant::now())
    });
    timeout(SOON, old.lost()).await.unwrap();
    let stopped = Instant::now();
    assert!(!old.is_held());
    let (new, began) = new.await.unwrap();
    assert!(stopped < began, "{:?} too early", stopped - began);
    assert!(began - cut_at >= terms().time_to_live / 2);
    assert_eq!(new.epoch(), old.epoch() + 1);

    // The old one comes back, and stays without it.
    cut.store(false, Ordering::SeqCst);
    sleep(terms().time_to_live * 2).await;
    assert!(!old.is_held());
    assert!(new.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_begins_at_once_when_a_lease_is_given_up() {
    let store = Arc::new(InMemory::new());
    let location = location(Arc::clone(&store) as _);
    let long = Terms {
        time_to_live: Duration::from_hours(1),
    };
    for round in 1..=3 {
        let lease = Lease::acquire(&location, "writer", "a", long)
            .await
            .unwrap();
        assert_eq!(lease.epoch(), round);
        assert!(
            Lease::try_acquire(&location, "writer", "b", long)
                .await
                .unwrap()
                .is_none()
        );
        // Another role is another lease.
        let other = Lease::try_acquire(&location, "compact", "b", long)
            .await
            .unwrap();
        other.unwrap().release().await;
        lease.release().await;
    }
    let lease = Lease::try_acquire(&location, "writer", "c", long)
        .await
        .unwrap()
        .unwrap();
    assert!(lease.is_held());
    let deadline = Instant::now() + SOON;
    while files(&store).await.len() > 1 {
        assert!(Instant::now() < deadline, "old files stay");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(files(&store).await, ["00000000000000000004.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_used_and_removed_is_not_taken_again() {
    let store = Arc::new(InMemory::new());
    let near = location(Arc::clone(&store) as _);
    acquire(&near, "first").await.release().await;
    // Somebody wants to follow epoch 1, and is held back just before.
    let gate = Arc::new(Semaphore::new(0));
    let (arrived, opened) = (Arc::new(Semaphore::new(0)), Arc::clone(&gate));
    let at_gate = Arc::clone(&arrived);
    let slow = location(Hooked::new(Arc::clone(&store) as _, move |call| {
        let (at_gate, opened) = (Arc::clone(&at_gate), Arc::clone(&opened));
        Box::pin(async move {
            if call.kind == Kind::Create && !call.is_done && call.path.ends_with("2.json") {
                at_gate.add_permits(1);
                opened.acquire().await.unwrap().forget();
            }
            Ok(())
        })
    }));
    let slow =
        tokio::spawn(async move { Lease::try_acquire(&slow, "writer", "slow", terms()).await });
    arrived.acquire().await.unwrap().forget();
    acquire(&near, "second").await.release().await;
    let third = acquire(&near, "third").await;
    let deadline = Instant::now() + SOON;
    while files(&store).await != ["00000000000000000003.json"] {
        assert!(Instant::now() < deadline, "old files stay");
        sleep(Duration::from_millis(5)).await;
    }
    gate.add_permits(1);
    // Epoch 2 is absent again, so putting it if absent succeeds.
    assert!(slow.await.unwrap().unwrap().is_none());
    assert!(third.is_held());
    assert_eq!(files(&store).await, ["00000000000000000003.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_failures_that_pass_do_not_end_a_lease() {
    let store = Arc::new(InMemory::new());
    let requests = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&requests);
    // The answer to its beginning is lost. Of the requests after it many fail, some of them after
    // they were done; in no rhythm, which might be that of the tries.
    let shaky = location(Hooked::new(Arc::clone(&store) as _, move |call| {
        let number = match call.kind {
            Kind::Create if call.is_done => return Box::pin(async { Err(broken()) }),
            Kind::Create => 0,
            _ => count.fetch_add(1, Ordering::SeqCst),
        };
        Box::pin(async move {
            match number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61 {
                1 | 6 if number > 8 => Err(broken()),
                _ => Ok(()),
            }
        })
    }));
    let lease = acquire(&shaky, "a").await;
    for _ in 0..10 {
        sleep(terms().time_to_live / 4).await;
        assert!(lease.is_held());
    }
    assert!(requests.load(Ordering::SeqCst) > 10);
    let path = format!("t/_neurolake/writer/{:020}.json", lease.epoch()).into();
    let content = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert!(!String::from_utf8_lossy(&content).contains("\"renewals\":0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_followed_gives_up_even_if_it_was_in_time() {
    let store = Arc::new(InMemory::new());
    let near = location(Arc::clone(&store) as _);
    let lease = acquire(&near, "a").await;
    // A clock that runs wild, a tool that doesn't wait.
    let next = "t/_neurolake/writer/00000000000000000002.json".into();
    store.put(&next, "{}".into()).await.unwrap();
    timeout(SOON, lease.lost()).await.unwrap();
    assert!(!lease.is_held());
    lease.release().await;
    let content = store.get(&next).await.unwrap().bytes().await.unwrap();
    assert_eq!(content, "{}");
}

/// Where a store puts what is there already, both are told that they made the lease.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_made_the_same_lease_one_gives_up() {
    let store: Arc<dyn ObjectStore> = Hooked::careless(Arc::new(InMemory::new()));
    let (arrived, may_go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (arrived, may_go) = (Arc::clone(&arrived), Arc::clone(&may_go));
        location(Hooked::new(Arc::clone(&store), move |call| {
            let (arrived, may_go) = (Arc::clone(&arrived), Arc::clone(&may_go));
            Box::pin(async move {
                if call.kind == Kind::Create && !call.is_done {
                    arrived.add_permits(1);
                    may_go.acquire().await.unwrap().forget();
                }
                Ok(())
            })
        }))
    };
    let second = tokio::spawn(async move { acquire(&slow, "b").await });
    arrived.acquire().await.unwrap().forget();
    let first = acquire(&location(store), "a").await;
    may_go.add_permits(1);
    let second = second.await.unwrap();
    assert_eq!((first.epoch(), second.epoch()), (1, 1));
    timeout(SOON, first.lost()).await.unwrap();
    sleep(terms().time_to_live * 2).await;
    assert!(!first.is_held() && second.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_this_machine_are_a_store_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::local(folder.path()).unwrap();
    let lease = acquire(&location, "a").await;
    assert!(lease.is_held());
    sleep(terms().time_to_live * 2).await;
    assert!(lease.is_held());
    lease.release().await;
    let again = acquire(&location, "b").await;
    assert_eq!(again.epoch(), 2);
}

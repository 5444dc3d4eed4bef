//! Stores that fail, and writers that sleep, in the middle of a commit.

use super::*;

/// The newest version, its transaction, its rows.
type Read = (u64, Option<i64>, Vec<i64>);

/// Puts the commit of version 2 with a fault, and ends when everything has happened.
fn with_fault(fault: Fault) -> (Result<Committed, Error>, Read) {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        world.script.next(Kind::Create, COMMIT, fault);
        let answer = append(&mut log, [2], step(1, 2)).await;
        time::sleep(Duration::from_hours(1)).await;
        (answer, world.read().await)
    })
}

#[test]
fn one_fault_is_overcome_and_nothing_is_doubled() {
    for fault in [
        Fault::Fails,
        Fault::AnswerLost,
        Fault::Hangs,
        Fault::Silent,
        Fault::HappensLater(Duration::from_millis(3)),
        Fault::HappensLater(Duration::from_millis(70)),
        Fault::HappensLater(Duration::from_mins(10)),
    ] {
        let (answer, read) = with_fault(fault);
        assert_eq!(answer.unwrap(), committed(2), "{fault:?}");
        assert_eq!(read, (2, Some(2), vec![1, 2]), "{fault:?}");
    }
}

/// A store that fails at everything for a while.
fn fail_all(world: &World, first: Fault) {
    world.script.next(Kind::Create, COMMIT, first);
    for _ in 0..20 {
        world.script.next(Kind::Create, COMMIT, Fault::Fails);
    }
    for _ in 0..20 {
        world.script.next(Kind::Get, COMMIT, Fault::Fails);
    }
}

#[test]
fn what_is_unclear_is_known_at_the_next_commit_of_the_same_step() {
    let later = Duration::from_hours(1);
    for (fault, happens) in [
        (Fault::AnswerLost, true),
        (Fault::Fails, false),
        (Fault::HappensLater(later), true),
    ] {
        simulated::run(async |clock| {
            let world = World::new(clock);
            let mut log = world.create().await;
            append(&mut log, [1], step(None, 1)).await.unwrap();
            fail_all(&world, fault);
            let error = append(&mut log, [2], step(1, 2)).await.unwrap_err();
            assert!(
                matches!(error, Error::Unclear { .. }),
                "{fault:?}: {error:?}"
            );
            world.script.faults.lock().unwrap().clear();
            time::sleep(later * 2).await;
            // The same, by somebody who begins anew, and a longer step than before.
            let mut log = world.open().await;
            let stands = log.transaction(WRITER).await.unwrap();
            let there = if happens { 2 } else { 1 };
            assert_eq!(stands, Some(there), "{fault:?}");
            append(&mut log, there + 1..=3, step(stands, 3))
                .await
                .unwrap();
            assert_eq!(world.read().await.2, [1, 2, 3], "{fault:?}");
        });
    }
}

#[test]
fn what_happens_after_it_was_given_up_is_not_done_again() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        fail_all(&world, Fault::HappensLater(Duration::from_mins(1)));
        append(&mut log, [2], step(1, 2)).await.unwrap_err();
        world.script.faults.lock().unwrap().clear();
        // It was opened before that happens, and commits after.
        let mut log = world.open().await;
        assert_eq!(log.transaction(WRITER).await.unwrap(), Some(1));
        let files = log.write([rows([2])]).await.unwrap();
        time::sleep(Duration::from_mins(2)).await;
        let answer = log.commit(Change::append(files, step(1, 2))).await.unwrap();
        assert!(answer.was_there);
        assert_eq!(world.read().await, (2, Some(2), vec![1, 2]));
    });
}

/// The answer is lost, and before we look somebody else goes on from our step. What we know after
/// that must be the newest, or the next commit doubles rows.
#[test]
fn a_step_of_ours_that_others_went_on_from_is_not_where_the_table_stands() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        world.script.next(Kind::Create, COMMIT, Fault::Silent);
        let ours = append(&mut log, [2], step(1, 2));
        let others = async {
            time::sleep(Duration::from_secs(10)).await;
            let mut log = world.open().await;
            append(&mut log, [3], step(2, 3)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(ours, others);
        assert_eq!(answer.unwrap(), committed(2));
        assert_eq!(log.version(), 3);
        assert_eq!(log.transaction(WRITER).await.unwrap(), Some(3));
        let error = append(&mut log, [3, 4], step(2, 4)).await.unwrap_err();
        assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
        assert_eq!(world.read().await, (3, Some(3), vec![1, 2, 3]));
    });
}

/// The commit is found, but the look at what is behind it fails.
#[test]
fn what_was_read_is_known_though_the_next_read_fails() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        world.script.next(Kind::Create, COMMIT, Fault::AnswerLost);
        world.script.next(Kind::Get, "00003.json", Fault::Fails);
        let answer = append(&mut log, [2], step(1, 2)).await.unwrap();
        assert_eq!(answer, committed(2), "the files are used");
        assert_eq!(world.read().await, (2, Some(2), vec![1, 2]));
    });
}

#[test]
fn only_one_of_two_takes_a_step() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut one = world.create().await;
        let mut other = world.open().await;
        append(&mut one, [1, 2], step(None, 2)).await.unwrap();
        let same = append(&mut other, [1, 2], step(None, 2)).await.unwrap();
        assert_eq!(
            same,
            Committed {
                version: 1,
                was_there: true
            }
        );
        append(&mut one, [3], step(2, 3)).await.unwrap();
        let shorter = append(&mut other, [1], step(None, 1)).await.unwrap();
        assert!(shorter.was_there);
        let longer = append(&mut other, [3, 4], step(2, 4)).await.unwrap_err();
        assert!(
            matches!(
                longer,
                Error::Fenced {
                    expected: Some(2),
                    found: Some(3),
                    ..
                }
            ),
            "{longer:?}"
        );
        assert_eq!(world.read().await, (2, Some(3), vec![1, 2, 3]));
    });
}

#[test]
fn two_who_take_turns_see_each_other() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut logs = [world.create().await, world.open().await];
        for to in 1..=20 {
            let log = &mut logs[usize::try_from(to % 2).unwrap()];
            log.refresh().await.unwrap();
            let from = log.transaction(WRITER).await.unwrap();
            let answer = append(log, [to], step(from, to)).await.unwrap();
            assert_eq!(answer, committed(to.cast_unsigned()));
        }
        assert_eq!(world.read().await, (20, Some(20), (1..=20).collect()));
    });
}

#[test]
fn a_data_file_that_cant_be_put_is_the_fault_of_the_store_not_of_the_rows() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let log = world.create().await;
        for fault in [Fault::Fails, Fault::Hangs, Fault::AnswerLost] {
            for _ in 0..20 {
                world.script.next(Kind::Put, ".parquet", fault);
            }
            let error = log.write([rows([1])]).await.unwrap_err();
            assert!(error.is_store(), "{fault:?}: {error:?}");
            world.script.faults.lock().unwrap().clear();
            world.script.next(Kind::Put, ".parquet", fault);
            assert_eq!(log.write([rows([1])]).await.unwrap().len(), 1);
        }
    });
}

#[test]
fn a_torn_commit_stops_everybody_and_nothing_is_written_behind_it() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        let torn = r#"{"commitInfo":{"timestamp":1}}
{"add":{"path":"x.parq"#;
        world.put_content(2, torn.into()).await;
        let error = append(&mut log, [2], step(1, 2)).await.unwrap_err();
        assert!(matches!(error, Error::Log { .. }), "{error:?}");
        log.refresh().await.unwrap_err();
        assert!(world.plain.store.head(&world.commit(3)).await.is_err());
    });
}

/// A long pause; meanwhile others went on, and the log was cleaned up. The next version as far as
/// the sleeper knows is free again.
#[test]
fn a_sleeper_doesnt_commit_into_the_past() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut sleeper = world.create().await;
        append(&mut sleeper, [1], step(None, 1)).await.unwrap();
        let files = sleeper.write([rows([2])]).await.unwrap();
        let mut other = world.open().await;
        for to in 2..=6 {
            let from = to - 1;
            append(&mut other, [to], step(from, to)).await.unwrap();
        }
        time::sleep(Duration::from_hours(2)).await;
        world.checkpoint_and_clean_up().await;
        let answer = sleeper
            .commit(Change::append(files, step(1, 2)))
            .await
            .unwrap();
        assert_eq!(
            answer,
            Committed {
                version: 6,
                was_there: true
            }
        );
        assert!(world.plain.store.head(&world.commit(2)).await.is_err());
        sleeper.refresh().await.unwrap();
        append(&mut sleeper, [7], step(6, 7)).await.unwrap();
        assert_eq!(world.read().await, (7, Some(7), (1..=7).collect()));
    });
}

/// As before, but the request is under way when the machine falls asleep.
#[test]
fn a_commit_that_came_into_the_past_doesnt_count() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut sleeper = world.create().await;
        append(&mut sleeper, [1], step(None, 1)).await.unwrap();
        let files = sleeper.write([rows([2])]).await.unwrap();
        let sleeps = Asleep::default();
        let commit = sleeper.commit(Change::append(files, step(1, 2)));
        let commit = sleeps.around(commit);
        let others = async {
            time::sleep(Duration::from_millis(2)).await;
            sleeps.fall();
            let mut other = world.open().await;
            for to in 2..=6 {
                append(&mut other, [to], step(to - 1, to)).await.unwrap();
            }
            time::sleep(Duration::from_hours(2)).await;
            world.checkpoint_and_clean_up().await;
            sleeps.wake();
        };
        let (answer, ()) = tokio::join!(commit, others);
        assert!(
            world.plain.store.head(&world.commit(2)).await.is_ok(),
            "it came into the past"
        );
        let newest = Committed {
            version: 6,
            was_there: true,
        };
        assert_eq!(answer.unwrap(), newest);
        assert_eq!(sleeper.transaction(WRITER).await.unwrap(), Some(6));
        assert_eq!(world.read().await, (6, Some(6), (1..=6).collect()));
    });
}

/// Stops a task as SIGSTOP does.
#[derive(Default, Clone)]
struct Asleep(Arc<Mutex<(bool, Option<std::task::Waker>)>>);

impl Asleep {
    fn fall(&self) {
        self.0.lock().unwrap().0 = true;
    }

    fn wake(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = false;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    async fn around<T>(&self, task: impl Future<Output = T>) -> T {
        let mut task = std::pin::pin!(task);
        std::future::poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                state.1 = Some(context.waker().clone());
                return std::task::Poll::Pending;
            }
            drop(state);
            task.as_mut().poll(context)
        })
        .await
    }
}

/// The store fails at the last try of all: it may still happen.
#[test]
fn a_commit_that_may_still_happen_is_never_called_a_conflict() {
    #[derive(Debug)]
    struct Taken(Arc<Mutex<u32>>);
    #[async_trait::async_trait]
    impl commits::Commits for Taken {
        async fn put(
            &self,
            location: &Location,
            version: u64,
            content: bytes::Bytes,
        ) -> Result<commits::Put, object_store::Error> {
            let tries = {
                let mut tries = self.0.lock().unwrap();
                *tries += 1;
                *tries
            };
            let first = commits::ConditionalPut;
            if tries < 50 {
                // Somebody else is always faster.
                let other = json!({ "commitInfo": { "operation": "WRITE" } }).to_string();
                first.put(location, version, other.into()).await.unwrap();
                return first.put(location, version, content).await;
            }
            Err(crate::faulty::broken())
        }

        async fn create(
            &self,
            location: &Location,
            path: &object_store::path::Path,
            content: bytes::Bytes,
        ) -> Result<commits::Put, object_store::Error> {
            commits::ConditionalPut
                .create(location, path, content)
                .await
        }
    }
    simulated::run(async |clock| {
        let world = World::new(clock);
        world.create().await;
        let tries = Arc::default();
        let taken = Taken(Arc::clone(&tries));
        let location = world.faulty.clone().with_commits(Arc::new(taken));
        let mut log = Log::open(&location, &world.options).await.unwrap();
        let error = append(&mut log, [1], step(None, 1)).await.unwrap_err();
        assert_eq!(*tries.lock().unwrap(), 50);
        assert!(matches!(error, Error::Unclear { .. }), "{error:?}");
    });
}

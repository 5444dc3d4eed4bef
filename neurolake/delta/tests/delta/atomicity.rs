//! Stores that keep put-if-absent, and stores that break it seldom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use neurolake_delta::Location;
use neurolake_delta::atomicity::{Disproof, Trial, prove};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::hooked::{Hooked, Kind};

fn probe(store: &Arc<dyn ObjectStore>) -> Location {
    Location::new("s3://lake/probe".parse().unwrap(), Arc::clone(store))
}

async fn left_behind(store: &dyn ObjectStore) -> usize {
    store
        .list(None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .len()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_local_folders_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(local)];
    for store in stores {
        let proof = prove(&probe(&store), Trial::default()).await.unwrap();
        assert!(proof.commits >= 1_000 && proof.writers >= 2, "{proof:?}");
        assert_eq!(left_behind(&store).await, 0);
    }
}

/// As a server that checks, waits, and writes: for one object in 100 a second creator finds it
/// absent.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_breaks_it_for_one_object_in_a_hundred_is_found_out() {
    let memory = Arc::new(InMemory::new());
    let (inner, creators) = (Arc::clone(&memory), Arc::new(AtomicUsize::new(0)));
    let store: Arc<dyn ObjectStore> = Hooked::new(Arc::clone(&memory) as _, move |call| {
        let (inner, creators) = (Arc::clone(&inner), Arc::clone(&creators));
        Box::pin(async move {
            let is_chosen = call.path.ends_with("77.json");
            if call.kind == Kind::Create
                && !call.is_done
                && is_chosen
                && creators.fetch_add(1, Ordering::SeqCst) % 4 == 3
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = inner.delete(&call.path.into()).await;
            }
            Ok(())
        })
    });
    let error = prove(&probe(&store), Trial::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Disproof::Lies {
                winners: 2,
                writers: 4
            }
        ),
        "{error}"
    );
    assert_eq!(left_behind(&memory).await, 0);
}

//! deltalake and we agree about tables that both write.

use std::collections::BTreeSet;

use datafusion::prelude::SessionContext;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::protocol::SaveMode;
use neurolake_delta::Snapshots;

use super::*;

/// A small generator: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Appends by deltalake, as any other program would.
async fn append_by_deltalake(world: &World, ids: impl IntoIterator<Item = i64>) {
    let table = world.loaded().await;
    let properties = CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    let schema = Arc::clone(world.open().await.schema());
    let write = table
        .write([widen(&rows(ids), &schema)])
        .with_save_mode(SaveMode::Append)
        .with_commit_properties(properties);
    time::elsewhere(write.into_future()).await.unwrap();
}

#[test]
fn random_histories_of_two_logs_and_deltalake() {
    for seed in 0..8 {
        let trace = Mutex::new(Vec::new());
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            simulated::run(async |clock| history(seed, clock, &trace).await);
        }));
        if let Err(cause) = failed {
            println!("seed {seed}: {:#?}", trace.lock().unwrap());
            std::panic::resume_unwind(cause);
        }
    }
}

async fn history(seed: u64, clock: Arc<Clock>, trace: &Mutex<Vec<String>>) {
    let mut random = Random(seed);
    let world = World::new(clock);
    let mut logs = vec![world.create().await, world.open().await];
    let mut expected = BTreeSet::new();
    let mut position = None;
    let mut next = 0;
    for _ in 0..20 {
        let who = usize::try_from(random.below(2)).unwrap();
        let log = &mut logs[who];
        let what = random.below(12);
        trace
            .lock()
            .unwrap()
            .push(format!("{who} does {what} at {:?}", world.clock.now()));
        match what {
            0 => append_by_deltalake(&world, [next]).await,
            1 => log.refresh().await.unwrap(),
            2 => *log = world.open().await,
            3 => {
                let name = format!("c{next}");
                let wider = Schema::new(vec![Field::new(name, DataType::Utf8, true)]);
                log.add_columns(&wider).await.unwrap();
                continue;
            }
            4 => time::sleep(Duration::from_secs(random.below(2_000))).await,
            5 => world.checkpoint_and_clean_up().await,
            _ => {
                let faults = [
                    Fault::Fails,
                    Fault::AnswerLost,
                    Fault::Hangs,
                    Fault::Silent,
                    Fault::HappensLater(Duration::from_millis(random.below(200))),
                ];
                let chosen = usize::try_from(random.below(15)).unwrap();
                if let Some(fault) = faults.get(chosen) {
                    world.script.next(Kind::Create, COMMIT, *fault);
                }
                let to = next + 1;
                // The other columns have no value.
                let wide = widen(&rows([next]), log.schema());
                let files = log.write([wide]).await.unwrap();
                match log.commit(Change::append(files, step(position, to))).await {
                    Ok(answer) => assert!(!answer.was_there),
                    Err(Error::Conflict { .. }) => continue,
                    Err(error) => panic!("{error:?}"),
                }
                position = Some(to);
            }
        }
        if what == 0 || what > 5 {
            expected.insert(next);
            next += 1;
        }
        let (version, transaction, ids) = world.read().await;
        assert!(ids.iter().eq(&expected), "{ids:?} instead of {expected:?}");
        assert_eq!(transaction, position);
        for log in &mut logs {
            log.refresh().await.unwrap();
            assert_eq!(log.version(), version);
            assert_eq!(log.transaction(WRITER).await.unwrap(), position);
        }
    }
}

fn widen(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| {
        rows.column_by_name(field.name()).map_or_else(
            || arrow::array::new_null_array(field.data_type(), rows.num_rows()),
            Arc::clone,
        )
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

/// Partition values become folders: whatever characters they have, every reader finds the files.
#[tokio::test(flavor = "multi_thread")]
async fn special_characters_in_partition_values_come_back() {
    let memory = Location::new(
        Url::parse("s3://lake/with%20space/t").unwrap(),
        Arc::new(InMemory::new()),
    );
    let folder = tempfile::tempdir().unwrap();
    let local = Location::local(&folder.path().join("a table")).unwrap();
    for location in [memory, local] {
        special_characters(&location).await;
    }
}

async fn special_characters(location: &Location) {
    let values = [
        "plain",
        "with space",
        "50%",
        "a=b",
        "a/b",
        "ünï→码",
        "a%20b",
        "+&?#",
        "a:b",
        "\"q\"",
        "\\",
        "..",
        "{}[]",
        "~^`|<>",
        "a\tb",
    ];
    let options = LogOptions::default();
    let partition_by = ["region".to_owned()];
    let mut log = Log::open_or_create(location, &schema(), &partition_by, &options)
        .await
        .unwrap();
    let ids: Vec<_> = (0..).take(values.len() + 1).collect();
    let regions: StringArray = values.iter().map(Some).chain([None]).collect();
    let batch = RecordBatch::try_new(
        schema(),
        vec![Arc::new(Int64Array::from(ids)), Arc::new(regions)],
    );
    let files = log.write([batch.unwrap()]).await.unwrap();
    assert_eq!(files.len(), values.len() + 1);
    log.commit(Change::append(files, step(None, 1)))
        .await
        .unwrap();
    // Paths in the log are URLs: whoever decodes them finds the file.
    let mut table = DeltaTable::new(location.log_store());
    table.load().await.unwrap();
    let context = SessionContext::new();
    let provider = table.table_provider().build().await.unwrap();
    let read = context.read_table(Arc::new(provider)).unwrap();
    check_regions(&values, &read.collect().await.unwrap());
    // Our own scan.
    let snapshot = Snapshots::default().latest(location).await.unwrap();
    let files = snapshot.files().unwrap();
    for file in 0..files.len() {
        let object = files.object(file);
        let found = location.store.head(&object.location).await.unwrap();
        assert_eq!(found.size, object.size, "{}", object.location);
    }
}

fn check_regions(values: &[&str], read: &[RecordBatch]) {
    let mut found = BTreeSet::new();
    for batch in read {
        let region = arrow::compute::cast(batch.column_by_name("region").unwrap(), &DataType::Utf8);
        let region = region.unwrap();
        let ids = batch
            .column_by_name("id")
            .unwrap()
            .as_primitive::<Int64Type>();
        for (id, region) in ids.values().iter().zip(region.as_string::<i32>()) {
            assert!(found.insert((*id, region.map(ToOwned::to_owned))));
        }
    }
    let expected = (0..).zip(
        values
            .iter()
            .map(|value| Some((*value).to_owned()))
            .chain([None]),
    );
    assert_eq!(found, expected.collect::<BTreeSet<(i64, Option<String>)>>());
}

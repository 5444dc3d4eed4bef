//! Making tables, and opening those that others made.

use super::*;

#[test]
fn a_table_is_made_once_and_is_what_was_asked_for() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let error = Log::open(&world.faulty, &world.options).await.unwrap_err();
        assert!(matches!(error, Error::NotATable { .. }), "{error:?}");
        let partition_by = ["region".to_owned()];
        let made =
            Log::open_or_create(&world.faulty, &schema(), &partition_by, &world.options).await;
        let made = made.unwrap();
        assert_eq!(made.version(), 0);
        assert_eq!(made.schema(), &schema());
        assert_eq!(made.partition_columns(), ["region"]);
        let again = Log::open_or_create(&world.faulty, &schema(), &[], &world.options).await;
        assert_eq!(again.unwrap().partition_columns(), ["region"]);
        assert_eq!(world.read().await, (0, None, vec![]));
    });
}

#[test]
fn two_that_make_a_table_at_once_have_the_same_one() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let (mut one, mut other) = tokio::join!(world.create(), world.create());
        append(&mut one, [1], step(None, 1)).await.unwrap();
        append(&mut other, [2], step(1, 2)).await.unwrap_err();
        other.refresh().await.unwrap();
        append(&mut other, [2], step(1, 2)).await.unwrap();
        assert_eq!(world.read().await, (2, Some(2), vec![1, 2]));
    });
}

#[test]
fn a_table_is_made_whatever_the_store_answers() {
    for fault in [
        Fault::Fails,
        Fault::AnswerLost,
        Fault::Hangs,
        Fault::Silent,
        Fault::HappensLater(Duration::from_mins(2)),
    ] {
        simulated::run(async |clock| {
            let world = World::new(clock);
            world.script.next(Kind::Create, COMMIT, fault);
            let mut log = world.create().await;
            append(&mut log, [1], step(None, 1)).await.unwrap();
            time::sleep(Duration::from_mins(5)).await;
            assert_eq!(world.read().await, (1, Some(1), vec![1]), "{fault:?}");
        });
    }
}

#[test]
fn a_table_that_asks_more_of_a_writer_is_refused() {
    let features = |features: &[&str]| {
        json!({ "protocol": {
            "minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features,
        }})
    };
    let plain = json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } });
    let none = json!({});
    let generated = json!([{ "name": "id", "type": "long", "nullable": true,
        "metadata": { "delta.generationExpression": "1 + 1" } }]);
    let column = json!([{ "name": "id", "type": "long", "nullable": true, "metadata": {} }]);
    let cases = [
        (
            features(&["appendOnly", "invariants"]),
            &none,
            &column,
            None,
        ),
        (
            features(&["rowTracking", "domainMetadata"]),
            &none,
            &column,
            Some("rowTracking"),
        ),
        (
            features(&["inCommitTimestamp"]),
            &none,
            &column,
            Some("inCommitTimestamp"),
        ),
        (features(&["neverHeardOf"]), &none, &column, Some("unknown")),
        (
            features(&["checkConstraints"]),
            &json!({ "delta.constraints.c": "id > 0" }),
            &column,
            Some("constraint"),
        ),
        (
            features(&["changeDataFeed"]),
            &json!({ "delta.enableChangeDataFeed": "true" }),
            &column,
            Some("change data feed"),
        ),
        (
            features(&["changeDataFeed"]),
            &json!({ "delta.enableChangeDataFeed": "false" }),
            &column,
            None,
        ),
        (
            features(&["generatedColumns"]),
            &none,
            &generated,
            Some("generationExpression"),
        ),
        (
            plain.clone(),
            &json!({ "delta.appendOnly": "true" }),
            &column,
            None,
        ),
        // It would forget how far the table has taken its queue.
        (
            plain,
            &json!({ "delta.setTransactionRetentionDuration": "interval 1 days" }),
            &column,
            Some("forgets"),
        ),
    ];
    for (protocol, configuration, columns, refused) in cases {
        simulated::run(async |clock| {
            let world = World::new(clock);
            let schema = json!({ "type": "struct", "fields": columns });
            let metadata = json!({ "metaData": {
                "id": "x", "format": { "provider": "parquet", "options": {} },
                "schemaString": schema.to_string(), "partitionColumns": [],
                "configuration": configuration, "createdTime": 0,
            }});
            world.put_commit(0, &[protocol.clone(), metadata]).await;
            let opened = Log::open(&world.faulty, &world.options).await;
            match (opened, refused) {
                (Ok(_), None) => {}
                (Err(Error::CantWrite { reason, .. }), Some(part)) => {
                    assert!(reason.contains(part), "{reason}");
                }
                (opened, refused) => {
                    panic!("{protocol} {configuration}: {opened:?}, not {refused:?}")
                }
            }
        });
    }
}

#[test]
fn two_that_add_columns_at_once_both_have_theirs() {
    let with = |more: &[&str]| {
        let mut fields: Vec<_> = schema().fields().iter().cloned().collect();
        for name in more {
            fields.push(Arc::new(Field::new(*name, DataType::Float64, true)));
        }
        Schema::new(fields)
    };
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut one = world.create().await;
        let mut other = world.open().await;
        append(&mut one, [1], step(None, 1)).await.unwrap();
        let (a, b) = (with(&["a", "both"]), with(&["b", "both"]));
        let (first, second) = tokio::join!(one.add_columns(&a), other.add_columns(&b));
        assert!(first.unwrap() && second.unwrap());
        one.refresh().await.unwrap();
        let mut names: Vec<_> = one
            .schema()
            .fields()
            .iter()
            .map(|field| field.name())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b", "both", "id", "region"]);
        assert_eq!(one.schema(), other.schema());
        assert!(!one.add_columns(&with(&["a"])).await.unwrap());
        assert_eq!(world.read().await, (3, Some(1), vec![1]));
    });
}

#[test]
fn a_required_column_cant_be_added() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        let required = Schema::new(vec![Field::new("new", DataType::Int32, false)]);
        let error = log.add_columns(&required).await.unwrap_err();
        assert!(error.to_string().contains("`new`"), "{error}");
        assert_eq!(world.read().await.0, 0);
    });
}

/// What a commit costs must not grow with the table.
#[test]
fn a_commit_is_one_request_however_long_the_log_is() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        for version in 1..=300 {
            world.script.take();
            let from = (version > 1).then_some(version - 1);
            append(&mut log, [version], step(from, version))
                .await
                .unwrap();
            if version == 1 {
                // Where the application stands was not known.
                continue;
            }
            let asked = world.script.take();
            assert_eq!(asked.len(), 2, "{asked:?}");
            assert!(
                asked[0].0 == Kind::Put && asked[0].1.ends_with(".parquet"),
                "{asked:?}"
            );
            let commit = world.commit(version.cast_unsigned()).to_string();
            assert_eq!(asked[1], (Kind::Create, commit));
        }
        assert_eq!(world.read().await.2.len(), 300);
    });
}

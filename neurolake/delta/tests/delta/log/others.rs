//! Commits of other engines in between.

use super::*;

fn metadata(columns: &[&str], partition_by: &[&str], configuration: &Value) -> Value {
    let fields: Vec<_> = columns
        .iter()
        .map(|name| {
            let (kind, nullable) = if *name == "id" {
                ("long", false)
            } else {
                ("string", true)
            };
            json!({ "name": name, "type": kind, "nullable": nullable, "metadata": {} })
        })
        .collect();
    let schema = json!({ "type": "struct", "fields": fields });
    json!({ "metaData": {
        "id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "format": { "provider": "parquet", "options": {} },
        "schemaString": schema.to_string(), "partitionColumns": partition_by,
        "configuration": configuration, "createdTime": 0,
    }})
}

#[test]
fn rows_that_were_made_for_another_table_are_not_committed() {
    let none = json!({});
    for (columns, partition_by) in [
        (&["id", "region", "more"][..], &[][..]),
        (&["id"], &[]),
        // The same columns, other folders.
        (&["id", "region"], &["region"]),
    ] {
        simulated::run(async |clock| {
            let world = World::new(clock);
            let mut log = world.create().await;
            append(&mut log, [1], step(None, 1)).await.unwrap();
            let files = log.write([rows([2])]).await.unwrap();
            world
                .put_commit(2, &[metadata(columns, partition_by, &none)])
                .await;
            let error = log
                .commit(Change::append(files, step(1, 2)))
                .await
                .unwrap_err();
            assert!(
                matches!(error, Error::Conflict { .. }),
                "{columns:?}: {error:?}"
            );
            // It knows the new table at once.
            assert_eq!(log.schema().fields().len(), columns.len());
            assert_eq!(log.partition_columns(), partition_by);
            assert_eq!(world.read().await.0, 2);
        });
    }
}

#[test]
fn a_property_stands_in_nobodys_way_and_stays() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        let mut other = world.open().await;
        let property = json!({ "delta.logRetentionDuration": "interval 7 days" });
        world
            .put_commit(1, &[metadata(&["id", "region"], &[], &property)])
            .await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        let wider = Schema::new(vec![Field::new("more", DataType::Utf8, true)]);
        // It has not seen the property yet.
        assert!(other.add_columns(&wider).await.unwrap());
        let written = world.action(3, "metaData").await.unwrap();
        assert_eq!(written["configuration"], property);
        assert_eq!(world.read().await, (3, Some(1), vec![1]));
    });
}

#[test]
fn a_protocol_that_rises_above_us_stops_us() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        let protocol = json!({ "protocol": {
            "minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking", "domainMetadata"],
        }});
        world.put_commit(1, &[protocol]).await;
        let error = append(&mut log, [1], step(None, 1)).await.unwrap_err();
        assert!(matches!(error, Error::CantWrite { .. }), "{error:?}");
        assert!(world.plain.store.head(&world.commit(2)).await.is_err());
    });
}

/// Other engines write what we ignore, and in forms that we don't use.
#[test]
fn commits_of_other_engines_are_understood() {
    simulated::run(async |clock| {
        let world = World::new(clock);
        let mut log = world.create().await;
        append(&mut log, [1], step(None, 1)).await.unwrap();
        let file = world.action(1, "add").await.unwrap()["path"].clone();
        world
            .put_commit(
                2,
                &[
                    json!({ "commitInfo": { "operation": "DELETE", "operationMetrics": { "n": "1" }, "tags": {} } }),
                    json!({ "remove": { "path": file, "dataChange": true, "deletionTimestamp": 5,
                        "extendedFileMetadata": true, "partitionValues": {}, "size": 5, "stats": "{}",
                        "deletionVector": { "storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
                            "offset": 4, "sizeInBytes": 40, "cardinality": 6 } } }),
                    json!({ "cdc": { "path": "x", "partitionValues": {}, "size": 1, "dataChange": false } }),
                    json!({ "domainMetadata": { "domain": "d", "configuration": "", "removed": false } }),
                    json!({ "txn": { "appId": "spark", "version": 9, "lastUpdated": 7 } }),
                    json!({ "neverHeardOf": { "x": [] } }),
                ],
            )
            .await;
        assert_eq!(
            append(&mut log, [2], step(1, 2)).await.unwrap(),
            committed(3)
        );
        assert_eq!(log.transaction("spark").await.unwrap(), Some(9));
        assert_eq!(log.transaction("nobody").await.unwrap(), None);
    });
}

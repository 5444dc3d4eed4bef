//! PostgreSQL tables over a real server, whose own log says what it was asked.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use neurolake_model::Catalog;
use neurolake_query::{
    Error, Kind, Lake, Limits, PostgresSettings, Request, Store, Stores, datafusion,
};
use serde_json::{Value, json};

use crate::support::postgres::{PASSWORD, Postgres};

const SETUP: &str = r#"
CREATE SCHEMA lab;
CREATE TABLE lab.animals (tag varchar(20) PRIMARY KEY, species text NOT NULL, sex char(3),
  born_on date NOT NULL, weight numeric(6,2), seen_at timestamptz, room int4);
INSERT INTO lab.animals VALUES
  ('A-1', 'sheep', 'f',  '2024-01-05', 61.25, '2026-03-01 12:00:00.000001+00', 1),
  ('A-2', 'sheep', 'm',  '2023-06-30', 70.10, '2026-03-02 00:00:00+00', 2),
  ('a-3', 'pig',   'f',  '2025-02-11', 33.33, NULL, 2),
  ('B-4', 'o''hara''s "rat"', NULL, '2025-12-31', NULL, '2025-01-01 00:00:00+00', NULL),
  ('b-5', 'Äffchen', 'f', '1969-07-20', 0.01, '1969-07-20 20:17:40+00', 1);
CREATE TABLE lab.rooms (room int8 PRIMARY KEY, building text NOT NULL);
INSERT INTO lab.rooms VALUES (1, 'north'), (2, 'south'), (3, 'south');
CREATE TYPE lab.mood AS ENUM ('sad', 'happy');
CREATE DOMAIN lab.kilo AS numeric(8,3);
CREATE TABLE lab.kinds (id int4 PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4,
  f8 float8, n numeric(20,4), free numeric, t text, v varchar(9), c char(5), d date,
  ts timestamp, tz timestamptz, u uuid, j json, jb jsonb, ta text[], ia int4[], by bytea,
  mood lab.mood, kilo lab.kilo, ip inet, iv interval);
INSERT INTO lab.kinds VALUES
 (1, true, -7, 42, 9007199254740993, 1.5, 0.1, 1234567890.1234, 1.5, 'tëxt', 'var', 'ab',
  '2026-03-01', '2026-03-01 01:02:03.5', '2026-03-01 01:02:03.000004+02',
  '00000000-0000-4000-8000-00000000000a', '{"a": 1}', '{"a":1}', '{x,NULL,"y z"}', '{1,2}',
  '\x00ff', 'happy', 1.125, '10.0.0.1', '1 day'),
 (2, false, 32767, -1, -5, -0.25, 'NaN', -0.0001, -2.25, '', '', '', '0044-03-15', NULL, NULL,
  NULL, NULL, NULL, '{}', NULL, '', 'sad', NULL, NULL, NULL),
 (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE lab."odd ""; DROP TABLE lab.rooms; --" (x int4);
INSERT INTO lab."odd ""; DROP TABLE lab.rooms; --" VALUES (5);
CREATE VIEW lab.session AS SELECT current_setting('transaction_read_only') AS read_only,
  current_setting('statement_timeout') AS patience;
CREATE TABLE lab.fuzz AS SELECT g AS id,
  CASE WHEN g % 7 <> 0 THEN g % 5 END AS i, CASE WHEN g % 6 <> 0 THEN (g * 37 % 100) / 4.0::float8 END AS f,
  (CASE WHEN g % 5 <> 0 THEN (g * 13 % 50) / 10.0 END)::numeric(8,2) AS n,
  CASE WHEN g % 4 <> 0 THEN (ARRAY['a','B','b','Z','ä','','a''b','a\b','%','_x','null','a" or 1=1 --'])[1 + g % 12] END AS t,
  CASE WHEN g % 9 <> 0 THEN date '2026-01-01' + (g % 40) END AS d,
  CASE WHEN g % 8 <> 0 THEN timestamptz '2026-01-01 00:00+00' + (g % 40) * interval '7 hours' END AS z,
  CASE WHEN g % 8 <> 0 THEN timestamp '2026-01-01 00:00' + (g % 40) * interval '7 hours' END AS w,
  CASE WHEN g % 10 <> 0 THEN g % 3 = 0 END AS b,
  CASE WHEN g % 3 <> 0 THEN ('00000000-0000-4000-8000-' || lpad((g % 20)::text, 12, '0'))::uuid END AS u,
  ((ARRAY['x','yy','zzz'])[1 + g % 3])::char(4) AS c
FROM generate_series(1, 400) g;
GRANT USAGE ON SCHEMA lab TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA lab TO reader;
"#;

fn table(name: &str, relation: &str, columns: &[(&str, Value, bool)]) -> Value {
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, data_type, nullable)| {
            json!({"name": name, "type": data_type, "nullable": nullable})
        })
        .collect();
    json!({
        "name": name, "store": "lab", "columns": columns,
        "source": {"kind": "postgres", "relation": relation},
        "rust_path": format!("test::{name}"), "location": {"file": "src/lib.rs", "line": 1},
    })
}

fn decimal(precision: u8, scale: u8) -> Value {
    json!({"decimal": {"precision": precision, "scale": scale}})
}

fn catalog() -> Catalog {
    let tables = json!([
        table(
            "animals",
            "lab.animals",
            &[
                ("tag", json!("string"), false),
                ("species", json!("string"), false),
                ("sex", json!("string"), true),
                ("born_on", json!("date"), false),
                ("weight", decimal(6, 2), true),
                ("seen_at", json!("timestamp"), true),
                ("room", json!("int64"), true),
            ]
        ),
        table(
            "rooms",
            "lab.rooms",
            &[
                ("room", json!("int64"), false),
                ("building", json!("string"), false),
            ]
        ),
        table("kinds", "lab.kinds", &[]),
        table("fuzz", "lab.fuzz", &[]),
        table(
            "odd",
            "lab.odd \"; DROP TABLE lab.rooms; --",
            &[("x", json!("int32"), true)]
        ),
        table("absent", "lab.absent", &[]),
        table(
            "differs",
            "lab.animals",
            &[
                ("tag", json!("int64"), false),
                ("weight", decimal(4, 2), true),
                ("specie", json!("string"), true),
            ]
        ),
        table(
            "free",
            "lab.kinds",
            &[
                ("id", json!("int32"), false),
                ("free", decimal(10, 2), true)
            ]
        ),
        table(
            "tight",
            "lab.kinds",
            &[
                ("id", json!("int32"), false),
                ("free", decimal(10, 1), true)
            ]
        ),
        table(
            "stamps",
            "lab.fuzz",
            &[
                ("id", json!("int32"), true),
                ("w", json!("timestamp"), true),
            ]
        ),
        table("session", "lab.session", &[]),
        table("filled", "lab.kinds", &[("t", json!("string"), false)]),
    ]);
    serde_json::from_value(json!({
        "format_version": 1, "name": "lake",
        "databases": [{
            "name": "db", "location": {"file": "src/lib.rs", "line": 1}, "tables": tables,
        }],
    }))
    .unwrap()
}

fn settings(port: u16, options: &[(&str, &str)]) -> PostgresSettings {
    let port = port.to_string();
    let mut all = BTreeMap::from([
        ("host", "127.0.0.1"),
        ("port", port.as_str()),
        ("user", "reader"),
        ("dbname", "postgres"),
        ("sslmode", "disable"),
    ]);
    all.extend(options.iter().copied());
    PostgresSettings {
        options: all
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        password: Some(PASSWORD.into()),
        pool_size: 4,
    }
}

fn lake_with(settings: PostgresSettings) -> Lake {
    let by_name = BTreeMap::from([("lab".to_owned(), Store::Postgres(settings))]);
    Lake::builder(catalog())
        .stores(Stores { by_name })
        .limits(Limits {
            parallelism: 4,
            ..Limits::default()
        })
        .build()
        .unwrap()
}

async fn batches(lake: &Lake, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    let answer = lake.query(Request::new(sql)).await?;
    Ok(answer.stream.try_collect().await?)
}

async fn rows(lake: &Lake, sql: &str) -> String {
    let batches = batches(lake, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    csv(&batches)
}

async fn refused(lake: &Lake, sql: &str) -> Error {
    let error = batches(lake, sql).await.expect_err(sql);
    let text = format!("{error:?} {error} {:?}", error.hint);
    assert!(!text.contains("canary"), "a secret is in {text}");
    error
}

/// Lines as `psql --csv -t` writes them, for values without commas and quotes.
fn csv(batches: &[RecordBatch]) -> String {
    let rows = batches.iter().flat_map(csv_rows);
    rows.map(|row| row.join(",") + "\n").collect()
}

/// Asks, and gives the answer with the statements that reached the server.
async fn asked(server: &Postgres, lake: &Lake, sql: &str) -> (String, Vec<String>) {
    server.statements();
    let answer = rows(lake, sql).await;
    (answer, server.statements())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_asked_for_what_is_needed() {
    let server = Postgres::start();
    server.psql(SETUP);
    let lake = lake_with(settings(server.port, &[]));
    // What is asked here, what psql is asked, what reaches the server.
    let cases: &[(&str, &str, &str)] = &[
        (
            "select tag from db.animals where species = 'sheep' order by tag",
            "select tag from lab.animals where species = 'sheep' order by tag",
            r#"SELECT t1."tag" AS c0 FROM "lab"."animals" AS t1 WHERE (t1."species" = 'sheep'::text)"#,
        ),
        (
            "select tag from db.animals where species = 'o''hara''s \"rat\"'",
            "select tag from lab.animals where species = 'o''hara''s \"rat\"'",
            r#"SELECT t1."tag" AS c0 FROM "lab"."animals" AS t1 WHERE (t1."species" = 'o''hara''s "rat"'::text)"#,
        ),
        (
            "select count(*) from db.animals",
            "select count(*) from lab.animals",
            r#"SELECT (count(*))::int8 AS c0 FROM "lab"."animals" AS t1"#,
        ),
        (
            "select count(*) from db.animals where born_on >= date '2024-01-05'",
            "select count(*) from lab.animals where born_on >= '2024-01-05'",
            r#"SELECT (count(*))::int8 AS c0 FROM "lab"."animals" AS t1 WHERE (t1."born_on" >= '2024-01-05'::date)"#,
        ),
        (
            "select tag from db.animals where weight = 61.25",
            "select tag from lab.animals where weight = 61.25",
            r#"SELECT t1."tag" AS c0 FROM "lab"."animals" AS t1 WHERE (t1."weight" = '61.25'::numeric)"#,
        ),
        (
            "select tag from db.animals where seen_at > timestamp '2026-03-01T12:00:00Z'",
            "select tag from lab.animals where seen_at > '2026-03-01 12:00:00Z'",
            r#"SELECT t1."tag" AS c0 FROM "lab"."animals" AS t1 WHERE (t1."seen_at" > '2026-03-01 12:00:00.000000+00'::timestamptz)"#,
        ),
        (
            "select tag from db.animals where room = 2 order by tag",
            "select tag from lab.animals where room = 2 order by tag collate \"C\"",
            r#"SELECT t1."tag" AS c0 FROM "lab"."animals" AS t1 WHERE (t1."room" = '2'::int8)"#,
        ),
        (
            "select species, count(*), sum(weight), avg(weight), min(tag), sum(room) from db.animals \
             where species <> 'x' group by species order by species",
            "select species, count(*), sum(weight), trunc(avg(weight), 6), min(tag collate \"C\"), sum(room) from lab.animals \
             where species <> 'x' group by species order by species collate \"C\"",
            r#"GROUP BY t1."species""#,
        ),
        (
            "select tag, weight from db.animals order by tag desc limit 2",
            "select tag, weight from lab.animals order by tag collate \"C\" desc limit 2",
            r#"SELECT t1."tag" AS c0, t1."weight" AS c1 FROM "lab"."animals" AS t1 ORDER BY (t1."tag" COLLATE "C") DESC NULLS FIRST LIMIT 2"#,
        ),
        (
            "select building, count(*) from db.animals a join db.rooms r on a.room = r.room \
             where weight > 1 group by building order by building",
            "select building, count(*) from lab.animals a join lab.rooms r on a.room = r.room \
             where weight > 1 group by building order by building",
            "INNER JOIN",
        ),
        (
            "select r.room, a.tag from db.rooms r left join db.animals a on a.room = r.room \
             and a.species = 'pig' order by 1, 2",
            "select r.room, a.tag from lab.rooms r left join lab.animals a on a.room = r.room \
             and a.species = 'pig' order by 1, 2",
            "JOIN",
        ),
        (
            "select tag from db.animals where room in (select room from db.rooms where building = 'south') order by tag",
            "select tag from lab.animals where room in (select room from lab.rooms where building = 'south') order by tag collate \"C\"",
            "EXISTS",
        ),
        (
            "select date_trunc('month', seen_at) is null, count(distinct species) from db.animals group by 1 order by 1",
            "select case when date_trunc('month', seen_at) is null then 'true' else 'false' end, count(distinct species) from lab.animals group by 1 order by 1",
            "date_trunc('month'",
        ),
    ];
    // The first query also asks what the table looks like.
    for (ours, theirs, statement) in cases {
        let (answer, statements) = asked(&server, &lake, ours).await;
        let theirs = server.psql(theirs);
        // psql writes quotes around values with quotes.
        assert_eq!(
            answer.replace('"', ""),
            theirs.replace('"', ""),
            "{ours}\n{statements:#?}"
        );
        assert_eq!(statements.len(), 1, "{ours}\n{statements:#?}");
        assert!(
            statements[0].contains(statement),
            "{ours}\n{}",
            statements[0]
        );
    }
    let (_, statements) = asked(&server, &lake, "select tag from db.animals limit 1").await;
    assert_eq!(
        statements,
        [r#"SELECT t1."tag" AS c0 FROM "lab"."animals" AS t1 LIMIT 1"#]
    );
    // What PostgreSQL lacks is evaluated here, on as little as possible.
    let sql = "select tag, to_hex(room) from db.animals where to_hex(room) = '2' and sex = 'm'";
    let (answer, statements) = asked(&server, &lake, sql).await;
    assert_eq!(answer, "A-2,2\n");
    assert_eq!(
        statements,
        [
            r#"SELECT t1."tag" AS c0, t1."room"::int8 AS c1 FROM "lab"."animals" AS t1 WHERE (t1."sex"::text = 'm'::text)"#
        ]
    );
    // Two servers' worth of plan: the filter still reaches the table.
    let sql = "select a.tag from db.animals a join (values (1), (2)) v(n) on a.room = v.n \
               where a.species = 'pig'";
    let (answer, statements) = asked(&server, &lake, sql).await;
    assert_eq!(answer, "a-3\n");
    assert!(
        statements[0].contains("WHERE (t1.\"species\" = 'pig'::text)"),
        "{statements:?}"
    );
    // Types of aggregates.
    let answer = batches(
        &lake,
        "select count(*), sum(room), avg(room), sum(weight), avg(weight), max(born_on) from db.animals",
    )
    .await
    .unwrap();
    let types: Vec<_> = answer[0]
        .schema()
        .fields()
        .iter()
        .map(|f| f.data_type().to_string())
        .collect();
    assert_eq!(
        types,
        [
            "Int64",
            "Int64",
            "Float64",
            "Decimal128(16, 2)",
            "Decimal128(10, 6)",
            "Date32"
        ]
    );
    // A name with a quote and a statement in it is a name.
    assert_eq!(rows(&lake, "select x from db.odd").await, "5\n");
    assert_eq!(rows(&lake, "select count(*) from db.rooms").await, "3\n");
    // `explain` shows the statement.
    let plan = rows(&lake, "explain select count(*) from db.rooms").await;
    assert!(
        plan.contains("PostgresExec: store=lab, sql=SELECT (count(*))"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_all_types_arrive() {
    let server = Postgres::start();
    server.psql(SETUP);
    let lake = lake_with(settings(server.port, &[]));
    let answer = batches(&lake, "select * from db.kinds order by id")
        .await
        .unwrap();
    let expected = "\
id=1 b=true i2=-7 i4=42 i8=9007199254740993 f4=1.5 f8=0.1 n=1234567890.1234 free=1.5 t=tëxt v=var \
c=ab d=2026-03-01 ts=2026-03-01T01:02:03.500 tz=2026-02-28T23:02:03.000004Z \
u=00000000-0000-4000-8000-00000000000a j={\"a\": 1} jb={\"a\": 1} ta=[x, , y z] ia=[1, 2] by=00ff \
mood=happy kilo=1.125 ip=10.0.0.1/32 iv=1 day
id=2 b=false i2=32767 i4=-1 i8=-5 f4=-0.25 f8=NaN n=-0.0001 free=-2.25 t= v= c= d=0044-03-15 ts= \
tz= u= j= jb= ta=[] ia= by= mood=sad kilo= ip= iv=
id=3 b= i2= i4= i8= f4= f8= n= free= t= v= c= d= ts= tz= u= j= jb= ta= ia= by= mood= kilo= ip= iv=
";
    let schema = answer[0].schema();
    let text = csv_named(&answer);
    assert_eq!(text, expected);
    let type_of = |name: &str| {
        schema
            .field_with_name(name)
            .unwrap()
            .data_type()
            .to_string()
    };
    assert_eq!(type_of("n"), "Decimal128(20, 4)");
    assert_eq!(type_of("kilo"), "Decimal128(8, 3)");
    assert_eq!(type_of("free"), "Utf8");
    assert_eq!(type_of("ts"), "Timestamp(µs)");
    // Numbers without a declared scale are exact, or refused.
    assert_eq!(
        rows(&lake, "select free from db.free where id = 2").await,
        "-2.25\n"
    );
    let error = refused(&lake, "select free from db.tight").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(
        error.message.contains("the column `free` of db.tight"),
        "{error}"
    );
    let error = refused(&lake, "select t from db.filled").await;
    assert!(error.message.contains("declared without nulls"), "{error}");
    // Declared against stored.
    let error = refused(&lake, "select 1 from db.differs").await;
    assert_eq!(
        error.message,
        "db.differs differs from `lab.animals` in PostgreSQL: the column `tag` is stored as \
         `character varying(20)`, which does not fit into `int64`; the column `weight` is stored as \
         `numeric(6,2)`, which does not fit into `decimal(4, 2)`; the column `specie` is missing, \
         but `species` is there"
    );
    let error = refused(&lake, "select 1 from db.absent").await;
    assert!(
        error
            .message
            .contains("`lab.absent`, which is not in the database"),
        "{error}"
    );
    // Nothing can be written, even by a bug.
    assert_eq!(rows(&lake, "select * from db.session").await, "on,5min\n");
    assert_eq!(
        server
            .psql("select count(*) from pg_stat_activity where usename = 'reader'")
            .trim(),
        "1",
        "one pool serves all tables"
    );
}

fn csv_named(batches: &[RecordBatch]) -> String {
    let mut text = String::new();
    for batch in batches {
        let schema = batch.schema();
        for row in csv_rows(batch) {
            let named: Vec<_> = schema
                .fields()
                .iter()
                .zip(row)
                .map(|(field, value)| format!("{}={value}", field.name()))
                .collect();
            text.push_str(&named.join(" "));
            text.push('\n');
        }
    }
    text
}

fn csv_rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = datafusion::arrow::util::display::FormatOptions::default();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            datafusion::arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap()
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect()
        })
        .collect()
}

/// xorshift, so that a seed gives the same filters everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

fn condition(random: &mut Random) -> String {
    let operator = random.pick(&["=", "<>", "<", "<=", ">", ">=", "is distinct from"]);
    let number = random.below(50);
    let text = random.pick(&[
        "'a'",
        "'B'",
        "'ä'",
        "''",
        "'a''b'",
        "'a\\b'",
        "'%'",
        "'a\" or 1=1 --'",
        "'null'",
        "'x'' or ''1''=''1'",
        "'b'",
    ]);
    let day = format!("date '2026-01-{:02}'", 1 + random.below(28));
    let time = format!(
        "timestamp '2026-01-{:02}T{:02}:00:00'",
        1 + random.below(12),
        random.below(24)
    );
    match random.below(16) {
        0 => format!("i {operator} {}", number % 6),
        1 => format!("f {operator} {}.25", number % 26),
        2 => format!("n {operator} {}.{}", number % 5, number % 10),
        3 => format!("t {operator} {text}"),
        4 => format!("d {operator} {day}"),
        5 => format!("z {operator} {time}"),
        6 => format!("w {operator} {time}"),
        7 => random
            .pick(&["b", "not b", "b is true", "b is not false", "b is unknown"])
            .to_owned(),
        8 => format!("u = '00000000-0000-4000-8000-{:012}'", number % 20),
        9 => format!(
            "c {operator} {}",
            random.pick(&["'x'", "'yy'", "'yy  '", "'zzz'"])
        ),
        10 => format!("t in ({text}, 'b', 'Z')"),
        11 => format!("n between {}.5 and {}.25", number % 4, number % 7),
        12 => format!(
            "t like {}",
            random.pick(&["'a%'", "'%b'", "'_'", "'\\%'", "'%'"])
        ),
        13 => format!(
            "{} is null",
            random.pick(&["i", "f", "n", "t", "d", "z", "w", "b", "u"])
        ),
        14 => format!("i not in (1, {}, 3)", number % 5),
        _ => format!("upper(t) {operator} upper({text})"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_filters_find_the_same_rows_as_here() {
    let server = Postgres::start();
    server.psql(SETUP);
    let lake = lake_with(settings(server.port, &[]));
    let all = batches(&lake, "select * from db.fuzz").await.unwrap();
    let here = SessionContext::new();
    here.register_batch(
        "fuzz",
        datafusion::arrow::compute::concat_batches(&all[0].schema(), &all).unwrap(),
    )
    .unwrap();
    let seed = 0x5eed_1e55;
    let mut random = Random(seed);
    let mut pushed = 0;
    for round in 0..250 {
        let left = condition(&mut random);
        let right = condition(&mut random);
        let join = random.pick(&["and", "or", "and not"]);
        let filter = format!("({left}) {join} ({right})");
        let shape = match random.below(4) {
            0 => format!("select id from fuzz where {filter} order by id"),
            1 => format!("select t, id from fuzz where {filter} order by t desc, id limit 7"),
            2 => format!(
                "select t, count(*), sum(n), min(t), max(f), avg(n) from fuzz where {filter} group by t order by t"
            ),
            _ => format!(
                "select count(*), count(distinct t), min(t), max(d), sum(i) from fuzz where {filter}"
            ),
        };
        let local = here.sql(&shape).await.unwrap().collect().await.unwrap();
        server.statements();
        let remote = batches(&lake, &shape.replace("from fuzz", "from db.fuzz"))
            .await
            .unwrap_or_else(|error| panic!("seed {seed}, round {round}: {shape}: {error:?}"));
        let statements = server.statements();
        pushed += usize::from(statements.iter().any(|sql| sql.contains("WHERE")));
        assert_eq!(
            csv(&remote),
            csv(&local),
            "seed {seed}, round {round}: {shape}\n{statements:?}"
        );
    }
    assert!(pushed > 150, "only {pushed} filters reached the server");
    let shapes = [
        "select id from fuzz where n > (select avg(n) from fuzz) order by id",
        "select a.id, b.id, b.t from fuzz a join fuzz b on a.i = b.id order by 1, 2",
        "select a.id, b.t from fuzz a left join (select id, coalesce(t, 'none') as t from fuzz where id < 3) b on a.i = b.id order by 1",
        "select a.id from fuzz a where exists (select 1 from fuzz b where b.id = a.i and b.b) order by 1",
        "select a.id from fuzz a where not exists (select 1 from fuzz b where b.i = a.id) order by 1 limit 20",
        "select id from fuzz where i not in (select i from fuzz where i > 2) order by id",
        "select t from fuzz union select c from fuzz order by 1",
        "select distinct t, b from fuzz order by 1, 2",
        "select id, row_number() over (partition by i order by id desc) from fuzz order by 1",
        "with x as (select t, count(*) as k from fuzz group by t having count(*) > 20) select t, k * 2 from x order by 1",
        "select t, c from fuzz order by n desc nulls last, t, id limit 5 offset 3",
        "select sum(n * (1 - n)), sum(case when b then f else 0 end), avg(f), max(z), min(w) from fuzz",
        "select count(*) filter (where t < 'a'), count(distinct t), count(i) from fuzz where n is not null",
        "select count(*) from (select id from fuzz order by t, id limit 30) x where id % 2 = 0",
        "select b, max(t) from fuzz where d between date '2026-01-10' and date '2026-01-20' group by b order by b",
        "select count(*) from fuzz where 1 = 0",
        "select a.t, b.c from fuzz a full join fuzz b on a.id = b.i where a.id < 9 order by 1, 2",
        "select x.id from fuzz x join (values (1), (5)) v(id) on x.id = v.id order by 1",
        "select t || '!' from fuzz where t is not null order by id limit 3",
        "select date_trunc('week', z), date_trunc('month', w), count(*) from fuzz group by 1, 2 order by 1, 2",
    ];
    for shape in shapes {
        let local = here.sql(shape).await.unwrap().collect().await.unwrap();
        let remote = shape
            .replace("from fuzz", "from db.fuzz")
            .replace("join fuzz", "join db.fuzz");
        server.statements();
        let remote = batches(&lake, &remote)
            .await
            .unwrap_or_else(|error| panic!("{shape}: {error:?}"));
        assert_eq!(
            csv(&remote),
            csv(&local),
            "{shape}\n{:#?}",
            server.statements()
        );
    }
    // A timestamp without time zone is taken as UTC, in the type it is stored in.
    let (answer, statements) = asked(
        &server,
        &lake,
        "select count(*) from db.stamps where w >= timestamp '2026-01-05T00:00:00Z'",
    )
    .await;
    assert_eq!(
        answer,
        server.psql("select count(*) from lab.fuzz where w >= '2026-01-05'")
    );
    assert!(
        statements[0].contains("(t1.\"w\" >= '2026-01-05 00:00:00.000000'::timestamp)"),
        "{statements:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_named_and_comes_back() {
    let server = Postgres::start();
    server.psql(SETUP);
    let lake = lake_with(settings(server.port, &[]));
    assert_eq!(rows(&lake, "select count(*) from db.rooms").await, "3\n");
    server.stop();
    let began = Instant::now();
    let error = refused(&lake, "select count(*) from db.rooms").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(
        error.message.contains("store `lab` at 127.0.0.1:"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(30));
    // Another table of the lake does not care.
    assert_eq!(rows(&lake, "select 1").await, "1\n");
    server.resume();
    assert_eq!(rows(&lake, "select count(*) from db.rooms").await, "3\n");
    // The connections in the pool died without being noticed: they are replaced.
    server.stop();
    server.resume();
    assert_eq!(
        rows(&lake, "select building from db.rooms where room = 1").await,
        "north\n"
    );

    // A query that nobody waits for any more is stopped on the server.
    server.psql(
        "CREATE VIEW lab.slow AS SELECT g::int8 AS room, repeat('x', 1000) AS building \
         FROM generate_series(1, 100000000) g; GRANT SELECT ON lab.slow TO reader;",
    );
    let slow: Catalog = serde_json::from_value(json!({
        "format_version": 1, "name": "lake",
        "databases": [{"name": "db", "location": {"file": "x", "line": 1},
            "tables": [table("slow", "lab.slow", &[])]}],
    }))
    .unwrap();
    let by_name = BTreeMap::from([(
        "lab".to_owned(),
        Store::Postgres(settings(server.port, &[])),
    )]);
    let lake = Lake::builder(slow)
        .stores(Stores { by_name })
        .build()
        .unwrap();
    let mut answer = lake
        .query(Request::new("select * from db.slow"))
        .await
        .unwrap();
    assert!(answer.stream.next().await.unwrap().unwrap().num_rows() > 0);
    drop(answer);
    let deadline = Instant::now() + Duration::from_secs(30);
    while server
        .psql("select count(*) from pg_stat_activity where usename = 'reader' and state = 'active'")
        .trim()
        != "0"
    {
        assert!(Instant::now() < deadline, "the query still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Wrong settings, none of which gives a secret away.
    let with = |options: &[(&str, &str)]| lake_with(settings(server.port, options));
    let error = refused(&with(&[("user", "nobody")]), "select 1 from db.rooms").await;
    assert!(
        error.message.contains("refuses the user or the password"),
        "{error}"
    );
    let mut wrong = settings(server.port, &[]);
    wrong.password = Some("canary-wrong".into());
    let error = refused(&lake_with(wrong.clone()), "select 1 from db.rooms").await;
    assert!(
        error.message.contains("refuses the user or the password"),
        "{error}"
    );
    let error = refused(&with(&[("dbname", "none")]), "select 1 from db.rooms").await;
    assert!(
        error.message.contains("database \"none\" does not exist"),
        "{error}"
    );
    let error = refused(
        &with(&[("host", "no-such-host.invalid")]),
        "select 1 from db.rooms",
    )
    .await;
    assert!(error.message.contains("can't be reached"), "{error}");
    wrong.options.clear();
    for address in [
        "postgresql://reader:canary@[/x",
        "postgresql://reader:canary%zz@h/db",
        "postgresql://reader:x@h/db?canary=1",
    ] {
        wrong.password = Some(address.into());
        refused(&lake_with(wrong.clone()), "select 1 from db.rooms").await;
    }
    let secret = "canary%20%27pass%22word";
    let address = format!(
        "postgresql://reader:{secret}@127.0.0.1:{}/postgres?sslmode=disable",
        server.port
    );
    wrong.password = Some(address.as_str().into());
    assert_eq!(
        rows(&lake_with(wrong), "select count(*) from db.rooms").await,
        "3\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_as_strict_as_it_is_asked_to_be() {
    let server = Postgres::start();
    server.psql(SETUP);
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("k"), folder.path().join("c"));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success());
    server.secret_file("server.key", &key);
    server.secret_file("server.crt", &certificate);
    server.psql("ALTER SYSTEM SET ssl = on");
    server.stop();
    server.resume();
    let certificate = certificate.to_str().unwrap();
    let count = "select count(*) from db.rooms";
    let with = |options: &[(&str, &str)]| lake_with(settings(server.port, options));
    assert_eq!(rows(&with(&[("sslmode", "require")]), count).await, "3\n");
    // Nobody vouches for the certificate; and this is what happens where nothing is said.
    let error = refused(
        &with(&[("sslmode", "verify-full"), ("host", "localhost")]),
        count,
    )
    .await;
    assert!(error.message.contains("certificate"), "{error}");
    let mut silent = settings(server.port, &[("host", "localhost")]);
    silent.options.remove("sslmode");
    refused(&lake_with(silent), count).await;
    let trusted = [("sslrootcert", certificate), ("sslmode", "verify-full")];
    let mut known = trusted.to_vec();
    known.push(("host", "localhost"));
    assert_eq!(rows(&with(&known), count).await, "3\n");
    // The certificate is of another name.
    refused(&with(&trusted), count).await;
    let authority = [("sslrootcert", certificate), ("sslmode", "verify-ca")];
    assert_eq!(rows(&with(&authority), count).await, "3\n");
}

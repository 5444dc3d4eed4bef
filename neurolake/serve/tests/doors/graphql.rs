//! `/api/graphql`: Hasura's words give the rows that SQL gives.

use std::time::{Duration, Instant};

use neurolake_serve::Settings;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::client::{EMPTY, Server, catalog};
use crate::lake::Lab;

impl Server {
    fn graphql(&self, body: &Value) -> RequestBuilder {
        self.http.post(self.url("/api/graphql")).json(body)
    }

    /// The whole answer to a document.
    async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        let response = self.graphql(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        response.json().await.unwrap()
    }

    /// What stands behind `data`; there are no errors.
    async fn data(&self, query: &str) -> Value {
        let answer = self.ask(query, Value::Null).await;
        assert_eq!(answer.get("errors"), None, "{query}: {answer:#}");
        answer["data"].clone()
    }

    /// The only error of a document that is not answered at all.
    async fn mistake(&self, query: &str) -> Value {
        let answer = self.ask(query, Value::Null).await;
        assert_eq!(answer.get("data"), None, "{query}: {answer:#}");
        let errors = answer["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{query}: {answer:#}");
        errors[0].clone()
    }
}

const ANIMAL: &str = "id name weight alive born seen price tags place { room x } code large";

#[tokio::test(flavor = "multi_thread")]
async fn values_are_those_of_the_json_door() {
    let lab = Lab::start().await;
    let sql = "select id, name, weight, alive, born, seen, price, tags, place, code, large
               from lab.animals order by id";
    let rows = lab.server.json(sql).await;
    let query = format!("{{ lab_animals(order_by: {{id: asc}}) {{ {ANIMAL} }} }}");
    assert_eq!(lab.server.data(&query).await["lab_animals"], rows);

    let sql =
        "select tiny, half, unsigned, large, short, nan, decimal, clock, naive, nanos, dictionary,
                      viewed, mapping, matrix, path, nest, span, nothing, \"2nd (%)\" as \"_2nd____\",
                      \"__own\" as \"_own\" from lab.kinds";
    let rows = lab.server.json(sql).await;
    let query =
        "{ lab_kinds { tiny half unsigned large short nan decimal clock naive nanos dictionary
                   viewed mapping matrix path { x deep { y } } nest { inner { z } } span nothing
                   _2nd____ _own } }";
    assert_eq!(lab.server.data(query).await["lab_kinds"], rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_gives_the_rows_of_sql() {
    let lab = Lab::start().await;
    for (where_, condition) in [
        ("{}", "true"),
        ("null", "true"),
        ("{id: {_eq: 3}}", "id = 3"),
        ("{id: {_neq: 3}}", "id <> 3"),
        ("{id: {_gt: 3}}", "id > 3"),
        ("{id: {_gte: 3}}", "id >= 3"),
        ("{id: {_lt: 3}}", "id < 3"),
        ("{id: {_lte: 3}}", "id <= 3"),
        ("{id: {_gt: 3, _lt: 6}}", "id > 3 and id < 6"),
        ("{id: {_in: [1, 3, 99]}}", "id in (1, 3, 99)"),
        ("{id: {_nin: [1, 3]}}", "id not in (1, 3)"),
        ("{id: {_in: []}}", "false"),
        ("{id: {_nin: []}}", "true"),
        (
            "{large: {_eq: 9007199254740993}}",
            "large = 9007199254740993",
        ),
        (
            "{large: {_eq: \"9007199254740993\"}}",
            "large = 9007199254740993",
        ),
        ("{large: {_lt: -1}}", "large < -1"),
        (
            "{name: {_eq: \"x' or '1' = '1\"}}",
            "name = 'x'' or ''1'' = ''1'",
        ),
        ("{name: {_is_null: true}}", "name is null"),
        ("{name: {_is_null: false}}", "name is not null"),
        ("{name: {_like: \"%b%\"}}", "name like '%b%'"),
        ("{name: {_nlike: \"%b%\"}}", "name not like '%b%'"),
        ("{name: {_ilike: \"a%\"}}", "name ilike 'a%'"),
        ("{name: {_nilike: \"a%\"}}", "name not ilike 'a%'"),
        ("{name: {_regex: \"^[A-C]\"}}", "name ~ '^[A-C]'"),
        ("{name: {_nregex: \"^[A-C]\"}}", "name !~ '^[A-C]'"),
        ("{name: {_iregex: \"^[a-c].+b$\"}}", "name ~* '^[a-c].+b$'"),
        ("{name: {_niregex: \"^[a-c]\"}}", "name !~* '^[a-c]'"),
        ("{name: {_nin: [\"Ada\"]}}", "name not in ('Ada')"),
        ("{weight: {_eq: 0.1}}", "weight = 0.1"),
        ("{weight: {_gt: 20}}", "weight > 20"),
        ("{alive: {_eq: true}}", "alive"),
        (
            "{born: {_gte: \"2024-07-01\"}}",
            "born >= date '2024-07-01'",
        ),
        (
            "{seen: {_lt: \"2026-03-01T13:30:00.000001+01:00\"}}",
            "seen < timestamp '2026-03-01T12:30:00.000001Z'",
        ),
        ("{price: {_eq: \"1.50\"}}", "price = 1.5"),
        ("{price: {_in: [2.01, \"2.02\"]}}", "price in (2.01, 2.02)"),
        ("{code: {_eq: \"00ff\"}}", "code = x'00ff'"),
        ("{tags: {_is_null: true}}", "tags is null"),
        ("{tags: {_contains: [\"b\"]}}", "array_has(tags, 'b')"),
        (
            "{tags: {_contained_in: [\"a\", \"b\"]}}",
            "array_has_all(make_array('a', 'b'), tags)",
        ),
        (
            "{tags: {_eq: [\"c\", null]}}",
            "tags = make_array('c', null)",
        ),
        ("{tags: {_neq: []}}", "cardinality(tags) > 0"),
        (
            "{place: {room: {_eq: \"north\"}}}",
            "place['room'] = 'north'",
        ),
        (
            "{place: {x: {_gt: 2}, _not: {room: {_eq: \"east\"}}}}",
            "place['x'] > 2 and not place['room'] = 'east'",
        ),
        (
            "{_or: [{id: {_eq: 1}}, {name: {_eq: \"bob\"}, alive: {_eq: false}}]}",
            "id = 1 or name = 'bob' and alive = false",
        ),
        (
            "{_and: [{id: {_gt: 1}}, {id: {_lt: 3}}]}",
            "id > 1 and id < 3",
        ),
        ("{_or: []}", "false"),
        ("{_not: {alive: {_eq: true}}}", "not alive"),
    ] {
        let sql = format!("select id from lab.animals where {condition} order by id");
        let rows = lab.server.json(&sql).await;
        let query = format!("{{ lab_animals(where: {where_}, order_by: [{{id: asc}}]) {{ id }} }}");
        assert_eq!(
            lab.server.data(&query).await["lab_animals"],
            rows,
            "{where_}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_limit_offset_and_distinct_are_those_of_sql() {
    let lab = Lab::start().await;
    for (arguments, rest) in [
        (
            "order_by: [{weight: asc}, {id: asc}]",
            "order by weight asc nulls last, id",
        ),
        (
            "order_by: {weight: asc_nulls_first, id: desc}",
            "order by weight asc nulls first, id desc",
        ),
        (
            "order_by: [{weight: desc}, {id: asc}]",
            "order by weight desc nulls first, id",
        ),
        (
            "order_by: [{weight: desc_nulls_last}, {id: asc}]",
            "order by weight desc nulls last, id",
        ),
        (
            "order_by: [{place: {room: desc}}, {id: asc}]",
            "order by place['room'] desc nulls first, id",
        ),
        ("order_by: {id: asc}, limit: 3", "order by id limit 3"),
        (
            "order_by: {id: asc}, limit: 3, offset: 4",
            "order by id limit 3 offset 4",
        ),
        ("order_by: {id: asc}, offset: 10", "order by id offset 10"),
        ("limit: 0", "limit 0"),
    ] {
        let rows = lab
            .server
            .json(&format!("select id, weight from lab.animals {rest}"))
            .await;
        let query = format!("{{ lab_animals({arguments}) {{ id weight }} }}");
        assert_eq!(
            lab.server.data(&query).await["lab_animals"],
            rows,
            "{arguments}"
        );
    }
    let sql = "select distinct on (alive, born) id, alive, born from lab.animals
               order by alive, born desc, id desc";
    let rows = lab.server.json(sql).await;
    let query = "{ lab_animals(distinct_on: [born, alive], order_by: [{alive: asc},
                   {born: desc}, {id: desc}]) { id alive born } }";
    assert_eq!(lab.server.data(query).await["lab_animals"], rows);
    let query = "{ lab_animals(distinct_on: alive) { alive } }";
    let found = lab.server.data(query).await;
    assert_eq!(found["lab_animals"].as_array().unwrap().len(), 3, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_are_those_of_sql() {
    let lab = Lab::start().await;
    let functions = [
        "sum",
        "avg",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "variance",
        "var_pop",
        "var_samp",
    ];
    for (arguments, from) in [
        ("", "lab.animals"),
        ("(where: {id: {_lt: 7}})", "lab.animals where id < 7"),
        (
            "(order_by: {id: desc}, limit: 4, offset: 1)",
            "(select * from lab.animals order by id desc limit 4 offset 1)",
        ),
        (
            "(distinct_on: alive, order_by: [{alive: asc}, {id: asc}])",
            "(select distinct on (alive) * from lab.animals order by alive, id)",
        ),
    ] {
        let mut fields = String::new();
        let mut values = Vec::new();
        for function in functions {
            fields.push_str(&format!("{function} {{ id price large x: weight }} "));
            values.push(format!(
                "named_struct('id', {function}(id), 'price', {function}(price), 'large', {function}(large),
                              'x', {function}(weight)) as {function}"
            ));
        }
        for function in ["min", "max"] {
            fields.push_str(&format!("{function} {{ name born seen price code }} "));
            values.push(format!(
                "named_struct('name', {function}(name), 'born', {function}(born), 'seen', {function}(seen),
                              'price', {function}(price), 'code', {function}(code)) as {function}"
            ));
        }
        let sql = format!(
            "select count(*) as count, count(name) as names, count(distinct born) as days, {} from {from}",
            values.join(", ")
        );
        // Aliases of the functions as PostgreSQL knows them.
        let sql = sql.replace("variance(", "var_samp(");
        let expected = lab.server.json(&sql).await;
        let query = format!(
            "{{ all: lab_animals_aggregate{arguments} {{ aggregate {{ count names: count(columns: name)
                  days: count(columns: [born], distinct: true) {fields} }} }} }}"
        );
        let found = lab.server.data(&query).await;
        assert_eq!(found["all"]["aggregate"], expected[0], "{arguments}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_and_its_rows_come_together() {
    let lab = Lab::start().await;
    let query = "{ lab_animals_aggregate(where: {alive: {_eq: true}}, order_by: {id: asc}, limit: 2) {
                     __typename nodes { id } first: nodes { __typename name }
                     aggregate { __typename count max { __typename id } } none: aggregate { __typename } } }";
    let answer = lab.server.data(query).await;
    assert_eq!(
        answer["lab_animals_aggregate"].to_string(),
        json!({
            "__typename": "lab_animals_aggregate",
            "nodes": [{"id": 1}, {"id": 4}],
            "first": [{"__typename": "lab_animals", "name": "Ada"},
                      {"__typename": "lab_animals", "name": "a,b"}],
            "aggregate": {"__typename": "lab_animals_aggregate_fields", "count": 2,
                          "max": {"__typename": "lab_animals_min_max_fields", "id": 4}},
            "none": {"__typename": "lab_animals_aggregate_fields"},
        })
        .to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_have_variables_fragments_aliases_and_several_fields() {
    let lab = Lab::start().await;
    let query = "
        query first($where: lab_animals_bool_exp, $ids: [Int!]!, $order: [lab_animals_order_by!],
                    $most: Int = 2, $no: Boolean = false, $absent: Int) {
            __typename
            some: lab_animals(where: $where, order_by: $order, limit: $most) { ...animal }
            others: lab_animals(where: {id: {_in: $ids, _gt: $absent}}, order_by: $order) {
                where: place { spot: room, again: room, __typename }
                id @skip(if: true)
                name @include(if: $no)
            }
            ...more
            lab_counted_aggregate(args: {most: 7}) @include(if: $no) { aggregate { count } }
        }
        query second { lab_readings { id } }
        fragment animal on lab_animals { id ... on lab_animals { tame: alive } }
        fragment more on query_root {
            lab_readings(where: {odd_name: {_eq: \"s 1\"}}, limit: 1, order_by: {id: asc}) { odd_name limit }
            some: lab_animals(where: $where, order_by: $order, limit: $most) { name }
        }";
    let variables = json!({
        "where": {"_or": [{"id": {"_lt": 4}}, {"name": {"_eq": "100%"}}]},
        "order": [{"alive": "desc_nulls_last"}, {"id": "asc"}],
        "ids": [3, 4],
        "unused": 1,
    });
    let body = json!({"query": query, "variables": variables, "operationName": "first"});
    let response = lab.server.graphql(&body).send().await.unwrap();
    let expected = json!({"data": {
        "__typename": "query_root",
        "some": [{"id": 1, "tame": true, "name": "Ada"}, {"id": 2, "tame": false, "name": "bob"}],
        "others": [{"where": null}, {"where": {"spot": "north", "again": "north",
                                               "__typename": "lab_animals_Place"}}],
        "lab_readings": [{"odd_name": "s 1", "limit": 1}],
    }});
    let text = response.text().await.unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    // Of animal 4 the fields of the struct are null, the struct is not.
    let mut expected = expected;
    expected["data"]["others"] = json!([
        {"where": {"spot": null, "again": null, "__typename": "lab_animals_Place"}},
        {"where": {"spot": "north", "again": "north", "__typename": "lab_animals_Place"}},
    ]);
    assert_eq!(found, expected);
    let places =
        ["__typename", "some", "others", "lab_readings"].map(|key| text.find(key).unwrap());
    assert!(
        places.is_sorted(),
        "fields are in the order of the document: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_take_arguments() {
    let lab = Lab::start().await;
    let query =
        "query($n: BigInt!) { lab_counted(args: {most: $n}, where: {number: {_gt: 2}}) { number }
                   lab_counted_aggregate(args: {most: 100}) { aggregate { sum { number } } } }";
    let answer = lab.server.ask(query, json!({"n": "4"})).await;
    assert_eq!(
        answer,
        json!({"data": {
            "lab_counted": [{"number": 3}, {"number": 4}],
            "lab_counted_aggregate": {"aggregate": {"sum": {"number": 5050}}},
        }})
    );
    let mistake = lab.server.mistake("{ lab_counted { number } }").await;
    assert!(
        mistake["message"].as_str().unwrap().contains("`args`"),
        "{mistake}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_say_what_where_and_what_is_meant() {
    let lab = Lab::start().await;
    for (query, message, hint) in [
        (
            "{ lab_animal { id } }",
            "there is no field `lab_animal`",
            "did you mean `lab_animals`?",
        ),
        (
            "{ lab_animal_aggregate { aggregate { count } } }",
            "there is no field `lab_animal_aggregate`",
            "did you mean `lab_animals_aggregate`?",
        ),
        (
            "{ lab_animals { nam } }",
            "`lab_animals` has no field `nam`",
            "did you mean `name`?",
        ),
        (
            "{ lab_animals { place { rom } } }",
            "`lab_animals_Place` has no field `rom`",
            "did you mean `room`?",
        ),
        (
            "{ lab_animals { place } }",
            "no fields of `place` are chosen",
            "write `place { room x }`",
        ),
        (
            "{ lab_animals }",
            "no fields of `lab_animals` are chosen",
            "write `lab_animals { ... }`",
        ),
        (
            "{ lab_animals { id { x } } }",
            "`id` is a value and has no field `x`",
            "",
        ),
        (
            "{ lab_animals(wher: {}) { id } }",
            "`lab_animals` takes no argument `wher`",
            "did you mean `where`?",
        ),
        (
            "{ lab_animals(where: {nam: {}}) { id } }",
            "`where` knows no `nam`",
            "did you mean `name`?",
        ),
        (
            "{ lab_animals(where: {id: {_equ: 1}}) { id } }",
            "there is no operator `_equ` for `id`",
            "did you mean `_eq`?",
        ),
        (
            "{ lab_animals(where: {id: {_eq: \"seven\"}}) { id } }",
            "`\"seven\"` is no int32, which `id` holds",
            "",
        ),
        (
            "{ lab_animals(where: {id: {_eq: 1.5}}) { id } }",
            "`1.5` is no int32, which `id` holds",
            "",
        ),
        (
            "{ lab_animals(where: {born: {_eq: \"soon\"}}) { id } }",
            "`\"soon\"` is no date, which `born` holds",
            "write it like `2026-03-01`",
        ),
        (
            "{ lab_animals(order_by: {id: up}) { id } }",
            "`up` is no direction of `id`",
            "there are `asc` and `desc`, with `_nulls_first` or `_nulls_last`",
        ),
        (
            "{ lab_animals(limit: -1) { id } }",
            "`limit` is no number of rows, but `-1`",
            "",
        ),
        (
            "{ lab_animals(distinct_on: alive, order_by: {id: asc}) { id } }",
            "`order_by` doesn't begin with the columns of `distinct_on`",
            "order by `alive` first",
        ),
        (
            "{ lab_animals_aggregate { aggregate { sum { name } } } }",
            "`sum` has no field `name`",
            "",
        ),
        (
            "{ lab_animals_aggregate { aggregate { counts } } }",
            "`lab_animals_aggregate_fields` has no field `counts`",
            "did you mean `count`?",
        ),
        (
            "{ lab_animals_aggregate { node { id } } }",
            "`lab_animals_aggregate` has no field `node`",
            "did you mean `nodes`?",
        ),
        (
            "mutation { x }",
            "there are no mutations: the doors only read",
            "send a `query`; events go to `/v1/ingest/{database}/{table}`",
        ),
        (
            "subscription { x }",
            "there are no subscriptions: the doors only read",
            "send a `query`; events go to `/v1/ingest/{database}/{table}`",
        ),
        (
            "{ lab_animals(where: {id: {_eq: $x}}) { id } }",
            "the variable `$x` is not declared",
            "",
        ),
        // Rules that only the library knows.
        (
            "query($x: Int) { lab_animals { id } }",
            "variable `$x` is not used",
            "",
        ),
        (
            "{ lab_animals { id @nowhere } }",
            "unknown directive `nowhere`",
            "",
        ),
        (
            "{ lab_animals { ... on lab_readings { id } } }",
            "unknown type `lab_readings`",
            "",
        ),
    ] {
        let mistake = lab.server.mistake(query).await;
        let found = mistake["message"].as_str().unwrap();
        assert!(found.starts_with(message), "{query}: {mistake:#}");
        let extensions = &mistake["extensions"];
        assert_eq!(
            extensions["hint"].as_str().unwrap_or_default(),
            hint,
            "{query}: {mistake:#}"
        );
        let code = if message.starts_with("there are no") {
            "not_allowed"
        } else {
            "bad_request"
        };
        assert_eq!(extensions["code"], code, "{query}");
        assert!(!extensions["request_id"].as_str().unwrap().is_empty());
        assert_eq!(mistake["locations"][0]["line"], 1, "{query}: {mistake:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_table_is_left_out_and_a_field_that_fails_is_null() {
    let lab = Lab::start().await;
    let query = "{ __schema { queryType { fields { name } } } }";
    let schema = lab.server.data(query).await;
    let names = schema["__schema"]["queryType"]["fields"]
        .as_array()
        .unwrap();
    let names: Vec<&str> = names
        .iter()
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"lab_living") && names.contains(&"lab_readings_aggregate"),
        "{names:?}"
    );
    assert!(!names.contains(&"lab_missing"), "{names:?}");
    let mistake = lab.server.mistake("{ lab_missing { id } }").await;
    assert_eq!(mistake["extensions"]["code"], "broken", "{mistake}");
    // Conditions that only fail when they meet a row.
    let query = "{ good: lab_living(limit: 1, order_by: {id: asc}) { id }
                   bad: lab_readings(where: {odd_name: {_regex: \"(\"}}) { id }
                   both: lab_readings_aggregate(where: {odd_name: {_regex: \"(\"}}) {
                       __typename aggregate { count } } }";
    let answer = lab.server.ask(query, Value::Null).await;
    assert_eq!(
        answer["data"],
        json!({"good": [{"id": 1}], "bad": null,
               "both": {"__typename": "lab_readings_aggregate", "aggregate": null}})
    );
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{answer:#}");
    assert_eq!(errors[0]["path"], json!(["bad"]));
    assert_eq!(errors[0]["locations"], json!([{"line": 2, "column": 20}]));
    assert_eq!(errors[1]["path"], json!(["both", "aggregate"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_limit_are_bounded_and_never_cut_in_silence() {
    let lab = Lab::start().await;
    let counted = |arguments: &str| format!("{{ lab_counted({arguments}) {{ number }} }}");
    let rows = |answer: &Value| answer["data"]["lab_counted"].as_array().map(Vec::len);
    let answer = lab
        .server
        .ask(&counted("args: {most: 1000}"), Value::Null)
        .await;
    assert_eq!(rows(&answer), Some(1000));
    let answer = lab
        .server
        .ask(&counted("args: {most: 1001}"), Value::Null)
        .await;
    assert_eq!(rows(&answer), None);
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "too_much",
        "{answer}"
    );
    let hint = answer["errors"][0]["extensions"]["hint"].as_str().unwrap();
    assert!(hint.contains("`limit`"), "{answer}");
    let answer = lab
        .server
        .ask(&counted("args: {most: 5000}, limit: 4000"), Value::Null)
        .await;
    assert_eq!(rows(&answer), Some(4000));
    let answer = lab
        .server
        .ask(
            &counted("args: {most: 5000000}, limit: 3000000"),
            Value::Null,
        )
        .await;
    assert_eq!(rows(&answer), None);
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "too_much",
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_that_of_the_draft() {
    const OWN: &str = "application/graphql-response+json";
    let lab = Lab::start().await;
    let server = &lab.server;
    let good =
        json!({"query": "{ lab_animals(limit: 1) { id } }", "extensions": {"a": 1}, "other": 1});
    let bad = json!({"query": "{ nothing }"});
    let get = |pairs: &[(&str, &str)]| server.http.get(server.url("/api/graphql")).query(pairs);
    let post = |body: &str| {
        server
            .http
            .post(server.url("/api/graphql"))
            .body(body.to_owned())
    };
    let json_post =
        |body: &str| post(body).header("content-type", "application/json; charset=utf-8");
    let query = "query q($n: Int) { lab_animals(limit: $n, order_by: {id: asc}) { id } } query r { __typename }";
    for (request, status, content_type) in [
        (
            server.graphql(&good),
            200,
            "application/json; charset=utf-8",
        ),
        (server.graphql(&bad), 200, "application/json; charset=utf-8"),
        (
            server
                .graphql(&bad)
                .header("accept", "application/*, */*;q=0.1"),
            200,
            "application/json; charset=utf-8",
        ),
        (
            server.graphql(&good).header("accept", OWN),
            200,
            "application/graphql-response+json; charset=utf-8",
        ),
        (
            server.graphql(&bad).header(
                "accept",
                "application/json;q=0.9, application/graphql-response+json",
            ),
            400,
            "application/graphql-response+json; charset=utf-8",
        ),
        (
            server.graphql(&good).header("accept", "text/html"),
            406,
            "application/json",
        ),
        (
            get(&[
                ("query", query),
                ("operationName", "q"),
                ("variables", "{\"n\": 1}"),
            ]),
            200,
            "application/json; charset=utf-8",
        ),
        (
            get(&[("query", query), ("operationName", "s")]).header("accept", OWN),
            400,
            "",
        ),
        (get(&[("query", query)]).header("accept", OWN), 400, ""),
        (get(&[("query", "mutation { x }")]), 405, ""),
        (get(&[("query", "{ x }"), ("variables", "7")]), 400, ""),
        (get(&[("quer", "{ x }")]), 400, ""),
        (get(&[]), 400, ""),
        (post("{ lab_animals { id } }"), 415, ""),
        (json_post("{ lab_animals { id } }"), 400, ""),
        (json_post("[{\"query\": \"{ __typename }\"}]"), 400, ""),
        (json_post("{\"variables\": {}}"), 400, ""),
        (
            json_post("{\"query\": \"{ __typename }\", \"variables\": [1]}"),
            400,
            "",
        ),
        (
            json_post(&format!("{{\"query\": \"{}\"}}", " ".repeat(1 << 20))),
            413,
            "",
        ),
        (server.http.put(server.url("/api/graphql")), 405, ""),
    ] {
        let shown = format!("{request:?}");
        let response = request.header("x-request-id", "mine").send().await.unwrap();
        assert_eq!(response.status(), status, "{shown}");
        assert_eq!(response.headers()["x-request-id"], "mine");
        let found = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            content_type.is_empty() || found == content_type,
            "{shown}: {found}"
        );
        let document: Value = response.json().await.unwrap();
        let is_refused = status != 200 || shown.is_empty();
        if is_refused && status != 406 && document.get("error").is_none() {
            assert_eq!(
                document["errors"][0]["extensions"]["request_id"], "mine",
                "{document}"
            );
        }
    }
    let answer = get(&[
        ("query", query),
        ("operationName", "q"),
        ("variables", "{\"n\": 1}"),
    ]);
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"data": {"lab_animals": [{"id": 1}]}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_at_once() {
    let lab = Lab::start().await;
    let deepest = format!(
        "{{ lab_animals(where: {}{{_or: [{{id: {{_eq: 1}}}}, {{id: {{_eq: 2}}}}]}}{}) {{ id }} }}",
        "{_not: ".repeat(11),
        "}".repeat(11)
    );
    let rows = lab.server.data(&deepest).await;
    assert_eq!(rows["lab_animals"].as_array().unwrap().len(), 9, "{rows}");
    let many = |count: usize, one: &dyn Fn(usize) -> String| {
        (0..count).map(one).collect::<Vec<_>>().concat()
    };
    let doubling = many(30, &|at| {
        format!(
            "fragment f{at} on lab_animals {{ ...f{0} a{at}: id ...f{0} }} ",
            at + 1
        )
    });
    for (query, code) in [
        ("{a".repeat(50_000), "bad_request"),
        (format!("{{ lab_animals(where: {}) {{ id }} }}", "{_not:".repeat(50_000)), "bad_request"),
        (format!("{{ lab_animals {{ ...f0 }} }} {doubling} fragment f30 on lab_animals {{ id }}"), "too_much"),
        (
            "{ lab_animals { ...a } } fragment a on lab_animals { ...b } fragment b on lab_animals { ...a }".into(),
            "bad_request",
        ),
        (format!("{{ lab_animals {{ {} }} }}", many(20_000, &|at| format!("a{at}: id "))), "too_much"),
        (format!("{{ lab_animals {{ {} }} }}", many(50, &|at| format!("a{at}: id "))), "too_much"),
        (format!("{{ {} }}", many(60, &|at| format!("a{at}: lab_animals {{ id }} "))), "too_much"),
        (format!("{{ lab_animals(where: {{name: {{_in: [{}]}}}}) {{ id }} }}", many(60, &|_| "[".into())), "bad_request"),
        (
            format!(
                "{{ lab_animals(where: {}{{}}{}) {{ id }} }}",
                "{_not: ".repeat(50),
                "}".repeat(50)
            ),
            "bad_request",
        ),
        (
            format!(
                "{{ lab_animals(where: {{_or: [{}]}}) {{ id }} }}",
                many(501, &|at| format!("{{id: {{_eq: {at}}}}} "))
            ),
            "bad_request",
        ),
        (
            format!("{{ {} }}", many(31, &|at| format!("a{at}: __schema {{ types {{ name }} }} "))),
            "too_much",
        ),
        (
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".into(),
            "too_much",
        ),
    ] {
        let started = Instant::now();
        let mistake = lab.server.mistake(&query).await;
        assert_eq!(mistake["extensions"]["code"], code, "{mistake}");
        assert!(started.elapsed() < Duration::from_secs(10), "{mistake}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_wait_for_their_turn_like_other_queries() {
    let settings = Settings {
        concurrent_queries: 1,
        queued_queries: 3,
        ..Settings::default()
    };
    let lab = Lab::with(settings).await;
    let fields: Vec<String> = (0..20)
        .map(|at| format!("a{at}: lab_animals(limit: 1) {{ id }}"))
        .collect();
    let data = lab
        .server
        .data(&format!("{{ {} }}", fields.join(" ")))
        .await;
    assert_eq!(data.as_object().unwrap().len(), 20);
    assert!(
        data.as_object().unwrap().values().all(Value::is_array),
        "{data}"
    );
    assert_eq!(lab.server.doors.running_queries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_has_an_address_of_its_own() {
    let lab = Lab::start().await;
    let ask = |database: &str, query: &str| {
        let url = lab.server.url(&format!("/api/graphql/{database}"));
        let request = lab.server.http.post(url).json(&json!({"query": query}));
        async { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let answer = ask(
        "lab",
        "{ lab_animals(limit: 1, order_by: {id: asc}) { id } __type(name: \"lab_animals\") { kind } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({"data": {"lab_animals": [{"id": 1}], "__type": {"kind": "OBJECT"}}})
    );
    let answer = ask("other", "{ lab_animals(limit: 1) { id } }").await;
    assert_eq!(
        answer["errors"][0]["message"],
        "there is no field `lab_animals`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_very_many_tables_answers_at_once() {
    let column = json!({"name": "x", "type": "int32", "nullable": true});
    let table = |number: usize| {
        json!({
            "name": format!("t{number}"), "source": {"kind": "sql", "query": format!("select cast({number} as int) as x")},
            "columns": [column], "rust_path": "t", "location": {"file": "src/lib.rs", "line": 1},
        })
    };
    let mut document: Value = serde_json::from_str(EMPTY).unwrap();
    document["databases"] = json!([{
        "name": "big", "location": {"file": "src/lib.rs", "line": 1},
        "tables": (0..5_000).map(table).collect::<Vec<_>>(),
    }]);
    let lake = neurolake_query::Lake::builder(catalog(&document.to_string()))
        .build()
        .unwrap();
    let server = Server::over(lake, Settings::default()).await;
    let started = Instant::now();
    let data = server.data("{ big_t4321 { x } big_t77 { x } }").await;
    assert_eq!(
        data,
        json!({"big_t4321": [{"x": 4321}], "big_t77": [{"x": 77}]})
    );
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "the size of the catalog is felt"
    );
    let fields: Vec<String> = (0..101)
        .map(|number| format!("big_t{number} {{ x }}"))
        .collect();
    let query = format!(
        "query one {{ __typename }} query other {{ {} }}",
        fields.join(" ")
    );
    let body = json!({"query": query, "operationName": "one"});
    let answer = server.graphql(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "too_much",
        "{answer}"
    );
    let mistake = server.mistake("{ __schema { types { name } } }").await;
    assert_eq!(mistake["extensions"]["code"], "too_much", "{mistake}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_lake_has_a_schema() {
    let server = Server::start().await;
    let data = server
        .data("{ __typename __schema { queryType { name } } }")
        .await;
    assert_eq!(
        data,
        json!({"__typename": "query_root", "__schema": {"queryType": {"name": "query_root"}}})
    );
}

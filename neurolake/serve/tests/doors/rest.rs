//! `/api/rest`: PostgREST's words give the rows that SQL gives.

use std::collections::HashSet;

use neurolake_serve::Settings;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::client::{Server, refused};

use crate::lake::Lab;

impl Server {
    fn rest(&self, table: &str, pairs: &[(&str, &str)]) -> RequestBuilder {
        let url = self.url(&format!("/api/rest/lab/{table}"));
        self.http.get(url).query(pairs)
    }
}

async fn rows(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    Some(response.headers().get(name)?.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_gives_the_rows_of_sql() {
    let lab = Lab::start().await;
    let evil = "x' or '1' = '1";
    let evil_sql = "name = 'x'' or ''1'' = ''1'";
    for (name, text, condition) in [
        ("id", "eq.3", "id = 3"),
        ("id", "neq.3", "id <> 3"),
        ("id", "gt.3", "id > 3"),
        ("id", "gte.3", "id >= 3"),
        ("id", "lt.3", "id < 3"),
        ("id", "lte.3", "id <= 3"),
        ("id", "not.eq.3", "not (id = 3)"),
        ("id", "in.(1,3,99)", "id in (1, 3, 99)"),
        ("id", "not.in.(1,3)", "id not in (1, 3)"),
        ("id", "eq(any).{1,2}", "id = 1 or id = 2"),
        ("id", "gt(all).{1,4}", "id > 1 and id > 4"),
        ("large", "eq.9007199254740993", "large = 9007199254740993"),
        ("large", "lt.-1", "large < -1"),
        ("name", "eq.Ada", "name = 'Ada'"),
        ("name", "eq.", "name = ''"),
        ("name", "eq.null", "name = 'null'"),
        ("name", "eq.a,b", "name = 'a,b'"),
        ("name", "eq.say \"hi\"", "name = 'say \"hi\"'"),
        ("name", "eq.d\u{f6}ner+kebab", "name = 'd\u{f6}ner+kebab'"),
        ("name", &format!("eq.{evil}"), evil_sql),
        ("name", &format!("in.(\"{evil}\")"), evil_sql),
        ("name", "in.(\"a,b\",Ada)", "name in ('a,b', 'Ada')"),
        ("name", "in.(\"say \\\"hi\\\"\")", "name = 'say \"hi\"'"),
        ("name", "gt.b", "name > 'b'"),
        ("name", "like.*b*", "name like '%b%'"),
        ("name", "like.A__", "name like 'A__'"),
        ("name", "not.ilike.*A*", "name not ilike '%A%'"),
        (
            "name",
            "ilike(any).{a*,B*}",
            "name ilike 'a%' or name ilike 'b%'",
        ),
        ("name", "match.^[A-C]", "name ~ '^[A-C]'"),
        ("name", "imatch.^[a-c].+b$", "name ~* '^[a-c].+b$'"),
        ("name", "is.null", "name is null"),
        ("name", "not.is.null", "name is not null"),
        ("name", "is.not_null", "name is not null"),
        ("name", "isdistinct.Ada", "name is distinct from 'Ada'"),
        ("weight", "eq.0.1", "weight = 0.1"),
        ("weight", "eq.NaN", "isnan(weight)"),
        ("weight", "eq.inf", "weight = cast('inf' as double)"),
        ("weight", "lt.-1", "weight < -1"),
        ("alive", "is.true", "alive is true"),
        ("alive", "is.unknown", "alive is null"),
        ("alive", "not.is.false", "alive is not false"),
        ("alive", "eq.false", "alive = false"),
        ("born", "eq.2024-02-29", "born = date '2024-02-29'"),
        ("born", "lt.1970-01-01", "born < date '1970-01-01'"),
        ("seen", "eq.2026-03-01T12:30:00Z", "id in (1, 7)"),
        ("seen", "eq.2026-03-01T13:30:00+01:00", "id in (1, 7)"),
        ("seen", "gt.2026-03-01T12:30:00.0000005Z", "id in (2, 3)"),
        ("seen", "lt.1970-01-01", "id = 5"),
        ("price", "eq.1.5", "price = 1.50"),
        ("price", "gt.1.499", "price > 1.499"),
        ("price", "lt.-2.999", "price < 0"),
        ("code", "eq.00ff", "code = x'00ff'"),
        ("code", "eq.\\x00FF", "code = x'00ff'"),
        ("tags", "cs.{a}", "array_has(tags, 'a')"),
        (
            "tags",
            "cs.{a,b}",
            "array_has(tags, 'a') and array_has(tags, 'b')",
        ),
        ("tags", "cs.{\"a,b\"}", "array_has(tags, 'a,b')"),
        ("tags", "cd.{a,b}", "id in (1, 2, 5, 6)"),
        (
            "tags",
            "ov.{c,z}",
            "array_has(tags, 'c') or array_has(tags, 'z')",
        ),
        ("tags", "eq.{a,b}", "tags = make_array('a', 'b')"),
        (
            "tags",
            "neq.{\"(x)\",\"a,b\"}",
            "tags <> make_array('(x)', 'a,b')",
        ),
        ("tags", "eq.{c,null}", "id = 3"),
        ("or", "(tags.eq.{a,b},id.eq.9)", "id in (1, 9)"),
        ("tags", "is.null", "tags is null"),
        ("tags->0", "eq.b", "tags[1] = 'b'"),
        ("tags->-1", "eq.b", "tags[-1] = 'b'"),
        ("place->room", "eq.north", "place['room'] = 'north'"),
        ("place->>room", "like.*st", "place['room'] like '%st'"),
        ("place->x", "gt.6", "place['x'] > 6"),
        (
            "or",
            "(id.eq.1,name.like.*b,alive.is.null)",
            "id = 1 or name like '%b' or alive is null",
        ),
        (
            "and",
            "(id.gt.1,or(tags.cs.{a},name.in.(bob,\"a,b\")),not.and(id.eq.2,alive.is.false))",
            "id > 1 and (array_has(tags, 'a') or name in ('bob', 'a,b')) and not (id = 2 and alive is false)",
        ),
        ("not.or", "(id.lt.4,id.gt.6)", "not (id < 4 or id > 6)"),
        (
            "or",
            "(place->room.eq.east,id.not.gte.2)",
            "place['room'] = 'east' or not id >= 2",
        ),
    ] {
        let found = rows(lab.server.rest("animals", &[(name, text), ("order", "id")])).await;
        let sql = format!("select * from lab.animals where {condition} order by id");
        assert_eq!(found, lab.server.json(&sql).await, "{name}={text}");
        let count = found.as_array().unwrap().len();
        assert!(
            count > 0 && count < 11,
            "{name}={text} tells nothing: {count} rows"
        );
    }
    let none = [("id", "in.()")];
    assert_eq!(rows(lab.server.rest("animals", &none)).await, json!([]));
    // Filters hold together, also two of one column.
    let both = [("id", "gt.2"), ("id", "lt.5"), ("alive", "is.true")];
    let found = rows(
        lab.server
            .rest("animals", &[&both[..], &[("select", "id")]].concat()),
    )
    .await;
    assert_eq!(found, json!([{"id": 4}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_chosen_named_cast_and_aggregated() {
    let lab = Lab::start().await;
    for (pairs, sql) in [
        (
            vec![
                ("select", "key:id,name,place->room,y:place->>x,price::text,tags->0"),
                ("order", "id"),
                ("limit", "3"),
            ],
            "select id as key, name, place['room'] as room, cast(place['x'] as varchar) as y,
                    cast(price as varchar) as price, tags[1] as tags
             from lab.animals order by id limit 3",
        ),
        (
            vec![("select", "*,again:id"), ("id", "eq.1")],
            "select *, id as again from lab.animals where id = 1",
        ),
        (
            vec![
                ("select", "alive,n:count(),id.sum(),most:weight.max(),named:name.count(),x:large::float8.avg()::text"),
                ("weight", "lt.100"),
                ("order", "alive.desc.nullslast"),
            ],
            "select alive, count(*) as n, sum(id) as sum, max(weight) as most, count(name) as named,
                    cast(avg(cast(large as double)) as varchar) as x
             from lab.animals where weight < 100 group by alive order by alive desc nulls last",
        ),
        (vec![("select", "count()")], "select count(*) as count from lab.animals"),
        (
            vec![("order", "name.desc.nullslast,id"), ("select", "id")],
            "select id from lab.animals order by name desc nulls last, id",
        ),
        (
            vec![("order", "place->room.nullsfirst,id.desc"), ("select", "id"), ("offset", "2")],
            "select id from lab.animals order by place['room'] asc nulls first, id desc offset 2",
        ),
        (
            vec![("order", "weight.desc,id"), ("select", "id,weight")],
            "select id, weight from lab.animals order by weight desc nulls first, id",
        ),
        // An order is by columns of the table, whatever columns of the answer are called.
        (
            vec![("select", "name:id,id:name"), ("order", "name.desc"), ("name", "not.is.null")],
            "select id as name, name as id from lab.animals a where a.name is not null order by a.name desc",
        ),
        (vec![("order", "id")], "select * from lab.living order by id"),
    ] {
        let table = if sql.contains("lab.living") { "living" } else { "animals" };
        let found = rows(lab.server.rest(table, &pairs)).await;
        assert_eq!(found, lab.server.json(sql).await, "{pairs:?}");
        assert_ne!(found, json!([]), "{pairs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_any_name_is_reached() {
    let lab = Lab::start().await;
    let found = rows(lab.server.rest(
        "readings",
        &[
            ("odd.name", "eq.s 2"),
            ("and", "(limit.eq.3,\"odd.name\".neq.x)"),
            ("select", "\"odd.name\",limit,level"),
            ("order", "\"odd.name\".desc"),
        ],
    ))
    .await;
    let sql = "select \"odd.name\", \"limit\", level from lab.readings
               where \"odd.name\" = 's 2' and \"limit\" = 3";
    assert_eq!(found, lab.server.json(sql).await);
    assert!(found.as_array().unwrap().len() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_a_function_are_filters() {
    let lab = Lab::start().await;
    let pairs = [("most", "eq.4"), ("number", "gt.2"), ("select", "number")];
    let found = rows(lab.server.rest("counted", &pairs)).await;
    assert_eq!(found, json!([{"number": 3}, {"number": 4}]));
    let (status, error) = refused(lab.server.rest("counted", &[])).await;
    assert_eq!(status, 400, "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("most"),
        "{error}"
    );
    // Pages of a function too, whose arguments are no columns to order by.
    let pairs = [("most", "eq.4"), ("order", "number.desc"), ("limit", "1")];
    let response = lab.server.rest("counted", &pairs).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(header(&response, "link").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_is_part_of_the_name() {
    let lab = Lab::start().await;
    for (table, count) in [("animals", 11), ("animals@1", 11), ("animals@0", 8)] {
        let found = rows(lab.server.rest(table, &[("select", "count()")])).await;
        assert_eq!(found, json!([{"count": count}]), "{table}");
    }
    let (status, error) = refused(lab.server.rest("animals@x", &[])).await;
    assert_eq!(status, 400, "{error}");
    let (status, error) = refused(lab.server.rest("animals@7", &[])).await;
    assert!(matches!(status, 400 | 404), "{status}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_the_nearest_name() {
    let lab = Lab::start().await;
    for (table, pairs, status, message, hint) in [
        (
            "animal",
            &[][..],
            404,
            "there is no table `animal`",
            "`lab.animals`",
        ),
        (
            "animals",
            &[("nam", "eq.Ada")],
            400,
            "there is no column `nam`",
            "`name`",
        ),
        (
            "animals",
            &[("select", "nam")],
            400,
            "there is no column `nam`",
            "`name`",
        ),
        (
            "animals",
            &[("order", "nam")],
            400,
            "there is no column `nam`",
            "`name`",
        ),
        (
            "animals",
            &[("place->roo", "eq.1")],
            400,
            "there is no column `roo`",
            "`room`",
        ),
        (
            "animals",
            &[("limits", "5")],
            400,
            "`limits=5` has no operator",
            "`limit`",
        ),
        (
            "animals",
            &[("name", "Ada")],
            400,
            "no operator",
            "`name=eq.Ada`",
        ),
        (
            "animals",
            &[("name", "equals.Ada")],
            400,
            "no operator `equals`",
            "eq, neq",
        ),
        (
            "animals",
            &[("id", "eq.one")],
            400,
            "`one` is no int32, which `id` holds",
            "",
        ),
        (
            "animals",
            &[("id", "eq.4294967296")],
            400,
            "is no int32",
            "",
        ),
        (
            "animals",
            &[("alive", "eq.maybe")],
            400,
            "is no bool",
            "`true`",
        ),
        (
            "animals",
            &[("born", "eq.2024-02-30")],
            400,
            "is no date",
            "`2026-03-01`",
        ),
        (
            "animals",
            &[("seen", "gt.yesterday")],
            400,
            "is no timestamp",
            "",
        ),
        (
            "animals",
            &[("price", "eq.cheap")],
            400,
            "is no decimal(10, 2)",
            "",
        ),
        (
            "animals",
            &[("place", "eq.1")],
            400,
            "`place` is struct",
            "`place->room`",
        ),
        (
            "animals",
            &[("id", "like.1*")],
            400,
            "`like` is for string",
            "",
        ),
        (
            "animals",
            &[("id", "cs.{1}")],
            400,
            "`elements` is for a list",
            "",
        ),
        (
            "animals",
            &[("name", "match.(")],
            400,
            "can't read a regular expression: unclosed group",
            "",
        ),
        ("animals", &[("or", "(id.eq.1")], 400, "expected `)`", ""),
        (
            "readings",
            &[("limit", "eq.3")],
            400,
            "is not a number of rows",
            "`and=(limit.eq.3)`",
        ),
        (
            "animals",
            &[("limit", "-1")],
            400,
            "`limit=-1` is not a number of rows",
            "",
        ),
        (
            "animals",
            &[("limit", "99999999999999999999")],
            400,
            "is not a number of rows",
            "",
        ),
        (
            "animals",
            &[("limit", "1"), ("limit", "2")],
            400,
            "`limit` is there twice",
            "",
        ),
        (
            "animals",
            &[("select", "id,place(x)")],
            400,
            "rows of another table",
            "/api/sql",
        ),
        (
            "animals",
            &[("select", "id,id")],
            400,
            "two columns of the answer are called `id`",
            "",
        ),
        (
            "animals",
            &[("select", "name.sum()")],
            400,
            "`sum` is for numbers",
            "",
        ),
        (
            "animals",
            &[("after", "x")],
            400,
            "`after` is no cursor",
            "`Link`",
        ),
        ("missing", &[], 502, "", ""),
    ] {
        let (found, error) = refused(lab.server.rest(table, pairs)).await;
        let (said, told) = (error["message"].as_str().unwrap(), error["hint"].as_str());
        assert_eq!(found, status, "{pairs:?}: {error}");
        assert!(said.contains(message), "{pairs:?}: {error}");
        assert!(
            told.unwrap_or_default().contains(hint),
            "{pairs:?}: {error}"
        );
    }
    let put = lab.server.http.put(lab.server.url("/api/rest/lab/animals"));
    assert_eq!(refused(put).await.0, 405);
    let ready = lab.server.get("/ready").await.text().await.unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let broken = ready["broken"].as_array().unwrap();
    let broken: Vec<&Value> = broken.iter().map(|table| &table["table"]).collect();
    assert_eq!(broken, ["lab.missing"], "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_counts_are_those_of_postgrest() {
    let lab = Lab::start().await;
    for (pairs, headers, status, content_range, count) in [
        (vec![], vec![("range", "0-2")], 200, Some("0-2/*"), 3),
        (
            vec![],
            vec![("range", "0-2"), ("prefer", "count=exact")],
            206,
            Some("0-2/11"),
            3,
        ),
        (
            vec![],
            vec![("range", "items=8-99"), ("prefer", "count=planned")],
            206,
            Some("8-10/11"),
            3,
        ),
        (
            vec![("limit", "2"), ("offset", "4")],
            vec![],
            200,
            Some("4-5/*"),
            2,
        ),
        (
            vec![("limit", "5"), ("offset", "4")],
            vec![("range", "0-5"), ("prefer", "return=minimal, count=exact")],
            206,
            Some("4-5/11"),
            2,
        ),
        (
            vec![("limit", "0")],
            vec![("prefer", "count=exact")],
            206,
            Some("*/11"),
            0,
        ),
        (
            vec![],
            vec![("prefer", "count=exact")],
            200,
            Some("0-10/11"),
            11,
        ),
        (
            vec![("id", "lt.4")],
            vec![("prefer", "count=exact")],
            200,
            Some("0-2/3"),
            3,
        ),
        (vec![("id", "lt.4")], vec![], 200, None, 3),
        (vec![("limit", "20000")], vec![], 200, None, 11),
        (
            vec![],
            vec![("range", "5-"), ("prefer", "count=exact")],
            206,
            Some("5-10/11"),
            6,
        ),
        (vec![], vec![("range", "bytes=0-2")], 200, None, 11),
    ] {
        let mut request = lab.server.rest("animals", &pairs);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let said = format!("{pairs:?} {headers:?}");
        assert_eq!(response.status(), status, "{said}");
        assert_eq!(header(&response, "content-range"), content_range, "{said}");
        let is_counted = headers.iter().any(|(name, _)| *name == "prefer");
        let applied = is_counted.then_some("count=exact");
        assert_eq!(header(&response, "preference-applied"), applied, "{said}");
        let found: Value = response.json().await.unwrap();
        assert_eq!(found.as_array().unwrap().len(), count, "{said}");
    }
    let behind = lab
        .server
        .rest("animals", &[("offset", "12"), ("limit", "1")]);
    let response = behind.header("prefer", "count=exact").send().await.unwrap();
    assert_eq!(response.status(), 416);
    assert_eq!(header(&response, "content-range"), Some("*/11"));
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], "range_not_satisfiable");
    let nonsense = lab.server.rest("animals", &[]).header("range", "5-2");
    assert_eq!(refused(nonsense).await.0, 416);
    let groups = [("select", "alive,count()"), ("limit", "1")];
    let request = lab
        .server
        .rest("animals", &groups)
        .header("prefer", "count=exact");
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-range"), Some("0-0/3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_what_get_would() {
    let lab = Lab::start().await;
    let url = lab.server.url("/api/rest/lab/animals?limit=2&order=id");
    let get = lab.server.http.get(&url).header("prefer", "count=exact");
    let head = lab.server.http.head(&url).header("prefer", "count=exact");
    let (get, head) = (get.send().await.unwrap(), head.send().await.unwrap());
    assert_eq!(head.status(), 206);
    for name in ["content-range", "content-type", "link", "content-length"] {
        assert!(header(&head, name).is_some(), "{name}");
        assert_eq!(header(&head, name), header(&get, name), "{name}");
    }
    assert_eq!(head.text().await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_every_format_and_one_as_an_object() {
    let lab = Lab::start().await;
    let one = [("select", "id,name"), ("id", "eq.1")];
    for pairs in [one.to_vec(), [&one[..], &[("limit", "5")]].concat()] {
        for (accept, content_type, body) in [
            (
                "application/json",
                "application/json",
                "[{\"id\":1,\"name\":\"Ada\"}]\n",
            ),
            (
                "application/x-ndjson",
                "application/x-ndjson",
                "{\"id\":1,\"name\":\"Ada\"}\n",
            ),
            (
                "text/csv",
                "text/csv; charset=utf-8; header=present",
                "id,name\n1,Ada\n",
            ),
            (
                "application/vnd.pgrst.object+json",
                "application/vnd.pgrst.object+json",
                "{\"id\":1,\"name\":\"Ada\"}\n",
            ),
        ] {
            let request = lab.server.rest("animals", &pairs).header("accept", accept);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200, "{accept}");
            assert_eq!(header(&response, "content-type"), Some(content_type));
            assert_eq!(response.text().await.unwrap(), body, "{accept} {pairs:?}");
        }
    }
    for (pairs, code) in [
        (vec![], "there is more"),
        (vec![("id", "gt.99")], "there is none"),
    ] {
        let request = lab.server.rest("animals", &pairs);
        let (status, error) =
            refused(request.header("accept", "application/vnd.pgrst.object+json")).await;
        assert_eq!(
            (status, error["code"].as_str()),
            (406, Some("not_acceptable"))
        );
        assert!(error["message"].as_str().unwrap().contains(code), "{error}");
    }
    let (status, _) = refused(
        lab.server
            .rest("animals", &[])
            .header("accept", "image/png"),
    )
    .await;
    assert_eq!(status, 406);
}

/// Every page of a walk along `Link`, as one list.
async fn walk(server: &Server, first: RequestBuilder) -> (Vec<Value>, usize) {
    let mut all = Vec::new();
    let mut pages = 0;
    let mut request = first;
    loop {
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{}",
            response.text().await.unwrap()
        );
        let link = header(&response, "link").map(str::to_owned);
        let range = header(&response, "content-range").unwrap().to_owned();
        let page: Value = response.json().await.unwrap();
        let page = page.as_array().unwrap();
        let expected = format!("{}-{}/*", all.len(), all.len() + page.len() - 1);
        assert_eq!(range, expected);
        all.extend(page.iter().cloned());
        pages += 1;
        let Some(link) = link else {
            return (all, pages);
        };
        let address = link
            .strip_prefix('<')
            .unwrap()
            .strip_suffix(">; rel=\"next\"")
            .unwrap();
        request = server.http.get(address);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_along_the_pages_meets_each_row_once() {
    let lab = Lab::start().await;
    let server = &lab.server;
    for (table, pairs, rows) in [
        ("animals", vec![("order", "id"), ("limit", "3")], 11),
        ("animals", vec![("order", "id.desc"), ("limit", "11")], 11),
        (
            "animals",
            vec![("order", "weight.desc.nullslast"), ("limit", "1")],
            11,
        ),
        (
            "animals",
            vec![
                ("order", "weight.nullsfirst"),
                ("limit", "1"),
                ("select", "id,tags"),
            ],
            11,
        ),
        (
            "animals",
            vec![
                ("order", "seen,name.desc"),
                ("limit", "2"),
                ("select", "name"),
            ],
            11,
        ),
        (
            "animals",
            vec![
                ("order", "price.desc"),
                ("limit", "2"),
                ("id", "gt.2"),
                ("or", "(id.lt.5,id.gt.6)"),
            ],
            7,
        ),
        (
            "animals",
            vec![("order", "code"), ("limit", "2"), ("select", "id,code")],
            11,
        ),
        (
            "animals",
            vec![
                ("order", "place->room.desc"),
                ("limit", "2"),
                ("select", "id"),
            ],
            11,
        ),
        (
            "animals",
            vec![("order", "alive"), ("limit", "4"), ("select", "id")],
            11,
        ),
        (
            "readings",
            vec![
                ("order", "\"odd.name\""),
                ("limit", "64"),
                ("select", "id,\"odd.name\""),
            ],
            500,
        ),
        (
            "readings",
            vec![("order", "level,\"limit\".desc"), ("limit", "37")],
            500,
        ),
        // Without a key and with columns that tell few rows apart, equal rows are counted.
        (
            "readings",
            vec![
                ("order", "\"limit\""),
                ("limit", "7"),
                ("select", "\"limit\",level"),
            ],
            500,
        ),
        // Lists and structs are not in a cursor, and still have their place.
        (
            "readings",
            vec![
                ("order", "\"limit\".desc"),
                ("limit", "9"),
                ("select", "\"limit\",level,list,nested"),
            ],
            500,
        ),
    ] {
        let (found, pages) = walk(server, server.rest(table, &pairs)).await;
        assert_eq!(found.len(), rows, "{pairs:?}");
        assert!(pages > 1 || pairs.contains(&("limit", "11")), "{pairs:?}");
        let unlimited: Vec<_> = pairs
            .iter()
            .copied()
            .filter(|(name, _)| *name != "limit")
            .collect();
        let whole = self::rows(server.rest(table, &unlimited)).await;
        let sorted = |rows: &[Value]| {
            let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
            rows.sort_unstable();
            rows
        };
        assert_eq!(
            sorted(&found),
            sorted(whole.as_array().unwrap()),
            "{pairs:?}"
        );
        let keys: HashSet<String> = found
            .iter()
            .filter_map(|row| Some(row.get("id")?.to_string()))
            .collect();
        assert!(keys.is_empty() || keys.len() == rows, "{pairs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_can_be_gone_on_from_and_a_cursor_fits_its_order_only() {
    let lab = Lab::start().await;
    let request = lab
        .server
        .rest("animals", &[("order", "id"), ("select", "id")]);
    let (found, pages) = walk(&lab.server, request.header("range", "0-3")).await;
    assert_eq!((found.len(), pages), (11, 3));
    let response = lab
        .server
        .rest("animals", &[("order", "id"), ("limit", "2")]);
    let response = response.send().await.unwrap();
    let link = header(&response, "link").unwrap().to_owned();
    let cursor = link
        .split("after=")
        .nth(1)
        .unwrap()
        .split('>')
        .next()
        .unwrap();
    for (pairs, message) in [
        (
            vec![("order", "id.desc"), ("limit", "2"), ("after", cursor)],
            "another order",
        ),
        (
            vec![
                ("order", "id"),
                ("limit", "2"),
                ("offset", "1"),
                ("after", cursor),
            ],
            "doesn't go together",
        ),
        (vec![("order", "id"), ("after", cursor)], "no pages"),
        (vec![("limit", "2"), ("after", cursor)], "no pages"),
    ] {
        let (status, error) = refused(lab.server.rest("animals", &pairs)).await;
        assert_eq!(status, 400, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{error}"
        );
    }
    // No order, no cursor: rows would have no place.
    let response = lab
        .server
        .rest("animals", &[("limit", "2")])
        .send()
        .await
        .unwrap();
    assert_eq!(header(&response, "link"), None);
    // A list of the client's own order is nothing that a cursor says.
    let pairs = [("order", "list"), ("limit", "5")];
    let response = lab.server.rest("readings", &pairs).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "link"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_describes_itself_where_the_program_can() {
    let lab = Lab::start().await;
    assert_eq!(
        refused(lab.server.http.get(lab.server.url("/api/rest")))
            .await
            .0,
        404
    );
    let describe = |database: Option<&str>| match database {
        None => Some("{\"openapi\": \"all\"}".to_owned()),
        Some("lab") => Some("{\"openapi\": \"lab\"}".to_owned()),
        Some(_) => None,
    };
    let lab = Lab::with(Settings {
        openapi: Some(describe.into()),
        ..Settings::default()
    })
    .await;
    for (path, said) in [
        ("/api/rest", "all"),
        ("/api/rest/", "all"),
        ("/api/rest/lab", "lab"),
    ] {
        let found: Value = lab.server.get(path).await.json().await.unwrap();
        assert_eq!(found, json!({"openapi": said}), "{path}");
    }
    let nowhere = lab.server.http.get(lab.server.url("/api/rest/nowhere"));
    assert_eq!(refused(nowhere).await.0, 404);
}

//! Search finds what people mean, and the page ranks exactly like the command line.
//!
//! Every case runs through both engines. The page's needs `node`; without it these tests fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use catalog_gen::search::{Answer, SearchIndex};
use neurolake_model::{Catalog, Column, Deprecation, Table, Type};
use neurolake_tests::synthetic;
use serde_json::{Value as Json, json};

/// As the page asks.
const LIMIT: usize = 20;

/// Answers of `site/assets/search.js`, and the size of the index when compressed.
fn ask_page(index: &SearchIndex, queries: &[(String, usize)]) -> (Vec<Json>, u64) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/node/search.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`node` runs; the search of the site is tested with it");
    let input = json!({"index": index.to_js(), "text": index.text_js(), "queries": queries});
    let mut stdin = node.stdin.take().expect("stdin is piped");
    stdin
        .write_all(input.to_string().as_bytes())
        .expect("node reads all input");
    drop(stdin);
    let output = node.wait_with_output().expect("node ends");
    assert!(
        output.status.success(),
        "{script} failed: {}",
        output.status
    );
    let mut printed: Json = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let gzip_bytes = printed["gzipBytes"].as_u64().expect("a size");
    let Json::Array(answers) = printed["answers"].take() else {
        panic!("answers are a list")
    };
    (answers, gzip_bytes)
}

fn to_json(answer: &Answer) -> Json {
    serde_json::to_value(answer).expect("an answer is JSON")
}

/// Runs the queries through both engines and insists on equal answers.
fn ask_both(index: &SearchIndex, queries: &[(String, usize)]) -> Vec<Json> {
    let (page, gzip_bytes) = ask_page(index, queries);
    assert!(
        gzip_bytes <= 350_000,
        "the index has {gzip_bytes} bytes when compressed"
    );
    assert_eq!(page.len(), queries.len());
    for ((text, limit), page) in queries.iter().zip(&page) {
        let own = to_json(&index.query(text, *limit));
        assert!(
            own == *page,
            "`{text}` (limit {limit}) is ranked differently\nRust: {own:#}\npage: {page:#}"
        );
    }
    page
}

/// xorshift64*, seeded per test.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        usize::try_from(number % limit as u64).expect("below a usize")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }

    fn letter(&mut self) -> char {
        *self.pick(b"abcdefghijklmnopqrstuvwxyz") as char
    }

    /// One edit: a letter dropped, doubled, replaced, or swapped with its neighbour.
    fn typo(&mut self, name: &str) -> String {
        let mut letters: Vec<char> = name.chars().collect();
        let place = 1 + self.below(letters.len() - 2);
        match self.below(4) {
            0 => drop(letters.remove(place)),
            1 => letters.insert(place, letters[place]),
            2 => letters[place] = self.letter(),
            _ => letters.swap(place, place - 1),
        }
        letters.into_iter().collect()
    }
}

struct Case {
    kind: &'static str,
    query: String,
    fits: Box<dyn Fn(&Json) -> bool>,
}

/// Name of the column, otherwise of the table.
fn name(hit: &Json) -> &str {
    hit["column"]
        .as_str()
        .or(hit["table"].as_str())
        .expect("a hit has a table")
}

fn words(name: &str) -> BTreeSet<&str> {
    name.split(['_', '.']).collect()
}

/// Tier of a single name, written independently of the engines.
fn tier(name: &str, query: &str) -> u8 {
    let begins_word = |(at, _): (usize, &str)| name[..at].ends_with(['_', '.']);
    if name == query {
        4
    } else if name.starts_with(query) {
        3
    } else if name.match_indices(query).any(begins_word) {
        2
    } else {
        u8::from(name.contains(query))
    }
}

/// Any hit of the best tier is right: a piece of a name may be a piece of several. Deprecated
/// names are demoted, so they don't set the bar.
fn best_tier(catalog: &Catalog, query: &str) -> impl Fn(&Json) -> bool + 'static {
    let alive = catalog
        .tables()
        .map(|(_, table)| table)
        .filter(|table| table.deprecated.is_none());
    let names = alive.flat_map(|table| {
        table
            .columns
            .iter()
            .map(|column| &column.name)
            .chain([&table.name])
    });
    let best = names.map(|name| tier(name, query)).max().unwrap_or(0);
    let query = query.to_owned();
    move |hit| {
        let alias = hit["alias"].as_str();
        let tier = tier(name(hit), &query).max(alias.map_or(0, |alias| tier(alias, &query)));
        tier > 0 && tier >= best
    }
}

fn cases(catalog: &Catalog, seed: u64, each: usize) -> Vec<Case> {
    let mut random = Random(seed);
    // Deprecated tables are demoted; that has a test of its own.
    let tables: Vec<(&str, &Table)> = catalog
        .tables()
        .filter(|(_, table)| table.deprecated.is_none())
        .map(|(database, table)| (database.name.as_str(), table))
        .collect();
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |kind, query: String, fits: Box<dyn Fn(&Json) -> bool>| {
        cases.push(Case { kind, query, fits });
    };
    for _ in 0..each {
        let (database, table) = *random.pick(&tables);
        let target = table.name.clone();
        let is_table = {
            let target = target.clone();
            move |hit: &Json| hit["table"] == target && hit["column"].is_null()
        };
        add("exact", target.clone(), Box::new(is_table.clone()));

        let prefix = &target[..target.len() * 6 / 10];
        add(
            "prefix",
            prefix.to_owned(),
            Box::new(best_tier(catalog, prefix)),
        );

        let start = 1 + random.below(target.len() / 3);
        let substring = &target[start..start + target.len() / 2];
        add(
            "substring",
            substring.to_owned(),
            Box::new(best_tier(catalog, substring)),
        );

        add(
            "words",
            target.replace('_', " "),
            Box::new(is_table.clone()),
        );

        let mut shuffled: Vec<&str> = target.split('_').collect();
        random.shuffle(&mut shuffled);
        let given: BTreeSet<String> = shuffled.iter().map(|&word| word.to_owned()).collect();
        add(
            "words shuffled",
            shuffled.join(" "),
            Box::new(move |hit| {
                let name = words(name(hit));
                given.len() == name.len() && given.iter().all(|word| name.contains(word.as_str()))
            }),
        );

        add("typo", random.typo(&target), Box::new(is_table.clone()));
        if target.len() >= 12 {
            let first = random.typo(&target);
            add("two typos", random.typo(&first), Box::new(is_table.clone()));
        }

        let column = random.pick(&table.columns).name.clone();
        let has_name = {
            let column = column.clone();
            move |hit: &Json| name(hit) == column
        };
        add("column", column.clone(), Box::new(has_name.clone()));
        if column.len() > 4 {
            add("column typo", random.typo(&column), Box::new(has_name));
        }

        let starts: Vec<String> = column
            .split('_')
            .map(|word| word.chars().take(4).collect::<String>())
            .collect();
        add(
            "abbreviations",
            starts.join(" "),
            Box::new(move |hit| {
                let name = words(name(hit));
                starts
                    .iter()
                    .all(|start| name.iter().any(|word| word.starts_with(start)))
            }),
        );

        let path = format!("{database}.{target}");
        let is_path = {
            let database = database.to_owned();
            move |hit: &Json| hit["database"] == database && is_table(hit)
        };
        add("qualified", path.clone(), Box::new(is_path));
        let column_path = {
            let (database, target, column) = (database.to_owned(), target.clone(), column.clone());
            move |hit: &Json| {
                hit["database"] == database && hit["table"] == target && hit["column"] == column
            }
        };
        add(
            "qualified",
            format!("{path}.{column}"),
            Box::new(column_path),
        );
        let query = format!("{}.{}", table.name, random.pick(&table.columns).name);
        let (_, wanted) = query.split_once('.').expect("joined with a point");
        let wanted = wanted.to_owned();
        add(
            "qualified",
            query,
            Box::new(move |hit| hit["table"] == target && hit["column"] == wanted),
        );

        let noise: String = (0..9 + random.below(6))
            .map(|_| *random.pick(b"bcdfghjklmnpqrtvwxz") as char)
            .collect();
        add("noise", noise, Box::new(|_| false));
    }
    cases
}

/// Share of cases answered in the first place, in the first ten, and without an answer.
#[derive(Default)]
struct Rate {
    cases: usize,
    first: usize,
    ten: usize,
    none: usize,
}

fn rates(cases: &[Case], answers: &[Json]) -> BTreeMap<&'static str, Rate> {
    let mut rates: BTreeMap<&str, Rate> = BTreeMap::new();
    for (case, answer) in cases.iter().zip(answers) {
        let hits = answer["hits"].as_array().expect("an answer has hits");
        let rate = rates.entry(case.kind).or_default();
        rate.cases += 1;
        rate.first += usize::from(hits.first().is_some_and(|hit| (case.fits)(hit)));
        rate.ten += usize::from(hits.iter().take(10).any(|hit| (case.fits)(hit)));
        rate.none += usize::from(hits.is_empty());
        if case.kind != "noise" && !hits.first().is_some_and(|hit| (case.fits)(hit)) {
            let first = hits.first().map_or("nothing", name);
            println!("  {}: `{}` gives {first}", case.kind, case.query);
        }
    }
    rates
}

/// Percent of the cases that the first hit, the first ten, no hit must answer.
const GATE: &[(&str, usize, usize, usize)] = &[
    ("exact", 100, 100, 0),
    ("prefix", 100, 100, 0),
    ("substring", 100, 100, 0),
    ("words", 100, 100, 0),
    ("words shuffled", 100, 100, 0),
    ("column", 100, 100, 0),
    ("qualified", 100, 100, 0),
    ("abbreviations", 95, 100, 0),
    ("typo", 90, 90, 0),
    ("two typos", 80, 85, 0),
    ("column typo", 80, 88, 0),
    ("noise", 0, 0, 100),
];

fn check_relevance(tables: usize, seed: u64, each: usize) {
    let catalog = synthetic::catalog(tables, 20, seed);
    let index = SearchIndex::build(&catalog);
    let cases = cases(&catalog, 0x5EED + seed, each);
    let queries: Vec<(String, usize)> = cases
        .iter()
        .map(|case| (case.query.clone(), LIMIT))
        .collect();
    let answers = ask_both(&index, &queries);
    let rates = rates(&cases, &answers);
    let bytes = index.to_js().len();
    assert!(bytes <= 1_100_000, "the index has {bytes} bytes");
    println!(
        "{tables} tables, {} queries, seed {seed}, index of {bytes} bytes",
        cases.len()
    );
    println!(
        "{:16} {:>6} {:>6} {:>6} {:>6}",
        "", "cases", "top 1", "top 10", "none"
    );
    let percent = |part: usize, rate: &Rate| part * 100 / rate.cases;
    for (kind, rate) in &rates {
        let (first, ten, none) = (
            percent(rate.first, rate),
            percent(rate.ten, rate),
            percent(rate.none, rate),
        );
        println!("{kind:16} {:6} {first:5}% {ten:5}% {none:5}%", rate.cases);
    }
    for (kind, first, ten, none) in GATE {
        let rate = &rates[kind];
        assert!(rate.cases >= each / 2, "{kind}");
        assert!(percent(rate.first, rate) >= *first, "{kind}: top 1");
        assert!(percent(rate.ten, rate) >= *ten, "{kind}: top 10");
        assert!(percent(rate.none, rate) >= *none, "{kind}: no hits");
    }
}

#[test]
fn finds_what_is_meant_among_1_000_tables() {
    check_relevance(1_000, 1, 30);
}

#[test]
fn finds_what_is_meant_among_10_000_tables() {
    check_relevance(10_000, 2, 16);
}

fn column(name: &str) -> Column {
    Column {
        name: name.into(),
        data_type: Type::String,
        nullable: false,
        docs: String::new(),
        unit: None,
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    }
}

/// A catalog with everything that made-up tables lack: nested columns, aliases, former names,
/// deprecated columns, hidden tables, names that aren't plain.
fn odd_catalog(tables: usize, seed: u64) -> Catalog {
    let mut catalog = synthetic::catalog(tables, 8, seed);
    let mut random = Random(seed | 1);
    let all = catalog
        .databases
        .iter_mut()
        .flat_map(|database| &mut database.tables);
    for (place, table) in all.enumerate() {
        table.hidden = random.below(20) == 0;
        match place % 7 {
            0 => {
                let mut nested = column("position");
                let fields = vec![column("x"), column("y"), column("uncertainty_um")];
                nested.data_type = Type::Struct { fields };
                table.columns.push(nested);
            }
            1 => {
                table.columns[0].aliases = vec!["recording key".into(), "Schlüssel".into()];
                table.columns[1].renamed_from = Some(format!("old_{}", table.columns[1].name));
            }
            2 => table.columns[0].deprecated = Some(Deprecation::default()),
            3 => table.columns.extend([
                column("Größe"),
                column("Animal ID"),
                column("İd"),
                column("𝒙_pos"),
            ]),
            4 => table.aliases.push(format!("{} legacy", table.name)),
            5 => {
                let name = &table.name;
                table.docs = format!("[Impedance](table:lab.x) of `{name}`, *naïve* estimate.");
            }
            _ => table.columns[0].docs = format!("Überschuss in row {}.", place % 3),
        }
    }
    catalog
}

fn random_query(random: &mut Random, names: &[String]) -> String {
    if random.below(10) == 0 {
        let words = random.pick(names).split('_');
        let slips = words.map(|word| match word.chars().count() {
            0..4 => word.to_owned(),
            _ => random.typo(word),
        });
        return slips.collect::<Vec<_>>().join(" ");
    }
    let mut pieces: Vec<String> = Vec::new();
    for _ in 0..=random.below(3) {
        let letters: Vec<char> = random.pick(names).chars().collect();
        let from = if random.below(2) == 0 {
            0
        } else {
            random.below(letters.len())
        };
        let to = from + 1 + random.below(letters.len() - from);
        let mut piece: String = letters[from..to].iter().collect();
        match random.below(8) {
            0 if piece.chars().count() > 3 => piece = random.typo(&piece),
            1 => piece = piece.replace('_', ""),
            2 => piece = piece.to_uppercase(),
            3 => piece = piece.replace('_', " "),
            4 => piece.push(random.letter()),
            _ => {}
        }
        pieces.push(piece);
    }
    let separator = *random.pick(&[" ", " ", "_", ".", "-", "::", "  ", ". "]);
    let joined = pieces.join(separator);
    let facet = match random.below(12) {
        0 => "db:ne",
        1 => "OWNER:sig",
        2 => "tag:gold",
        3 => "format:delta",
        4 => "type:sq db:neural",
        5 => "col:session_id",
        6 => "is:dep",
        7 => "col:sesion_date",
        _ => return joined,
    };
    if random.below(3) == 0 {
        facet.to_owned()
    } else {
        format!("{joined} {facet}")
    }
}

#[test]
fn the_page_ranks_like_the_command_line() {
    for (tables, seed) in [(400, 11), (60, 12), (3, 13)] {
        let catalog = odd_catalog(tables, seed);
        let index = SearchIndex::build(&catalog);
        let names: Vec<String> = catalog
            .tables()
            .flat_map(|(database, table)| {
                let columns = table.columns.iter().map(|column| column.name.clone());
                let docs = table.docs.split(' ').filter(|word| !word.is_empty());
                let docs: Vec<String> = docs.map(str::to_owned).collect();
                columns
                    .chain([table.name.clone(), database.name.clone()])
                    .chain(docs)
            })
            .collect();
        let mut random = Random(seed);
        let mut queries: Vec<(String, usize)> = (0..2000)
            .map(|_| {
                (
                    random_query(&mut random, &names),
                    *random.pick(&[1, 2, 5, 20, 100]),
                )
            })
            .collect();
        let odd = [
            "",
            " ",
            "_",
            ".",
            "..",
            "a.",
            ".a",
            "::",
            "db:",
            "is:",
            "is:x",
            "is:in is:dep",
            "tag::a",
            "col:",
            "a b c d e f g h i j k l m n o p q r s",
        ];
        queries.extend(odd.map(|query| (query.to_owned(), 20)));
        queries.push(("x".repeat(5000), 20));
        queries.push(("é_ß.𝒙 ".repeat(60), 20));
        queries.push(("ts".to_owned(), 0));
        let answers = ask_both(&index, &queries);
        let mut tiers: BTreeSet<String> = BTreeSet::new();
        for hit in answers
            .iter()
            .flat_map(|answer| answer["hits"].as_array().into_iter().flatten())
        {
            tiers.insert(hit["tier"].to_string());
        }
        assert!(
            tables < 60 || tiers.len() == 10,
            "all tiers are compared: {tiers:?}"
        );
    }
}

#[test]
fn an_empty_catalog_answers() {
    let mut catalog = synthetic::catalog(3, 4, 1);
    catalog.databases.clear();
    let queries = ["", "a", "a.b", "nomralized band", "db:x", "is:deprecated"];
    let queries = queries.map(|query| (query.to_owned(), LIMIT));
    for answer in ask_both(&SearchIndex::build(&catalog), &queries) {
        assert_eq!(answer, json!({"hits": [], "suggestion": null}));
    }
}

/// Queries as people type them, over the tables of a brain-interface company.
#[test]
fn finds_what_is_meant_in_a_real_lake() {
    let catalog = Catalog::from_json(include_str!("../fixtures/search/catalog.json"))
        .expect("the fixture is a catalog");
    let lines = include_str!("../fixtures/search/queries.tsv").lines();
    let cases: Vec<(&str, &str)> = lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("query, tab, expectation"))
        .collect();
    let queries: Vec<(String, usize)> = cases
        .iter()
        .map(|(query, _)| ((*query).to_owned(), LIMIT))
        .collect();
    let answers = ask_both(&SearchIndex::build(&catalog), &queries);
    let mut wrong = Vec::new();
    for ((query, expected), answer) in cases.iter().zip(&answers) {
        let hits = answer["hits"].as_array().expect("an answer has hits");
        let found = match (hits.first(), answer["suggestion"].as_str()) {
            (Some(hit), _) => [&hit["database"], &hit["table"], &hit["column"]]
                .iter()
                .filter_map(|part| part.as_str())
                .collect::<Vec<_>>()
                .join("."),
            (None, Some(suggestion)) => format!("?{suggestion}"),
            (None, None) => "-".to_owned(),
        };
        if expected.split(" | ").all(|expected| expected != found) {
            wrong.push(format!("`{query}` finds {found}, not {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

type Filter = fn(&str, &Table) -> bool;

/// Facets against a plain filter of the catalog.
#[test]
fn facets_filter() {
    let catalog = odd_catalog(300, 21);
    let index = SearchIndex::build(&catalog);
    let facets: &[(&str, Filter)] = &[
        ("db:neural", |database, _| database == "neural"),
        ("db:n", |database, _| database.starts_with('n')),
        ("owner:signals", |_, table| {
            table.owner.as_deref() == Some("signals")
        }),
        ("tag:gold", |_, table| {
            table.tags.iter().any(|tag| tag == "gold")
        }),
        ("tag:sil", |_, table| {
            table.tags.iter().any(|tag| tag == "silver")
        }),
        ("type:delta", |_, table| table.source.kind() == "delta"),
        ("FORMAT:postgres", |_, table| {
            table.source.kind() == "postgres"
        }),
        ("is:deprecated", |_, table| table.deprecated.is_some()),
        ("is:ing", |_, table| table.ingest),
        ("col:implant_id", |_, table| {
            table.column("implant_id").is_some()
        }),
    ];
    let visible = || catalog.tables().filter(|(_, table)| !table.hidden);
    let name = |database: &str, table: &Table| format!("{database}.{}", table.name);
    let mut checked = 0;
    for (first, one) in facets {
        for (second, two) in facets {
            let key = |facet: &str| facet[..2].to_lowercase().replace("fo", "ty");
            let either = key(first) == key(second) && ["db", "ow", "ty"].contains(&&*key(first));
            let fits = |database: &str, table: &Table| {
                let (one, two) = (one(database, table), two(database, table));
                if either { one || two } else { one && two }
            };
            let expected: BTreeSet<String> = visible()
                .filter(|(database, table)| fits(&database.name, table))
                .map(|(database, table)| name(&database.name, table))
                .collect();
            let answer = index.query(&format!("{first} {second}"), 10_000);
            let found: BTreeSet<String> = answer
                .hits
                .iter()
                .map(|hit| format!("{}.{}", hit.database, hit.table))
                .collect();
            assert_eq!(
                answer.hits.len(),
                found.len(),
                "{first} {second}: each table once"
            );
            assert_eq!(found, expected, "{first} {second}");
            checked += usize::from(!expected.is_empty());

            let narrowed = index.query(&format!("s {first} {second}"), 10_000);
            for hit in narrowed.hits {
                let table = catalog
                    .table(&hit.database, &hit.table)
                    .expect("hits exist");
                assert!(
                    fits(&hit.database, table),
                    "s {first} {second}: {}",
                    hit.path()
                );
            }
        }
    }
    assert!(checked > 40, "most combinations find something: {checked}");
}

#[test]
fn hidden_tables_are_absent_and_deprecated_ones_come_later() {
    let mut catalog = synthetic::catalog(40, 5, 3);
    let tables = &mut catalog.databases[0].tables;
    for (place, name) in ["pulse", "pulse_a", "pulse_bb", "my_pulse", "impulse"]
        .iter()
        .enumerate()
    {
        tables[place].name = (*name).to_owned();
        tables[place].deprecated = None;
        tables[place].aliases.clear();
        tables[place].hidden = false;
    }
    tables[0].deprecated = Some(Deprecation::default());
    tables[1].deprecated = Some(Deprecation::default());
    tables[5].hidden = true;
    tables[5].aliases = vec!["pulse_hidden".into()];
    for table in catalog
        .databases
        .iter_mut()
        .flat_map(|database| &mut database.tables)
    {
        table
            .columns
            .retain(|column| !column.name.contains("pulse"));
    }
    let hidden = catalog.databases[0].tables[5].name.clone();
    let index = SearchIndex::build(&catalog);
    let found = |query: &str| -> Vec<String> {
        index
            .query(query, 5)
            .hits
            .into_iter()
            .map(|hit| hit.table)
            .collect()
    };
    // Typed in full it comes first; otherwise what isn't deprecated and fits less does.
    assert_eq!(
        found("pulse"),
        ["pulse", "pulse_bb", "my_pulse", "pulse_a", "impulse"]
    );
    assert!(!found(&hidden).contains(&hidden));
    assert!(!index.to_js().contains("pulse_hidden") && !index.to_js().contains(&hidden));
}

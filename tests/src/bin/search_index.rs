//! Writes what `tests/node/search_bench.mjs` measures: `search_index DIR [TABLES]`.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use catalog_gen::search::SearchIndex;
use neurolake_tests::synthetic;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().expect("usage: search_index DIR [TABLES]");
    let tables = arguments
        .next()
        .map_or(10_000, |tables| tables.parse().expect("a number"));
    let catalog = synthetic::catalog(tables, 20, 1);
    let mut built = Duration::MAX;
    for _ in 0..5 {
        let start = cpu()?;
        drop(SearchIndex::build(&catalog));
        built = built.min(cpu()?.saturating_sub(start));
    }
    let index = SearchIndex::build(&catalog);
    let (names, text) = (index.to_js(), index.text_js());

    // 300 queries as people type them: names of tables, of columns, and words.
    let all: Vec<_> = catalog.tables().map(|(_, table)| table).collect();
    let queries: Vec<String> = (0..300)
        .map(|place| {
            let table = all[place * 7919 % all.len()];
            let column = &table.columns[place % table.columns.len()].name;
            match place % 6 {
                0 | 1 => table.name.clone(),
                2 => column.clone(),
                3 => table.name.replace('_', " "),
                4 => table.name.chars().rev().collect(),
                _ => table.name.replacen('e', "", 1),
            }
        })
        .collect();
    let queries = serde_json::to_string(&queries)?;

    let out = Path::new(&out);
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("search-index.js"), names)?;
    std::fs::write(out.join("search-text.js"), text)?;
    std::fs::write(out.join("queries.json"), queries)?;
    writeln!(
        io::stdout(),
        "{tables} tables: index built in {} ms of CPU (fastest of 5)",
        built.as_millis()
    )
}

/// Time on the processor, which other programs don't blur. Linux only.
fn cpu() -> io::Result<Duration> {
    let statistics = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = statistics
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other("no CPU time"))
}

//! Source that is damaged in every way an editor and a bad merge can damage it: no panic, and an
//! answer at once. `MUTATIONS=1000000 SEED=7` looks longer.

use std::time::{Duration, Instant};
use std::{env, fs};

use catalog_gen::reader::scan::scan;
use neurolake_tests::tools::workspace;

/// xorshift64*: enough for choosing, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % limit.max(1)
    }
}

/// Words that the language knows, and ones that hurt.
const WORDS: &[&str] = &[
    "#[table(",
    ")]",
    "#[column(",
    "delta = ",
    "sql = \"",
    "partition_by(",
    "ingest",
    "example(",
    "Decimal<",
    "Vec<",
    "Option<",
    ">",
    "<",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "r#\"",
    "\"#",
    "///",
    "//!",
    "/*",
    "*/",
    "r#type",
    "::",
    ",",
    ";",
    "=",
    "-",
    "99999999999999999999",
    "-1",
    "1e999",
    "0x7f",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "é",
    "温",
    "🧠",
    "\\u{10FFFF}",
    "\\",
    "\r\n",
    "\t",
    "None",
    "Decimal<255, 256>",
    "Decimal<0, 0>",
    "b\"x\"",
    "c\"x\"",
    "[`",
    "](",
    "mod a;",
    "use a::*;",
    "#[cfg(",
    "#[derive(Columns)]",
    "macro_rules! x { () => { #[table] } }",
    "async fn f(",
];

fn sources() -> Vec<Vec<u8>> {
    let mut sources = Vec::new();
    for folder in [
        "tests/cases/errors",
        "neurolake/demo/src",
        "tests/tests/agreement",
    ] {
        for entry in fs::read_dir(workspace().join(folder)).expect("sources") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(fs::read(path).expect("a source"));
            }
        }
    }
    sources.sort();
    sources
}

fn mutate(random: &mut Random, source: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let until = (at + random.below(40)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..until)),
            1 => {
                let part = bytes[at..until].to_vec();
                let copies = 1 + random.below(3);
                bytes.splice(at..at, part.repeat(copies));
            }
            2 if at < bytes.len() => bytes[at] = u8::try_from(random.below(256)).unwrap_or(0),
            3 => bytes.truncate(at),
            4 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(200)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..until.min(at + 8), word.bytes());
            }
        }
    }
    bytes
}

#[test]
fn damaged_source_is_no_panic() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    let count = number("MUTATIONS").unwrap_or(4000);
    let seed = number("SEED").unwrap_or(20_260_301);
    let sources = sources();
    let mut random = Random(seed);
    let mut slowest = Duration::ZERO;
    for step in 0..count {
        let source = &sources[random.below(sources.len())];
        let other = &sources[random.below(sources.len())];
        let bytes = mutate(&mut random, source, other);
        let started = Instant::now();
        if std::panic::catch_unwind(|| scan(&bytes)).is_err() {
            let text = String::from_utf8_lossy(&bytes);
            panic!("SEED={seed}: mutation {step} makes the reader panic\n{text}");
        }
        slowest = slowest.max(started.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(5),
        "SEED={seed}: a file took {slowest:?}"
    );
}

//! Any bytes as a source file. Start it with the cases of the language as its corpus:
//! `cargo +nightly fuzz run scan fuzz_corpus ../cases/errors -- -max_len=8192`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    catalog_gen::reader::scan::scan(bytes);
});

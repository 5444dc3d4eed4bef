//! Bodies of bad will: no panic, whatever they are. A release build ends with the first panic.

use bytes::Bytes;

use super::arrow::stream;
use super::random::{Random, batch, columns, disguised};
use super::{MEMORY, rows};
use crate::validate::{Form, Invalid, Validator};

/// Changes some bytes, or cuts, doubles or moves some.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    let count = 1 + random.below(4);
    for _ in 0..count {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let edge = [0, 1, 0x7f, 0x80, 0xff, b'"', b'[', b'}'];
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 | 3 => bytes[at] = edge[random.below(edge.len())],
            4 => bytes.truncate(at),
            5 => {
                // A number of 32 bits somewhere, as lengths are.
                let number = [0, 1, u32::MAX, i32::MAX as u32, 1 << 20][random.below(5)];
                let at = at & !3;
                if let Some(place) = bytes.get_mut(at..at + 4) {
                    place.copy_from_slice(&number.to_le_bytes());
                }
            }
            6 => {
                let length = random.below(16).min(bytes.len() - at);
                bytes.drain(at..at + length);
            }
            _ => {
                let length = random.below(16).min(bytes.len() - at);
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

#[test]
fn damaged_bodies_are_refused_or_read_but_never_panic() {
    let rounds: u64 =
        std::env::var("NEUROLAKE_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    let (mut refused, mut read) = (0, 0);
    for seed in 0..rounds {
        let random = &mut Random(seed);
        let columns = columns(random, 3);
        let sent = batch(random, &columns, 7);
        let validator = Validator::new(&columns);
        let lines = rows(&sent);
        let json = format!("[{}]", lines.join(",\n")).into_bytes();
        let arrow = stream(&[sent.slice(0, 4), sent.slice(4, 3)]);
        for (form, body) in [
            (Form::Arrow, arrow),
            (Form::Arrow, stream(&[disguised(random, &sent)])),
            (Form::Json, json),
            (Form::Lines, lines.join("\n").into_bytes()),
        ] {
            let damages = if form == Form::Arrow { 200 } else { 20 };
            for _ in 0..damages {
                let mut body = body.clone();
                damage(random, &mut body);
                match validator.read(form, &Bytes::from(body), Invalid::Quarantine, MEMORY) {
                    Ok(_) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 0 && read > 0, "{refused} refused, {read} read");
}

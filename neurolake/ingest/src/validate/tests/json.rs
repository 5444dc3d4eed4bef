//! Whole bodies of JSON: rows, lines, syntax, limits.

use bytes::Bytes;
use neurolake_model::{Column, Type};

use super::{Form, Invalid, MEMORY, column, list, message, read, refused, rows, told};
use crate::validate::{REPORTED_ERRORS, Unreadable, Validator};

fn columns() -> Vec<Column> {
    vec![
        column("id", Type::Int64, false),
        column("name", Type::String, true),
        column("band_power", list(Type::Float32, false), true),
    ]
}

#[test]
fn an_object_is_a_row_and_an_array_is_many() {
    let one = r#"{"id":1,"name":null,"band_power":null}"#;
    let read = |body: &str| read(&columns(), Form::Json, body, Invalid::Reject).unwrap();
    assert_eq!(rows(&read(r#" {"id": 1} "#).rows), [one]);
    assert_eq!(rows(&read("\u{feff}{\"id\": 1}").rows), [one]);
    assert_eq!(
        rows(&read(r#"[{"id": 1}, {"id": 1, "name": null}]"#).rows),
        [one, one]
    );
    assert_eq!(read("[]").rows.num_rows(), 0);
}

#[test]
fn lines_are_rows_and_empty_lines_are_nothing() {
    let body = "\u{feff}{\"id\": 1}\n\r\n  \n {\"id\": 2}\r\n{\"id\": 3}";
    let read = read(&columns(), Form::Lines, body, Invalid::Reject).unwrap();
    assert_eq!(read.rows.num_rows(), 3);
    let empty = super::read(&columns(), Form::Lines, "", Invalid::Reject).unwrap();
    assert_eq!(empty.rows.num_rows(), 0);
}

#[test]
fn every_fault_of_every_row_is_told() {
    let body = r#"[
        {"id": 1},
        {"nme": "a", "band_power": [1, "x", null]},
        7,
        {"id": 1, "id": 2, "name": 5}
    ]"#;
    let told = refused(read(&columns(), Form::Json, body, Invalid::Reject));
    assert_eq!(
        told,
        [
            "1 nme: unknown field; did you mean `name`?",
            "1 band_power[1]: expected a number (float32), found a string \"x\"",
            "1 band_power[2]: expected a number (float32), found null",
            "1 id: is missing; expected a whole number (int64)",
            "2 : expected an object, found a number 7",
            "3 id: the field stands twice",
            "3 name: expected a string, found a number 5",
        ]
    );
}

#[test]
fn a_former_name_is_explained() {
    let columns = [Column {
        renamed_from: Some("z_power".into()),
        ..column("band_power", Type::Int32, true)
    }];
    let told = refused(read(
        &columns,
        Form::Json,
        r#"{"z_power": 1}"#,
        Invalid::Reject,
    ));
    assert_eq!(
        told,
        ["0 z_power: unknown field; it is called `band_power` now"]
    );
}

#[test]
fn names_that_are_no_names_are_quoted() {
    let body = r#"{"id": 1, "a b": 1, "": 1, "n\u0061me": "x", "\ud800": 1}"#;
    let told = refused(read(&columns(), Form::Json, body, Invalid::Reject));
    let known = "unknown field; known are `id`, `name`, `band_power`";
    assert_eq!(
        told,
        [
            format!("0 [\"a b\"]: {known}"),
            format!("0 [\"\"]: {known}"),
            "0 : the name \"\\ud800\" has half of a surrogate pair".into(),
        ]
    );
}

#[test]
fn bad_rows_are_skipped_or_set_aside() {
    let lines =
        "{\"id\": 1}\n{\"id\": }\n\n{\"id\": \"x\", \"name\": 1}\n{\"id\": 4}\n\"\\uD800\"\n";
    let mut body = lines.as_bytes().to_vec();
    body.extend(b"{\"name\": \"\xff\"}\n");
    let skipped = read(&columns(), Form::Lines, &body, Invalid::Skip).unwrap();
    assert_eq!(
        rows(&skipped.rows),
        [
            r#"{"id":1,"name":null,"band_power":null}"#,
            r#"{"id":4,"name":null,"band_power":null}"#
        ]
    );
    assert_eq!(skipped.rejected, 4);
    assert!(skipped.dead.is_empty());
    assert_eq!(
        told(&skipped.errors),
        [
            "1 : not JSON: expected value at column 8",
            "2 id: expected a whole number (int64), found a string \"x\"",
            "2 name: expected a string, found a number 1",
            "4 : expected an object, found a string",
            "5 : not UTF-8: byte 10 of the line",
        ]
    );
    let lines: Vec<_> = skipped
        .errors
        .iter()
        .map(|error| error.line.unwrap())
        .collect();
    assert_eq!(lines, [2, 4, 4, 6, 7]);
    let dead = read(&columns(), Form::Lines, &body, Invalid::Quarantine).unwrap();
    assert_eq!(dead.rows, skipped.rows);
    assert_eq!(dead.errors, skipped.errors);
    let of = |row: usize| {
        let letter = &dead.dead[row];
        (letter.row, letter.reason.as_str(), letter.payload.as_str())
    };
    assert_eq!(
        of(0),
        (1, "not JSON: expected value at column 8", "{\"id\": }")
    );
    assert_eq!(
        of(1),
        (
            2,
            "id: expected a whole number (int64), found a string \"x\"; name: expected a string, found a number 1",
            "{\"id\": \"x\", \"name\": 1}"
        )
    );
    assert_eq!(of(3).2, "{\"name\": \"\u{fffd}\"}");
}

#[test]
fn a_broken_line_is_an_error_of_syntax() {
    let broken = read(&columns(), Form::Lines, "{\"id\": 1}\n{", Invalid::Reject);
    let Err(Unreadable::Rows { errors, is_syntax }) = broken else {
        panic!("{broken:?}");
    };
    assert!(is_syntax);
    assert_eq!(
        told(&errors),
        ["1 : not JSON: EOF while parsing an object at column 1"]
    );
    for two in ["{\"id\": 1}{\"id\": 2}", "{\"id\": 1}, {\"id\": 2}"] {
        assert!(
            read(&columns(), Form::Lines, two, Invalid::Reject).is_err(),
            "{two}"
        );
    }
}

#[test]
fn broken_json_is_refused_whole_with_its_place() {
    for (body, expected) in [
        ("", "the body is empty"),
        (" \n ", "the body is empty"),
        (
            "7",
            "expected an object or an array of objects, found a number 7",
        ),
        (
            "null",
            "expected an object or an array of objects, found null",
        ),
        (
            "x",
            "the body is not JSON: expected value at line 1 column 1",
        ),
        (
            "[{\"id\": 1},\n{\"id\": 2]",
            "the body is not JSON: expected `,` or `}` at line 2 column 9",
        ),
        (
            "[{\"id\": 1},]",
            "the body is not JSON: trailing comma at line 1 column 12",
        ),
        (
            "{\"id\": 01}",
            "the body is not JSON: invalid number at line 1 column 9",
        ),
        (
            "{\"id\": NaN}",
            "the body is not JSON: expected value at line 1 column 8",
        ),
        (
            "{\"id\": 1} {}",
            "the body is not JSON: trailing characters at line 1 column 11",
        ),
        (
            "\n\n[{\"id\": 1} {\"id\": 2}]",
            "the body is not JSON: expected `,` or `]` at line 3 column 12",
        ),
        (
            "{\"name\": \"a\nb\"}",
            "the body is not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 11",
        ),
    ] {
        for invalid in [Invalid::Reject, Invalid::Skip, Invalid::Quarantine] {
            assert_eq!(
                message(read(&columns(), Form::Json, body, invalid)),
                expected,
                "{body}"
            );
        }
    }
    let body = b"[{\"id\": 1},\n{\"name\": \"\xff\"}]";
    assert_eq!(
        message(read(&columns(), Form::Json, body, Invalid::Skip)),
        "the body is not UTF-8: byte 22, in line 2"
    );
}

#[test]
fn deep_nesting_is_a_fault_like_any_other() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let body = format!("{{\"id\": {deep}, \"band_power\": {deep}, \"new\": {deep}}}");
    let told = refused(read(&columns(), Form::Json, body, Invalid::Reject));
    assert_eq!(
        told,
        [
            "0 id: expected a whole number (int64), found an array",
            "0 band_power[0]: expected a number (float32), found an array",
            "0 new: unknown field; known are `id`, `name`, `band_power`",
        ]
    );
    assert!(
        read(
            &columns(),
            Form::Json,
            "[".repeat(1_000_000),
            Invalid::Reject
        )
        .is_err()
    );
}

#[test]
fn only_the_first_errors_are_told() {
    let body = "{}\n".repeat(500);
    let told = refused(read(&columns(), Form::Lines, &body, Invalid::Reject));
    assert_eq!(told.len(), REPORTED_ERRORS);
    let skipped = read(&columns(), Form::Lines, &body, Invalid::Skip).unwrap();
    assert_eq!(
        (skipped.errors.len(), skipped.rejected),
        (REPORTED_ERRORS, 500)
    );
    let dead = read(&columns(), Form::Lines, &body, Invalid::Quarantine).unwrap();
    assert_eq!((dead.dead.len(), dead.rejected), (500, 500));
    let long = format!(
        "{{\"id\": 1, \"band_power\": [{}]}}",
        vec!["null"; 1000].join(",")
    );
    let told = refused(read(&columns(), Form::Json, long, Invalid::Reject));
    assert_eq!(told.len(), 21);
    assert_eq!(told[20], "0 : 980 more faults in this row");
    let quoted = format!("{{\"id\": \"{}\"}}", "🧠".repeat(1000));
    let told = refused(read(&columns(), Form::Json, quoted, Invalid::Reject));
    assert!(told[0].len() < 250, "{}", told[0]);
}

#[test]
fn small_bodies_that_are_large_rows_are_refused() {
    let many: Vec<Column> = (0..1000)
        .map(|number| column(&format!("c{number}"), Type::Int64, true))
        .collect();
    let body = Bytes::from("{}\n".repeat(100_000));
    let wide = Validator::new(&many).read(Form::Lines, &body, Invalid::Reject, MEMORY);
    assert_eq!(wide, Err(Unreadable::TooLarge { limit: MEMORY }));
    let nested = [column("l", list(Type::Struct { fields: many }, true), true)];
    let body = Bytes::from(format!("{{\"l\": [{}{{}}]}}", "{},".repeat(100_000)));
    let nested = Validator::new(&nested).read(Form::Json, &body, Invalid::Skip, MEMORY);
    assert_eq!(nested, Err(Unreadable::TooLarge { limit: MEMORY }));
    let letters: Vec<Column> = (0..20)
        .map(|number| column(&format!("c{number}"), Type::Int64, false))
        .collect();
    let body = Bytes::from("{}\n".repeat(200_000));
    let letters = Validator::new(&letters).read(Form::Lines, &body, Invalid::Quarantine, MEMORY);
    assert_eq!(letters, Err(Unreadable::TooLarge { limit: MEMORY }));
}

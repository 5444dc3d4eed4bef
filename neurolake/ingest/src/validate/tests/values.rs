//! One value of each type: input, and the row or the error.

use neurolake_model::Type;

use super::{Form, Invalid, column, list, map, read, rows, told};
use crate::validate::Unreadable;

/// Reads one value of a required column.
fn value(data_type: &Type, json: &str) -> Result<String, String> {
    let columns = [column("v", data_type.clone(), false)];
    let body = format!("{{\"v\": {json}}}");
    match read(&columns, Form::Json, body, Invalid::Reject) {
        Ok(read) => {
            let row = rows(&read.rows).remove(0);
            Ok(row[5..row.len() - 1].to_owned())
        }
        Err(Unreadable::Rows { errors, .. }) => Err(told(&errors).join("; ")[2..].to_owned()),
        Err(other) => Err(format!("{other:?}")),
    }
}

#[track_caller]
fn check(data_type: &Type, cases: &[(&str, Result<&str, &str>)]) {
    for (json, expected) in cases {
        let found = value(data_type, json);
        let found = match &found {
            Ok(row) => Ok(row.as_str()),
            Err(error) => Err(error.as_str()),
        };
        assert_eq!(found, *expected, "{data_type} from {json}");
    }
}

#[test]
fn booleans() {
    check(
        &Type::Bool,
        &[
            ("true", Ok("true")),
            ("false", Ok("false")),
            (
                "1",
                Err("v: expected true or false (bool), found a number 1"),
            ),
            (
                "\"true\"",
                Err("v: expected true or false (bool), found a string \"true\""),
            ),
            ("null", Err("v: expected true or false (bool), found null")),
        ],
    );
}

#[test]
fn whole_numbers() {
    check(
        &Type::Int8,
        &[
            ("-128", Ok("-128")),
            ("127", Ok("127")),
            ("1.0", Ok("1")),
            ("1e2", Ok("100")),
            ("-0", Ok("0")),
            (
                "128",
                Err(
                    "v: expected a whole number (int8), found a number 128, which is not between -128 and 127",
                ),
            ),
            (
                "1e99999999999",
                Err(
                    "v: expected a whole number (int8), found a number 1e99999999999, which is not between -128 and 127",
                ),
            ),
            (
                "1.5",
                Err("v: expected a whole number (int8), found a number 1.5"),
            ),
            (
                "\"1\"",
                Err("v: expected a whole number (int8), found a string \"1\""),
            ),
            ("true", Err("v: expected a whole number (int8), found true")),
            (
                "[1]",
                Err("v: expected a whole number (int8), found an array"),
            ),
            (
                "{}",
                Err("v: expected a whole number (int8), found an object"),
            ),
        ],
    );
    check(
        &Type::Int16,
        &[("-32768", Ok("-32768")), ("32767", Ok("32767"))],
    );
    check(
        &Type::Int32,
        &[
            ("2147483647", Ok("2147483647")),
            (
                "2147483648",
                Err(
                    "v: expected a whole number (int32), found a number 2147483648, which is not between -2147483648 and 2147483647",
                ),
            ),
        ],
    );
    check(
        &Type::Int64,
        &[
            // As a float this would be 9007199254740992.
            ("9007199254740993", Ok("9007199254740993")),
            ("9007199254740993.0", Ok("9007199254740993")),
            ("\"9007199254740993\"", Ok("9007199254740993")),
            ("-9223372036854775808", Ok("-9223372036854775808")),
            ("\"9223372036854775807\"", Ok("9223372036854775807")),
            (
                "9223372036854775808",
                Err(
                    "v: expected a whole number (int64), found a number 9223372036854775808, which is not between -9223372036854775808 and 9223372036854775807",
                ),
            ),
            (
                "\"\"",
                Err("v: expected a whole number (int64), found a string \"\""),
            ),
            (
                "\" 1\"",
                Err("v: expected a whole number (int64), found a string \" 1\""),
            ),
            (
                "\"+1\"",
                Err("v: expected a whole number (int64), found a string \"+1\""),
            ),
            (
                "\"0x1\"",
                Err("v: expected a whole number (int64), found a string \"0x1\""),
            ),
            (
                "\"1.5\"",
                Err("v: expected a whole number (int64), found a string \"1.5\""),
            ),
        ],
    );
    check(&Type::UInt8, &[("255", Ok("255")), ("0", Ok("0"))]);
    check(
        &Type::UInt16,
        &[(
            "-1",
            Err(
                "v: expected a whole number (uint16), found a number -1, which is not between 0 and 65535",
            ),
        )],
    );
    check(&Type::UInt32, &[("4294967295", Ok("4294967295"))]);
    check(
        &Type::UInt64,
        &[
            ("18446744073709551615", Ok("18446744073709551615")),
            ("\"18446744073709551615\"", Ok("18446744073709551615")),
            (
                "18446744073709551616",
                Err(
                    "v: expected a whole number (uint64), found a number 18446744073709551616, which is not between 0 and 18446744073709551615",
                ),
            ),
        ],
    );
}

#[test]
fn floats() {
    check(
        &Type::Float32,
        &[
            ("0.1", Ok("0.1")),
            // Rounded once, not by way of a float64 (which gives 7.0385313e-26).
            ("7.038531e-26", Ok("0.00000000000000000000000007038531")),
            ("16777217", Ok("16777216")),
            (
                "3.4028235e38",
                Ok("340282350000000000000000000000000000000"),
            ),
            (
                "3.5e38",
                Err("v: expected a number (float32), found a number 3.5e38, which is too large"),
            ),
            ("-0.0", Ok("-0")),
            ("\"NaN\"", Ok("\"NaN\"")),
            ("\"Infinity\"", Ok("\"Infinity\"")),
            ("\"-Infinity\"", Ok("\"-Infinity\"")),
            (
                "\"x\"",
                Err("v: expected a number (float32), found a string \"x\""),
            ),
            (
                "\"1\"",
                Err("v: expected a number (float32), found a string \"1\""),
            ),
            (
                "\"inf\"",
                Err("v: expected a number (float32), found a string \"inf\""),
            ),
            ("null", Err("v: expected a number (float32), found null")),
        ],
    );
    check(
        &Type::Float64,
        &[
            // serde_json reads 2.638344616030823e-256 one bit lower.
            (
                "2.638344616030823e-256",
                Ok(&2.638_344_616_030_823e-256_f64.to_string()),
            ),
            ("1e308", Ok(&1e308_f64.to_string())),
            ("1e-400", Ok("0")),
            (
                "1e309",
                Err("v: expected a number (float64), found a number 1e309, which is too large"),
            ),
        ],
    );
}

#[test]
fn decimals() {
    let decimal = |precision, scale| Type::Decimal { precision, scale };
    check(
        &decimal(6, 2),
        &[
            ("1.5", Ok("\"1.50\"")),
            ("\"-1.50\"", Ok("\"-1.50\"")),
            ("9999.99", Ok("\"9999.99\"")),
            ("1.500", Ok("\"1.50\"")),
            ("1e3", Ok("\"1000.00\"")),
            ("0", Ok("\"0.00\"")),
            (
                "1.555",
                Err(
                    "v: expected a decimal number (decimal(6, 2)), found a number 1.555, which has more than 2 digits behind the point",
                ),
            ),
            (
                "10000",
                Err(
                    "v: expected a decimal number (decimal(6, 2)), found a number 10000, which has more than 4 digits before the point",
                ),
            ),
            (
                "\"1,5\"",
                Err("v: expected a decimal number (decimal(6, 2)), found a string \"1,5\""),
            ),
            (
                "true",
                Err("v: expected a decimal number (decimal(6, 2)), found true"),
            ),
        ],
    );
    check(
        &decimal(38, 0),
        &[
            (
                "99999999999999999999999999999999999999",
                Ok("\"99999999999999999999999999999999999999\""),
            ),
            (
                "100000000000000000000000000000000000000",
                Err(
                    "v: expected a decimal number (decimal(38, 0)), found a number 100000000000000000000000000000000000000, which has more than 38 digits before the point",
                ),
            ),
        ],
    );
    check(
        &decimal(38, 38),
        &[(
            "\"0.00000000000000000000000000000000000001\"",
            Ok("\"0.00000000000000000000000000000000000001\""),
        )],
    );
}

#[test]
fn texts_and_bytes() {
    check(
        &Type::String,
        &[
            ("\"\"", Ok("\"\"")),
            (
                "\"a\\\"b\\\\\\u0000\\ud83e\\udde0\"",
                Ok("\"a\\\"b\\\\\\u0000🧠\""),
            ),
            ("\"🧠\"", Ok("\"🧠\"")),
            (
                "\"\\ud83e\"",
                Err("v: expected a string, found a string with half of a surrogate pair"),
            ),
            ("1", Err("v: expected a string, found a number 1")),
        ],
    );
    check(
        &Type::Binary,
        &[
            ("\"AP8=\"", Ok("\"AP8=\"")),
            ("\"AP8\"", Ok("\"AP8=\"")),
            ("\"\"", Ok("\"\"")),
            ("\"\\u0041P8=\"", Ok("\"AP8=\"")),
            (
                "\"A\"",
                Err(
                    "v: expected base64 text (binary), found a string \"A\", which is not base64: Invalid input length: 1",
                ),
            ),
            (
                "\"_-==\"",
                Err(
                    "v: expected base64 text (binary), found a string \"_-==\", which is not base64: Invalid symbol 95, offset 0.",
                ),
            ),
            (
                "[1]",
                Err("v: expected base64 text (binary), found an array"),
            ),
        ],
    );
}

#[test]
fn days() {
    let no_day = |text: &str, why: &str| {
        format!("v: expected a date such as \"2026-03-01\" (date), found a string {text:?}{why}")
    };
    let unreal = ", a day that doesn't exist";
    check(
        &Type::Date,
        &[
            ("\"2026-03-01\"", Ok("\"2026-03-01\"")),
            ("\"2024-02-29\"", Ok("\"2024-02-29\"")),
            ("\"0001-01-01\"", Ok("\"0001-01-01\"")),
            ("\"9999-12-31\"", Ok("\"9999-12-31\"")),
            ("\"2026-02-29\"", Err(&no_day("2026-02-29", unreal))),
            ("\"2026-13-01\"", Err(&no_day("2026-13-01", unreal))),
            ("\"0000-01-01\"", Err(&no_day("0000-01-01", unreal))),
            ("\"2026-3-1\"", Err(&no_day("2026-3-1", ""))),
            ("\"01.03.2026\"", Err(&no_day("01.03.2026", ""))),
            (
                "\"2026-03-01T00:00:00Z\"",
                Err(&no_day("2026-03-01T00:00:00Z", "")),
            ),
            ("\"20\u{ff12}6-03-\"", Err(&no_day("20\u{ff12}6-03-", ""))),
            (
                "20000",
                Err("v: expected a date such as \"2026-03-01\" (date), found a number 20000"),
            ),
        ],
    );
}

#[test]
fn times() {
    let no_time = |found: &str, why: &str| {
        format!(
            "v: expected a time such as \"2026-03-01T09:30:00Z\" (timestamp), found {found}{why}"
        )
    };
    check(
        &Type::Timestamp,
        &[
            ("\"2026-03-01T09:30:00Z\"", Ok("\"2026-03-01T09:30:00Z\"")),
            (
                "\"2026-03-01T09:30:00.015+01:00\"",
                Ok("\"2026-03-01T08:30:00.015Z\""),
            ),
            (
                "\"2026-03-01T09:30:00.123456000000Z\"",
                Ok("\"2026-03-01T09:30:00.123456Z\""),
            ),
            (
                "\"1969-12-31T23:59:59.999999Z\"",
                Ok("\"1969-12-31T23:59:59.999999Z\""),
            ),
            ("\"0001-01-01T00:00:00Z\"", Ok("\"0001-01-01T00:00:00Z\"")),
            (
                "\"9999-12-31T23:59:59.999999Z\"",
                Ok("\"9999-12-31T23:59:59.999999Z\""),
            ),
            // POSIX time has no leap seconds: it is the next second.
            ("\"2016-12-31T23:59:60Z\"", Ok("\"2017-01-01T00:00:00Z\"")),
            ("1772357400000000", Ok("\"2026-03-01T09:30:00Z\"")),
            ("-1", Ok("\"1969-12-31T23:59:59.999999Z\"")),
            (
                "\"2026-03-01T09:30:00.1234567Z\"",
                Err(&no_time(
                    "a string \"2026-03-01T09:30:00.1234567Z\"",
                    ", which is finer than microseconds",
                )),
            ),
            (
                "\"2026-03-01T09:30:00.0000000001Z\"",
                Err(&no_time(
                    "a string \"2026-03-01T09:30:00.0000000001Z\"",
                    ", which is finer than microseconds",
                )),
            ),
            (
                "\"2026-03-01T09:30:00\"",
                Err(&no_time(
                    "a string \"2026-03-01T09:30:00\"",
                    "; add `Z`, or an offset such as `+01:00`",
                )),
            ),
            (
                "\"2026-02-30T09:30:00Z\"",
                Err(&no_time("a string \"2026-02-30T09:30:00Z\"", "")),
            ),
            ("\"now\"", Err(&no_time("a string \"now\"", ""))),
            ("1.5", Err(&no_time("a number 1.5", ""))),
            (
                "\"0000-12-31T23:00:00Z\"",
                Err(&no_time(
                    "a string \"0000-12-31T23:00:00Z\"",
                    ", which is outside of the years 1 to 9999 (a number counts microseconds)",
                )),
            ),
            (
                "9223372036854775807",
                Err(&no_time(
                    "a number 9223372036854775807",
                    ", which is outside of the years 1 to 9999 (a number counts microseconds)",
                )),
            ),
        ],
    );
}

#[test]
fn lists() {
    check(
        &list(Type::Float32, false),
        &[
            ("[]", Ok("[]")),
            ("[1, 0.5]", Ok("[1,0.5]")),
            (
                "[1, 2, 3, \"x\"]",
                Err("v[3]: expected a number (float32), found a string \"x\""),
            ),
            (
                "[null]",
                Err("v[0]: expected a number (float32), found null"),
            ),
            (
                "1",
                Err("v: expected an array (list<float32>), found a number 1"),
            ),
            (
                "{}",
                Err("v: expected an array (list<float32>), found an object"),
            ),
        ],
    );
    check(&list(Type::Float32, true), &[("[null, 1]", Ok("[null,1]"))]);
    check(
        &list(list(Type::Int8, true), true),
        &[
            ("[[], null, [null, 1]]", Ok("[[],null,[null,1]]")),
            (
                "[[1], [1, 999]]",
                Err(
                    "v[1][1]: expected a whole number (int8), found a number 999, which is not between -128 and 127",
                ),
            ),
        ],
    );
}

#[test]
fn maps() {
    check(
        &map(Type::String, Type::Int32, true),
        &[
            ("{}", Ok("[]")),
            ("[]", Ok("[]")),
            (
                "{\"b\": 1, \"a\": null}",
                Ok("[{\"key\":\"b\",\"value\":1},{\"key\":\"a\",\"value\":null}]"),
            ),
            (
                "[{\"value\": 1, \"key\": \"b\"}]",
                Ok("[{\"key\":\"b\",\"value\":1}]"),
            ),
            ("[{\"key\": \"b\"}]", Ok("[{\"key\":\"b\",\"value\":null}]")),
            (
                "{\"k\": true}",
                Err("v[\"k\"]: expected a whole number (int32), found true"),
            ),
            (
                "{\"k\": 1, \"j\": 1, \"k\": 2}",
                Err("v[2]: this key stands twice"),
            ),
            (
                "[{\"key\": \"k\", \"value\": 1}, {\"key\": \"k\", \"value\": 1}]",
                Err("v[1]: this key stands twice"),
            ),
            (
                "[{\"value\": 1}]",
                Err("v[0].key: is missing; expected a string"),
            ),
            (
                "[{\"key\": null}]",
                Err("v[0].key: expected a string, found null"),
            ),
            (
                "[{\"key\": \"k\", \"val\": 1}]",
                Err("v[0].val: unknown field; known are `key`, `value`"),
            ),
            (
                "[{\"key\": \"k\", \"key\": \"l\"}]",
                Err("v[0].key: the field stands twice"),
            ),
            (
                "[1]",
                Err("v[0]: expected an object with `key` and `value`, found a number 1"),
            ),
            (
                "1",
                Err("v: expected an object (map<string, int32>), found a number 1"),
            ),
        ],
    );
    check(
        &map(Type::Int32, Type::String, false),
        &[
            ("{\"7\": \"a\"}", Ok("[{\"key\":7,\"value\":\"a\"}]")),
            (
                "[{\"key\": 7, \"value\": \"a\"}]",
                Ok("[{\"key\":7,\"value\":\"a\"}]"),
            ),
            (
                "{\"7\": \"a\", \"7.0\": \"b\"}",
                Err("v[1]: this key stands twice"),
            ),
            (
                "{\"x\": \"a\"}",
                Err("v[\"x\"]: expected a whole number (int32), found a string \"x\""),
            ),
            (
                "{\"7\": null}",
                Err("v[\"7\"]: expected a string, found null"),
            ),
            (
                "[{\"key\": 7}]",
                Err("v[0].value: is missing; expected a string"),
            ),
        ],
    );
    check(
        &map(Type::Date, Type::Bool, false),
        &[(
            "{\"2026-03-01\": true}",
            Ok("[{\"key\":\"2026-03-01\",\"value\":true}]"),
        )],
    );
}

#[test]
fn structs_and_blobs() {
    let target = Type::Struct {
        fields: vec![
            column("x", Type::Float64, false),
            column("y", Type::Float64, true),
        ],
    };
    check(
        &target,
        &[
            ("{\"y\": 2, \"x\": 1}", Ok("{\"x\":1,\"y\":2}")),
            ("{\"x\": 1}", Ok("{\"x\":1,\"y\":null}")),
            (
                "{\"y\": 1}",
                Err("v.x: is missing; expected a number (float64)"),
            ),
            (
                "{\"x\": \"a\"}",
                Err("v.x: expected a number (float64), found a string \"a\""),
            ),
            ("{\"x\": 1, \"x\": 1}", Err("v.x: the field stands twice")),
            (
                "{\"x\": 1, \"z\": 1}",
                Err("v.z: unknown field; known are `x`, `y`"),
            ),
            ("[1, 2]", Err("v: expected an object, found an array")),
        ],
    );
    check(
        &Type::Blob,
        &[
            (
                "{\"uri\": \"s3://a/b\", \"media_type\": \"image/png\", \"bytes\": 5}",
                Ok("{\"uri\":\"s3://a/b\",\"media_type\":\"image/png\",\"bytes\":5}"),
            ),
            (
                "{\"uri\": \"s3://a/b\", \"media_typ\": \"image/png\"}",
                Err(
                    "v.media_typ: unknown field; did you mean `media_type`?; 0 v.media_type: is missing; expected a string; 0 v.bytes: is missing; expected a whole number (int64)",
                ),
            ),
        ],
    );
}

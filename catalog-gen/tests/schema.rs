//! `catalog.schema.json` says what the model writes: no field without a place in the schema, no
//! description that differs from the documentation of the model.

use std::path::{Path, PathBuf};
use std::{env, fs};

use neurolake_model::Catalog;
use serde_json::{Value as Json, json};
use syn::{Attribute, Fields, Item};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = workspace().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn schema() -> Json {
    serde_json::from_str(&read("neurolake/model/catalog.schema.json")).expect("a schema")
}

fn fixture() -> String {
    read("catalog-gen/tests/fixtures/catalog.json")
}

#[test]
fn the_model_gives_the_fixture_back() {
    let written = Catalog::from_json(&fixture()).expect("a catalog").to_json();
    if env::var_os("UPDATE_EXPECT").is_some() {
        let file = workspace().join("catalog-gen/tests/fixtures/catalog.json");
        fs::write(file, &written).expect("a writable fixture");
    }
    assert_eq!(written, fixture());
}

#[test]
fn a_catalog_with_every_feature_is_valid() {
    let catalog: Json = serde_json::from_str(&fixture()).expect("JSON");
    assert_eq!(check(&schema(), &catalog), Vec::<String>::new());
    for case in fs::read_dir(workspace().join("catalog-gen/tests/fixtures/diff")).expect("cases") {
        let file = case.expect("a case").path().join("new.json");
        let text = fs::read_to_string(file).expect("a catalog");
        let written = Catalog::from_json(&text).expect("a catalog").to_json();
        let catalog = serde_json::from_str(&written).expect("JSON");
        assert_eq!(check(&schema(), &catalog), Vec::<String>::new());
    }
}

#[test]
fn a_damaged_catalog_is_not_valid() {
    let mutations: &[(&str, Json)] = &[
        ("/format_version", json!(2)),
        ("/name", json!("")),
        ("/databases/0/name", Json::Null),
        ("/databases/0/location/line", json!(0)),
        ("/databases/0/tables/0/tags", json!("neural")),
        ("/databases/0/tables/0/freshness", json!("2 seconds")),
        ("/databases/0/tables/0/source/kind", json!("iceberg")),
        (
            "/databases/0/tables/0/source",
            json!({"kind": "delta", "uri": "x", "password": "y"}),
        ),
        ("/databases/0/tables/0/columns/0/type", json!("int128")),
        ("/databases/0/tables/0/columns/0/typo", json!(true)),
        ("/databases/0/tables/0/example/0", json!(["implant_id"])),
        ("/databases/0/tables/0/example/0/1", json!({"int": "7"})),
        (
            "/databases/0/tables/0/example/1/1/date",
            json!("1 March 2026"),
        ),
        (
            "/databases/0/tables/0/example/1/1",
            json!({"date": "2026-03-01", "int": 1}),
        ),
    ];
    for (pointer, value) in mutations {
        let mut catalog: Json = serde_json::from_str(&fixture()).expect("JSON");
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        match catalog.pointer_mut(parent).expect("a place in the fixture") {
            Json::Array(items) => items[key.parse::<usize>().expect("an index")] = value.clone(),
            parent => parent[key] = value.clone(),
        }
        assert_ne!(
            check(&schema(), &catalog),
            Vec::<String>::new(),
            "{pointer} = {value}"
        );
    }
}

#[test]
fn the_schema_names_every_field_with_its_documentation() {
    let schema = schema();
    let mut seen = Vec::new();
    for file in ["catalog.rs", "types.rs", "value.rs"] {
        let text = read(&format!("neurolake/model/src/{file}"));
        for item in syn::parse_file(&text).expect("Rust").items {
            match item {
                Item::Struct(item) => {
                    let name = item.ident.to_string();
                    let node = if name == "Catalog" {
                        &schema
                    } else {
                        &schema["$defs"][&name]
                    };
                    assert_eq!(node["description"], docs(&item.attrs), "{name}");
                    compare(node, &item.fields, 0, &name);
                    seen.push(name);
                }
                Item::Enum(item) => {
                    let name = item.ident.to_string();
                    let node = &schema["$defs"][&name];
                    assert_eq!(node["description"], docs(&item.attrs), "{name}");
                    let options = node["oneOf"].as_array().expect("options");
                    assert_eq!(options.len(), item.variants.len(), "{name}");
                    for (variant, option) in item.variants.iter().zip(options) {
                        let path = format!("{name}::{}", variant.ident);
                        assert_eq!(option["description"], docs(&variant.attrs), "{path}");
                        if let Fields::Named(_) = variant.fields {
                            let tagged = option["properties"].get("kind").is_some();
                            let key = option["required"][0].as_str().expect("a tag");
                            let node = if tagged {
                                option
                            } else {
                                &option["properties"][key]
                            };
                            compare(node, &variant.fields, usize::from(tagged), &path);
                        }
                    }
                    seen.push(name);
                }
                _ => {}
            }
        }
    }
    for name in schema["$defs"].as_object().expect("definitions").keys() {
        // Named for readers of the schema; texts in the model.
        assert!(
            seen.contains(name) || name == "Duration",
            "`{name}` is not in the model"
        );
    }
}

/// Compares the properties of `node` with `fields`; `more` properties have no field.
fn compare(node: &Json, fields: &Fields, more: usize, path: &str) {
    let properties = node["properties"].as_object().expect("properties");
    assert_eq!(properties.len(), fields.len() + more, "{path}");
    assert_eq!(node["additionalProperties"], false, "{path}");
    for field in fields {
        let mut name = field.ident.as_ref().expect("a name").to_string();
        let mut optional = false;
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("serde")) {
            attribute
                .parse_nested_meta(|meta| {
                    optional |= meta.path.is_ident("default");
                    if let Ok(value) = meta.value() {
                        let value: syn::LitStr = value.parse()?;
                        if meta.path.is_ident("rename") {
                            name = value.value();
                        }
                    }
                    Ok(())
                })
                .expect("attributes of serde");
        }
        let path = format!("{path}.{name}");
        let property = properties
            .get(&name)
            .unwrap_or_else(|| panic!("{path} has no place in the schema"));
        if !docs(&field.attrs).is_empty() {
            assert_eq!(property["description"], docs(&field.attrs), "{path}");
        }
        let required = node["required"]
            .as_array()
            .expect("required")
            .contains(&json!(name));
        assert_eq!(required, !optional, "{path}");
    }
}

/// The documentation on one line, with links as plain code.
fn docs(attributes: &[Attribute]) -> String {
    let mut words = Vec::new();
    for attribute in attributes {
        if let syn::Meta::NameValue(meta) = &attribute.meta
            && meta.path.is_ident("doc")
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &meta.value
        {
            words.extend(text.value().split_whitespace().map(str::to_owned));
        }
    }
    words.join(" ").replace("[`", "`").replace("`]", "`")
}

/// The part of JSON Schema that `catalog.schema.json` uses. A keyword it doesn't know is a panic.
fn check(root: &Json, value: &Json) -> Vec<String> {
    let mut errors = Vec::new();
    check_at(root, root, value, "", &mut errors);
    errors
}

fn check_at(root: &Json, schema: &Json, value: &Json, at: &str, errors: &mut Vec<String>) {
    if schema == &json!(false) {
        errors.push(format!("{at}: not allowed"));
        return;
    }
    let empty = Vec::new();
    let items = value.as_array().unwrap_or(&empty);
    for (keyword, rule) in schema.as_object().expect("a schema") {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule
                    .as_str()
                    .and_then(|r| r.strip_prefix('#'))
                    .expect("a local reference");
                check_at(
                    root,
                    root.pointer(pointer).expect("a definition"),
                    value,
                    at,
                    errors,
                );
                true
            }
            "const" => value == rule,
            "type" => match rule.as_str() {
                Some("string") => value.is_string(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("array") => value.is_array(),
                Some("object") => value.is_object(),
                other => panic!("unknown type {other:?}"),
            },
            "minimum" => value.as_i64() >= rule.as_i64(),
            "maximum" => value.as_i64() <= rule.as_i64(),
            "minLength" => value
                .as_str()
                .is_some_and(|text| text.len() as u64 >= rule.as_u64().expect("a length")),
            "minItems" => items.len() as u64 >= rule.as_u64().expect("a length"),
            "pattern" => value
                .as_str()
                .is_some_and(|text| matches(rule.as_str().expect("a pattern"), text)),
            "properties" => {
                for (name, rule) in rule.as_object().expect("properties") {
                    if let Some(value) = value.get(name) {
                        check_at(root, rule, value, &format!("{at}/{name}"), errors);
                    }
                }
                true
            }
            "additionalProperties" => value.as_object().is_none_or(|object| {
                object
                    .keys()
                    .all(|name| schema["properties"].get(name).is_some())
            }),
            "required" => rule
                .as_array()
                .expect("names")
                .iter()
                .all(|name| value.get(name.as_str().expect("a name")).is_some()),
            "prefixItems" => {
                for (index, (rule, item)) in rule
                    .as_array()
                    .expect("schemas")
                    .iter()
                    .zip(items)
                    .enumerate()
                {
                    check_at(root, rule, item, &format!("{at}/{index}"), errors);
                }
                true
            }
            "items" => {
                let first = schema
                    .get("prefixItems")
                    .and_then(Json::as_array)
                    .map_or(0, Vec::len);
                for (index, item) in items.iter().enumerate().skip(first) {
                    check_at(root, rule, item, &format!("{at}/{index}"), errors);
                }
                true
            }
            "oneOf" => {
                let options = rule.as_array().expect("schemas");
                let fits = options.iter().filter(|option| {
                    let mut errors = Vec::new();
                    check_at(root, option, value, at, &mut errors);
                    errors.is_empty()
                });
                fits.count() == 1
            }
            other => panic!("unknown keyword `{other}`"),
        };
        if !holds {
            errors.push(format!("{at}: `{keyword}` doesn't hold"));
        }
    }
}

/// The patterns of the schema, by hand.
fn matches(pattern: &str, text: &str) -> bool {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let date = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        matches!(parts[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
    };
    match pattern {
        "^[0-9]+(ms|s|m|h|d)$" => {
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
            unit.len() < text.len() && ["ms", "s", "m", "h", "d"].contains(&unit)
        }
        "^([0-9a-fA-F]{2})*$" => {
            text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())
        }
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => date(text),
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$" => text
            .strip_suffix('Z')
            .and_then(|text| text.split_once('T'))
            .is_some_and(|(day, time)| {
                date(day)
                    && !time.is_empty()
                    && time
                        .bytes()
                        .all(|b| b.is_ascii_digit() || b":.".contains(&b))
            }),
        other => panic!("unknown pattern `{other}`"),
    }
}

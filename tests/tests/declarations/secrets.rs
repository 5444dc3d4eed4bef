//! Credentials that somebody left in the source: `build` fails, and no byte of them gets out.

use std::fs;
use std::path::Path;
use std::process::Output;

use neurolake_tests::tools::{catalog_gen, scratch, stdout};

/// Texts with a credential in each, and the part that must never be seen.
const SECRETS: &[(&str, &str)] = &[
    ("s3://AKIAIOSFODNN7EXAMPLE@lake/x", "AKIAIOSFODNN7EXAMPLE"),
    (
        "https://bot:hunter2hunter2@files.example.org/x",
        "hunter2hunter2",
    ),
    (
        "postgres://lab:correct-horse@db.example.org/lab",
        "correct-horse",
    ),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789"),
    (
        "github_pat_11ABCDEFG0123456789_abcdefghij",
        "github_pat_11ABC",
    ),
    ("glpat-0123456789abcdefghij", "glpat-0123456789"),
    ("xoxb-0123456789-abcdefghijkl", "xoxb-0123456789"),
    (
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "AIzaSyA0123456789",
    ),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJIUzI1NiJ9",
    ),
    (
        "https://a.blob.core.windows.net/c?sv=1&sig=AAAABBBBCCCCDDDDEEEEFFFF%3D",
        "AAAABBBBCCCCDDDDEEEEFFFF",
    ),
    (
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef",
    ),
    (
        "DefaultEndpointsProtocol=https;AccountKey=QUJDREVGR0hJSktMTU5PUFFSU1RVVg==",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVg",
    ),
    (
        "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCY",
        "wJalrXUtnFEMIK7MDENGbPxRfiCY",
    ),
    (
        "aws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCY",
        "wJalrXUtnFEMIK7MDENGbPxRfiCY",
    ),
    (
        "-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkqhkiG9w0",
        "MIIEvQIBADANBgkqhkiG9w0",
    ),
    ("sk_live_0123456789abcdefghijABCD", "sk_live_0123456789"),
    ("npm_0123456789abcdefghijABCDEFGHIJ012345", "npm_0123456789"),
    (
        "dapi0123456789abcdef0123456789abcdef",
        "dapi0123456789abcdef",
    ),
    (
        "postgresql://db.example.org/lab?user=lab&password=correct-horse",
        "correct-horse",
    ),
];

/// Source with `SECRET` in each place where a text can stand.
const PLACES: &[&str] = &[
    r#"#[table(delta = "SECRET")] pub struct X;"#,
    r##"#[table(delta = r#"SECRET"#)] pub struct X;"##,
    r#"#[table(parquet = "SECRET")] pub struct X;"#,
    r#"#[table(postgres = "SECRET", store = "lab")] pub struct X;"#,
    r#"#[table(postgres = "public.x", store = "SECRET")] pub struct X;"#,
    r#"#[table(sheet = "SECRET")] pub struct X;"#,
    r#"#[table(sheet = "1aB3kE9pQ2_x7ZrT5", tab = "SECRET")] pub struct X;"#,
    r#"#[table(sheet = "1aB3kE9pQ2_x7ZrT5", range = "SECRET")] pub struct X;"#,
    r#"#[table(sql = "select 'SECRET' as x")] pub struct X;"#,
    r#"#[table(sql = "select 'SECRET as x")] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", owner = "SECRET")] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", tags("SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", freshness = "SECRET")] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", notebook("SECRET", "https://example.org"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", notebook("Title", "SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", example(a = "SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", example(a = ["SECRET"]))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", example("SECRET" = 1))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", partition_by("SECRET": String))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", sort_by("SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", unique_by("SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", inputs("SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", inputs("a.SECRET"))] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", name = "SECRET")] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", database = "SECRET")] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x", ownr = "SECRET")] pub struct X;"#,
    r#"#[table(delta = concat!("SECRET", ""))] pub struct X;"#,
    r#"#[table("SECRET")] pub struct X;"#,
    r#"#[table(delta = "s3://lake/x" "SECRET")] pub struct X;"#,
    r#"#[table = "SECRET"] pub struct X;"#,
    "/// See SECRET.\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "/** See\n SECRET. */\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[doc = \"SECRET\"]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[doc = concat!(\"SECRET\")]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[doc(alias = \"SECRET\")]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[doc(alias(\"a\", \"SECRET\"))]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[deprecated = \"SECRET\"]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[deprecated(note = \"SECRET\")]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[deprecated(since = \"SECRET\")]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[cfg(not(target_os = \"SECRET\"))]\n#[table(delta = \"s3://lake/x\")] pub struct X;",
    "#[table(delta = \"s3://lake/x\")] pub struct X {\n /// SECRET\n pub a: String }",
    "#[table(delta = \"s3://lake/x\")] pub struct X {\n #[column(unit = \"SECRET\")] pub a: String }",
    "#[table(delta = \"s3://lake/x\")] pub struct X {\n #[column(name = \"SECRET\")] pub a: String }",
    "#[table(delta = \"s3://lake/x\")] pub struct X {\n #[column(renamed_from = \"SECRET\")] pub a: String }",
    "#[table(delta = \"s3://lake/x\")] pub struct X {\n #[deprecated(note = \"SECRET\")] pub a: String }",
    "#[table(delta = \"s3://lake/x\")] pub struct X {\n #[doc(alias = \"SECRET\")] pub a: String }",
    "#[table(delta = \"s3://lake/x\")] pub struct X { pub a: In }\n#[derive(Columns)] pub struct In {\n /// SECRET\n pub b: i32 }",
    "#[table(delta = \"s3://lake/x\")] pub struct X { pub a: In }\n#[derive(Columns)] pub struct In {\n #[column(unit = \"SECRET\")] pub b: i32 }",
    "#[table(rows = In)] pub async fn f(lake: &Lake) -> Result<DataFrame> { lake.sql(\"select * from \\\"SECRET\\\".x\").await }\n#[derive(Columns)] pub struct In { pub b: i32 }",
    "#[table(owner = \"a\", example(a = \"SECRET\"))] pub async fn f(lake: &Lake, a: String) -> Result<DataFrame> { todo() }",
    // A mistake beside it, whose excerpt would show it.
    "/// Key: SECRET\npub struct Other;\n\n#[table(delta = \"s3://lake/x\", ownr = \"a\")] pub struct X;",
    "#[table(delta = \"s3://lake/x\")] pub struct X;\n\n// SECRET [\n}",
];

fn package(folder: &Path, manifest: &str, lib: &str) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a file");
    fs::write(folder.join("src/lib.rs"), lib).expect("a file");
}

const MANIFEST: &str = "[package]\nname = \"lake\"\nedition = \"2024\"\n\n\
                        [dependencies]\nneurolake = \"0.1\"\n\n[workspace]\n";

/// Everything that a run wrote anywhere.
fn written(folder: &Path, output: &Output) -> Vec<u8> {
    let mut all = [output.stdout.clone(), output.stderr.clone()].concat();
    let mut pending = vec![folder.join("out")];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            all.extend(path.display().to_string().into_bytes());
            if path.is_dir() {
                pending.push(path);
            } else {
                all.extend(fs::read(path).expect("a file"));
            }
        }
    }
    all
}

const RUNS: &[&[&str]] = &[
    &[
        "build",
        "--out",
        "out",
        "--keep-going",
        "--message-format",
        "json",
    ],
    &["build", "--out", "out", "--message-format", "github"],
    &["check"],
];

/// Runs everything, and says where one of the secrets shows.
fn leaks(folder: &Path, secrets: &[&str], case: &str, must_fail: bool) -> Vec<String> {
    let mut leaks = Vec::new();
    for arguments in RUNS {
        let output = catalog_gen(folder, arguments);
        let all = String::from_utf8_lossy(&written(folder, &output)).into_owned();
        for secret in secrets {
            if let Some(at) = all.find(secret) {
                let start = all[..at].rfind('\n').map_or(0, |at| at + 1);
                let line = all[start..].lines().next().unwrap_or_default();
                leaks.push(format!("{case}\n  {arguments:?} shows {line}"));
            }
        }
        if must_fail && output.status.code() != Some(1) {
            leaks.push(format!(
                "{case}\n  {arguments:?} ends with {:?}",
                output.status.code()
            ));
        }
    }
    leaks
}

#[test]
fn no_byte_of_a_credential_gets_out() {
    let folder = scratch("secrets");
    // Every place with one kind after the other, and every kind in documentation.
    let places = PLACES.iter().enumerate();
    let docs = "/// See SECRET.\n#[table(delta = \"s3://lake/x\")] pub struct X;";
    let planted: Vec<String> = places
        .map(|(index, place)| place.replace("SECRET", SECRETS[index % SECRETS.len()].0))
        .chain(SECRETS.iter().map(|(text, _)| docs.replace("SECRET", text)))
        .collect();
    let modules: Vec<String> = (0..planted.len())
        .map(|index| format!("pub mod place{index};\n"))
        .collect();
    package(&folder, MANIFEST, &modules.concat());
    for (index, place) in planted.iter().enumerate() {
        let file = folder.join(format!("src/place{index}.rs"));
        fs::write(file, format!("use neurolake::prelude::*;\n{place}\n")).expect("a file");
    }
    let secrets: Vec<&str> = SECRETS.iter().map(|(_, secret)| *secret).collect();
    let mut found = leaks(&folder, &secrets, "all places", true);
    let output = catalog_gen(&folder, &["check", "--message-format", "json"]);
    for (index, place) in planted.iter().enumerate() {
        let is_reported = stdout(&output)
            .lines()
            .filter(|line| line.contains(&format!("src/place{index}.rs")))
            .any(|line| line.contains("\"severity\":\"error\""));
        if !is_reported {
            found.push(format!("nothing is reported for\n{place}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn documentation_of_modules_and_settings_hold_no_credential() {
    let folder = scratch("secrets_around");
    let table = "{ use neurolake::prelude::*; #[table(delta = \"s3://lake/x\")] pub struct X; }";
    let (text, secret) = SECRETS[1];
    let mut found = Vec::new();
    for lib in [
        format!("//! {text}\npub mod neural {table}"),
        format!("/// {text}\npub mod neural {table}"),
        format!("pub mod neural {{ //! {text}\n {}", &table[1..]),
        format!("#[cfg(feature = \"{text}\")] pub mod a {table}\npub mod neural {table}"),
        format!("#[path = \"{text}\"] pub mod a;\npub mod neural {table}"),
    ] {
        package(&folder, MANIFEST, &lib);
        let must_fail = !lib.contains("feature");
        found.extend(leaks(&folder, &[secret], &lib, must_fail));
    }
    let lib = format!("pub mod neural {table}");
    for key in [
        "catalog",
        "title",
        "repository",
        "jupyterhub",
        "http",
        "postgres",
        "grafana",
        "out",
        "colour",
    ] {
        let manifest = format!("{MANIFEST}\n[workspace.metadata.neurolake]\n{key} = \"{text}\"\n");
        package(&folder, &manifest, &lib);
        found.extend(leaks(&folder, &[secret], &manifest, true));
    }
    for setting in [
        format!("features = [\"{text}\"]"),
        format!("\"{text}\" = 1"),
    ] {
        let manifest = format!("{MANIFEST}\n[workspace.metadata.neurolake]\n{setting}\n");
        package(&folder, &manifest, &lib);
        found.extend(leaks(&folder, &[secret], &manifest, true));
    }
    // It never gets into the catalog, and the manifest is not ours to judge.
    let manifest = MANIFEST.replace(
        "[package]\n",
        "[package]\nrepository = \"https://bot:hunter2hunter2@git.example.org/lake\"\n",
    );
    package(&folder, &manifest, &lib);
    found.extend(leaks(&folder, &[secret], &manifest, false));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

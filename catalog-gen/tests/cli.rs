//! The command as a person or a script runs it: on real folders, judged by exit code, output and
//! files.

#[path = "support/lake.rs"]
mod lake;

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use lake::{Lake, NEURAL, ended, files, run, times};
use serde_json::Value;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Of an error in the declarations: the partition isn't a column.
const BROKEN: (&str, &str, &str) = (
    "crates/lab/src/neural.rs",
    "partition_by(implant_id)",
    "partition_by(implnt_id)",
);

fn broken() -> Lake {
    let lake = Lake::new();
    lake.edit(BROKEN.0, BROKEN.1, BROKEN.2);
    lake
}

/// Each line as JSON.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

mod build {
    use super::*;

    #[test]
    fn makes_the_demo_lakes_site() {
        let lake = Lake::demo();
        let run = lake.expect(0, &["build"]);
        assert!(run.stdout.is_empty(), "data only: {}", run.stdout);
        assert!(
            run.stderr
                .contains("tables in 10 databases -> target/catalog"),
            "{}",
            run.stderr
        );
        let site = files(&lake.path("target/catalog"));
        for path in [
            "index.html",
            "404.html",
            "catalog.json",
            "llms.txt",
            "neural/index.html",
        ] {
            assert!(site.contains_key(path), "no {path}");
        }
        assert!(site["surgery/surgeries.html"].len() > 4000);
        assert!(site.contains_key("surgery/surgeries.json"));
        assert!(site.contains_key("surgery/surgeries.md"));
    }

    #[test]
    fn gives_the_same_bytes_anywhere() {
        let (one, two) = (Lake::demo(), Lake::demo());
        one.expect(0, &["build", "--out", "site"]);
        let other = tempfile::tempdir().expect("a folder");
        let out = other.path().join("deep/er/site");
        let manifest = two.path("demo/Cargo.toml");
        let mut command = Lake::empty().command(&["build", "--manifest-path"]);
        command
            .arg(manifest)
            .arg("--out")
            .arg(&out)
            .current_dir(other.path());
        assert_eq!(run(&mut command).code, Some(0));
        assert_eq!(files(&one.path("site")), files(&out));
    }

    #[test]
    fn names_nothing_of_the_machine() {
        let lake = Lake::demo();
        lake.expect(0, &["build", "--out", "site"]);
        let folder = lake.path("").display().to_string();
        let folder = folder.trim_end_matches('/');
        for (path, bytes) in files(&lake.path("site")) {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(folder), "{path} names {folder}");
        }
    }

    #[test]
    fn writes_nothing_when_nothing_changed() {
        let lake = Lake::new();
        lake.expect(0, &["build"]);
        let out = lake.path("target/catalog");
        let before = times(&out);
        let again = lake.expect(0, &["build"]);
        assert!(again.stderr.contains("nothing changed"), "{}", again.stderr);
        assert_eq!(times(&out), before);
        // What the last build remembers saves time only.
        fs::remove_dir_all(lake.path("target/catalog-gen")).expect("the state");
        let again = lake.expect(0, &["build"]);
        assert!(
            again.stderr.contains(" 0 files written"),
            "{}",
            again.stderr
        );
        assert_eq!(times(&out), before);
    }

    #[test]
    fn restores_what_somebody_changed_or_removed() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        let before = files(&lake.path("site"));
        lake.write("site/index.html", "mine");
        fs::remove_file(lake.path("site/neural/band_power.html")).expect("a page");
        let again = lake.expect(0, &["build", "--out", "site"]);
        assert!(
            again.stderr.contains(" 2 files written"),
            "{}",
            again.stderr
        );
        assert_eq!(files(&lake.path("site")), before);
    }

    #[test]
    fn rewrites_only_what_an_edit_concerns() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        let before = files(&lake.path("site"));
        lake.edit("crates/lab/src/surgery.rs", "closure.", "closure, cleaned.");
        lake.expect(0, &["build", "--out", "site"]);
        let after = files(&lake.path("site"));
        let changed: Vec<&str> = after
            .iter()
            .filter(|(path, bytes)| before.get(*path) != Some(bytes))
            .map(|(path, _)| path.as_str())
            .collect();
        let expected = [
            "assets/search-text.js",
            "catalog.json",
            "openapi.json",
            "surgery/surgeries.html",
            "surgery/surgeries.json",
            "surgery/surgeries.md",
        ];
        assert_eq!(changed, expected);
    }

    #[test]
    fn removes_the_files_of_a_removed_table() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        lake.write("site/CNAME", "lake.example.org");
        lake.write(
            "crates/lab/src/lib.rs",
            "//! A lake for tests.\n\npub mod neural;\n",
        );
        fs::remove_file(lake.path("crates/lab/src/surgery.rs")).expect("a module");
        lake.expect(0, &["build", "--out", "site"]);
        let site = files(&lake.path("site"));
        assert!(
            !site.keys().any(|path| path.starts_with("surgery/")),
            "{:?}",
            site.keys()
        );
        assert!(!lake.path("site/surgery").exists(), "an empty folder stays");
        assert!(site.contains_key("CNAME"), "somebody else's file is gone");
    }

    #[test]
    fn notices_a_new_member_of_the_workspace() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        lake.write(
            "crates/more/Cargo.toml",
            &lake
                .read("crates/lab/Cargo.toml")
                .replace("\"lab\"", "\"more\""),
        );
        lake.write("crates/more/src/lib.rs", "//! More.\n\npub mod devices;\n");
        let devices = NEURAL.replace("neural.band_power", "devices.band_power");
        lake.write("crates/more/src/devices.rs", &devices);
        lake.expect(0, &["build", "--out", "site"]);
        assert!(lake.path("site/devices/band_power.html").exists());
    }

    #[test]
    fn leaves_the_folder_of_somebody_else_alone() {
        let lake = Lake::new();
        lake.write("thesis/chapter.tex", "precious");
        let run = lake.expect(2, &["build", "--out", "thesis"]);
        assert!(
            run.stderr
                .contains("`thesis` is not empty and was not made by"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        assert_eq!(files(&lake.path("thesis")).len(), 1);
    }

    #[test]
    fn says_why_a_folder_cannot_be_written() {
        let lake = Lake::new();
        lake.write("file", "");
        let run = lake.expect(2, &["build", "--out", "file"]);
        assert!(
            run.stderr.contains("`file` is not a folder"),
            "{}",
            run.stderr
        );
        lake.expect(2, &["build", "--out", "file/below"]);
        // Nobody may write here, not even the superuser, who may write in a read-only folder.
        if cfg!(target_os = "linux") {
            let run = lake.expect(2, &["build", "--out", "/proc/site"]);
            assert!(
                run.stderr.contains("can't write `/proc/site"),
                "{}",
                run.stderr
            );
        }
    }

    #[test]
    fn writes_nothing_with_errors() {
        let lake = Lake::new();
        lake.edit(
            "Cargo.toml",
            "title =",
            "catalog-json = \"catalog.json\"\nout = \"site\"\ntitle =",
        );
        lake.expect(0, &["build"]);
        let before = times(&lake.path("site"));
        let committed = lake.read("catalog.json");
        lake.edit(BROKEN.0, BROKEN.1, BROKEN.2);
        let run = lake.expect(1, &["build"]);
        assert!(run.stderr.contains("error[NL"), "{}", run.stderr);
        assert!(
            run.stderr.contains("crates/lab/src/neural.rs:8:"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("1 error"), "{}", run.stderr);
        assert_eq!(times(&lake.path("site")), before);

        lake.expect(1, &["build", "--keep-going"]);
        assert!(!lake.path("site/neural/band_power.html").exists());
        assert!(lake.path("site/surgery/surgeries.html").exists());
        assert_eq!(
            lake.read("catalog.json"),
            committed,
            "half a catalog was committed"
        );
    }

    #[test]
    fn takes_settings_from_the_manifest_and_arguments_over_them() {
        let lake = Lake::new();
        lake.edit(
            "Cargo.toml",
            "title = \"Lab lake\"",
            "title = \"Blue lake\"\nout = \"public\"\nfeatures = [\"trials\"]",
        );
        lake.expect(0, &["build"]);
        assert!(lake.read("public/index.html").contains("Blue lake"));
        assert!(lake.path("public/neural/trials.html").exists());
        lake.expect(0, &["build", "--out", "elsewhere"]);
        assert!(lake.path("elsewhere/index.html").exists());
        lake.edit("Cargo.toml", "out =", "ouy =");
        let run = lake.expect(1, &["build"]);
        assert!(run.stderr.contains("did you mean `out`?"), "{}", run.stderr);
    }

    #[test]
    fn follows_features_as_cargo_does() {
        let lake = Lake::new();
        let list = |arguments: &[&str]| lake.expect(0, arguments).stdout;
        assert!(!list(&["list"]).contains("neural.trials"));
        assert!(list(&["list", "--features", "trials"]).contains("neural.trials"));
        assert!(list(&["list", "--all-features"]).contains("neural.trials"));
        let run = lake.expect(2, &["list", "--features", "trails"]);
        assert!(
            run.stderr.contains("has the feature `trails`"),
            "{}",
            run.stderr
        );
        let run = lake.expect(2, &["list", "--package", "lba"]);
        assert!(
            run.stderr.contains("hint: did you mean `lab`?"),
            "{}",
            run.stderr
        );
    }

    #[test]
    fn links_to_the_source_at_the_built_commit() {
        let lake = Lake::new();
        let page = "site/surgery/surgeries.html";
        let link = |commit: &str| {
            format!("https://github.com/example/lab/blob/{commit}/crates/lab/src/surgery.rs#L")
        };
        lake.expect(0, &["build", "--out", "site", "--commit", COMMIT]);
        assert!(lake.read(page).contains(&link(COMMIT)));
        let mut command = lake.command(&["build", "--out", "site"]);
        let other = COMMIT.replace('0', "9");
        assert_eq!(run(command.env("GITHUB_SHA", &other)).code, Some(0));
        assert!(lake.read(page).contains(&link(&other)));
        let template = "https://code.example/{repository}?at={commit}&f={file}#{line}";
        lake.expect(
            0,
            &[
                "build",
                "--out",
                "site",
                "--commit",
                COMMIT,
                "--source-url",
                template,
            ],
        );
        assert!(
            lake.read(page).contains(&format!("at={COMMIT}")),
            "{}",
            lake.read(page)
        );
    }

    #[test]
    fn mounts_the_page_for_lost_visitors_anywhere() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site", "--base-path", "/docs/lake/"]);
        assert!(
            lake.read("site/404.html").contains("\"/docs/lake/"),
            "{}",
            lake.read("site/404.html")
        );
    }

    #[test]
    fn adds_a_page_of_changes() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        fs::copy(lake.path("site/catalog.json"), lake.path("old.json")).expect("a copy");
        lake.edit(
            "crates/lab/src/surgery.rs",
            "duration: i32",
            "duration: i64",
        );
        lake.expect(0, &["build", "--out", "site", "--since", "old.json"]);
        let page = lake.read("site/changes.html");
        assert!(
            page.contains("surgeries") && page.contains("duration"),
            "{page}"
        );
        let run = lake.expect(2, &["build", "--out", "site", "--since", "missing.json"]);
        assert!(
            run.stderr.contains("can't read `missing.json`"),
            "{}",
            run.stderr
        );
        lake.write("old.json", "{\"format_version\": 1");
        let run = lake.expect(2, &["build", "--out", "site", "--since", "old.json"]);
        assert!(
            run.stderr.contains("can't load `old.json`"),
            "{}",
            run.stderr
        );
    }

    #[test]
    fn takes_templates_of_others() {
        let lake = Lake::new();
        lake.write("look/404.html", "<!doctype html><title>Lost at sea</title>");
        lake.write(
            "snippets/45-julia.j2",
            "{# title: Julia | language: text #}\nread({{ table }})",
        );
        let arguments = [
            "build",
            "--out",
            "site",
            "--templates",
            "look",
            "--snippets",
            "snippets",
        ];
        lake.expect(0, &arguments);
        assert!(lake.read("site/404.html").contains("Lost at sea"));
        assert!(
            lake.read("site/surgery/surgeries.html")
                .to_lowercase()
                .contains("julia")
        );
        // An edit of a template alone is noticed.
        lake.write("look/404.html", "<!doctype html><title>Back home</title>");
        lake.expect(0, &arguments);
        assert!(lake.read("site/404.html").contains("Back home"));
    }

    #[test]
    fn makes_dashboards_where_there_is_a_door() {
        let lake = Lake::new();
        lake.edit(
            "crates/lab/src/surgery.rs",
            "    /// Number of the operation.\n",
            "    /// First cut.\n    pub started_at: Timestamp,\n    /// Number of the operation.\n",
        );
        lake.expect(0, &["build", "--out", "site"]);
        assert!(!lake.path("site/grafana").exists());
        lake.edit(
            "Cargo.toml",
            "title =",
            "postgres = \"127.0.0.1:5432\"\ngrafana = \"https://grafana.example.org\"\n\
             grafana-templates = \"boards\"\ntitle =",
        );
        let source = "boards/datasource.yaml.j2";
        lake.write(source, "uid: {{ datasource_uid }}\nuser: reader");
        lake.expect(0, &["build", "--out", "site"]);
        let dashboard = "site/grafana/dashboards/surgery/surgeries.json";
        assert!(
            lake.read(dashboard)
                .contains("\"uid\":\"lab-surgery-surgeries\"")
        );
        let page = lake.read("site/surgery/surgeries.html");
        assert!(page.contains("https://grafana.example.org/d/lab-surgery-surgeries"));
        let provisioned = "site/grafana/provisioning/datasources/lab.yaml";
        assert_eq!(lake.read(provisioned), "uid: neurolake-lab\nuser: reader\n");
        // An edit of a template alone is noticed, and a mistake keeps the site.
        lake.write(source, "user: writer");
        lake.expect(0, &["build", "--out", "site"]);
        assert_eq!(lake.read(provisioned), "user: writer\n");
        lake.write(source, "user:\n{{ writer }}");
        let run = lake.expect(2, &["build", "--out", "site"]);
        assert!(
            run.stderr.contains("datasource.yaml.j2:2: undefined value"),
            "{}",
            run.stderr
        );
        assert_eq!(lake.read(provisioned), "user: writer\n");
        let run = lake.expect(
            2,
            &["build", "--out", "site", "--grafana-templates", "nowhere"],
        );
        assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
        // Whoever takes the door away takes the files away.
        lake.edit("Cargo.toml", "postgres = \"127.0.0.1:5432\"\n", "");
        lake.write(source, "user: reader");
        lake.expect(0, &["build", "--out", "site"]);
        assert!(!lake.path("site/grafana").exists());
    }

    #[test]
    fn says_where_a_template_is_wrong_and_keeps_the_site() {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        let before = times(&lake.path("site"));
        for (file, text) in [
            ("look/table.html", "<p>\n{{ table.name"),
            ("look/table.html", "<p>\n{% if %}"),
            // Well-formed, and fails on the first page.
            ("look/table.html", "<p>\n{{ no_such_thing.name }}"),
            ("look/search.html", "<p>\n{{ no_such_thing.name }}"),
        ] {
            lake.write(file, text);
            let run = lake.expect(2, &["build", "--out", "site", "--templates", "look"]);
            let name = file.trim_start_matches("look/");
            assert!(
                run.stderr.contains(name) && run.stderr.contains("2:"),
                "{}",
                run.stderr
            );
            assert_eq!(times(&lake.path("site")), before, "{text}");
            fs::remove_dir_all(lake.path("look")).expect("a folder");
        }
        for text in ["{{ table", "{% for x in %}", "{{ nothing.at.all }}"] {
            let head = "{# title: Julia | language: text #}\n";
            lake.write("snips/45-julia.j2", &format!("{head}{text}"));
            let run = lake.expect(2, &["build", "--out", "site", "--snippets", "snips"]);
            assert!(run.stderr.contains("45-julia.j2:2"), "{}", run.stderr);
            assert_eq!(times(&lake.path("site")), before, "{text}");
        }
        let run = lake.expect(2, &["build", "--templates", "nowhere"]);
        assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
        let run = lake.expect(2, &["build", "--snippets", "nowhere"]);
        assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
    }

    #[test]
    fn needs_neither_the_network_nor_a_cargo_home() {
        let lake = Lake::new();
        let home = tempfile::tempdir().expect("a folder");
        let mut command = lake.command(&["build", "--out", "site"]);
        // Port 9 throws away what it gets, where it is open at all.
        command
            .env("CARGO_HOME", home.path())
            .env("http_proxy", "http://127.0.0.1:9")
            .env("https_proxy", "http://127.0.0.1:9");
        let run = run(&mut command);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }

    #[test]
    fn says_how_long_phases_took() {
        let lake = Lake::new();
        let run = lake.expect(0, &["build", "--timings"]);
        for phase in ["cargo", "read", "site", "write"] {
            assert!(
                run.stderr.contains(&format!("timing: {phase}: ")),
                "{}",
                run.stderr
            );
        }
    }

    #[test]
    fn is_quiet_on_request() {
        let lake = Lake::new();
        let run = lake.expect(0, &["build", "--quiet"]);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    }
}

mod workspace {
    use super::*;

    #[test]
    fn is_found_from_any_folder_in_it() {
        let lake = Lake::new();
        let mut command = lake.command(&["list"]);
        let inner = run(command.current_dir(lake.path("crates/lab/src")));
        assert_eq!(inner.code, Some(0), "{}", inner.stderr);
        assert_eq!(inner.stdout, lake.expect(0, &["list"]).stdout);
        let elsewhere = Lake::empty();
        for manifest in ["", "Cargo.toml", "crates/lab", "crates/lab/Cargo.toml"] {
            let path = lake.path(manifest).display().to_string();
            let run = elsewhere.expect(0, &["list", "--manifest-path", &path]);
            assert_eq!(run.stdout, inner.stdout, "{manifest}");
        }
    }

    #[test]
    fn may_be_missing() {
        let nowhere = Lake::empty();
        let run = nowhere.expect(2, &["build"]);
        assert!(run.stderr.contains("no `Cargo.toml` in"), "{}", run.stderr);
        assert!(run.stderr.contains("hint: ") && run.stderr.contains("--manifest-path"));
        let run = nowhere.expect(2, &["build", "--manifest-path", "lake/Cargo.toml"]);
        assert!(
            run.stderr.contains("`lake/Cargo.toml` does not exist"),
            "{}",
            run.stderr
        );
        nowhere.write("Cargo.toml", "[workspace\n");
        let run = nowhere.expect(2, &["build"]);
        assert!(
            run.stderr.contains("cargo can't read the workspace"),
            "{}",
            run.stderr
        );
    }

    #[test]
    fn may_declare_nothing() {
        let lake = Lake::new();
        lake.edit("crates/lab/Cargo.toml", "neurolake = \"0.1\"", "");
        let run = lake.run(&["build", "--out", "site"]);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        assert!(
            run.stderr.contains("neurolake"),
            "says what is missing: {}",
            run.stderr
        );
    }

    #[test]
    fn may_hold_bad_files() {
        for (bytes, what) in [
            (&b"pub struct \xff\xfe"[..], "UTF-8"),
            (
                b"#[table(delta = \"s3://lab/a\")]\npub struct {",
                "neural.rs:2:",
            ),
        ] {
            let lake = Lake::new();
            fs::write(lake.path(BROKEN.0), bytes).expect("a file");
            let run = lake.expect(1, &["check"]);
            assert!(run.stderr.contains(what), "{what}: {}", run.stderr);
        }
    }
}

mod check {
    use super::*;

    #[test]
    fn finds_a_catalog_that_is_out_of_date() {
        let lake = Lake::new();
        lake.edit(
            "Cargo.toml",
            "title =",
            "catalog-json = \"docs/catalog.json\"\ntitle =",
        );
        let run = lake.expect(1, &["check"]);
        assert!(
            run.stderr.contains("`docs/catalog.json` can't be read"),
            "{}",
            run.stderr
        );
        fs::create_dir(lake.path("docs")).expect("a folder");
        lake.expect(0, &["build"]);
        let run = lake.expect(0, &["check"]);
        assert!(
            run.stderr.contains("3 tables in 2 databases: in order"),
            "{}",
            run.stderr
        );
        lake.edit(BROKEN.0, "power: f32", "power: f64");
        let run = lake.expect(1, &["check"]);
        assert!(
            run.stderr.contains("is not what the source says"),
            "{}",
            run.stderr
        );
        assert!(
            run.stderr.contains("run `catalog-gen build`"),
            "{}",
            run.stderr
        );
        lake.expect(1, &["check", "--catalog", "docs/catalog.json"]);
        lake.expect(0, &["build"]);
        lake.expect(0, &["check", "--catalog", "docs/catalog.json"]);
    }

    #[test]
    fn takes_warnings_as_errors_on_request() {
        let lake = Lake::new();
        lake.edit(
            "crates/lab/src/surgery.rs",
            "/// Operations, one row each.\n",
            "",
        );
        let run = lake.expect(0, &["check"]);
        assert!(run.stderr.contains("warning"), "{}", run.stderr);
        lake.expect(1, &["check", "--deny-warnings"]);
        lake.expect(0, &["build"]);
        lake.edit("Cargo.toml", "title =", "missing-docs = \"deny\"\ntitle =");
        lake.expect(1, &["check"]);
        lake.edit("Cargo.toml", "\"deny\"", "\"allow\"");
        lake.expect(0, &["check", "--deny-warnings"]);
    }

    #[test]
    fn tells_programs() {
        let lake = broken();
        for command in ["check", "build"] {
            let run = lake.expect(1, &[command, "--message-format", "json"]);
            let findings = lines(&run.stdout);
            let mut errors = findings
                .iter()
                .filter(|finding| finding["severity"] == "error");
            let finding = errors.next().expect("the error");
            assert_eq!(errors.next(), None);
            assert!(
                finding["code"]
                    .as_str()
                    .is_some_and(|code| code.starts_with("NL"))
            );
            assert_eq!(finding["place"]["file"], BROKEN.0);
            assert_eq!(finding["place"]["line"], 8);
            assert_eq!(finding["place"]["column"], 18);
            assert_eq!(finding["replacement"], "implant_id");
        }
    }

    #[test]
    fn annotates_pull_requests() {
        let lake = broken();
        let run = lake.expect(1, &["check", "--message-format", "github"]);
        assert!(
            run.stdout.lines().all(|line| line.starts_with("::")),
            "{}",
            run.stdout
        );
        let line = run.stdout.lines().next().expect("an annotation");
        assert!(
            line.starts_with("::error file=crates/lab/src/neural.rs,line=8,col=18,"),
            "{line}"
        );
        assert!(
            line.contains("%0Ahelp: did you mean `implant_id`?"),
            "{line}"
        );
    }

    #[test]
    fn colours_only_what_may_be_coloured() {
        let lake = broken();
        let is_coloured = |run: &lake::Run| run.stderr.contains('\x1b');
        assert!(
            !is_coloured(&lake.expect(1, &["check"])),
            "no terminal, no colour"
        );
        assert!(is_coloured(
            &lake.expect(1, &["check", "--color", "always"])
        ));
        assert!(!is_coloured(
            &lake.expect(1, &["check", "--color", "never"])
        ));
        let mut command = lake.command(&["check"]);
        assert!(!is_coloured(&run(command.env("NO_COLOR", "1"))));
    }
}

mod diff {
    use super::*;

    fn changed() -> Lake {
        let lake = Lake::new();
        lake.expect(0, &["build", "--out", "site"]);
        fs::copy(lake.path("site/catalog.json"), lake.path("old.json")).expect("a copy");
        lake.edit(
            "crates/lab/src/surgery.rs",
            "duration: i32",
            "duration: String",
        );
        lake.expect(0, &["build", "--out", "site"]);
        fs::copy(lake.path("site/catalog.json"), lake.path("new.json")).expect("a copy");
        lake
    }

    #[test]
    fn compares_files_or_the_source() {
        let lake = changed();
        let run = lake.expect(0, &["diff", "old.json", "new.json"]);
        assert!(run.stdout.contains("surgery.surgeries"), "{}", run.stdout);
        assert!(run.stdout.contains("duration"), "{}", run.stdout);
        assert_eq!(lake.expect(0, &["diff", "old.json"]).stdout, run.stdout);
        let json = lake
            .expect(0, &["diff", "old.json", "--format", "json"])
            .stdout;
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["breaking"], true);
        let markdown = lake
            .expect(0, &["diff", "old.json", "--format", "markdown"])
            .stdout;
        assert!(
            markdown.contains('`') && markdown.contains("surgeries"),
            "{markdown}"
        );
    }

    #[test]
    fn reads_standard_input() {
        let lake = changed();
        let mut command = lake.command(&["diff", "-", "new.json"]);
        command.stdin(fs::File::open(lake.path("old.json")).expect("a file"));
        let output = ended(&command.output().expect("the command"));
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(output.stdout, lake.expect(0, &["diff", "old.json"]).stdout);
    }

    #[test]
    fn refuses_what_is_denied() {
        let lake = changed();
        lake.expect(1, &["diff", "old.json", "--deny", "breaking"]);
        lake.expect(1, &["diff", "old.json", "--deny", "any"]);
        lake.expect(0, &["diff", "new.json", "--deny", "any"]);
        lake.edit("crates/lab/src/surgery.rs", "closure.", "closure, cleaned.");
        lake.expect(0, &["diff", "new.json", "--deny", "breaking"]);
        lake.expect(1, &["diff", "new.json", "--deny", "any"]);
    }

    #[test]
    fn does_not_take_a_mistake_for_a_removal() {
        let lake = changed();
        lake.edit(BROKEN.0, BROKEN.1, BROKEN.2);
        let run = lake.expect(1, &["diff", "new.json"]);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
        assert!(run.stderr.contains("error[NL"), "{}", run.stderr);
    }

    #[test]
    fn says_which_file_is_wrong() {
        let lake = changed();
        lake.write("odd.json", "[1]");
        for (arguments, message) in [
            (
                ["diff", "missing.json", "new.json"],
                "can't read `missing.json`",
            ),
            (["diff", "old.json", "odd.json"], "can't load `odd.json`"),
        ] {
            let run = lake.expect(2, &arguments);
            assert!(run.stderr.contains(message), "{}", run.stderr);
        }
        lake.edit(
            "old.json",
            "\"format_version\": 1",
            "\"format_version\": 99",
        );
        let run = lake.expect(2, &["diff", "old.json"]);
        assert!(run.stderr.contains("99"), "{}", run.stderr);
    }
}

mod look_up {
    use super::*;

    #[test]
    fn searches_as_the_site_does() {
        let lake = Lake::demo();
        let run = lake.expect(0, &["search", "surgeries"]);
        assert!(
            run.stdout.starts_with("surgery.surgeries  (delta)"),
            "{}",
            run.stdout
        );
        let run = lake.expect(0, &["search", "surgeris", "--limit", "1"]);
        assert_eq!(run.stdout, "surgery.surgeries  (delta)\n");
        let json = lake
            .expect(0, &["search", "--json", "robot", "db:surgery"])
            .stdout;
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert!(
            json["hits"].as_array().is_some_and(|hits| !hits.is_empty()),
            "{json}"
        );
        let run = lake.expect(1, &["search", "qqxzzvw"]);
        assert!(
            run.stdout.is_empty() && run.stderr.contains("no match"),
            "{}",
            run.stderr
        );
        let run = lake.expect(1, &["search", "--json", "qqxzzvw"]);
        assert!(
            serde_json::from_str::<Value>(&run.stdout).is_ok(),
            "{}",
            run.stdout
        );
        lake.expect(2, &["search"]);
    }

    #[test]
    fn lists_tables_and_columns() {
        let lake = Lake::new();
        let all = lake.expect(0, &["list"]).stdout;
        assert_eq!(all.lines().count(), 3, "{all}");
        let one = lake.expect(0, &["list", "surgery"]).stdout;
        assert!(
            one.starts_with("surgery.surgeries") && one.lines().count() == 1,
            "{one}"
        );
        let table = lake.expect(0, &["list", "neural.band_power"]).stdout;
        assert!(
            table.contains("implant_id") && table.contains("partition"),
            "{table}"
        );
        assert!(table.contains("crates/lab/src/neural.rs:"), "{table}");
        assert!(table.starts_with("neural.band_power  (Delta)\n"), "{table}");
        let json = lines(&lake.expect(0, &["list", "--json"]).stdout);
        assert_eq!(json.len(), 3);
        assert_eq!(json[2]["table"]["name"], "surgeries");
        for (name, near) in [
            ("surgry", "surgery"),
            ("neural.band_powr", "neural.band_power"),
        ] {
            let run = lake.expect(2, &["list", name]);
            assert!(
                run.stderr
                    .contains(&format!("hint: did you mean `{near}`?")),
                "{}",
                run.stderr
            );
        }
        lake.expect(0, &["build", "--out", "site"]);
        let run = Lake::empty();
        let catalog = lake.path("site/catalog.json").display().to_string();
        assert_eq!(run.expect(0, &["list", "--catalog", &catalog]).stdout, all);
        run.expect(0, &["search", "--catalog", &catalog, "band"]);

        lake.edit(
            "crates/lab/src/neural.rs",
            "    owner = \"signals\",",
            "    ingest,\n    owner = \"signals\",",
        );
        let table = lake.expect(0, &["list", "neural.band_power"]).stdout;
        assert!(
            table.starts_with("neural.band_power  (Delta, takes events)\n"),
            "{table}"
        );
        let found = lake.expect(0, &["search", "is:ingest"]).stdout;
        assert!(found.contains("neural.band_power"), "{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }

    #[test]
    fn shows_what_is_in_order_beside_what_is_not() {
        let lake = broken();
        let run = lake.expect(0, &["list"]);
        assert!(run.stdout.contains("surgery.surgeries"), "{}", run.stdout);
        assert!(run.stderr.contains("error[NL"), "{}", run.stderr);
    }

    #[test]
    fn explains_every_code() {
        let lake = Lake::empty();
        let all = lake.expect(0, &["explain"]).stdout;
        assert!(all.lines().count() > 50, "{all}");
        for line in all.lines() {
            let code = line.split(' ').next().expect("a code");
            let text = lake.expect(0, &["explain", code]).stdout;
            assert!(text.starts_with(code) && text.lines().count() > 2, "{text}");
        }
        let run = lake.expect(2, &["explain", "NL9999"]);
        assert!(
            run.stderr.contains("unknown code `NL9999`"),
            "{}",
            run.stderr
        );
        lake.expect(0, &["explain", "nl0006"]);
    }
}

mod talk {
    use super::*;

    #[test]
    fn every_command_says_what_it_promises() {
        let lake = Lake::empty();
        for (command, promises) in [
            (
                "build",
                &[
                    "a second run on the same source writes none",
                    "nothing is written",
                ][..],
            ),
            (
                "serve",
                &[
                    "reloading the browser as you save",
                    "nothing is written",
                    "--poll",
                ],
            ),
            ("check", &["without writing anything", "catalog.json"]),
            ("diff", &["whether it breaks readers", "standard input"]),
            ("search", &["with the ranking of the site", "db:neural"]),
            ("list", &["List tables", "--json"]),
            ("explain", &["NL0006"]),
        ] {
            let run = lake.expect(0, &[command, "--help"]);
            let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            for promise in promises {
                assert!(text.contains(promise), "{command}: {promise}\n{text}");
            }
            assert!(!text.contains("--timings"), "{text}");
        }
        let help = lake.expect(0, &["--help"]).stdout;
        for code in ["  0  ", "  1  ", "  2  "] {
            assert!(help.contains(code), "{help}");
        }
        assert!(
            lake.expect(0, &["--version"])
                .stdout
                .starts_with("catalog-gen ")
        );
    }

    #[test]
    fn wrong_arguments_end_with_2() {
        let lake = Lake::new();
        for arguments in [
            &["biuld"][..],
            &["build", "--ouy", "x"],
            &["diff"],
            &["check", "--message-format", "xml"],
            &["serve", "--port", "99999"],
            &[],
        ] {
            let run = lake.expect(2, arguments);
            assert!(!run.stderr.is_empty());
        }
        let run = lake.expect(2, &["biuld"]);
        assert!(run.stderr.contains("build"), "{}", run.stderr);
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let lake = Lake::demo();
        for arguments in [
            &["list", "--json"][..],
            &["search", "--json", "--limit", "5000", "e"],
            &["explain"],
        ] {
            let mut command = lake.command(arguments);
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the command");
            let mut first = [0; 1];
            let mut stdout = child.stdout.take().expect("a pipe");
            stdout.read_exact(&mut first).expect("a byte");
            drop(stdout);
            let run = ended(&child.wait_with_output().expect("an end"));
            assert_eq!(
                (run.code, run.stderr.as_str()),
                (Some(0), ""),
                "{arguments:?}"
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let lake = Lake::new();
        let mut command = lake.command(&["list"]);
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let run = ended(&command.stdout(full).output().expect("the command"));
        assert_eq!(run.code, Some(2));
        assert!(
            run.stderr.contains("can't write to standard output"),
            "{}",
            run.stderr
        );
    }

    #[test]
    fn input_may_come_late() {
        let lake = Lake::new();
        let catalog = {
            lake.expect(0, &["build", "--out", "site"]);
            lake.read("site/catalog.json")
        };
        let mut child = lake
            .command(&["diff", "-", "site/catalog.json", "--deny", "any"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command");
        let mut stdin = child.stdin.take().expect("a pipe");
        let (first, second) = catalog.split_at(catalog.len() / 2);
        stdin.write_all(first.as_bytes()).expect("half");
        std::thread::sleep(Duration::from_millis(50));
        stdin.write_all(second.as_bytes()).expect("the other half");
        drop(stdin);
        assert_eq!(child.wait().expect("an end").code(), Some(0));
    }
}

mod stubs {
    use super::*;

    const STUB: &str = "neurolake-stubs/__init__.pyi";

    #[test]
    fn are_a_package_for_type_checkers() {
        let lake = Lake::new();
        let run = lake.expect(0, &["stubs"]);
        assert!(run.stdout.is_empty(), "data only: {}", run.stdout);
        assert!(
            run.stderr.contains("pip install") && run.stderr.contains("target/neurolake-stubs"),
            "{}",
            run.stderr
        );
        let package = lake.path("target/neurolake-stubs");
        let stub = fs::read_to_string(package.join(STUB)).expect("a stub");
        for part in [
            "class _neural__band_power(Table):",
            "    \"Band power of each channel.\"",
            "    implant_id: _Any[int]",
            "    \"float32 [dB]. Power over the baseline.\"",
            "columns: Sequence[Literal[\"implant_id\", \"power\"]] | None = ...,",
            "name: Literal[\"band_power\"],",
            "def db(self, name: Literal[\"neural\"], /) -> _neural: ...",
            "catalog: Catalog",
        ] {
            assert!(stub.contains(part), "no `{part}` in:\n{stub}");
        }
        assert!(!stub.contains("def ingest("), "no table takes events");
        lake.edit(
            "crates/lab/src/neural.rs",
            "    owner = \"signals\",",
            "    ingest,\n    owner = \"signals\",",
        );
        lake.expect(0, &["stubs"]);
        let taking = fs::read_to_string(package.join(STUB)).expect("a stub");
        let calls = taking.matches("    table: Literal[\"neural.band_power\"],\n");
        assert_eq!(
            calls.count(),
            2,
            "of the catalog and of the module:\n{taking}"
        );
        // Only Delta tables keep versions.
        let view = stub.split("class _neural__mean_power(Table):").nth(1);
        let call = view.and_then(|text| text.split("LazyFrame").next());
        assert!(
            call.is_some_and(|call| !call.contains("version")),
            "{call:?}"
        );
        let partial = fs::read_to_string(package.join("neurolake-stubs/py.typed"));
        assert_eq!(partial.expect("a marker"), "partial\n");
    }

    #[test]
    fn are_the_same_from_source_and_from_a_catalog() {
        let lake = Lake::new();
        lake.expect(0, &["build"]);
        lake.expect(0, &["stubs", "--out", "one"]);
        let catalog = "target/catalog/catalog.json";
        lake.expect(0, &["stubs", "--catalog", catalog, "--out", "two"]);
        assert_eq!(files(&lake.path("one")), files(&lake.path("two")));
        let again = lake.expect(0, &["stubs", "--out", "one"]);
        assert!(
            again.stderr.contains("0 files written, 3 unchanged"),
            "{}",
            again.stderr
        );
    }

    #[test]
    fn are_checked() {
        let lake = Lake::new();
        let missing = lake.expect(1, &["stubs", "--check", "--out", "typings"]);
        assert!(
            missing
                .stderr
                .contains("hint: run `catalog-gen stubs --out typings`"),
            "{}",
            missing.stderr
        );
        assert!(!lake.path("typings").exists(), "nothing is written");
        lake.expect(0, &["stubs", "--out", "typings"]);
        lake.expect(0, &["stubs", "--check", "--out", "typings"]);
        let version = |lake: &Lake| {
            let text = fs::read_to_string(lake.path("typings/pyproject.toml"));
            let text = text.expect("a manifest");
            let line = text.lines().find(|line| line.starts_with("version"));
            line.expect("a version").to_owned()
        };
        let before = version(&lake);
        lake.edit(
            "crates/lab/src/neural.rs",
            "pub power: f32",
            "pub power: f64",
        );
        let stale = lake.expect(1, &["stubs", "--check", "--out", "typings"]);
        assert!(
            stale.stderr.contains("is not what the catalog says"),
            "{}",
            stale.stderr
        );
        lake.expect(0, &["stubs", "--out", "typings"]);
        assert_ne!(before, version(&lake), "pip must see that it changed");
    }

    #[test]
    fn need_declarations_in_order_and_a_folder_of_their_own() {
        broken().expect(1, &["stubs"]);
        let lake = Lake::new();
        fs::create_dir(lake.path("mine")).expect("a folder");
        fs::write(lake.path("mine/notes.txt"), "keep").expect("a file");
        lake.expect(2, &["stubs", "--out", "mine"]);
        lake.expect(2, &["stubs", "--catalog", "none.json", "--out", "new"]);
        assert!(!lake.path("new").exists());
    }
}

//! `neurolake.toml` and `config`.

use crate::runs::Folder;

const CANARY: &str = "canary-93ab";

#[test]
fn settings_are_found_upwards_and_shown() {
    let folder = Folder::new();
    folder.write(
        "neurolake.toml",
        "catalog = \"catalog.json\"\n[limits]\nmemory = \"1GiB\"\ndeadline = \"env:PATIENCE\"\n\
         [stores.default]\nlocal = \"buckets\"\n",
    );
    std::fs::create_dir_all(folder.path("deep/er")).unwrap();
    let mut command = folder.command(&["config"]);
    command
        .current_dir(folder.path("deep/er"))
        .env("PATIENCE", "90s");
    command.env_remove("NEUROLAKE_CATALOG");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "memory = 1073741824",
        "deadline = \"90000ms\"",
        "[stores.default]",
        "local = \"buckets\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let folder = Folder::new();
    folder.write("key.txt", &format!("{CANARY}\n"));
    folder.write(
        "neurolake.toml",
        "[stores.default]\nendpoint = \"http://127.0.0.1:9\"\nallow_http = true\n\
         access_key_id = \"env:KEY\"\nsecret_access_key = \"file:key.txt\"\n\
         [stores.default.options]\nsse_customer_key = \"env:KEY\"\n\
         [stores.colony.postgres]\nhost = \"127.0.0.1\"\nport = 9\npassword = \"env:KEY\"\n",
    );
    for arguments in [
        &["config"][..],
        &["doctor", "--patience", "5"],
        &["query", "select * from lab.animals"],
        &["describe", "lab.animals"],
    ] {
        let mut command = folder.command(arguments);
        let output = command
            .env("KEY", CANARY)
            .env("NEUROLAKE_LOG", "debug")
            .output()
            .unwrap();
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).unwrap();
            assert!(!text.contains(CANARY), "{arguments:?}: {text}");
        }
    }
    let mut command = folder.command(&["config"]);
    let shown = String::from_utf8(command.env("KEY", CANARY).output().unwrap().stdout).unwrap();
    assert!(
        shown.contains("secret_access_key = \"***\"  # from file:key.txt"),
        "{shown}"
    );
}

#[test]
fn every_mistake_says_where_and_what_to_do() {
    let folder = Folder::new();
    for (text, said) in [
        (
            "[stores.default]\nlokal = \"x\"",
            "`stores.default.lokal`: did you mean `local`?",
        ),
        ("[htttp]\nlisten = \"x\"", "did you mean `http`?"),
        (
            "[stores.default]\nsecret_access_key = \"canary-93ab\"",
            "secret in plain sight",
        ),
        (
            "[stores.c.postgres]\npassword = \"canary-93ab\"",
            "secret in plain sight",
        ),
        (
            "[stores.d.options]\nsas_token = \"canary-93ab\"",
            "secret in plain sight",
        ),
        (
            "[stores.default]\naccess_key_id = \"env:NOT_THERE\"",
            "`NOT_THERE`, which is not set",
        ),
        (
            "[stores.default]\naccess_key_id = \"file:nothing.txt\"",
            "which can't be read",
        ),
        (
            "[stores.default]\nlocal = \"a\"\ncopies = \"b\"",
            "local and copies at once",
        ),
        ("[limits]\nmemory = \"lots\"", "a size such as"),
        ("[limits]\ndeadline = 5", "a time such as"),
        ("[limits]\nmax_rows = \"many\"", "a whole number"),
        ("[stores.x]\nsecret_access_key = \"canary-93ab", ":2:"),
        ("[stores]\ndefault = \"canary-93ab\"", "neurolake.toml:2:"),
    ] {
        folder.write("neurolake.toml", text);
        let run = folder.expect(2, &["tables"]);
        assert!(run.stderr.contains(said), "{text}: {}", run.stderr);
        assert!(run.stderr.contains("hint: "), "{text}: {}", run.stderr);
        assert!(!run.stderr.contains(CANARY), "{text}: {}", run.stderr);
    }
}

#[test]
fn the_reference_is_a_file_of_settings() {
    let folder = Folder::new();
    let text = folder.expect(0, &["config", "--reference"]).stdout;
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| !line.starts_with("# ") && (line.starts_with('[') || line.contains(" = ")));
    assert!(values.count() > 35, "{text}");
    assert!(text.contains("NEUROLAKE_CONFIG"), "{text}");
}

//! Files for Grafana: which panels a table gets, what they ask, and who may change that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use catalog_gen::grafana::GrafanaError;
use catalog_gen::site::{Site, SiteError, SiteOptions};
use catalog_gen::snippets::Snippets;
use neurolake_model::{Catalog, Partition, Type};
use serde_json::Value as Json;

const HEALTH: &str = "grafana/dashboards/devices/health.json";
const ALERTS: &str = "grafana/provisioning/alerting/lab.yaml";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grafana")
}

fn fixture() -> Catalog {
    let text = fs::read_to_string(fixtures().join("catalog.json")).expect("a fixture");
    Catalog::from_json(&text).expect("a catalog")
}

/// Every file of the site as text.
fn try_files(
    catalog: &Catalog,
    options: SiteOptions,
) -> Result<BTreeMap<String, String>, SiteError> {
    let snippets = Snippets::load(None)?;
    let site = Site::new(catalog, options, &snippets)?;
    let render = |path: String| {
        let bytes = site.render(&path)?.expect("the path was listed");
        Ok((path, String::from_utf8(bytes).expect("is text")))
    };
    site.paths().into_iter().map(render).collect()
}

fn files(catalog: &Catalog) -> BTreeMap<String, String> {
    try_files(catalog, SiteOptions::default()).expect("the built-in templates are right")
}

/// The same with templates of the user.
fn overridden(templates: &[(&str, &str)]) -> Result<BTreeMap<String, String>, SiteError> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in templates {
        fs::write(folder.path().join(name), text).expect("writes");
    }
    let options = SiteOptions {
        grafana_templates: Some(folder.path().to_owned()),
        ..SiteOptions::default()
    };
    try_files(&fixture(), options)
}

fn json(files: &BTreeMap<String, String>, path: &str) -> Json {
    serde_json::from_str(&files[path]).expect("is JSON")
}

/// Panels of a dashboard and of its rows.
fn panels(dashboard: &Json) -> Vec<&Json> {
    let list = |panel: &'_ Json| panel["panels"].as_array().map_or(0, Vec::len);
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        all.push(panel);
        if list(panel) > 0 {
            all.extend(panel["panels"].as_array().expect("panels"));
        }
    }
    all
}

fn titles(dashboard: &Json) -> Vec<&str> {
    let titles = panels(dashboard).into_iter().map(|panel| &panel["title"]);
    titles.filter_map(Json::as_str).collect()
}

/// What a person would check: panels, units, places and statements.
fn summary(dashboard: &Json) -> String {
    let mut text = format!(
        "# {}\n\n`{}`, {}, {}\n",
        dashboard["title"].as_str().expect("a title"),
        dashboard["uid"].as_str().expect("an identifier"),
        dashboard["time"]["from"].as_str().expect("a time"),
        dashboard["tags"],
    );
    for variable in dashboard["templating"]["list"]
        .as_array()
        .expect("variables")
    {
        let _ = write!(
            text,
            "\n## variable {} ({})\n\n```sql\n{}\n```\n",
            variable["name"].as_str().expect("a name"),
            variable["type"].as_str().expect("a type"),
            variable["query"].as_str().expect("a statement"),
        );
    }
    for panel in panels(dashboard) {
        let place = &panel["gridPos"];
        let _ = write!(
            text,
            "\n## {}. {} ({})\n\nat {}, {}: {} x {}",
            panel["id"],
            panel["title"].as_str().expect("a title"),
            panel["type"].as_str().expect("a type"),
            place["x"],
            place["y"],
            place["w"],
            place["h"],
        );
        if let Some(unit) = panel["fieldConfig"]["defaults"]["unit"].as_str() {
            let _ = write!(text, ", in {unit}");
        }
        text.push('\n');
        if let Some(docs) = panel["description"]
            .as_str()
            .filter(|docs| !docs.is_empty())
        {
            let _ = write!(text, "\n{docs}\n");
        }
        if let Some(sql) = panel["targets"][0]["rawSql"].as_str() {
            let _ = write!(text, "\n```sql\n{sql}\n```\n");
        }
    }
    text
}

/// `UPDATE_EXPECT=1` writes it.
fn expect(name: &str, text: &str) {
    let file = fixtures().join(name);
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, text).expect("a writable fixture");
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        text,
        expected,
        "{} (UPDATE_EXPECT=1 accepts)",
        file.display()
    );
}

#[test]
fn each_table_with_a_time_has_the_panels_that_fit_it() {
    let files = files(&fixture());
    let dashboards: Vec<&String> = files
        .keys()
        .filter(|p| p.contains("/dashboards/") && p.ends_with(".json"))
        .collect();
    assert_eq!(
        dashboards,
        [
            HEALTH,
            "grafana/dashboards/devices/retired.json",
            "grafana/dashboards/reports/trend.json",
            "grafana/dashboards/reports/windows.json",
        ]
    );
    for path in dashboards {
        let name = path
            .trim_start_matches("grafana/dashboards/")
            .replace('/', ".");
        expect(&name.replace(".json", ".md"), &summary(&json(&files, path)));
    }
    let mut retired = json(&files, "grafana/dashboards/devices/retired.json");
    // Whatever other crates ask of maps.
    retired.sort_all_objects();
    expect("retired.json", &format!("{retired:#}\n"));
}

#[test]
fn files_of_provisioning_are_as_expected() {
    let files = files(&fixture());
    for kind in ["datasources", "dashboards", "alerting"] {
        let path = format!("grafana/provisioning/{kind}/lab.yaml");
        expect(&format!("{kind}.yaml"), &files[&path]);
    }
    expect("README.md", &files["grafana/README.md"]);
}

#[test]
fn without_a_door_there_is_nothing() {
    let mut catalog = fixture();
    catalog.endpoints.postgres = None;
    for (path, text) in files(&catalog) {
        assert!(!path.contains("grafana"), "{path}");
        assert!(
            !path.ends_with(".html") || !text.contains("Grafana"),
            "{path}"
        );
    }
}

#[test]
fn pages_link_to_their_dashboard() {
    let links = |options| {
        let files = try_files(&fixture(), options).expect("renders");
        let has = |page: &str, text: &str| files[page].contains(text);
        assert!(has(
            "devices/health.html",
            "href=\"../grafana/dashboards/devices/health.json\" download"
        ));
        assert!(has("devices/health.html", "href=\"../grafana/README.md\""));
        assert!(!has("devices/slots.html", "grafana"), "it has no time");
        has(
            "devices/health.html",
            "href=\"https://grafana.example.org/d/lab-devices-health\"",
        )
    };
    assert!(!links(SiteOptions::default()));
    assert!(links(SiteOptions {
        grafana: Some("https://grafana.example.org/".to_owned()),
        ..SiteOptions::default()
    }));
}

#[test]
fn the_folder_gives_way_to_a_database_of_its_name() {
    let mut catalog = fixture();
    catalog.databases[0].name = "grafana".to_owned();
    let files = files(&catalog);
    assert!(files.contains_key("grafana/health.json"));
    assert!(files.contains_key("grafana-/dashboards/grafana/health.json"));
    assert!(files["grafana/health.html"].contains("../grafana-/dashboards/grafana/health.json"));
}

#[test]
fn names_are_quoted_and_those_that_grafana_would_change_are_left_out() {
    let mut catalog = fixture();
    let columns = &mut catalog.databases[0].tables[0].columns;
    for (index, name) in [
        (4, "who's \"mode\""),
        (6, "select"),
        (7, "$__interval"),
        (8, "${device_id}"),
        (9, "[[site]]_total"),
        (13, "a,b)c"),
    ] {
        name.clone_into(&mut columns[index].name);
    }
    let files = files(&catalog);
    let health = json(&files, HEALTH);
    assert_eq!(
        titles(&health),
        [
            "Rows",
            "who's \"mode\"",
            "select",
            "channels",
            "a,b)c",
            "price",
            "Newest rows"
        ]
    );
    let sql: Vec<&str> = panels(&health)
        .iter()
        .filter_map(|panel| panel["targets"][0]["rawSql"].as_str())
        .collect();
    assert!(
        sql[1].contains("coalesce(\"who's \"\"mode\"\"\", 'null')"),
        "{}",
        sql[1]
    );
    assert!(sql[2].contains("avg(\"select\")"), "{}", sql[2]);
    assert!(sql[4].contains("unnest(\"a,b)c\")"), "{}", sql[4]);
    assert!(sql[6].starts_with("select received_at, ts, device_id, site, \"who's \"\"mode\"\"\", firmware, \"select\", slot,"), "{}", sql[6]);
}

#[test]
fn a_time_that_no_macro_can_name_is_none() {
    let with_time = |name: &str| {
        let mut catalog = fixture();
        name.clone_into(&mut catalog.databases[0].tables[0].columns[1].name);
        catalog
    };
    for name in ["t$", "[[t]]", "t)", "t,"] {
        let mut catalog = with_time(name);
        let health = json(&files(&catalog), HEALTH);
        let rows = panels(&health)[0]["targets"][0]["rawSql"].as_str();
        assert!(
            rows.is_some_and(|sql| sql.contains("$__timeFilter(received_at)")),
            "{name}: {rows:?}"
        );
        catalog.databases[0].tables[0].columns.remove(0);
        assert!(!files(&catalog).contains_key(HEALTH), "{name}");
    }
}

#[test]
fn personal_data_is_not_shown() {
    let mut catalog = fixture();
    let table = &mut catalog.databases[0].tables[0];
    for column in &mut table.columns[1..] {
        column.pii = true;
    }
    let health = json(&files(&catalog), HEALTH);
    assert_eq!(titles(&health), ["Rows", "Newest rows"]);
    let newest = &panels(&health)[1]["targets"][0]["rawSql"];
    let sql = newest.as_str().expect("a statement");
    assert!(sql.starts_with("select received_at\n"), "{sql}");
    assert_eq!(health["templating"]["list"], serde_json::json!([]));

    let mut by_day = catalog.clone();
    let table = &mut by_day.databases[0].tables[0];
    table.columns.remove(0);
    table.partition_by = vec![Partition {
        name: "day".to_owned(),
        data_type: Some(Type::Date),
    }];
    let files = files(&by_day);
    assert_eq!(titles(&json(&files, HEALTH)), ["Rows"]);
    assert!(!files[HEALTH].contains("select *"));

    catalog.databases[0].tables[0].columns[0].pii = true;
    assert!(
        !try_files(&catalog, SiteOptions::default())
            .expect("renders")
            .contains_key(HEALTH)
    );
}

#[test]
fn a_partition_that_may_be_null_is_no_choice() {
    let mut catalog = fixture();
    catalog.databases[0].tables[0].columns[3].nullable = true;
    let health = json(&files(&catalog), HEALTH);
    let variables = health["templating"]["list"].as_array().expect("variables");
    let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["device_id"]);
    assert!(!health.to_string().contains("${site"));
}

#[test]
fn templates_of_the_user_replace_ours() {
    let files = overridden(&[
        (
            "datasource.yaml.j2",
            "user: {{ catalog|yaml }}\nurl: {{ postgres }}",
        ),
        (
            "panel-table.json.j2",
            "{\"type\": \"table\", \"title\": {{ panel.title|json }}, \"id\": {{ panel.id }}}",
        ),
        ("alerts.yaml.j2", " \n"),
    ])
    .expect("renders");
    assert_eq!(
        files["grafana/provisioning/datasources/lab.yaml"],
        "user: \"lab\"\nurl: lake.example.org:5432\n"
    );
    let newest = json(&files, "grafana/dashboards/devices/retired.json")["panels"][1].clone();
    assert_eq!(
        newest,
        serde_json::json!({"type": "table", "title": "Newest rows", "id": 2})
    );
    assert!(
        !files.contains_key(ALERTS),
        "an empty template removes its file"
    );
}

#[test]
fn an_empty_template_removes_what_it_makes() {
    let without = |name: &str| {
        let files = overridden(&[(name, " \n")]).expect("renders");
        let health = files.get(HEALTH).map(|_| json(&files, HEALTH));
        (files, health)
    };
    let (_, health) = without("panel-table.json.j2");
    let health = health.expect("a dashboard");
    assert!(titles(&health).contains(&"More columns"));
    assert!(!titles(&health).contains(&"Newest rows"));
    let (_, health) = without("panel-row.json.j2");
    assert_eq!(
        titles(&health.expect("a dashboard")).last(),
        Some(&"Newest rows")
    );
    let (_, health) = without("panel-timeseries.json.j2");
    assert_eq!(titles(&health.expect("a dashboard")), ["Newest rows"]);
    let (files, health) = without("dashboard.json.j2");
    assert_eq!(health, None);
    assert!(files.contains_key(ALERTS) && !files[ALERTS].contains("dashboardUid"));
    assert!(!files["devices/health.html"].contains("Grafana"));
    let (files, _) = without("README.md.j2");
    assert!(!files["devices/health.html"].contains("README.md"));
}

#[test]
fn the_name_of_a_catalog_leads_nowhere() {
    let mut catalog = fixture();
    catalog.name = "../../evil".to_owned();
    for path in files(&catalog).keys() {
        assert!(!path.contains(".."), "{path}");
    }
}

#[test]
fn a_table_may_have_a_template_of_its_own() {
    let files = overridden(&[
        ("dashboard.json.j2", "{% extends \"built-in/dashboard.json.j2\" %}{% block refresh %}\"1m\"{% endblock %}"),
        (
            "devices.health.json.j2",
            "{% extends \"dashboard.json.j2\" %}\n{% block panels %}{{ super() }}, {% include \"_note.j2\" %}{% endblock %}",
        ),
        ("_note.j2", "{\"type\": \"text\", \"title\": {{ (\"About \" ~ table)|json }}}"),
        ("reports.trend.json.j2", ""),
    ])
    .expect("renders");
    let health = json(&files, HEALTH);
    assert_eq!(titles(&health).last(), Some(&"About health"));
    assert_eq!(health["refresh"], "1m");
    let retired = json(&files, "grafana/dashboards/devices/retired.json");
    assert_eq!(
        (titles(&retired).len(), &retired["refresh"]),
        (2, &Json::from("1m"))
    );
    assert!(!files.contains_key("grafana/dashboards/reports/trend.json"));
    assert!(
        !files["reports/trend.html"].contains("Grafana"),
        "no link without a dashboard"
    );
}

#[test]
fn mistakes_in_templates_are_named_with_their_place() {
    let refused = |templates: &[(&str, &str)]| {
        let error = overridden(templates).expect_err("a mistake");
        let SiteError::Grafana(error) = error else {
            panic!("{error}");
        };
        error
    };
    for name in [
        "dashbord.json.j2",
        "devices.helth.json.j2",
        "devices.slots.json.j2",
        "reports.secret.json.j2",
        "panel.j2",
    ] {
        let error = refused(&[(name, "{}")]);
        assert!(
            matches!(error, GrafanaError::Name { .. }),
            "{name}: {error}"
        );
    }
    for (text, expected) in [
        (
            "{\n{{ panel.titel|json }}",
            "panel-table.json.j2:2: undefined value",
        ),
        (
            "{\n\n{{ whatever }}",
            "panel-table.json.j2:3: undefined value",
        ),
        ("{\n{% if %}", "panel-table.json.j2:2: syntax error"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "is there a loop in a loop?",
        ),
        (
            "{{ panel.title|jason }}",
            "panel-table.json.j2:1: unknown filter",
        ),
    ] {
        let error = refused(&[("panel-table.json.j2", text)]).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = refused(&[("panel-table.json.j2", "{\"title\": Newest}")]).to_string();
    for part in [
        "dashboard.json.j2` makes no JSON of `devices.health`",
        "\n  {\"title\": Newest},\n",
        "hint: ",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let options = SiteOptions {
        grafana_templates: Some("/no/such/folder".into()),
        ..SiteOptions::default()
    };
    let missing = try_files(&fixture(), options).expect_err("an error");
    assert!(missing.to_string().contains("/no/such/folder"), "{missing}");
}

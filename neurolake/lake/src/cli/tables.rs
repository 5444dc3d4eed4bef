//! `tables`

use neurolake_model::{Catalog, Table};
use serde_json::json;

use super::arguments::{ReportFormat, Tables};
use super::exit::Exit;
use super::talk::print;
use super::text_table::aligned;
use super::{Context, Outcome, open};

pub(super) fn run(context: &Context<'_>, arguments: &Tables) -> Outcome {
    let catalog = open::catalog(context)?;
    let found = matching(&catalog, arguments.pattern.as_deref().unwrap_or("*"));
    let text = match arguments.format {
        ReportFormat::Text => {
            let rows: Vec<Vec<String>> = found
                .iter()
                .map(|(name, table)| {
                    vec![
                        name.clone(),
                        table.source.label().to_owned(),
                        table.owner.clone().unwrap_or_default(),
                        summary(&table.docs),
                    ]
                })
                .collect();
            aligned(&rows)
        }
        ReportFormat::Json => {
            let tables: Vec<_> = found
                .iter()
                .map(|(name, table)| {
                    json!({
                        "table": name,
                        "kind": table.source.kind(),
                        "owner": table.owner,
                        "summary": summary(&table.docs),
                    })
                })
                .collect();
            format!("{}\n", serde_json::Value::from(tables))
        }
    };
    print(&text)?;
    if found.is_empty() {
        context.talk.say("no table has such a name");
        return Ok(Exit::Findings);
    }
    Ok(Exit::Done)
}

fn matching<'a>(catalog: &'a Catalog, pattern: &str) -> Vec<(String, &'a Table)> {
    let pattern = pattern.to_lowercase();
    catalog
        .tables()
        .map(|(database, table)| (format!("{}.{}", database.name, table.name), table))
        .filter(|(name, _)| matches(&name.to_lowercase(), &pattern))
        .collect()
}

/// `*` stands for anything; without one, any part of the name will do.
fn matches(name: &str, pattern: &str) -> bool {
    if !pattern.contains('*') {
        return name.contains(pattern);
    }
    let parts: Vec<&str> = pattern.split('*').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The first sentence of a documentation.
pub(super) fn summary(docs: &str) -> String {
    let paragraph = docs
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, is_match) in [
            ("*", true),
            ("spik", true),
            ("neural.*", true),
            ("*.spikes", true),
            ("n*l.s*s", true),
            ("spikes*", false),
            ("*.spike", false),
            ("lab.*", false),
        ] {
            assert_eq!(matches("neural.spikes", pattern), is_match, "{pattern}");
        }
    }

    #[test]
    fn a_summary_is_one_sentence() {
        assert_eq!(summary("One\nline. Two.\n\nThree."), "One line.");
        assert_eq!(summary("Only 2.5 ms"), "Only 2.5 ms");
        assert_eq!(summary(""), "");
    }
}

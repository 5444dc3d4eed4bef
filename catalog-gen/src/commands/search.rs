//! `catalog-gen search`

use std::fmt::Write as _;
use std::io::IsTerminal;

use catalog_gen::search::{Hit, SearchIndex};

use super::{Failure, Outcome, Talk, catalog, print};
use crate::cli::Search;

pub(crate) fn run(arguments: &Search, talk: &Talk) -> Result<Outcome, Failure> {
    let catalog = catalog(arguments.catalog.as_deref(), &arguments.source, talk)?;
    let answer = SearchIndex::build(&catalog).query(&arguments.query.join(" "), arguments.limit);
    let outcome = if answer.hits.is_empty() {
        Outcome::NotInOrder
    } else {
        Outcome::Done
    };
    if arguments.json {
        let json = serde_json::to_string_pretty(&answer).expect("an answer holds only JSON");
        print(&json)?;
        return Ok(outcome);
    }
    let highlight = std::io::stdout().is_terminal() && talk.colors;
    for hit in &answer.hits {
        print(&line(hit, highlight))?;
    }
    if answer.hits.is_empty() {
        match &answer.suggestion {
            Some(suggestion) => talk.say(&format!("no match, did you mean `{suggestion}`?")),
            None => talk.say("no match"),
        }
    }
    Ok(outcome)
}

fn line(hit: &Hit, highlight: bool) -> String {
    let mut line = String::new();
    for (text, is_match) in hit.segments() {
        if is_match && highlight {
            let _ = write!(line, "\x1b[1m{text}\x1b[0m");
        } else {
            line.push_str(&text);
        }
    }
    let _ = write!(line, "  ({}", hit.kind);
    if hit.deprecated {
        line.push_str(", deprecated");
    }
    if hit.more > 0 {
        let _ = write!(line, ", and in {} more", hit.more);
    }
    line.push(')');
    line
}

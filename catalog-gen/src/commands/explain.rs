//! `catalog-gen explain`

use neurolake_declare::{Code, names};

use super::{Failure, Outcome, print};
use crate::cli::Explain;

pub(crate) fn run(arguments: &Explain) -> Result<Outcome, Failure> {
    let Some(text) = &arguments.code else {
        for code in Code::ALL {
            print(&format!("{code}  {}", code.title()))?;
        }
        return Ok(Outcome::Done);
    };
    let Some(code) = Code::find(text) else {
        let all: Vec<String> = Code::ALL.iter().map(ToString::to_string).collect();
        let near = names::nearest(text, all.iter().map(String::as_str));
        return Err(Failure::Unknown {
            what: "code",
            name: text.clone(),
            near: near.map(str::to_owned),
        });
    };
    print(&format!(
        "{code}: {}\n\n{}",
        code.title(),
        code.explanation()
    ))?;
    Ok(Outcome::Done)
}

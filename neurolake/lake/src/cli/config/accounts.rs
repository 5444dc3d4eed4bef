//! Accounts and roles.

use std::collections::BTreeMap;

use neurolake_query::suggest::nearest;
use neurolake_query::{Role, SecretString};
use neurolake_serve::Account;

use secrecy::ExposeSecret;

use super::file::{self, File};
use super::value::Place;
use crate::cli::failure::Failure;

/// The role that may do everything.
pub(super) const ALL: &str = "all";
/// Characters of a token at least: what can be guessed is none.
const SHORTEST: usize = 16;

pub(super) fn accounts(
    file: &File,
    place: &Place<'_>,
) -> Result<(Vec<Account>, Vec<Role>), Failure> {
    let mut roles = BTreeMap::new();
    for (name, section) in &file.roles {
        if name == ALL {
            return Err(place.conflict("the role `all` is there already, and may do everything"));
        }
        roles.insert(name.as_str(), role(name, section, place)?);
    }
    let mut accounts: Vec<Account> = Vec::new();
    for (name, section) in &file.accounts {
        let account = account(name, section, &roles, place)?;
        let is_same =
            |other: &&Account| other.token.expose_secret() == account.token.expose_secret();
        if let Some(other) = accounts.iter().find(is_same) {
            return Err(place.conflict(&format!(
                "the accounts `{}` and `{name}` have the same token",
                other.name
            )));
        }
        accounts.push(account);
    }
    Ok((accounts, roles.into_values().collect()))
}

fn account(
    name: &str,
    section: &file::Account,
    roles: &BTreeMap<&str, Role>,
    place: &Place<'_>,
) -> Result<Account, Failure> {
    let key = |key: &str| format!("accounts.{name}.{key}");
    if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
        return Err(place.conflict("the name of an account is empty or holds `:`"));
    }
    let Some(token) = &section.token else {
        return Err(place.conflict(&format!("`{}` is missing", key("token"))));
    };
    let token = place.secret(&key("token"), token)?;
    if token.trim().chars().count() < SHORTEST {
        let failure = place.wrong(
            &key("token"),
            &format!("at least {SHORTEST} characters long"),
        );
        return Err(failure.hint("`openssl rand -hex 32` makes a good one"));
    }
    let role = match place.optional(&key("role"), section.role.as_ref())? {
        None => {
            return Err(place.conflict(&format!("`{}` is missing", key("role"))));
        }
        Some(role) if role == ALL => None,
        Some(role) => match roles.get(role.as_str()) {
            Some(role) => Some(role.clone()),
            None => {
                let failure = Failure::usage(format!(
                    "`{}` names the role `{role}`, which there isn't",
                    key("role")
                ));
                return Err(match nearest(&role, roles.keys().copied()) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure.hint("write `[roles.NAME]`, or take `all`"),
                });
            }
        },
    };
    Ok(Account {
        name: name.to_owned(),
        token: SecretString::from(token),
        role,
    })
}

fn role(name: &str, section: &file::Role, place: &Place<'_>) -> Result<Role, Failure> {
    let key = |key: &str| format!("roles.{name}.{key}");
    let mut columns = BTreeMap::new();
    for (table, names) in &section.columns {
        columns.insert(table.clone(), place.list(&key("columns"), names)?);
    }
    let mut rows = BTreeMap::new();
    for (table, condition) in &section.rows {
        rows.insert(table.clone(), place.text(&key("rows"), condition)?);
    }
    let pii = match place
        .optional(&key("pii"), section.pii.as_ref())?
        .as_deref()
    {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(place.wrong(&key("pii"), "true or false")),
    };
    Ok(Role {
        name: name.to_owned(),
        tables: place.list(&key("tables"), &section.tables)?,
        columns,
        rows,
        pii,
        authorized: place.list(&key("authorized"), &section.authorized)?,
        ingest: place.list(&key("ingest"), &section.ingest)?,
    })
}

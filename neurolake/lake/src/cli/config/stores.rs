//! Sections `[stores.NAME]` to stores.

use std::collections::BTreeMap;
use std::path::PathBuf;

use neurolake_query::{
    LockSettings, ObjectStoreSettings, PostgresSettings, SheetsSettings, Store, Stores,
};

use super::file::{self, File};
use super::keys::is_secret_option;
use super::value::{Place, Text, duration};
use crate::cli::environment;
use crate::cli::failure::Failure;

/// Connections to a database where nothing else is said.
const POOL: usize = 4;

pub(super) fn stores(file: &File, place: &Place<'_>) -> Result<Option<Stores>, Failure> {
    if file.stores.is_empty() {
        return Ok(None);
    }
    let mut by_name = BTreeMap::new();
    for (name, section) in &file.stores {
        by_name.insert(name.clone(), store(name, section, place)?);
    }
    Ok(Some(Stores { by_name }))
}

fn store(name: &str, section: &file::Store, place: &Place<'_>) -> Result<Store, Failure> {
    let key = |key: &str| format!("stores.{name}.{key}");
    let is_remote = section.plain().iter().any(|(_, value)| value.is_some())
        || section.secrets().iter().any(|(_, value)| value.is_some())
        || section.lock.is_some()
        || !section.options.is_empty();
    let kinds: Vec<&str> = [
        ("local", section.local.is_some()),
        ("copies", section.copies.is_some()),
        ("postgres", section.postgres.is_some()),
        ("sheets", section.sheets.is_some()),
        ("an object store", is_remote),
    ]
    .into_iter()
    .filter_map(|(kind, is_there)| is_there.then_some(kind))
    .collect();
    if kinds.len() > 1 {
        return Err(place.conflict(&format!(
            "the store `{name}` is {} at once",
            kinds.join(" and ")
        )));
    }
    let folder = |name: &str, value: &Text| -> Result<PathBuf, Failure> {
        let path = place.base().join(place.text(&key(name), value)?);
        std::path::absolute(&path).map_err(|error| Failure::read(&path, error))
    };
    if let Some(local) = &section.local {
        return Ok(Store::Objects(ObjectStoreSettings {
            local: Some(folder("local", local)?),
            ..ObjectStoreSettings::default()
        }));
    }
    if let Some(copies) = &section.copies {
        return Ok(Store::Copies {
            folder: folder("copies", copies)?,
        });
    }
    if let Some(postgres_section) = &section.postgres {
        return postgres(&key("postgres"), postgres_section, place).map(Store::Postgres);
    }
    if let Some(sheets_section) = &section.sheets {
        return sheets(&key("sheets"), sheets_section, place).map(Store::Sheets);
    }
    objects(name, section, place).map(Store::Objects)
}

fn objects(
    name: &str,
    section: &file::Store,
    place: &Place<'_>,
) -> Result<ObjectStoreSettings, Failure> {
    let mut settings = ObjectStoreSettings::default().with_environment(environment::variables());
    for (option, value) in section.plain() {
        if let Some(value) = place.optional(&format!("stores.{name}.{option}"), value)? {
            settings.options.insert(option.to_owned(), value);
        }
    }
    for (option, value) in section.secrets() {
        if let Some(value) = value {
            let value = place.secret(&format!("stores.{name}.{option}"), value)?;
            settings.secrets.insert(option.to_owned(), value.into());
        }
    }
    for (option, value) in &section.options {
        let key = format!("stores.{name}.options.{option}");
        if is_secret_option(option) {
            let value = place.secret(&key, value)?;
            settings.secrets.insert(option.clone(), value.into());
        } else {
            settings
                .options
                .insert(option.clone(), place.text(&key, value)?);
        }
    }
    if let Some(lock) = &section.lock {
        settings.lock = Some(commit_lock(&format!("stores.{name}.lock"), lock, place)?);
    }
    Ok(settings)
}

fn commit_lock(
    key: &str,
    section: &file::Lock,
    place: &Place<'_>,
) -> Result<LockSettings, Failure> {
    let given =
        |name: &str, value: &Option<Text>| place.optional(&format!("{key}.{name}"), value.as_ref());
    let Some(table) = given("dynamodb", &section.dynamodb)? else {
        return Err(place.conflict(&format!("`{key}` names no table: `dynamodb` is missing")));
    };
    Ok(LockSettings {
        table,
        region: given("region", &section.region)?,
        endpoint: given("endpoint", &section.endpoint)?,
    })
}

fn postgres(
    key: &str,
    section: &file::Postgres,
    place: &Place<'_>,
) -> Result<PostgresSettings, Failure> {
    let mut options = BTreeMap::new();
    for (name, value) in section.plain() {
        if let Some(value) = place.optional(&format!("{key}.{name}"), value)? {
            options.insert(name.to_owned(), value);
        }
    }
    let (name, secret) = match (&section.password, &section.connection) {
        (Some(_), Some(_)) => {
            return Err(place.conflict(&format!("`{key}` has both `password` and `connection`")));
        }
        (Some(password), None) => ("password", Some(password)),
        (None, connection) => ("connection", connection.as_ref()),
    };
    let secret = secret.map(|secret| place.secret(&format!("{key}.{name}"), secret));
    Ok(PostgresSettings {
        options,
        password: secret.transpose()?.map(Into::into),
        pool_size: place
            .number(&format!("{key}.pool_size"), section.pool_size.as_ref())?
            .unwrap_or(POOL)
            .max(1),
    })
}

fn sheets(key: &str, section: &file::Sheets, place: &Place<'_>) -> Result<SheetsSettings, Failure> {
    let mut settings = SheetsSettings::default();
    if let Some(account) = &section.service_account {
        let account = place.secret(&format!("{key}.service_account"), account)?;
        settings.service_account = Some(account.into());
    }
    let address = |name: &str, value: Option<&Text>| -> Result<Option<String>, Failure> {
        let address = place.optional(&format!("{key}.{name}"), value)?;
        Ok(address.map(|address| address.trim_end_matches('/').to_owned()))
    };
    if let Some(api) = address("api", section.api.as_ref())? {
        settings.api = api;
    }
    if let Some(public) = address("public", section.public.as_ref())? {
        settings.public = public;
    }
    if let Some(refresh) = place.optional(&format!("{key}.refresh"), section.refresh.as_ref())? {
        settings.refresh = duration(&refresh)
            .ok_or_else(|| place.wrong(&format!("{key}.refresh"), "a time such as 30s or 5m"))?;
    }
    Ok(settings)
}

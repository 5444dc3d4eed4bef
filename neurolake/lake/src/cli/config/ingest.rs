//! Sections `[ingest]` and `[maintenance]`.

use std::time::Duration;

use neurolake_delta::lease::Terms;
use neurolake_ingest as ingest;
use neurolake_ingest::queue::nats::{NatsCredentials, NatsSettings};

use super::file::{self, File};
use super::value::{self, Place, Text};
use crate::cli::failure::Failure;

/// How events are taken.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) queue: Queue,
    pub(crate) settings: ingest::Settings,
    pub(crate) body_bytes: usize,
    pub(crate) writer: bool,
    pub(crate) lease: Terms,
    pub(crate) tail: Option<String>,
}

/// Where accepted events wait.
#[derive(Debug)]
pub(crate) enum Queue {
    /// In the folder of data.
    Embedded,
    /// At a NATS server.
    Nats(Box<NatsSettings>),
}

/// What keeps tables small and quick.
#[derive(Debug, Clone)]
pub(crate) struct Maintenance {
    pub(crate) enabled: bool,
    pub(crate) compact_every: Duration,
    pub(crate) target_bytes: u64,
    pub(crate) checkpoint_every: u64,
    pub(crate) keep_log: Duration,
    pub(crate) vacuum_every: Option<Duration>,
    pub(crate) keep_files: Duration,
}

/// Values of one section.
struct Section<'a> {
    name: &'static str,
    place: &'a Place<'a>,
}

impl Section<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    fn read<T>(
        &self,
        name: &str,
        value: Option<&Text>,
        parse: impl FnOnce(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, Failure> {
        let key = self.key(name);
        let Some(text) = self.place.optional(&key, value)? else {
            return Ok(None);
        };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(self.place.wrong(&key, expected)),
        }
    }

    fn bytes(&self, name: &str, value: Option<&Text>, or: usize) -> Result<usize, Failure> {
        let read = self.read(name, value, value::bytes, "a size such as 512MiB or 2GiB")?;
        Ok(read.unwrap_or(or))
    }

    fn time(&self, name: &str, value: Option<&Text>, or: Duration) -> Result<Duration, Failure> {
        let positive = |text: &str| value::duration(text).filter(|time| *time > Duration::ZERO);
        let read = self.read(name, value, positive, "a time such as 250ms, 30s or 5m")?;
        Ok(read.unwrap_or(or))
    }

    fn number(&self, name: &str, value: Option<&Text>, or: usize) -> Result<usize, Failure> {
        let positive = |text: &str| text.parse().ok().filter(|number| *number > 0);
        let read = self.read(name, value, positive, "a number from 1 upwards")?;
        Ok(read.unwrap_or(or))
    }

    fn switch(&self, name: &str, value: Option<&Text>) -> Result<bool, Failure> {
        let read = self.read(name, value, |text| text.parse().ok(), "true or false")?;
        Ok(read.unwrap_or(true))
    }
}

pub(super) fn ingest(file: &File, place: &Place<'_>) -> Result<Ingest, Failure> {
    let given = &file.ingest;
    let section = Section {
        name: "ingest",
        place,
    };
    let defaults = ingest::Settings::default();
    let flush = ingest::Flush {
        age: section.time("flush_age", given.flush_age.as_ref(), defaults.flush.age)?,
        rows: section.number("flush_rows", given.flush_rows.as_ref(), defaults.flush.rows)?,
        bytes: section.bytes(
            "flush_bytes",
            given.flush_bytes.as_ref(),
            defaults.flush.bytes,
        )?,
        ..defaults.flush
    };
    let queue_bytes = usize::try_from(defaults.queue_bytes).unwrap_or(usize::MAX);
    let queue_bytes = section.bytes("queue_bytes", given.queue_bytes.as_ref(), queue_bytes)?;
    let settings = ingest::Settings {
        flush,
        tail_bytes: section.bytes("memory", given.memory.as_ref(), defaults.tail_bytes)?,
        queue_bytes: queue_bytes as u64,
        lag: section.time("lag", given.lag.as_ref(), defaults.lag)?,
        ..defaults
    };
    Ok(Ingest {
        queue: queue(given, &section)?,
        settings,
        body_bytes: section.bytes("body_bytes", given.body_bytes.as_ref(), 16 << 20)?,
        writer: section.switch("writer", given.writer.as_ref())?,
        lease: Terms {
            time_to_live: section.time(
                "lease",
                given.lease.as_ref(),
                Terms::default().time_to_live,
            )?,
        },
        tail: section.read(
            "tail",
            given.tail.as_ref(),
            |text| {
                let is_http = text.starts_with("http://") || text.starts_with("https://");
                is_http.then(|| text.trim_end_matches('/').to_owned())
            },
            "an address such as https://lake.example.org",
        )?,
    })
}

fn queue(given: &file::Ingest, section: &Section<'_>) -> Result<Queue, Failure> {
    let place = section.place;
    let is_nats = |text: &str| {
        let known = ["nats://", "tls://"];
        known
            .iter()
            .any(|scheme| text.starts_with(scheme))
            .then(|| text.to_owned())
    };
    let expected = "an address such as nats://nats.example.org:4222";
    let Some(address) = section.read("queue", given.queue.as_ref(), is_nats, expected)? else {
        let for_nats = [
            ("token", &given.token),
            ("user", &given.user),
            ("password", &given.password),
            ("root_certificates", &given.root_certificates),
            ("replicas", &given.replicas),
            ("stream_bytes", &given.stream_bytes),
        ];
        if let Some((name, _)) = for_nats.iter().find(|(_, value)| value.is_some()) {
            return Err(place.conflict(&format!(
                "`ingest.{name}` is for a NATS server, and `ingest.queue` names none"
            )));
        }
        return Ok(Queue::Embedded);
    };
    let has_password = url_has_password(&address);
    if has_password {
        return Err(place
            .conflict("`ingest.queue` holds a password; use `ingest.password` or `ingest.token`"));
    }
    let mut settings = NatsSettings::new(address);
    settings.credentials = credentials(given, place)?;
    let roots = place.optional("ingest.root_certificates", given.root_certificates.as_ref())?;
    settings.root_certificates = roots.map(|path| place.base().join(path));
    settings.replicas = section.number("replicas", given.replicas.as_ref(), settings.replicas)?;
    let bytes = usize::try_from(settings.max_stream_bytes).unwrap_or(usize::MAX);
    let bytes = section.bytes("stream_bytes", given.stream_bytes.as_ref(), bytes)?;
    settings.max_stream_bytes = bytes as u64;
    Ok(Queue::Nats(Box::new(settings)))
}

fn credentials(
    given: &file::Ingest,
    place: &Place<'_>,
) -> Result<Option<NatsCredentials>, Failure> {
    match (&given.token, &given.user, &given.password) {
        (None, None, None) => Ok(None),
        (Some(token), None, None) => {
            let token = place.secret("ingest.token", token)?;
            Ok(Some(NatsCredentials::Token(token.into())))
        }
        (None, Some(name), Some(password)) => Ok(Some(NatsCredentials::User {
            name: place.text("ingest.user", name)?,
            password: place.secret("ingest.password", password)?.into(),
        })),
        _ => Err(place.conflict(
            "a NATS server wants either `ingest.token`, or `ingest.user` and `ingest.password`",
        )),
    }
}

fn url_has_password(address: &str) -> bool {
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    authority.contains('@')
}

pub(super) fn maintenance(file: &File, place: &Place<'_>) -> Result<Maintenance, Failure> {
    let given = &file.maintenance;
    let section = Section {
        name: "maintenance",
        place,
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let never_or_time = |text: &str| match text {
        "none" => Some(None),
        text => value::duration(text).map(Some),
    };
    let vacuum_every = section.read(
        "vacuum_every",
        given.vacuum_every.as_ref(),
        never_or_time,
        "a time such as 24h, or none",
    )?;
    Ok(Maintenance {
        enabled: section.switch("enabled", given.enabled.as_ref())?,
        compact_every: section.time(
            "compact_every",
            given.compact_every.as_ref(),
            Duration::from_mins(1),
        )?,
        target_bytes: section.bytes("target_bytes", given.target_bytes.as_ref(), 128 << 20)? as u64,
        checkpoint_every: section.number(
            "checkpoint_every",
            given.checkpoint_every.as_ref(),
            100,
        )? as u64,
        keep_log: section.time("keep_log", given.keep_log.as_ref(), hours(24))?,
        vacuum_every: vacuum_every.unwrap_or(Some(hours(24))),
        keep_files: section.time("keep_files", given.keep_files.as_ref(), hours(72))?,
    })
}

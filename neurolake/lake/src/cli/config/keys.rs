//! Every setting, explained once: for the reference and for suggestions.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::cli::environment;

/// One setting.
pub(crate) struct Key {
    /// With `NAME` in place of names that people choose.
    pub(crate) path: &'static str,
    /// A value as it would be written.
    pub(crate) example: &'static str,
    pub(crate) docs: &'static str,
}

macro_rules! keys {
    ($($path:literal = $example:literal, $docs:literal;)*) => {
        &[$(Key { path: $path, example: $example, docs: $docs }),*]
    };
}

/// All settings, in the order of the reference.
pub(crate) const KEYS: &[Key] = keys! {
    "catalog" = "\"site/catalog.json\"",
        "Tables of this file in place of the program's own.";
    "data" = "\".neurolake\"",
        "Folder of data and of what `up` writes.";
    "http.listen" = "\"127.0.0.1:8080\"",
        "Address of this machine to listen on; port 0 takes a free one. An address of a network needs accounts.";
    "http.public" = "\"https://lake.example.org\"",
        "Address under which clients reach the server, where it isn't the one it listens on. Stands in the catalog and in snippets.";
    "http.origins" = "[\"https://catalog.example.org\"]",
        "Other web sites whose pages may ask. None: only pages of this server.";
    "http.hosts" = "[\"lake.internal\"]",
        "Names under which a proxy on this machine reaches the server.";
    "http.concurrent_queries" = "16",
        "Queries that run at once. Too few lets a slow one block others, too many makes all slow.";
    "http.queued_queries" = "64",
        "Queries that wait for their turn; more are turned away with status 429.";
    "http.cache" = "\"128MiB\"",
        "Memory for answers that are given again as long as their tables don't change; 0 keeps none.";
    "pg.listen" = "\"127.0.0.1:6543\"",
        "Address of this machine where clients of PostgreSQL are answered; `none` answers none. An address of a network needs accounts.";
    "pg.public" = "\"lake.example.org:5432\"",
        "Where these clients reach it, if not there; stands in the snippets.";
    "pg.connections" = "512",
        "Such clients at the same time.";
    "pg.certificate" = "\"file:/run/secrets/pg.crt\"",
        "Certificate of the server, as PEM. With it such clients are only answered over TLS.";
    "pg.key" = "\"file:/run/secrets/pg.key\"",
        "Its key, as PEM.";
    "accounts.NAME.token" = "\"env:GRAFANA_TOKEN\"",
        "Bearer token over HTTP; password for clients of PostgreSQL and of basic authentication, whose user is NAME. With any account, nobody is answered without.";
    "accounts.NAME.role" = "\"viewer\"",
        "What it may do: `all`, or a role of `[roles]`.";
    "roles.NAME.tables" = "[\"neural.*\", \"surgery.sessions\"]",
        "Tables that may be read: `database.table`, `database.*` or `*`. A view or a function reads with the rights of whoever asks.";
    "roles.NAME.columns.TABLE" = "[\"session_id\", \"started\"]",
        "The only columns of a table that are shown; write its name in quotes.";
    "roles.NAME.rows.TABLE" = "\"implant_id in (7, 8)\"",
        "A condition in SQL on the columns of a table; other rows are not there for the role.";
    "roles.NAME.pii" = "false",
        "Whether columns that are declared as personal data are shown.";
    "roles.NAME.authorized" = "[\"surgery.summary\"]",
        "Views and functions that read with all rights: what they give is what the role is meant to see.";
    "roles.NAME.ingest" = "[\"neural.spikes\"]",
        "Tables that events may be sent to, named like `tables`.";
    "flight.listen" = "\"127.0.0.1:32010\"",
        "Address of this machine where clients of Arrow Flight SQL are answered; `none` answers none. An address of a network needs accounts.";
    "flight.public" = "\"grpc+tls://lake.example.org:443\"",
        "Where these clients reach it, if not there; `grpc+tls://` behind a proxy with TLS.";
    "limits.memory" = "\"2GiB\"",
        "Memory for joins, sorts and aggregates of all queries together. Too small refuses queries, too large lets one push everything else out.";
    "limits.deadline" = "\"5m\"",
        "How long one query may run; `none` is without end.";
    "limits.max_rows" = "10000000",
        "Rows of one answer at most. Not set: without limit.";
    "limits.parallelism" = "8",
        "Partitions that a query is split in. Not set: one per core.";
    "log.slow_query" = "\"10s\"",
        "A query that takes longer, up to the last byte of its answer, is logged with what its operators did; `none`: nothing is.";
    "log.audit" = "\"/var/log/neurolake/audit.jsonl\"",
        "File that gets a line of JSON for each query: who asked what, and what became of it. Values of statements don't stand in it.";
    "ingest.queue" = "\"nats://nats.example.org:4222\"",
        "Where accepted events wait. Not set: a queue in the folder of data, for one process; several servers share a NATS server with JetStream.";
    "ingest.token" = "\"env:NATS_TOKEN\"",
        "Token for the NATS server.";
    "ingest.user" = "\"neurolake\"",
        "User at the NATS server, in place of a token.";
    "ingest.password" = "\"env:NATS_PASSWORD\"",
        "The user's password.";
    "ingest.root_certificates" = "\"/etc/ssl/nats.pem\"",
        "File of the authority that signed the NATS server's certificate. Not set: those that this machine trusts.";
    "ingest.replicas" = "3",
        "Copies that NATS keeps of each stream. Without copies a loss of power can cost the last events: NATS answers before they are on disk.";
    "ingest.stream_bytes" = "\"1GiB\"",
        "Bytes that NATS keeps for each table; more events are turned away with status 507. NATS sets them aside when a table first takes events, and must have as much. The same for all servers and writers.";
    "ingest.queue_bytes" = "\"4GiB\"",
        "Bytes of events that may wait before clients are turned away with status 429.";
    "ingest.memory" = "\"256MiB\"",
        "Memory for rows that are not in their tables yet. Too little makes queries read the queue again and again.";
    "ingest.body_bytes" = "\"16MiB\"",
        "Bytes of one request at most, after decompression.";
    "ingest.flush_age" = "\"250ms\"",
        "After how long rows are committed. Shorter makes more and smaller files; queries of this server see rows at once anyway.";
    "ingest.flush_rows" = "65536",
        "Rows that are committed without waiting.";
    "ingest.flush_bytes" = "\"8MiB\"",
        "Memory of rows that are committed without waiting.";
    "ingest.lag" = "\"10m\"",
        "How old the oldest row may be that is not in its table before clients are turned away.";
    "ingest.writer" = "true",
        "Whether this server writes events to their tables. Not so: `writer` runs elsewhere.";
    "ingest.lease" = "\"15s\"",
        "With NATS: after how long without a sign of whoever writes or maintains a table another process does. Too short, and a slow store takes tables away from processes that are well.";
    "ingest.tail" = "\"https://lake.example.org\"",
        "Server whose queue holds the newest rows, for commands such as `query`. Not set: the server that serves the folder of data, if there is one.";
    "maintenance.enabled" = "true",
        "Whether this server compacts, checkpoints and vacuums the tables that take events. Not so: `compact` and `vacuum` run elsewhere.";
    "maintenance.compact_every" = "\"1m\"",
        "How often small files are merged. Seldom makes queries open many files, often writes the same rows more than once.";
    "maintenance.target_bytes" = "\"128MiB\"",
        "Size of a file that is not merged any more.";
    "maintenance.checkpoint_every" = "100",
        "Versions between two checkpoints of a table.";
    "maintenance.keep_log" = "\"24h\"",
        "How long commits stay in a table's log: time travel reaches so far.";
    "maintenance.vacuum_every" = "\"24h\"",
        "How often files that no version needs any more are deleted; `none` is never.";
    "maintenance.keep_files" = "\"72h\"",
        "How long such files are kept. Longer than any query, and than any writer may be paused.";
    "stores.NAME.local" = "\".neurolake/buckets\"",
        "Buckets are folders below this one: s3://lake/neural lies at DIR/lake/neural. Needs nothing else.";
    "stores.NAME.copies" = "\".neurolake/copies\"",
        "In place of a database or of sheets: tables are read from DIR/database.table.parquet.";
    "stores.NAME.endpoint" = "\"https://minio.example.org\"",
        "Address of an S3-compatible server. Not set: Amazon.";
    "stores.NAME.region" = "\"eu-central-1\"",
        "Region of the buckets.";
    "stores.NAME.access_key_id" = "\"env:LAKE_KEY\"",
        "Key of the account. Not set, with the next one: what the machine provides (instance role, web identity).";
    "stores.NAME.secret_access_key" = "\"env:LAKE_SECRET\"",
        "Secret of the key.";
    "stores.NAME.session_token" = "\"env:LAKE_TOKEN\"",
        "Token of temporary credentials.";
    "stores.NAME.allow_http" = "true",
        "Whether the endpoint may be without TLS.";
    "stores.NAME.virtual_hosted_style_request" = "false",
        "Whether the bucket stands in the host name instead of the path.";
    "stores.NAME.skip_signature" = "false",
        "Whether requests are sent without a signature, for public buckets.";
    "stores.NAME.lock.dynamodb" = "\"delta_log\"",
        "For S3 stores that put an object even where there is one: table of DynamoDB that keeps commits apart, by the protocol of Delta's S3DynamoDBLogStore. All who write the tables must use it. `doctor --prove-commits` makes it.";
    "stores.NAME.lock.region" = "\"eu-central-1\"",
        "Its region. Not set: the store's.";
    "stores.NAME.lock.endpoint" = "\"http://dynamodb.example.org:8000\"",
        "Address of a server that speaks DynamoDB. Not set: Amazon.";
    "stores.NAME.options.OPTION" = "\"...\"",
        "Any other option of the object_store crate by its own name, such as `client_email` or `timeout`.";
    "stores.NAME.postgres.host" = "\"db.example.org\"",
        "Host of a PostgreSQL server, or folder of its socket.";
    "stores.NAME.postgres.port" = "5432",
        "Its port.";
    "stores.NAME.postgres.dbname" = "\"colony\"",
        "Database.";
    "stores.NAME.postgres.user" = "\"reader\"",
        "User; one that can only read is enough.";
    "stores.NAME.postgres.password" = "\"env:COLONY_PASSWORD\"",
        "Password.";
    "stores.NAME.postgres.connection" = "\"env:COLONY_URL\"",
        "A whole connection string in place of all the others.";
    "stores.NAME.postgres.sslmode" = "\"verify-full\"",
        "`disable`, `prefer`, `require`, `verify-ca` or `verify-full` (default).";
    "stores.NAME.postgres.sslrootcert" = "\"/etc/ssl/db.pem\"",
        "Certificate of the authority that signed the server's.";
    "stores.NAME.postgres.pool_size" = "4",
        "Connections kept open at most.";
    "stores.NAME.sheets.service_account" = "\"file:/run/secrets/sheets.json\"",
        "Key file of a service account. Not set: sheets are public.";
    "stores.NAME.sheets.refresh" = "\"5m\"",
        "How long an answer is kept where the declaration says nothing.";
    "stores.NAME.sheets.api" = "\"https://sheets.googleapis.com\"",
        "Address of the Sheets API, for stand-ins.";
    "stores.NAME.sheets.public" = "\"https://docs.google.com\"",
        "Address of public sheets, for stand-ins.";
};

/// The path with `NAME` and `OPTION` in place of names that people choose.
pub(super) fn generic(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('.').collect();
    if segments.len() > 1 && matches!(segments[0], "stores" | "accounts" | "roles") {
        segments[1] = "NAME";
    }
    segments.join(".")
}

/// Names below a generic path.
pub(super) fn children(parent: &str) -> Vec<String> {
    let prefix = if parent.is_empty() {
        String::new()
    } else {
        format!("{parent}.")
    };
    let names: BTreeSet<String> = KEYS
        .iter()
        .filter_map(|key| key.path.strip_prefix(&prefix))
        .filter_map(|rest| rest.split('.').next())
        .map(str::to_owned)
        .collect();
    names.into_iter().collect()
}

/// Whether an option of a store holds a secret, judged by its name.
pub(super) fn is_secret_option(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = [
        "secret",
        "token",
        "password",
        "credential",
        "key",
        "sas",
        "authorization",
    ];
    words.iter().any(|word| name.contains(word))
}

/// The reference: a file of settings with everything in it, switched off.
pub(crate) fn reference() -> String {
    let mut text = String::from(
        "# neurolake.toml, found from the current folder upwards. Relative paths start at its folder.\n\
         # Any value may be \"env:NAME\" (an environment variable) or \"file:PATH\" (content of a file);\n\
         # passwords, keys and tokens must be.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (own, name) = split(key.path);
        if own != section {
            let _ = write!(text, "\n# [{own}]\n");
            section = own;
        }
        for line in wrapped(key.docs) {
            let _ = writeln!(text, "# # {line}");
        }
        let _ = writeln!(text, "# {name} = {}", key.example);
    }
    text.push_str("\n# Environment\n");
    for (name, docs) in environment::ALL {
        let _ = writeln!(text, "# {name}: {docs}");
    }
    text
}

/// Section and key.
fn split(path: &str) -> (&str, &str) {
    for section in ["stores.NAME", "roles.NAME"] {
        if let Some(rest) = path.strip_prefix(section) {
            return (section, rest.trim_start_matches('.'));
        }
    }
    path.rsplit_once('.').unwrap_or(("", path))
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a last line");
        if !line.is_empty() && line.len() + word.len() > 90 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::config::file::File;

    #[test]
    fn every_documented_key_is_read() {
        for key in KEYS {
            let text = format!("{} = {}", key.path, key.example);
            File::parse(&text, Path::new("test")).unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn a_mistyped_key_finds_its_neighbour() {
        let text = "[stores.default]\nlokal = \"x\"\n[limit]\nmemory = 1\n";
        let failure = File::parse(text, Path::new("test")).expect_err("it is wrong");
        let message = failure.message;
        assert!(
            message.contains("`stores.default.lokal`: did you mean `local`?"),
            "{message}"
        );
        assert!(
            message.contains("`limit`: did you mean `limits`?"),
            "{message}"
        );
    }

    #[test]
    fn no_error_repeats_a_line() {
        for text in [
            "[stores.x]\nsecret_access_key = \"canary",
            "[stores.x]\npostgres = \"canary\"",
            "[http]\norigins = \"canary\"",
        ] {
            let failure = File::parse(text, Path::new("test")).expect_err("it is wrong");
            assert!(!failure.message.contains("canary"), "{}", failure.message);
        }
    }
}

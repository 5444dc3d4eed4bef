//! A queue in NATS JetStream, for many processes.
//!
//! **Durable means:** a record is acknowledged when a quorum of the stream's replicas has it, and
//! *before* any of them has synced it to its disk. It outlives `kill -9` of the server. It
//! outlives loss of power only with replicas that don't lose it together, or if the server is run
//! with `sync_interval: always`, which costs most of its throughput.
//!
//! Each table has a stream of its own in the broker, made when it is first asked for, and a
//! record's offset is its sequence there. The stream refuses new records when it is full instead
//! of dropping old ones, and single messages can't be deleted from it, so that offsets stay
//! without gaps; records only go by trimming.
//!
//! Keys are remembered for [`NatsSettings::duplicate_window`] in the server's memory. A server
//! that starts anew knows those whose records are still there, not those of trimmed ones. Whether
//! a key names other content can't be told either when its record is trimmed: it then counts as
//! sent again.
//!
//! Works with servers from 2.9 on.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State as Connection;
use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind, PublishError,
    PublishErrorKind,
};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{
    Config, DirectGetErrorKind, DiscardPolicy, RawMessageErrorKind, Republish, RetentionPolicy,
    StorageType, Stream as Handle,
};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Request, ServerAddr};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Appended, Bounds, Entry, Queue, QueueError, QueueResult, Record, Stream, hex, unescape,
};

/// Says what was sent, so that a key that is used again can be told from a request that is sent
/// again.
const CONTENT: &str = "Neurolake-Content";
/// The client has no name for it.
const DUPLICATE_IN_PROCESS: ErrorCode = ErrorCode(10158);
/// What the headers of a record take of the server's largest message.
const HEADER_BYTES: usize = 1024;
/// Records that are asked for at a time, and the memory that they may take on their way.
const IN_FLIGHT: usize = 256;
const IN_FLIGHT_BYTES: usize = 64 << 20;
/// Records that are asked for in one request, of servers that know it.
const BATCH: u64 = 4096;
/// Between two tries of what nobody heard.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a wait lasts if no word comes: one that gets lost must not be waited for.
const WAIT: Duration = Duration::from_secs(1);

/// How to reach the servers, and what the streams are like.
#[derive(Clone)]
pub struct NatsSettings {
    /// Servers: `nats://host:4222`, or `tls://host:4222` for encryption, several of a cluster
    /// separated by commas. It may hold a user and a password, `nats://user:password@host`, or a
    /// token, `nats://token@host`, which are never shown.
    pub url: String,
    /// Who we are, if the URL doesn't say.
    pub credentials: Option<NatsCredentials>,
    /// Certificates of authorities that the servers are trusted by, as PEM. Default: the system's.
    pub root_certificates: Option<PathBuf>,
    /// A client's certificate and its key, as PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Begins the names of the streams and subjects. Default `neurolake`.
    pub prefix: String,
    /// Servers that keep each record: 1, 3 or 5. Default 1.
    pub replicas: usize,
    /// Bytes that the records of one stream may take. The server sets them aside when the stream
    /// is made, and makes none if it has less. Whoever comes last decides: all should want the
    /// same. Default 1 GiB.
    pub max_stream_bytes: u64,
    /// How long a key is remembered. Longer takes memory of the server. Default 1 hour.
    pub duplicate_window: Duration,
    /// How long the server may take for an answer. Default 5 seconds.
    pub timeout: Duration,
}

/// Who a client of the broker is.
#[derive(Debug, Clone)]
pub enum NatsCredentials {
    /// A user with a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: SecretString,
    },
    /// A token that all clients share.
    Token(SecretString),
}

impl NatsSettings {
    /// Settings for the servers at a URL, the others as by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            root_certificates: None,
            client_certificate: None,
            prefix: "neurolake".into(),
            replicas: 1,
            max_stream_bytes: 1 << 30,
            duplicate_window: Duration::from_hours(1),
            timeout: Duration::from_secs(5),
        }
    }

    fn servers(&self) -> io::Result<Vec<ServerAddr>> {
        self.url.split(',').map(|url| url.trim().parse()).collect()
    }

    /// The servers without what a URL says about the user.
    fn hosts(&self) -> Vec<String> {
        let servers = self.servers().unwrap_or_default();
        let host = |server: &ServerAddr| format!("{}:{}", server.host(), server.port());
        servers.iter().map(host).collect()
    }

    fn options(&self, servers: &[ServerAddr]) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .name("neurolake")
            .request_timeout(Some(self.timeout))
            .connection_timeout(self.timeout);
        let credentials = self.credentials.clone();
        options = match credentials.or_else(|| named_in_url(servers)) {
            None => options,
            Some(NatsCredentials::User { name, password }) => {
                options.user_and_password(name, password.expose_secret().into())
            }
            Some(NatsCredentials::Token(token)) => options.token(token.expose_secret().into()),
        };
        if let Some(roots) = &self.root_certificates {
            options = options.add_root_certificates(roots.clone());
        }
        if let Some((certificate, key)) = &self.client_certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        options
    }
}

impl fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSettings")
            .field("servers", &self.hosts())
            .field("prefix", &self.prefix)
            .field("replicas", &self.replicas)
            .field("max_stream_bytes", &self.max_stream_bytes)
            .field("duplicate_window", &self.duplicate_window)
            .finish_non_exhaustive()
    }
}

/// Whether a server may be there later; that it will let us in later is not to be expected.
fn is_absent(error: &ConnectError) -> bool {
    match error.kind() {
        ConnectErrorKind::Dns | ConnectErrorKind::TimedOut => true,
        ConnectErrorKind::Io => {
            let source = error.source().and_then(|source| source.downcast_ref());
            // So rustls says that it doesn't trust a certificate.
            source.is_none_or(|source: &io::Error| source.kind() != io::ErrorKind::InvalidData)
        }
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls
        | ConnectErrorKind::MaxReconnects => false,
    }
}

/// Who the URL says we are; the client overlooks it.
fn named_in_url(servers: &[ServerAddr]) -> Option<NatsCredentials> {
    let server = servers.iter().find(|server| server.has_user_pass())?;
    let name = unescape(server.username()?, '%')?;
    Some(match server.password() {
        Some(password) => NatsCredentials::User {
            name,
            password: unescape(password, '%')?.into(),
        },
        None => NatsCredentials::Token(name.into()),
    })
}

/// A queue in NATS JetStream. See the [module](self) for what it promises.
pub struct NatsQueue {
    settings: NatsSettings,
    client: Client,
    context: jetstream::Context,
    /// Streams that are known to be there and to be as the settings want them.
    streams: Mutex<HashMap<Stream, Arc<Lane>>>,
    making: tokio::sync::Mutex<()>,
}

/// What the description of a stream begins with; the rest is made once for each. Not the time at
/// which the stream was made: after a few restarts the server tells another one (2.9.10).
const IDENTITY: &str = "nats-";

fn identity(config: &Config) -> QueueResult<&str> {
    let description = config.description.as_deref();
    let identity = description.filter(|description| description.starts_with(IDENTITY));
    identity.ok_or_else(|| QueueError::Unavailable {
        reason: format!(
            "the stream `{}` was made by another program: its description is no identity",
            config.name
        ),
    })
}

fn is_there_already(error: &CreateStreamError) -> bool {
    matches!(
        error.kind(),
        CreateStreamErrorKind::JetStream(error)
            if error.error_code() == ErrorCode::STREAM_NAME_EXIST
    )
}

/// One stream in the broker.
struct Lane {
    handle: Handle<()>,
    name: String,
    records: String,
    wakes: String,
    /// The newest offset that we have heard of.
    seen: AtomicU64,
}

impl fmt::Debug for NatsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsQueue")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl NatsQueue {
    /// Connects to the servers. If none answers yet, or the connection is lost later, it comes by
    /// itself.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]: the servers don't let us in.
    pub async fn connect(settings: NatsSettings) -> QueueResult<Self> {
        let servers = settings.servers().map_err(|_| QueueError::Unavailable {
            // The URL isn't shown: it may hold a password.
            reason: "the broker's URL is not one, such as `nats://host:4222`".into(),
        })?;
        // With two of them linked into a program, rustls asks which; whoever was first has said so.
        let _ = async_nats::rustls::crypto::ring::default_provider().install_default();
        let connected = match settings.options(&servers).connect(servers.clone()).await {
            Err(error) if is_absent(&error) => {
                let hosts = settings.hosts().join(", ");
                tracing::warn!(%error, "no broker answers at {hosts} yet; events can't be taken");
                let options = settings.options(&servers).retry_on_initial_connect();
                options.connect(servers).await
            }
            connected => connected,
        };
        let client = connected.map_err(|error| unavailable(&error))?;
        let context = ContextBuilder::new()
            .timeout(settings.timeout)
            .build(client.clone());
        Ok(Self {
            settings,
            client,
            context,
            streams: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        })
    }

    fn known(&self, stream: &Stream) -> Option<Arc<Lane>> {
        // Nothing can panic while it is held.
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.get(stream).cloned()
    }

    async fn lane(&self, stream: &Stream) -> QueueResult<Arc<Lane>> {
        if let Some(lane) = self.known(stream) {
            return Ok(lane);
        }
        if self.client.connection_state() != Connection::Connected {
            // Not in turn below, each after the time that the others wait for an answer.
            return Err(unavailable("there is no connection to the broker"));
        }
        // A cluster that is asked twice at once may leave one without an answer.
        let _making = self.making.lock().await;
        if let Some(lane) = self.known(stream) {
            return Ok(lane);
        }
        let prefix = &self.settings.prefix;
        let name = format!("{prefix}-{}", stream.safe_name('-'));
        let subject = |kind| format!("{prefix}.{kind}.{}", stream.safe_name('.'));
        let (records, wakes) = (subject("records"), subject("wakes"));
        self.make(self.config(&name, &records, &wakes)).await?;
        let handle = self.context.get_stream_no_info(&name).await;
        let lane = Arc::new(Lane {
            handle: handle.map_err(|error| unavailable(&error))?,
            name,
            records,
            wakes,
            seen: AtomicU64::new(0),
        });
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream.clone(), Arc::clone(&lane));
        Ok(lane)
    }

    /// Makes the stream if it isn't there, and gives it these settings.
    async fn make(&self, mut config: Config) -> QueueResult<()> {
        loop {
            let made = match self.context.get_stream(&config.name).await {
                Ok(there) => {
                    let there = there.cached_info();
                    // Its identity stays.
                    config.description = Some(identity(&there.config)?.to_owned());
                    if let Err(error) = self.context.update_stream(&config).await {
                        let error = self.refused(&error);
                        tracing::warn!(%error, "{} stays as it is", config.name);
                    }
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    GetStreamErrorKind::JetStream(error)
                        if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                    {
                        let identity = format!("{IDENTITY}{}", Uuid::new_v4());
                        config.description = Some(identity);
                        self.context.create_stream(&config).await.map(drop)
                    }
                    _ => return Err(unavailable(&error)),
                },
            };
            match made {
                Ok(()) => return Ok(()),
                Err(error) if is_there_already(&error) => {}
                Err(error) => return Err(self.refused(&error)),
            }
        }
    }

    fn config(&self, name: &str, records: &str, wakes: &str) -> Config {
        Config {
            name: name.into(),
            subjects: vec![records.into()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            num_replicas: self.settings.replicas,
            discard: DiscardPolicy::New,
            max_bytes: i64::try_from(self.settings.max_stream_bytes).unwrap_or(i64::MAX),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            max_message_size: -1,
            duplicate_window: self.settings.duplicate_window,
            deny_delete: true,
            allow_direct: true,
            // Tells those who wait, without the record and only once it is kept.
            republish: Some(Republish {
                source: records.into(),
                destination: wakes.into(),
                headers_only: true,
            }),
            ..Config::default()
        }
    }

    fn refused(&self, error: &CreateStreamError) -> QueueError {
        let code = match error.kind() {
            CreateStreamErrorKind::JetStream(error) => error.error_code(),
            _ => return unavailable(error),
        };
        match code {
            ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES => {
                QueueError::Full {
                    reason: format!(
                        "the broker can't set aside {} bytes for another stream",
                        self.settings.max_stream_bytes
                    ),
                }
            }
            _ => unavailable(error),
        }
    }

    async fn publish(
        &self,
        lane: &Lane,
        message: PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        let begun = Instant::now();
        loop {
            let sent = self
                .context
                .send_publish(lane.records.clone(), message.clone());
            let kept = match sent.await {
                Ok(sent) => sent.await,
                Err(error) => Err(error),
            };
            let is_undecided = match &kept {
                // The same key is on its way to the replicas right now.
                Ok(kept) => kept.sequence == 0,
                Err(error) if code(error) == Some(DUPLICATE_IN_PROCESS) => true,
                // Nobody heard it: a new stream, or one that chooses another leader.
                Err(error) => error.kind() == PublishErrorKind::StreamNotFound,
            };
            if !is_undecided {
                return kept;
            }
            if begun.elapsed() >= self.settings.timeout {
                return kept.and(Err(PublishError::new(PublishErrorKind::TimedOut)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether what was kept under a key is what is sent now.
    async fn check_duplicate(&self, lane: &Lane, key: &super::Key, offset: u64) -> QueueResult<()> {
        let kept = match lane.get(offset).await {
            Ok(kept) => kept,
            Err(Missing::NotThere) => return Ok(()),
            Err(Missing::Unknown(error)) => return Err(error),
        };
        let content = kept.headers.get(CONTENT);
        if content.is_some_and(|content| content.as_str() != hex(&key.content)) {
            return Err(QueueError::KeyReused {
                key: key.name.clone(),
                offset,
            });
        }
        Ok(())
    }

    /// Asks once for many records. As many as come in order.
    async fn read_batch(
        &self,
        lane: &Lane,
        after: u64,
        last: u64,
        max_bytes: usize,
    ) -> QueueResult<Vec<Entry>> {
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await;
        let mut answers = answers.map_err(|error| unavailable(&error))?;
        let (first, wanted) = (after + 1, (last - after).min(BATCH));
        let max_bytes = max_bytes.max(1);
        let asked = format!(r#"{{"seq":{first},"batch":{wanted},"max_bytes":{max_bytes}}}"#);
        let request = Request::new().payload(asked.into()).inbox(inbox);
        let subject = format!("DIRECT.GET.{}", lane.name);
        let sent = self.context.send_request(subject, request).await;
        sent.map_err(|error| unavailable(&error))?;
        let mut entries = Vec::new();
        for offset in first..first + wanted {
            let answer = tokio::time::timeout(self.settings.timeout, answers.next()).await;
            let answer = match answer {
                Ok(Some(answer)) => answer,
                _ if !entries.is_empty() => break,
                _ => return Err(unavailable(&"no answer in time")),
            };
            // A status ends the answers.
            let is_record = answer.status.is_none();
            match StreamMessage::try_from(answer) {
                Ok(record) if is_record && record.sequence == offset => {
                    let payload = record.payload;
                    entries.push(Entry { offset, payload });
                }
                _ => break,
            }
        }
        Ok(entries)
    }

    fn in_flight(&self) -> usize {
        (IN_FLIGHT_BYTES / self.client.max_payload().max(1)).clamp(4, IN_FLIGHT)
    }
}

enum Missing {
    NotThere,
    Unknown(QueueError),
}

impl Lane {
    /// A record. Replicas may be behind; the leader isn't.
    async fn get(&self, offset: u64) -> Result<StreamMessage, Missing> {
        match self.handle.direct_get(offset).await {
            Ok(record) => return Ok(record),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
            Err(error) => return Err(Missing::Unknown(unavailable(&error))),
        }
        match self.handle.get_raw_message(offset).await {
            Ok(record) => Ok(record),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                Err(Missing::NotThere)
            }
            Err(error) => Err(Missing::Unknown(unavailable(&error))),
        }
    }

    async fn state(&self) -> QueueResult<State> {
        let seen = self.seen.load(Ordering::Relaxed);
        let info = self.handle.get_info().await;
        let info = info.map_err(|error| match code(&error) {
            Some(ErrorCode::STREAM_NOT_FOUND) => QueueError::Damaged {
                reason: format!("the broker's stream `{}` is gone", self.name),
            },
            _ => unavailable(&error),
        })?;
        let state = info.state;
        let last = state.last_sequence;
        if last < seen {
            // A new leader answers before it has caught up.
            return Err(unavailable(&format_args!(
                "the broker knows of {last} records in `{}`, there were {seen}",
                self.name
            )));
        }
        self.seen.fetch_max(last, Ordering::Relaxed);
        Ok(State {
            bounds: Bounds {
                // An empty stream's first record is the next one.
                trimmed: state.first_sequence.saturating_sub(1),
                last,
            },
            mean_bytes: state.bytes.checked_div(state.messages).unwrap_or(0),
        })
    }
}

struct State {
    bounds: Bounds,
    mean_bytes: u64,
}

impl State {
    fn check(&self, stream: &Stream, after: u64) -> QueueResult<()> {
        let trimmed = self.bounds.trimmed;
        if after >= trimmed {
            return Ok(());
        }
        Err(QueueError::Trimmed {
            stream: stream.clone(),
            trimmed,
        })
    }
}

#[async_trait]
impl Queue for NatsQueue {
    async fn identity(&self, stream: &Stream) -> QueueResult<String> {
        let lane = self.lane(stream).await?;
        let info = lane.handle.get_info().await;
        let info = info.map_err(|error| unavailable(&error))?;
        identity(&info.config).map(str::to_owned)
    }

    async fn append(&self, stream: &Stream, record: Record) -> QueueResult<Appended> {
        let Record { payload, key } = record;
        let (bytes, limit) = (payload.len(), self.max_record_bytes());
        if bytes > limit {
            return Err(QueueError::TooLarge { bytes, limit });
        }
        let lane = self.lane(stream).await?;
        let mut message = PublishMessage::build()
            .payload(payload)
            .expected_stream(&lane.name);
        if let Some(key) = &key {
            message = message
                .message_id(hex(&key.digest()))
                .header(CONTENT, hex(&key.content));
        }
        let kept = self.publish(&lane, message).await;
        let kept = kept.map_err(|error| publish_error(&error, bytes, limit))?;
        lane.seen.fetch_max(kept.sequence, Ordering::Relaxed);
        if kept.duplicate
            && let Some(key) = &key
        {
            self.check_duplicate(&lane, key, kept.sequence).await?;
        }
        Ok(Appended {
            offset: kept.sequence,
            duplicate: kept.duplicate,
        })
    }

    async fn read(&self, stream: &Stream, after: u64, max_bytes: usize) -> QueueResult<Vec<Entry>> {
        let lane = self.lane(stream).await?;
        let state = lane.state().await?;
        state.check(stream, after)?;
        let last = state.bounds.last;
        if last > after && self.client.is_server_compatible(2, 11, 0) {
            let entries = self.read_batch(&lane, after, last, max_bytes).await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            // A replica that is behind, or a record that isn't there: one by one tells.
        }
        // About as many as are wanted: what is too much was asked for in vain.
        let wanted = max_bytes as u64 / state.mean_bytes.max(1) + 1;
        let through = last.min(after.saturating_add(wanted));
        let records = (after + 1..=through).map(|offset| lane.get(offset));
        let mut records = futures::stream::iter(records).buffered(self.in_flight());
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let mut offset = after;
        while let Some(record) = records.next().await {
            offset += 1;
            match record {
                Ok(record) => {
                    bytes += record.payload.len();
                    let payload = record.payload;
                    entries.push(Entry { offset, payload });
                }
                // What stands before it can be read.
                Err(_) if !entries.is_empty() => break,
                Err(Missing::Unknown(error)) => return Err(error),
                Err(Missing::NotThere) => {
                    lane.state().await?.check(stream, after)?;
                    return Err(QueueError::Damaged {
                        reason: format!("record {offset} of the stream `{stream}` is missing"),
                    });
                }
            }
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(entries)
    }

    async fn bounds(&self, stream: &Stream) -> QueueResult<Bounds> {
        Ok(self.lane(stream).await?.state().await?.bounds)
    }

    async fn trim(&self, stream: &Stream, through: u64) -> QueueResult<()> {
        let lane = self.lane(stream).await?;
        let bounds = lane.state().await?.bounds;
        // A purge beyond the end would leave offsets out.
        let through = through.min(bounds.last);
        if through > bounds.trimmed {
            let purged = lane.handle.purge().sequence(through + 1).await;
            purged.map_err(|error| unavailable(&error))?;
        }
        Ok(())
    }

    async fn wait(&self, stream: &Stream, after: u64) -> QueueResult<()> {
        let lane = self.lane(stream).await?;
        // Before looking, so that nothing comes between.
        let woken = self.client.subscribe(lane.wakes.clone()).await;
        let mut woken = woken.map_err(|error| unavailable(&error))?;
        if lane.state().await?.bounds.last <= after {
            let _ = tokio::time::timeout(WAIT, woken.next()).await;
        }
        Ok(())
    }

    fn max_record_bytes(&self) -> usize {
        self.client.max_payload().saturating_sub(HEADER_BYTES)
    }

    async fn stored_bytes(&self) -> QueueResult<u64> {
        let prefix = format!("{}-", self.settings.prefix);
        let ours = self.context.streams().try_filter_map(|info| {
            let is_ours = info.config.name.starts_with(&prefix);
            std::future::ready(Ok(is_ours.then_some(info.state.bytes)))
        });
        let bytes: Vec<u64> = ours
            .try_collect()
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(bytes.into_iter().sum())
    }
}

fn publish_error(error: &PublishError, bytes: usize, limit: usize) -> QueueError {
    if error.kind() == PublishErrorKind::MaxPayloadExceeded {
        return QueueError::TooLarge { bytes, limit };
    }
    match code(error) {
        Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) => QueueError::TooLarge { bytes, limit },
        Some(
            ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ) => full(error),
        // A stream that is full and a disk that fails have the same code.
        Some(ErrorCode::STREAM_STORE_FAILED)
            if ["maximum", "no space"]
                .iter()
                .any(|cause| error.to_string().contains(cause)) =>
        {
            full(error)
        }
        _ => unavailable(error),
    }
}

/// What the server says is wrong.
fn code(error: &dyn std::error::Error) -> Option<ErrorCode> {
    let cause = error.source()?;
    let cause = cause.downcast_ref::<jetstream::Error>()?;
    Some(cause.error_code())
}

fn full(error: &PublishError) -> QueueError {
    QueueError::Full {
        reason: error.to_string(),
    }
}

fn unavailable(error: &(impl fmt::Display + ?Sized)) -> QueueError {
    QueueError::Unavailable {
        reason: error.to_string(),
    }
}

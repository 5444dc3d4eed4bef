//! The PostgreSQL door: every client that speaks its wire protocol reads the lake.
//!
//! `pgwire` reads and writes messages; `arrow-pg` writes values. Both of its ready-made handlers
//! collect answers or can't be cancelled while rows flow, so the messages are handled here: each
//! statement runs on the threads for queries, its rows are sent as they come, and a cancel request,
//! a deadline or a client that is gone ends it.
//!
//! Read in this order: [`PgDoor`] (listens), `connection` (one client's messages), `login` (who it is), `statement`
//! (what it asks for), `variables` (what it sets), `rows` (a running statement), `kept` (rows that are
//! sent again), `wire` (types and values), `numeric` (numbers), `copy`, `error`.

mod connection;
mod copy;
mod error;
mod kept;
mod login;
mod numeric;
mod rows;
mod statement;
mod variables;
mod wire;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use pgwire::api::{ConnectionManager, RandomPidSecretKeyGenerator};
use pgwire::tokio::{TlsAcceptor, process_socket};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::connection::Connection;
pub(crate) use self::kept::Written;
use self::login::Scram;
pub use self::login::Tls;
use crate::doors::{Doors, Shared};

/// How long nothing is accepted after the system refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// The PostgreSQL door of a lake.
pub struct PgDoor {
    shared: Arc<Shared>,
    connections: Arc<ConnectionManager>,
    keys: Arc<RandomPidSecretKeyGenerator>,
    places: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    scram: Arc<Scram>,
}

impl PgDoor {
    /// A door over the same lake, threads and limits as the HTTP doors.
    ///
    /// # Errors
    /// The certificate or its key can't be used.
    pub fn new(doors: &Doors) -> io::Result<Self> {
        let shared = Arc::clone(&doors.shared);
        let tls = shared.settings.pg_tls.as_ref();
        Ok(Self {
            tls: tls.map(Tls::acceptor).transpose()?,
            scram: Arc::new(Scram::new(&shared)),
            connections: Arc::new(ConnectionManager::new()),
            keys: Arc::default(),
            places: Arc::new(Semaphore::new(shared.settings.pg_connections)),
            shared,
        })
    }

    /// Answers until `end` is there; then running statements get
    /// [`Settings::grace`](crate::Settings::grace).
    pub async fn serve(self, listener: TcpListener, end: impl Future<Output = ()>) {
        let mut clients = JoinSet::new();
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        clients.spawn(self.client(socket));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a PostgreSQL client was not accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = clients.join_next() => (),
            }
        }
        drop(listener);
        let drained = async {
            while self.shared.admission.running() > 0 && clients.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(self.shared.settings.grace, drained).await;
    }

    fn client(&self, socket: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let connection = Connection::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.connections),
            Arc::clone(&self.keys),
            Arc::clone(&self.places).try_acquire_owned().ok(),
            Arc::clone(&self.scram),
        );
        let tls = self.tls.clone();
        let connected = Connected::new(&self.shared);
        async move {
            let _connected = connected;
            let outcome = match watch(socket) {
                Ok((socket, watch)) => tokio::select! {
                    outcome = process_socket(socket, tls, connection) => outcome,
                    // Whatever runs for this client ends with it.
                    () = gone(watch) => Ok(()),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "a PostgreSQL client left");
            }
        }
    }
}

/// A client that is counted.
struct Connected(Gauge);

impl Connected {
    fn new(shared: &Shared) -> Self {
        let gauge = shared.metrics.pg_connections.clone();
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A second view of the socket: nobody reads from it while a statement runs, so nobody would notice
/// that the client is gone.
fn watch(socket: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let socket = socket.into_std()?;
    let watch = TcpStream::from_std(socket.try_clone()?)?;
    Ok((TcpStream::from_std(socket)?, watch))
}

/// Waits until the client has closed its side.
async fn gone(watch: TcpStream) {
    loop {
        match watch.ready(Interest::READABLE).await {
            Ok(ready) if ready.is_read_closed() || ready.is_error() => return,
            Ok(_) => {
                // What there is to read is for others; the next word will be about something new.
                let _ = watch.try_io(Interest::READABLE, || -> io::Result<()> {
                    Err(io::ErrorKind::WouldBlock.into())
                });
            }
            Err(_) => return,
        }
    }
}

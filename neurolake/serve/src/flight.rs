//! The Arrow Flight SQL door: ADBC, JDBC and every other client of the protocol read the lake in Arrow.
//!
//! `arrow-flight` brings the messages, `tonic` speaks gRPC. The ready-made service of `arrow-flight`
//! answers nonsense as its own mistake, and its encoder turns large lists into others and dictionaries
//! into values, so messages are told apart and rows are encoded here: as in the HTTP door's Arrow.
//!
//! A ticket is the statement itself, sealed with a key of this process. Nothing is kept for a
//! client that asks and never comes back; a statement begins when its ticket is redeemed, and ends
//! with whoever reads its rows.
//!
//! Read in this order: [`FlightDoor`] (listens), `service` (one message), `seal` (tickets, handles
//! and tokens), `parameters`, `rows` (a running statement), `encode`, `about` (what the lake says
//! about itself), `failure`.

mod about;
mod encode;
mod failure;
mod parameters;
mod rows;
mod seal;
mod service;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::Stream;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Server;

use self::service::Service;
use crate::doors::{Doors, Shared, ending};

/// How long nothing is accepted after the system refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client may be silent before it is asked whether it is still there, and then may take
/// to answer. Without the question, one whose machine is gone would hold its statement for ever.
const SILENCE: Duration = Duration::from_secs(30);

/// Messages hold a statement more than once: a wish to end one names its ticket and what the ticket
/// was given for.
const STATEMENTS_OF_A_MESSAGE: usize = 4;

/// What a message holds besides statements: columns of an answer, a row of parameters.
const REST_OF_A_MESSAGE: usize = 4 << 20;

/// The Arrow Flight SQL door of a lake.
pub struct FlightDoor {
    shared: Arc<Shared>,
    service: Service,
}

impl FlightDoor {
    /// A door over the same lake, threads and limits as the HTTP doors.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(doors: &Doors) -> io::Result<Self> {
        let shared = Arc::clone(&doors.shared);
        Ok(Self {
            service: Service::new(Arc::clone(&shared))?,
            shared,
        })
    }

    /// Answers until `end` is there; then running statements get
    /// [`Settings::grace`](crate::Settings::grace).
    ///
    /// # Errors
    /// gRPC can't be served.
    pub async fn serve(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let settings = &self.shared.settings;
        let most = settings.statement_bytes * STATEMENTS_OF_A_MESSAGE + REST_OF_A_MESSAGE;
        let service = FlightServiceServer::new(self.service).max_decoding_message_size(most);
        let (end, too_long) = ending(end, settings.grace);
        let server = Server::builder()
            .http2_keepalive_interval(Some(SILENCE))
            .http2_keepalive_timeout(Some(SILENCE))
            .add_service(service)
            .serve_with_incoming_shutdown(clients(listener), end);
        tokio::select! {
            outcome = server => outcome.map_err(io::Error::other),
            () = too_long => Ok(()),
        }
    }
}

/// Clients as they come. That one can't be accepted is no reason to accept no more.
fn clients(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    futures::stream::unfold(listener, |listener| async move {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    if let Err(error) = socket.set_nodelay(true) {
                        tracing::debug!(%error, "answers on a connection may be late");
                    }
                    return Some((Ok(socket), listener));
                }
                Err(error) => {
                    tracing::warn!(%error, "a client of Flight SQL was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    })
}

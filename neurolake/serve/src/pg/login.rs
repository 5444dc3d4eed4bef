//! Who a client of PostgreSQL is: SCRAM-SHA-256 (RFC 5802, RFC 7677) over a token, and TLS.

use std::fmt::{self, Debug};
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::sasl::scram::ScramAuth;
use pgwire::api::auth::sasl::{SASLState, SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::api::auth::{AuthSource, LoginInfo, Password};
use pgwire::api::{ClientInfo, METADATA_USER};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, PasswordMessageFamily, SASLInitialResponse};
use pgwire::tokio::TlsAcceptor;
use pgwire::tokio::tokio_rustls::rustls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::error::{code, fatal};
use crate::doors::Shared;

/// A certificate with its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The server's certificate, and behind it those that vouch for it.
    pub certificates: String,
    /// Its key.
    pub key: SecretString,
}

impl Tls {
    /// Whether they can be used.
    ///
    /// # Errors
    /// One of them can't be read, or they don't fit each other.
    pub fn check(&self) -> io::Result<()> {
        self.acceptor().map(drop)
    }

    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let wrong = |what: &str, error: &dyn fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{what}: {error}"))
        };
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.certificates.as_bytes()).collect();
        let certificates =
            certificates.map_err(|error| wrong("the certificate can't be read", &error))?;
        // Its errors don't quote the key.
        let key = PrivateKeyDer::from_pem_slice(self.key.expose_secret().as_bytes());
        let key = key.map_err(|error| wrong("the key can't be read", &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(certificates, key)
            });
        let mut config =
            config.map_err(|error| wrong("the certificate and its key can't be used", &error))?;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// How clients prove who they are, the same for all.
pub(super) struct Scram {
    auth: ScramAuth,
    mechanisms: Vec<String>,
}

/// One client's proof.
pub(super) struct Login {
    scram: Arc<Scram>,
    state: Mutex<SASLState>,
    /// What both sides made up, as the client was told it.
    nonce: Mutex<Option<Vec<u8>>>,
}

impl Scram {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let mut auth = ScramAuth::new(Arc::new(Verifiers(Arc::clone(shared))));
        let mut mechanisms = vec![SCRAM_SHA_256_METHOD.to_owned()];
        // Binds the proof to this connection, where the kind of certificate has a way to.
        if let Some(tls) = &shared.settings.pg_tls
            && auth
                .configure_certificate(tls.certificates.as_bytes())
                .is_ok()
        {
            mechanisms.push(SCRAM_SHA_256_PLUS_METHOD.to_owned());
        }
        Self { auth, mechanisms }
    }
}

impl Login {
    pub(super) fn new(scram: Arc<Scram>) -> Self {
        Self {
            scram,
            state: Mutex::new(SASLState::Initial),
            nonce: Mutex::default(),
        }
    }

    pub(super) async fn ask<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let ask = Authentication::SASL(self.scram.mechanisms.clone());
        client
            .send(PgWireBackendMessage::Authentication(ask))
            .await?;
        Ok(())
    }

    /// Whether the first message and the mechanism agree about channel binding, and the client has
    /// seen what is offered (RFC 5802, section 6): somebody between might have hidden it.
    fn binds_as_offered(&self, first: &SASLInitialResponse) -> bool {
        let data = first.data.as_deref().unwrap_or_default();
        let is_plus = first.auth_method == SCRAM_SHA_256_PLUS_METHOD;
        let mut offered = self.scram.mechanisms.iter();
        let offers_plus = offered.any(|known| known == SCRAM_SHA_256_PLUS_METHOD);
        let binds = data.starts_with(b"p=");
        let is_known = !binds || data.starts_with(b"p=tls-server-end-point,");
        is_plus == binds && is_known && !(offers_plus && data.starts_with(b"y"))
    }

    /// A step of the proof. Whether it is complete.
    pub(super) async fn step<C>(
        &self,
        client: &mut C,
        message: PasswordMessageFamily,
    ) -> PgWireResult<bool>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut state = self.state.lock().await;
        let message = if let SASLState::Initial = *state {
            let first = message.into_sasl_initial_response()?;
            if !self.scram.mechanisms.contains(&first.auth_method) {
                return Err(PgWireError::UnsupportedSASLAuthMethod(first.auth_method));
            }
            if !self.binds_as_offered(&first) {
                return Err(fatal(
                    code::NO_ENTRY,
                    "the channel binding doesn't fit the mechanism",
                    None,
                ));
            }
            *state = SASLState::ScramClientFirstReceived;
            PasswordMessageFamily::SASLInitialResponse(first)
        } else {
            let last = message.into_sasl_response()?;
            // RFC 5802, section 5.1; pgwire leaves it to the signature.
            if nonce(&last.data) != self.nonce.lock().await.as_deref() {
                return Err(fatal(code::NO_ENTRY, "the nonce is another one", None));
            }
            PasswordMessageFamily::SASLResponse(last)
        };
        let user = client.metadata().get(METADATA_USER);
        let user = user.map_or("", String::as_str);
        let wrong = format!("password authentication failed for user \"{user}\"");
        let step = self
            .scram
            .auth
            .process_scram_message(client, message, &state);
        let (answer, next) = step.await.map_err(|failed| match failed {
            // It doesn't know the name.
            PgWireError::InvalidPassword(_) => fatal("28P01", wrong, None),
            other => other,
        })?;
        if let Authentication::SASLContinue(first) = &answer {
            *self.nonce.lock().await = nonce(first).map(<[u8]>::to_vec);
        }
        client
            .send(PgWireBackendMessage::Authentication(answer))
            .await?;
        *state = next;
        Ok(matches!(*state, SASLState::Finished))
    }
}

/// The nonce in a message of SCRAM.
fn nonce(message: &[u8]) -> Option<&[u8]> {
    message
        .split(|byte| *byte == b',')
        .find_map(|part| part.strip_prefix(b"r="))
}

/// What SCRAM compares, by the name of the account.
struct Verifiers(Arc<Shared>);

impl Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifiers")
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait tells the two apart"
)]
#[async_trait]
impl AuthSource for Verifiers {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let verifier = self
            .0
            .accounts
            .load()
            .verifier(login.user().unwrap_or_default());
        Ok(Password::new(Some(verifier.salt), verifier.salted))
    }
}

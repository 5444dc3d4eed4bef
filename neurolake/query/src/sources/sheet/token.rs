//! Access tokens of a service account: a signed claim (RFC 7523) against a token that lives an hour.
//!
//! Written here because the library at hand writes tokens to the debug log.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{Failure, send};

const SCOPE: &str = "https://www.googleapis.com/auth/spreadsheets.readonly";

/// A token is renewed this long before it ends.
const MARGIN: Duration = Duration::from_mins(1);

/// The parts of a key file that matter.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    #[serde(deserialize_with = "secret")]
    private_key: SecretString,
    #[serde(default = "google")]
    token_uri: String,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn google() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

/// A service account.
pub(super) struct ServiceAccount {
    pub(super) email: String,
    token_uri: String,
    key: RsaKeyPair,
    token: Mutex<Option<Token>>,
}

struct Token {
    secret: SecretString,
    ends: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    #[serde(default = "hour")]
    expires_in: u64,
}

fn hour() -> u64 {
    3600
}

impl ServiceAccount {
    /// Reads the content of a key file. The error says what is wrong and quotes nothing.
    pub(super) fn new(json: &SecretString) -> Result<Self, &'static str> {
        let file: KeyFile = serde_json::from_str(json.expose_secret()).map_err(
            |_| "is not the JSON key file of a service account (`client_email` and `private_key`)",
        )?;
        let der = der(file.private_key.expose_secret())
            .ok_or("has a `private_key` that is no PEM block `PRIVATE KEY`")?;
        let key = RsaKeyPair::from_pkcs8(&der)
            .map_err(|_| "has a `private_key` that is no RSA key of at least 2048 bits")?;
        Ok(Self {
            email: file.client_email,
            token_uri: file.token_uri,
            key,
            token: Mutex::default(),
        })
    }

    /// A token that is valid for a while. `refused`: the one that the API did not take.
    pub(super) async fn token(
        &self,
        http: &reqwest::Client,
        refused: Option<&SecretString>,
    ) -> Result<SecretString, Failure> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref() {
            let is_refused = refused
                .is_some_and(|refused| refused.expose_secret() == token.secret.expose_secret());
            if !is_refused && token.ends > Instant::now() {
                return Ok(token.secret.clone());
            }
        }
        let claim = self.claim().ok_or_else(|| {
            Failure::lasting("the private key of the service account can't sign".to_owned())
        })?;
        let form = form_encoded(&claim);
        let request = http
            .post(&self.token_uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = send(request, "the token of the service account").await?;
        // Errors of the parser may quote the token.
        let answer: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| {
            Failure::lasting("the answer to the service account holds no token".to_owned())
        })?;
        let life = Duration::from_secs(answer.expires_in).saturating_sub(MARGIN);
        *kept = Some(Token {
            secret: answer.access_token.clone(),
            ends: Instant::now() + life,
        });
        Ok(answer.access_token)
    }

    /// The signed claim. `None`: the key can't sign.
    fn claim(&self) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = serde_json::json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + 3600,
        });
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The alphabet of a signed claim needs no encoding.
fn form_encoded(claim: &str) -> String {
    format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={claim}")
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, after) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = after.split_once("-----END PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

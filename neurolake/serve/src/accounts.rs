//! Who asks: accounts with tokens, each with a role. The same on every door.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use neurolake_query::access::matches;
use neurolake_query::{Lake, Result, Role, SecretString};
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, gen_salted_password};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::ExposeSecret;

use crate::doors::{Doors, Shared};
use crate::graphql;
use crate::refusal::Refusal;

/// Bytes of the salt that hides a token from whoever listens to SCRAM.
const SALT_BYTES: usize = 16;

/// Somebody who may ask.
#[derive(Debug, Clone)]
pub struct Account {
    /// Who it is, in logs; the user for clients of PostgreSQL and of basic authentication.
    pub name: String,
    /// What proves it: a bearer token over HTTP, a password elsewhere.
    pub token: SecretString,
    /// What it may do. `None`: everything.
    pub role: Option<Role>,
}

/// An account at the doors.
pub(crate) struct Principal {
    pub(crate) name: Arc<str>,
    /// The lake as it sees it.
    pub(crate) lake: Lake,
    pub(crate) graphql: Arc<graphql::Tables>,
    /// Tells apart what may be seen: two roles of one name may differ, before and after the settings
    /// were read again.
    pub(crate) sight: Arc<str>,
    /// Tables that it may send events to. `None`: all.
    ingest: Option<Vec<String>>,
}

impl Principal {
    fn new(name: &str, lake: Lake, role: Option<&Role>) -> Self {
        Self {
            name: name.into(),
            sight: format!("{role:?}").into(),
            ingest: role.map(|role| role.ingest.clone()),
            graphql: Arc::new(graphql::Tables::new(lake.catalog())),
            lake,
        }
    }

    /// Another account that sees and may do the same.
    fn under(&self, name: &str) -> Self {
        Self {
            name: name.into(),
            sight: Arc::clone(&self.sight),
            graphql: Arc::clone(&self.graphql),
            lake: self.lake.clone(),
            ingest: self.ingest.clone(),
        }
    }

    /// The role, for logs.
    pub(crate) fn role(&self) -> &str {
        self.lake.role().unwrap_or("all")
    }

    /// Whether it may send events to `database.table`.
    pub(crate) fn may_ingest(&self, table: &str) -> bool {
        let patterns = self.ingest.as_ref();
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, table)))
    }
}

/// What SCRAM compares, in place of a token.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) salt: Vec<u8>,
    pub(crate) salted: Vec<u8>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    fn new(token: &str, random: &SystemRandom) -> Self {
        let mut salt = vec![0; SALT_BYTES];
        random.fill(&mut salt).expect("the system has random bytes");
        let salted = gen_salted_password(token, &salt, SCRAM_ITERATIONS);
        Self { salt, salted }
    }
}

/// Everybody who may ask.
pub(crate) struct Accounts {
    /// Without any account, everybody may do everything.
    everybody: Option<Arc<Principal>>,
    /// By the digest of the token: how long a look takes says nothing about tokens.
    by_token: HashMap<Vec<u8>, Arc<Principal>>,
    by_name: HashMap<String, (Arc<Principal>, Verifier)>,
    /// Key of what is told about accounts that don't exist.
    nobody: [u8; 32],
}

impl Accounts {
    pub(crate) fn new(lake: &Lake, accounts: &[Account]) -> Result<Self> {
        let random = SystemRandom::new();
        let mut nobody = [0; 32];
        random
            .fill(&mut nobody)
            .expect("the system has random bytes");
        let mut made = Self {
            everybody: None,
            by_token: HashMap::new(),
            by_name: HashMap::new(),
            nobody,
        };
        if accounts.is_empty() {
            made.everybody = Some(Arc::new(Principal::new("", lake.clone(), None)));
        }
        // What a role sees is made once.
        let first = |account: &Account| {
            let mut before = accounts
                .iter()
                .take_while(|other| other.name != account.name);
            before.find(|other| other.role == account.role)
        };
        for account in accounts {
            let principal = match (first(account), &account.role) {
                (Some(first), _) => made.by_name[&first.name].0.under(&account.name),
                (None, Some(role)) => {
                    Principal::new(&account.name, lake.with_role(role)?, Some(role))
                }
                (None, None) => Principal::new(&account.name, lake.clone(), None),
            };
            let principal = Arc::new(principal);
            let token = account.token.expose_secret();
            made.by_token.insert(hashed(token), Arc::clone(&principal));
            let verifier = Verifier::new(token, &random);
            made.by_name
                .insert(account.name.clone(), (principal, verifier));
        }
        Ok(made)
    }

    /// Whoever asks without proof.
    pub(crate) fn everybody(&self) -> Option<&Arc<Principal>> {
        self.everybody.as_ref()
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// The token is missing or unknown.
    pub(crate) fn of_headers(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Refusal> {
        if let Some(everybody) = &self.everybody {
            return Ok(Arc::clone(everybody));
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::unauthorized("there are several tokens"));
        }
        let Some(value) = value.and_then(|value| value.to_str().ok()) else {
            return Err(Refusal::unauthorized("a token is needed"));
        };
        self.of_authorization(value)
            .ok_or_else(|| Refusal::unauthorized("the token is not known"))
    }

    /// Who says `Bearer TOKEN`, or `Basic` with name and token.
    pub(crate) fn of_authorization(&self, value: &str) -> Option<Arc<Principal>> {
        let (scheme, rest) = value.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.by_token.get(&hashed(rest)).cloned();
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (name, token) = pair.split_once(':')?;
        self.proved(name, token)
    }

    /// The account of this name, if the token is its own.
    pub(crate) fn proved(&self, name: &str, token: &str) -> Option<Arc<Principal>> {
        self.proved_by(name, &hashed(token))
    }

    /// The same by the token's digest.
    pub(crate) fn proved_by(&self, name: &str, digest: &[u8]) -> Option<Arc<Principal>> {
        let principal = self.by_token.get(digest)?;
        (*principal.name == *name).then(|| Arc::clone(principal))
    }

    /// The account of this name, for whoever proves it.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Principal>> {
        self.by_name.get(name).map(|(principal, _)| principal)
    }

    /// What a password is compared with. Of an account that doesn't exist it is one that nothing
    /// fits, and the same each time, so that nobody learns which accounts there are.
    pub(crate) fn verifier(&self, name: &str) -> Verifier {
        if let Some((_, verifier)) = self.by_name.get(name) {
            return verifier.clone();
        }
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.nobody);
        let mixed = ring::hmac::sign(&key, name.as_bytes());
        Verifier {
            salt: mixed.as_ref()[..SALT_BYTES].to_vec(),
            salted: digest(&SHA256, mixed.as_ref()).as_ref().to_vec(),
        }
    }
}

pub(crate) fn hashed(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

/// Who asks through an HTTP door.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) principal: Arc<Principal>,
    /// Where it came in.
    pub(crate) door: &'static str,
}

impl FromRequestParts<Doors> for Client {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Refusal> {
        // The guard puts it there.
        let principal = parts.extensions.get::<Arc<Principal>>();
        let principal = principal.ok_or_else(|| Refusal::unauthorized("a token is needed"))?;
        Ok(Self {
            shared: Arc::clone(&doors.shared),
            principal: Arc::clone(principal),
            door: door(parts.uri.path()),
        })
    }
}

fn door(path: &str) -> &'static str {
    match path.split('/').nth(2) {
        Some("rest") => "rest",
        Some("graphql") => "graphql",
        _ => "sql",
    }
}

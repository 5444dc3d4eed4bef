//! What is given to clients and comes back: statements in tickets and handles, names in tokens.
//!
//! The seal says that this process made it. Whatever was checked when it was made need not be
//! checked again, and nothing has to be remembered.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use ring::hmac;
use ring::rand::SystemRandom;
use tonic::{Code, Status};

use super::failure::refuse;

/// Bytes of a seal.
const TAG: usize = 32;

/// How long a ticket may be redeemed.
pub(super) const TICKET: Duration = Duration::from_mins(5);

/// How long a prepared statement may be used, and a client stays signed in.
pub(super) const SESSION: Duration = Duration::from_hours(24);

/// A statement on its way to the client and back.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Statement {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    /// One row as an Arrow IPC stream. Empty: there are none.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) parameters: Vec<u8>,
    /// Columns that were promised, as an Arrow IPC message. Empty: nothing was.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) schema: Vec<u8>,
    /// By which a wish to end it finds it.
    #[prost(uint64, tag = "4")]
    pub(super) number: u64,
}

/// Somebody who has signed in.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Person {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Of its token: whoever gets another token has to sign in again.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) digest: Vec<u8>,
}

/// Something that is sealed. One is never taken for another.
pub(super) trait Sealed: Message + Default {
    const KIND: u8;
    /// What people call it.
    const WORD: &str;
    const AGAIN: &str;
}

impl Sealed for Statement {
    const KIND: u8 = 1;
    const WORD: &str = "ticket";
    const AGAIN: &str = "ask again with the statement";
}

impl Sealed for Person {
    const KIND: u8 = 2;
    const WORD: &str = "token";
    const AGAIN: &str = "sign in again";
}

/// A key that nobody else has, and that ends with the process.
pub(super) struct Seal {
    key: hmac::Key,
    next: AtomicU64,
}

impl Seal {
    pub(super) fn new() -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            key: key.map_err(|_| io::Error::other("the system gives no random numbers"))?,
            next: AtomicU64::new(1),
        })
    }

    /// A number that no other statement has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Seals it for some time.
    pub(super) fn close<T: Sealed>(&self, content: &T, life: Duration) -> Vec<u8> {
        let end = now().saturating_add(life.as_secs());
        let mut sealed = vec![0; TAG];
        sealed.push(T::KIND);
        sealed.extend(end.to_be_bytes());
        sealed.extend(content.encode_to_vec());
        let tag = hmac::sign(&self.key, &sealed[TAG..]);
        sealed[..TAG].copy_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed, if it was here and not too long ago.
    pub(super) fn open<T: Sealed>(&self, sealed: &[u8]) -> Result<T, Status> {
        let (content, end) = self.content::<T>(sealed).ok_or_else(foreign::<T>)?;
        if end < now() {
            return Err(refuse(
                Code::FailedPrecondition,
                &format!("the {} has expired", T::WORD),
                Some(T::AGAIN),
            ));
        }
        T::decode(content).map_err(|_| foreign::<T>())
    }

    fn content<'a, T: Sealed>(&self, sealed: &'a [u8]) -> Option<(&'a [u8], u64)> {
        let (tag, signed) = sealed.split_at_checked(TAG)?;
        hmac::verify(&self.key, signed, tag).ok()?;
        let (kind, rest) = signed.split_first()?;
        let (end, content) = rest.split_first_chunk()?;
        (*kind == T::KIND).then_some((content, u64::from_be_bytes(*end)))
    }
}

fn foreign<T: Sealed>() -> Status {
    let message = format!(
        "the {} is not one of this server, or of before it was started",
        T::WORD
    );
    refuse(Code::InvalidArgument, &message, Some(T::AGAIN))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            sql: "select 1".to_owned(),
            ..Statement::default()
        }
    }

    #[test]
    fn what_was_sealed_comes_out() {
        let seal = Seal::new().expect("random numbers");
        let sealed = seal.close(&statement(), TICKET);
        assert_eq!(seal.open::<Statement>(&sealed).expect("ours"), statement());
    }

    #[test]
    fn nothing_else_does() {
        let seal = Seal::new().expect("random numbers");
        let sealed = seal.close(&statement(), TICKET);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(seal.open::<Statement>(&changed).is_err(), "{place}");
            assert!(seal.open::<Statement>(&sealed[..place]).is_err(), "{place}");
        }
        let other = Seal::new().expect("random numbers");
        assert!(other.open::<Statement>(&sealed).is_err());
        assert!(seal.open::<Person>(&sealed).is_err());
    }

    #[test]
    fn time_runs_out() {
        let seal = Seal::new().expect("random numbers");
        let mut sealed = vec![0; TAG];
        sealed.push(Statement::KIND);
        sealed.extend((now() - 1).to_be_bytes());
        sealed.extend(statement().encode_to_vec());
        let tag = hmac::sign(&seal.key, &sealed[TAG..]);
        sealed[..TAG].copy_from_slice(tag.as_ref());
        let refused = seal.open::<Statement>(&sealed).expect_err("it is old");
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
}

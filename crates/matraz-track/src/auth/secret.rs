//! Passwords: hashing them, checking them without telling by the time what was wrong, and slowing guesses down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::error::{Code, Error, Result};

/// The shortest password, in characters, as MLflow's.
const MIN_LENGTH: usize = 12;
/// The longest password, in bytes: hashing must not cost more than a hash.
const MAX_LENGTH: usize = 1024;
/// How long a password that was right is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many right passwords are remembered.
const MANY: usize = 10_000;
/// Wrong passwords for a name from one address before that address has to wait.
const FREE_GUESSES: u32 = 10;
/// How long it has to wait then.
const PENALTY: Duration = Duration::from_secs(60);
/// How many hashes are computed at once: each takes 19 MB of memory.
const AT_ONCE: usize = 2;

/// The SHA-256 of some bytes as 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A secret of 256 random bits, in letters that need no quoting anywhere.
pub fn random_secret() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes()?))
}

fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    Ok(bytes)
}

/// Hashes and checks passwords. Clones share what they remember.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    turns: Semaphore,
    /// Makes the keys of `known` useless to whoever reads the memory of the process.
    salt: [u8; 32],
    known: Mutex<HashMap<[u8; 32], Instant>>,
    guesses: Mutex<HashMap<String, (u32, Instant)>>,
    /// The hash that is checked for a name that does not exist.
    decoy: Mutex<Option<String>>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            turns: Semaphore::new(AT_ONCE),
            salt: random_bytes()?,
            known: Mutex::default(),
            guesses: Mutex::default(),
            decoy: Mutex::default(),
        })))
    }

    /// The hash of a new password, which must be long enough.
    pub async fn hash(&self, password: &str) -> Result<String> {
        if password.chars().count() < MIN_LENGTH {
            return Err(Error::invalid(format!("Password must be at least {MIN_LENGTH} characters.")));
        }
        if password.len() > MAX_LENGTH {
            return Err(Error::invalid(format!("Password must be at most {MAX_LENGTH} bytes.")));
        }
        self.compute(password.to_owned(), |password| {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string())
                .map_err(|error| Error::Bug(format!("the password cannot be hashed: {error}")))
        })
        .await?
    }

    /// Whether `password` is the one behind `hash`; without a hash it is not, but takes as long to be found wrong.
    /// `from` is the address of the client: whoever guesses too often has to wait.
    pub(crate) async fn check(
        &self,
        name: &str,
        hash: Option<&str>,
        password: &str,
        from: &str,
    ) -> Result<bool> {
        let key: [u8; 32] = Sha256::new()
            .chain_update(self.0.salt)
            .chain_update(hash.unwrap_or_default())
            .chain_update([0])
            .chain_update(password)
            .finalize()
            .into();
        let remembered = locked(&self.0.known).get(&key).is_some_and(|since| since.elapsed() < REMEMBERED);
        if hash.is_some() && remembered {
            return Ok(true);
        }
        // The place of a guess is counted before it is checked, so that many at once do not slip through.
        let guesser = format!("{from}\0{name}");
        if !self.may_guess(&guesser) {
            return Err(Error::request(
                Code::RequestLimitExceeded,
                "Too many wrong passwords from this address; try again in a minute.",
            ));
        }
        let exists = hash.is_some();
        let compared = match hash {
            Some(hash) => hash.to_owned(),
            None => self.decoy().await?,
        };
        let password = password.get(..password.len().min(MAX_LENGTH + 1)).unwrap_or("").to_owned();
        let right = self
            .compute(password, move |password| {
                PasswordHash::new(&compared)
                    .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await?
            && exists;
        if right {
            let mut known = locked(&self.0.known);
            if known.len() >= MANY {
                known.retain(|_, since| since.elapsed() < REMEMBERED);
            }
            if known.len() < MANY {
                known.insert(key, Instant::now());
            }
            locked(&self.0.guesses).remove(&guesser);
        }
        Ok(right)
    }

    fn may_guess(&self, guesser: &str) -> bool {
        let mut guesses = locked(&self.0.guesses);
        if guesses.len() >= MANY {
            guesses.retain(|_, (_, since)| since.elapsed() < PENALTY);
        }
        if guesses.len() >= MANY {
            return false;
        }
        let (count, since) = guesses.entry(guesser.to_owned()).or_insert((0, Instant::now()));
        if since.elapsed() >= PENALTY {
            (*count, *since) = (0, Instant::now());
        }
        *count += 1;
        *count <= FREE_GUESSES
    }

    async fn decoy(&self) -> Result<String> {
        if let Some(hash) = locked(&self.0.decoy).clone() {
            return Ok(hash);
        }
        let hash = self.hash(&random_secret()?).await?;
        *locked(&self.0.decoy) = Some(hash.clone());
        Ok(hash)
    }

    /// Computes away from the threads that answer requests, a few at once.
    async fn compute<T: Send + 'static>(
        &self,
        password: String,
        work: impl FnOnce(String) -> T + Send + 'static,
    ) -> Result<T> {
        let _turn = self.0.turns.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
        tokio::task::spawn_blocking(move || work(password))
            .await
            .map_err(|error| Error::Bug(error.to_string()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right_and_guesses_run_out() {
        let passwords = Passwords::new().unwrap();
        assert!(passwords.hash("too short").await.is_err());
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        let check = async |hash, password| passwords.check("ann", hash, password, "10.0.0.1").await;
        assert!(check(Some(hash.as_str()), "correct horse battery").await.unwrap());
        assert!(!check(Some(hash.as_str()), "correct horse").await.unwrap());
        assert!(!check(None, "correct horse battery").await.unwrap());
        // A right password starts the count anew.
        for _ in 0..FREE_GUESSES - 2 {
            assert!(!check(None, "guess").await.unwrap());
        }
        assert!(check(None, "guess").await.is_err());
        assert!(check(Some(hash.as_str()), "another guess").await.is_err());
        // What was right is remembered, so the user can go on working; others are not held up either.
        assert!(check(Some(hash.as_str()), "correct horse battery").await.unwrap());
        assert!(!passwords.check("ann", Some(&hash), "guess", "10.0.0.2").await.unwrap());
    }
}

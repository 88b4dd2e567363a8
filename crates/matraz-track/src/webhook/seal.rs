//! Secrets in the store: encrypted in the form of Fernet tokens, as MLflow does, with the key of
//! `MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY`.
//!
//! A token is base64 of: 0x80, the time, an initialization vector, AES-128 in CBC mode, HMAC-SHA256 of all before
//! (<https://github.com/fernet/spec>).

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;

use crate::error::{Error, Result};

const VERSION: u8 = 0x80;
/// Bytes of the version, the time and the initialization vector.
const HEAD: usize = 1 + 8 + 16;
/// Bytes of the signature.
const TAIL: usize = 32;

/// A key: the first half signs, the second half encrypts.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// Reads a key: 32 bytes in URL-safe base64.
    pub fn parse(text: &str) -> Option<Self> {
        BASE64_URL_SAFE.decode(text.trim()).ok()?.try_into().ok().map(Self)
    }

    /// A key that nobody knows: what it seals cannot be read after a restart.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        // Without random numbers the key stays zero, which no token of another process has.
        let _ = getrandom::fill(&mut bytes);
        Self(bytes)
    }

    fn signer(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0[..16])
    }

    fn cipher(&self) -> Result<UnboundCipherKey> {
        UnboundCipherKey::new(&AES_128, &self.0[16..]).map_err(|_| broken())
    }

    /// Encrypts a text.
    pub fn seal(&self, text: &str) -> Result<String> {
        let mut bytes = text.as_bytes().to_vec();
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.cipher()?).map_err(|_| broken())?;
        let mut iv = [0; 16];
        getrandom::fill(&mut iv).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        key.less_safe_encrypt(&mut bytes, context).map_err(|_| broken())?;
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let mut token = vec![VERSION];
        token.extend(now.to_be_bytes());
        token.extend(iv);
        token.extend(bytes);
        let signature = hmac::sign(&self.signer(), &token);
        token.extend(signature.as_ref());
        Ok(BASE64_URL_SAFE.encode(token))
    }

    /// Decrypts a text; nothing when it was sealed with another key or changed since.
    pub fn open(&self, token: &str) -> Option<String> {
        let token = BASE64_URL_SAFE.decode(token).ok()?;
        if token.len() < HEAD + TAIL || token[0] != VERSION {
            return None;
        }
        let (signed, signature) = token.split_at(token.len() - TAIL);
        hmac::verify(&self.signer(), signed, signature).ok()?;
        let iv: [u8; 16] = signed[HEAD - 16..HEAD].try_into().ok()?;
        let mut bytes = signed[HEAD..].to_vec();
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.cipher().ok()?).ok()?;
        let plain = key.decrypt(&mut bytes, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

fn broken() -> Error {
    Error::Bug("the secret of a webhook cannot be encrypted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_the_specification() {
        let key = SealKey::parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").unwrap();
        let token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        assert_eq!(key.open(token).as_deref(), Some("hello"));
        let sealed = key.seal("sécret").unwrap();
        assert_eq!(key.open(&sealed).as_deref(), Some("sécret"));
        assert_eq!(SealKey::random().open(&sealed), None);
        let mut changed = sealed.into_bytes();
        changed[20] ^= 1;
        assert_eq!(key.open(&String::from_utf8_lossy(&changed)), None);
        assert!(SealKey::parse("short").is_none());
    }
}

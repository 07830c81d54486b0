//! Proving to a broker that one knows a password, without showing it.
//!
//! Pure but for the keys. Start reading at [`Scram::begin`].
//! Source: RFC 5802 and RFC 7677.

use crate::security::SaslMechanism;
use data_encoding::BASE64;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// Fewer make a stolen password cheap to find, by the RFC.
const ITERATIONS_MIN: u32 = 4_096;
/// More would keep this process busy at a stranger's word.
const ITERATIONS_MAX: u32 = 1_000_000;
/// The header that says that the connection is not bound, as base64.
const UNBOUND: &str = "biws";

/// One proof.
pub(crate) struct Scram {
    hash: Hash,
    password: String,
    nonce: String,
    first_bare: String,
}

#[derive(Clone, Copy)]
struct Hash {
    hmac: hmac::Algorithm,
    digest: &'static digest::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

/// What the broker must answer at the end, or it does not know the password either.
pub(crate) struct ServerProof(Vec<u8>);

impl Scram {
    /// Begins a proof; answers it and the first message. `None` for a mechanism that is no SCRAM.
    ///
    /// * `nonce`: letters and digits that were never used before.
    pub(crate) fn begin(
        mechanism: SaslMechanism,
        user: &str,
        password: &str,
        nonce: String,
    ) -> Option<(Scram, String)> {
        let hash = match mechanism {
            SaslMechanism::Plain => return None,
            SaslMechanism::ScramSha256 => Hash {
                hmac: hmac::HMAC_SHA256,
                digest: &digest::SHA256,
                pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256,
            },
            SaslMechanism::ScramSha512 => Hash {
                hmac: hmac::HMAC_SHA512,
                digest: &digest::SHA512,
                pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512,
            },
        };
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        let first = format!("n,,{first_bare}");
        Some((Scram { hash, password: password.to_owned(), nonce, first_bare }, first))
    }

    /// Answers the broker's first message. `None` if that is not one that may be answered.
    pub(crate) fn answer(&self, server_first: &str) -> Option<(String, ServerProof)> {
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=")
            .filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len())?;
        let salt = BASE64.decode(field("s=")?.as_bytes()).ok()?;
        let iterations: u32 = field("i=")?.parse().ok()?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return None;
        }
        let without_proof = format!("c={UNBOUND},r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let mut salted = vec![0; self.hash.digest.output_len()];
        let password = self.password.as_bytes();
        pbkdf2::derive(
            self.hash.pbkdf2,
            NonZeroU32::new(iterations)?,
            &salt,
            password,
            &mut salted,
        );
        let client_key = self.mac(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest, &client_key);
        let signature = self.mac(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server_key = self.mac(&salted, b"Server Key");
        let expected = ServerProof(self.mac(&server_key, message.as_bytes()));
        Some((format!("{without_proof},p={}", BASE64.encode(&proof)), expected))
    }

    fn mac(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hash.hmac, key), message).as_ref().to_vec()
    }
}

impl ServerProof {
    /// Whether the broker's last message shows that it knows the password, too.
    pub(crate) fn is_shown(&self, server_final: &str) -> bool {
        let shown = server_final.split(',').find_map(|part| part.strip_prefix("v="));
        let shown = shown.and_then(|shown| BASE64.decode(shown.as_bytes()).ok());
        shown.is_some_and(|shown| shown == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn begin(password: &str) -> Scram {
        let nonce = NONCE.to_owned();
        let begun = Scram::begin(SaslMechanism::ScramSha256, "user", password, nonce);
        let (scram, first) = begun.unwrap();
        assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        scram
    }

    /// The example of RFC 7677.
    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let (last, expected) = begin("pencil").answer(SERVER_FIRST).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(expected.is_shown("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        let (_, other) = begin("pencils").answer(SERVER_FIRST).unwrap();
        assert!(!other.is_shown("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.is_shown("e=invalid-proof") && !expected.is_shown("v="));
    }

    #[test]
    fn a_broker_that_repeats_weakens_or_overdoes_it_is_not_answered() {
        let scram = begin("pencil");
        for first in [
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000000000",
            "r=rOprNGfwEbeRWgbNEkqOx,i=4096",
            "",
        ] {
            assert!(scram.answer(first).is_none(), "{first}");
        }
    }

    #[test]
    fn a_name_with_signs_of_the_protocol_is_spelled_otherwise() {
        let nonce = "n".to_owned();
        let begun = Scram::begin(SaslMechanism::ScramSha512, "a=b,c", "x", nonce);
        assert_eq!(begun.unwrap().1, "n,,n=a=3Db=2Cc,r=n");
        assert!(Scram::begin(SaslMechanism::Plain, "a", "x", String::new()).is_none());
    }
}

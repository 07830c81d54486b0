//! The shared secret of a cluster on a private network, and the keys that are made of it.
//!
//! The secret itself never crosses the wire. Start reading at [`PeerSecret`].

use cortado_model::ClusterUuid;
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt;

/// Bytes of the shortest secret: as many as its hash has, so that it cannot be found by trying.
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// What every node of a cluster knows, and nobody else.
#[derive(Clone)]
pub struct PeerSecret(Vec<u8>);

/// Makes and checks MACs: HMAC-SHA256.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl PeerSecret {
    /// Takes a secret without the white space around it; `None` if it has fewer than 32 bytes.
    pub fn new(bytes: &[u8]) -> Option<PeerSecret> {
        let bytes = bytes.trim_ascii();
        (bytes.len() >= SECRET_BYTES_MIN).then(|| PeerSecret(bytes.to_vec()))
    }

    /// The key of the nodes of `cluster` for one purpose: HKDF-SHA256, with the cluster's UUID as
    /// salt and the purpose as info. What is made for one purpose proves nothing for another.
    pub fn key(&self, cluster: ClusterUuid, purpose: &'static str) -> MacKey {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &cluster.0.to_be_bytes());
        let extracted = salt.extract(&self.0);
        let info = [purpose.as_bytes()];
        let expanded = extracted.expand(&info, hmac::HMAC_SHA256);
        MacKey(hmac::Key::from(expanded.expect("one block is not too long")))
    }
}

impl fmt::Debug for PeerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerSecret")
    }
}

impl MacKey {
    /// Takes the bytes of a key.
    pub fn new(bytes: &[u8; 32]) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The MAC over `parts`.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &joined(parts));
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        mac
    }

    /// Whether `mac` is the one over `parts`. Takes as long for any wrong one.
    pub fn is_mac(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        hmac::verify(&self.0, &joined(parts), mac).is_ok()
    }
}

/// Each part behind its length as eight big-endian bytes, so that no two lists are the same.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let with_length = |part: &&[u8]| [&(part.len() as u64).to_be_bytes()[..], part].concat();
    parts.iter().flat_map(with_length).collect()
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// The operating system gives none.
pub fn random_bytes() -> Result<[u8; 32], Unspecified> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_belongs_to_one_list_of_one_purpose_of_one_cluster() {
        let secret = PeerSecret::new(&[7; 32]).expect("long enough");
        let key = secret.key(ClusterUuid(1), "peer");
        let mac = key.mac(&[b"hello", b"welcome"]);
        assert!(key.is_mac(&[b"hello", b"welcome"], &mac));
        assert!(!key.is_mac(&[b"hellow", b"elcome"], &mac), "cut elsewhere");
        assert!(!key.is_mac(&[b"hello", b"welcom2"], &mac), "another part");
        let mut wrong = mac;
        wrong[31] ^= 1;
        assert!(!key.is_mac(&[b"hello", b"welcome"], &wrong), "another mac");
        for other in [secret.key(ClusterUuid(2), "peer"), secret.key(ClusterUuid(1), "gossip")] {
            assert!(!other.is_mac(&[b"hello", b"welcome"], &mac), "another cluster or purpose");
        }
        let other = PeerSecret::new(&[8; 32]).expect("long enough").key(ClusterUuid(1), "peer");
        assert!(!other.is_mac(&[b"hello", b"welcome"], &mac), "another secret");
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(PeerSecret::new(&[7; 31]).is_none());
        let one_short = b"0123456789012345678901234567890 \n";
        assert!(PeerSecret::new(one_short).is_none(), "white space does not count");
        assert!(PeerSecret::new(b"01234567890123456789012345678901\n").is_some());
    }
}

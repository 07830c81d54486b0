//! The shared secret of a cluster on a private network, and the keys that are made of it.
//!
//! The secret itself never crosses the wire. Start reading at [`PeerSecret`].

use arc_swap::ArcSwap;
use cortado_model::ClusterUuid;
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt;
use std::sync::Arc;

/// Bytes of the shortest secret: as many as its hash has, so that it cannot be found by trying.
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// The most secrets that are known at a time: the present one, and those of a rotation.
const SECRETS_MAX: usize = 4;

/// What every node of a cluster knows, and nobody else. Can be replaced while it is used; clones
/// are replaced with it.
#[derive(Clone)]
pub struct PeerSecret(Arc<ArcSwap<Secrets>>);

/// At least one. The first proves, all are accepted.
type Secrets = Vec<Vec<u8>>;

/// Makes and checks MACs: HMAC-SHA256.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

/// The keys of one purpose, of whichever secrets are known when they are asked for.
#[derive(Clone)]
pub struct SecretKeys {
    secret: PeerSecret,
    cluster: ClusterUuid,
    purpose: &'static str,
}

impl PeerSecret {
    /// Takes a secret without the white space around it; of a text, one secret in each line, of
    /// which the first one proves. `None` if one has fewer than 32 bytes, or if there are too many.
    pub fn new(bytes: &[u8]) -> Option<PeerSecret> {
        let secrets = secrets_in(bytes)?;
        Some(PeerSecret(Arc::new(ArcSwap::from_pointee(secrets))))
    }

    /// From now on knows what `bytes` hold, as [`new`](Self::new) takes them. `false`: nothing has
    /// changed, since they hold no secret.
    pub fn replace(&self, bytes: &[u8]) -> bool {
        let Some(secrets) = secrets_in(bytes) else { return false };
        self.0.store(Arc::new(secrets));
        true
    }

    /// The keys of the nodes of `cluster` for one purpose: HKDF-SHA256, with the cluster's UUID as
    /// salt and the purpose as info. What is made for one purpose proves nothing for another.
    pub fn keys(&self, cluster: ClusterUuid, purpose: &'static str) -> SecretKeys {
        SecretKeys { secret: self.clone(), cluster, purpose }
    }
}

impl SecretKeys {
    /// The key that proves.
    pub fn proving(&self) -> MacKey {
        key(&self.secret.0.load()[0], self.cluster, self.purpose)
    }

    /// Every key that is accepted, the one that proves first.
    pub fn accepted(&self) -> Vec<MacKey> {
        let secrets = self.secret.0.load();
        secrets.iter().map(|secret| key(secret, self.cluster, self.purpose)).collect()
    }

    /// Whether `mac` is the one over `parts` under a key that is accepted.
    pub fn is_mac(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        self.accepted().iter().any(|key| key.is_mac(parts, mac))
    }
}

fn key(secret: &[u8], cluster: ClusterUuid, purpose: &'static str) -> MacKey {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &cluster.0.to_be_bytes());
    let extracted = salt.extract(secret);
    let info = [purpose.as_bytes()];
    let expanded = extracted.expand(&info, hmac::HMAC_SHA256);
    MacKey(hmac::Key::from(expanded.expect("one block is not too long")))
}

fn secrets_in(bytes: &[u8]) -> Option<Secrets> {
    let bytes = bytes.trim_ascii();
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let lines = bytes.split(|byte| is_text && *byte == b'\n').map(<[u8]>::trim_ascii);
    let secrets: Secrets = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    let is_good = (1..=SECRETS_MAX).contains(&secrets.len())
        && secrets.iter().all(|secret| secret.len() >= SECRET_BYTES_MIN);
    is_good.then_some(secrets)
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
        let key = secret.keys(ClusterUuid(1), "peer").proving();
        let mac = key.mac(&[b"hello", b"welcome"]);
        assert!(key.is_mac(&[b"hello", b"welcome"], &mac));
        assert!(!key.is_mac(&[b"hellow", b"elcome"], &mac), "cut elsewhere");
        assert!(!key.is_mac(&[b"hello", b"welcom2"], &mac), "another part");
        let mut wrong = mac;
        wrong[31] ^= 1;
        assert!(!key.is_mac(&[b"hello", b"welcome"], &wrong), "another mac");
        for other in [secret.keys(ClusterUuid(2), "peer"), secret.keys(ClusterUuid(1), "gossip")] {
            assert!(!other.is_mac(&[b"hello", b"welcome"], &mac), "another cluster or purpose");
        }
        let other = PeerSecret::new(&[8; 32]).expect("long enough");
        let other = other.keys(ClusterUuid(1), "peer");
        assert!(!other.is_mac(&[b"hello", b"welcome"], &mac), "another secret");
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(PeerSecret::new(&[7; 31]).is_none());
        let one_short = b"0123456789012345678901234567890 \n";
        assert!(PeerSecret::new(one_short).is_none(), "white space does not count");
        assert!(PeerSecret::new(b"01234567890123456789012345678901\n").is_some());
    }

    #[test]
    fn a_secret_is_replaced_without_a_moment_in_which_nodes_do_not_know_one_another() {
        let [old, new] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];
        let both = format!("{old}\n{new}\n");
        let (one, two) = (PeerSecret::new(old.as_bytes()), PeerSecret::new(old.as_bytes()));
        let (one, two) = (one.expect("long enough"), two.expect("long enough"));
        let keys = |secret: &PeerSecret| secret.keys(ClusterUuid(1), "peer");
        let (first, second) = (keys(&one), keys(&two));
        let know = || {
            let proves = |by: &SecretKeys, to: &SecretKeys| {
                to.is_mac(&[b"hello"], &by.proving().mac(&[b"hello"]))
            };
            (proves(&first, &second), proves(&second, &first))
        };
        // First all know the new one, then each proves with it, then the old one is forgotten.
        let other_way = format!("{new}\n{old}");
        for text in [&both, &other_way, new] {
            for secret in [&one, &two] {
                assert!(secret.replace(text.as_bytes()));
                assert_eq!(know(), (true, true), "{text}");
            }
        }
        assert!(
            !first
                .is_mac(&[b"hello"], &key(old.as_bytes(), ClusterUuid(1), "peer").mac(&[b"hello"]))
        );
        assert!(!one.replace(b"short"), "nothing is forgotten for what is no secret");
        assert_eq!(know(), (true, true));
        assert!(PeerSecret::new(format!("{old}\nshort").as_bytes()).is_none());
        assert!(PeerSecret::new([old; 5].join("\n").as_bytes()).is_none(), "too many");
    }

    #[test]
    fn random_bytes_are_one_secret_whatever_is_among_them() {
        let mut bytes = [0xff; 32];
        bytes[16] = b'\n';
        assert!(PeerSecret::new(&bytes).is_some());
    }
}

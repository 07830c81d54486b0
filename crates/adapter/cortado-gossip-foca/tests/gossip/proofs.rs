//! Who may take part, and what a stranger can do.

use crate::played::{CLUSTER, facts, member, secret, settings, thinks, until};
use cortado_gossip_foca::{Envelope, EnvelopeError, GossipSeed, GossipSettings};
use cortado_model::{ClusterUuid, NodeId};
use cortado_peer::{Gossip, Liveness};
use cortado_peer_security::{Security, TlsFiles, TlsIdentity};
use cortado_relay::Direction;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::net::UdpSocket;

/// A stranger speaks for a while with n1, which never hears of it; n2 is let in meanwhile.
async fn check_is_kept_out(stranger: GossipSettings) {
    let one = member(settings(facts(1, 1), secret(7)), &[]).await;
    let stranger = member(stranger, &[one.seed()]).await;
    let heard = || one.relay.udp.carried(Direction::In);
    until(|| heard() > 5).await;
    let two = member(settings(facts(2, 1), secret(7)), &[one.seed()]).await;
    one.until_all_live(1..=2).await;
    two.until_all_live(1..=2).await;
    assert_eq!(thinks(&one.gossip.view(), 3), None);
    assert_eq!(thinks(&stranger.gossip.view(), 1), None);
}

#[tokio::test]
async fn another_secret_is_kept_out() {
    check_is_kept_out(settings(facts(3, 1), secret(8))).await;
}

#[tokio::test]
async fn another_cluster_is_kept_out() {
    let other = GossipSettings { cluster: ClusterUuid(1), ..settings(facts(3, 1), secret(7)) };
    check_is_kept_out(other).await;
}

#[tokio::test]
async fn who_proves_nothing_is_kept_out() {
    check_is_kept_out(settings(facts(3, 1), Security::Loopback)).await;
}

#[tokio::test]
async fn what_came_before_does_not_come_again() {
    let one = member(settings(facts(1, 1), secret(7)), &[]).await;
    // n2 seeks n1 at a socket that keeps what it hears.
    let kept = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = kept.local_addr().expect("bound").to_string();
    let seed = GossipSeed { node: Some(NodeId(1)), address };
    let two = member(settings(facts(2, 1), secret(7)), &[seed]).await;
    let mut buffer = vec![0; 2_000];
    let length = kept.recv(&mut buffer).await.expect("it seeks");
    let message = &buffer[..length];
    let envelope = Envelope::read(message, CLUSTER).expect("an envelope");
    assert_eq!((envelope.sender, envelope.receiver), (NodeId(2), NodeId(1)));
    assert_eq!(Envelope::read(message, ClusterUuid(2)), Err(EnvelopeError::Foreign));
    drop(two);
    // n1 hears it once, changed and too late; and n2, which it was not for, not at all.
    let mut changed = message.to_vec();
    changed[60] ^= 1;
    for bytes in [&changed[..], message, message, message] {
        kept.send_to(bytes, one.gossip.address()).await.expect("sent");
    }
    one.until_thinks(2, Liveness::Down).await;
    // Were it heard again, n2 would seem to live again.
    for _ in 0..10 {
        kept.send_to(message, one.gossip.address()).await.expect("sent");
    }
    let three = member(settings(facts(3, 1), secret(7)), &[one.seed()]).await;
    one.until_thinks(3, Liveness::Alive).await;
    assert_eq!(thinks(&one.gossip.view(), 2), Some(Liveness::Down));
    drop(three);
}

/// Signs certificates of nodes.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        let folder = tempfile::tempdir().expect("a folder");
        Authority { issuer: Issuer::new(params, key), pem, folder }
    }

    fn security(&self, node: u32) -> Security {
        Security::Certificate(self.identity(node, |_| {}))
    }

    /// The identity of a node, whose certificate is as it should be but for one `change`.
    fn identity(&self, node: u32, change: impl FnOnce(&mut CertificateParams)) -> Arc<TlsIdentity> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![format!("n{node}")]).expect("a name");
        change(&mut params);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        let write = |name: String, text: &str| {
            let path = self.folder.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let files = TlsFiles {
            ca: write("ca.pem".to_owned(), &self.pem),
            certificate: write(format!("{node}.pem"), &certificate),
            key: write(format!("{node}.key"), &key.serialize_pem()),
            domain: None,
        };
        Arc::new(TlsIdentity::load(files, NodeId(node)).expect("a good certificate"))
    }
}

#[tokio::test]
async fn nodes_with_certificates_find_one_another_and_out() {
    let authority = Authority::new();
    let named = |seed: GossipSeed| GossipSeed { node: Some(NodeId(1)), ..seed };
    let one = member(settings(facts(1, 1), authority.security(1)), &[]).await;
    let mut members = Vec::new();
    for node in 2..=3 {
        let settings = settings(facts(node, 1), authority.security(node));
        members.push(member(settings, &[named(one.seed())]).await);
    }
    for member in members.iter().chain([&one]) {
        member.until_all_live(1..=3).await;
    }
    // Keys are given on streams, and then datagrams are proven with them.
    let datagrams = one.relay.udp.carried(Direction::In);
    until(|| one.relay.udp.carried(Direction::In) > datagrams + 10).await;
    one.until_all_live(1..=3).await;
    // A stranger has a certificate of another authority.
    let other = Authority::new();
    let stranger = settings(facts(4, 1), other.security(4));
    let stranger = member(stranger, &[named(one.seed())]).await;
    let streams = one.relay.tcp.accepted();
    until(|| one.relay.tcp.accepted() > streams + 3).await;
    assert_eq!(thinks(&one.gossip.view(), 4), None);
    assert_eq!(thinks(&stranger.gossip.view(), 1), None);
    let dead = members.pop().expect("there are two");
    drop(dead.gossip);
    one.until_thinks(3, Liveness::Down).await;
}

#[tokio::test]
async fn a_seed_needs_no_name_and_a_stranger_behind_it_gets_nothing() {
    let authority = Authority::new();
    let one = member(settings(facts(1, 1), authority.security(1)), &[]).await;
    // It is not known which node is there.
    let two = member(settings(facts(2, 1), authority.security(2)), &[one.seed()]).await;
    two.until_all_live(1..=2).await;
    one.until_all_live(1..=2).await;
    let stranger = settings(facts(3, 1), Authority::new().security(3));
    let stranger = member(stranger, &[]).await;
    let seeks = settings(facts(4, 1), authority.security(4));
    let seeks = member(seeks, &[stranger.seed()]).await;
    let streams = stranger.relay.tcp.accepted();
    until(|| stranger.relay.tcp.accepted() > streams + 3).await;
    assert_eq!(thinks(&stranger.gossip.view(), 4), None);
    assert_eq!(thinks(&seeks.gossip.view(), 3), None);
}

#[tokio::test]
async fn what_an_expired_certificate_has_proven_is_good_no_longer() {
    let authority = Authority::new();
    let one = member(settings(facts(1, 1), authority.security(1)), &[]).await;
    let soon = SystemTime::now() + Duration::from_secs(6);
    let identity = authority.identity(2, |params| params.not_after = soon.into());
    let expiring = settings(facts(2, 1), Security::Certificate(Arc::clone(&identity)));
    let two = member(expiring, &[one.seed()]).await;
    one.until_thinks(2, Liveness::Alive).await;
    // Its key was given for a certificate that is over.
    one.until_thinks(2, Liveness::Down).await;
    // A new one, in the same files, and it is back.
    authority.identity(2, |_| {});
    identity.reload().expect("it is good");
    one.until_thinks(2, Liveness::Alive).await;
    two.until_thinks(1, Liveness::Alive).await;
}

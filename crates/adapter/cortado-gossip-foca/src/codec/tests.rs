//! Messages as bytes, and bytes that are no messages.

use super::*;
use crate::identity::Told;
use crate::limits::DATAGRAM_BYTES_MAX;
use cortado_model::DirectoryUuid;
use cortado_peer::MemberRole;

fn identity(node: u32, zone: &str) -> Identity {
    let facts = MemberFacts {
        node: NodeId(node),
        incarnation: NodeIncarnation(4),
        directory: DirectoryUuid(u128::MAX),
        role: MemberRole::Router,
        peer_addresses: vec!["db1:7000".to_owned(), "[::1]:7000".to_owned()],
        client_address: "db1:8080".to_owned(),
        zone: zone.to_owned(),
        version: "0.1.0".to_owned(),
        feature_level: 7,
    };
    let address = "[2001:db8::1]:7001".parse().expect("an address");
    Identity { telling: 3, ..Identity::new(facts, address) }
}

fn codec(sender: u32) -> SwimCodec {
    let sender = (NodeId(sender), NodeIncarnation(4));
    let (own, observed) = (identity(2, "b"), Observed::default());
    let state = CodecState { own, sender, observed, is_superseded: false };
    SwimCodec(Arc::new(Mutex::new(state)))
}

fn header(message: Message<Identity>) -> Header<Identity> {
    Header { src: identity(1, "a"), src_incarnation: 9, dst: identity(2, ""), message }
}

fn encoded(header: &Header<Identity>) -> Vec<u8> {
    let mut out = Vec::new();
    codec(1).encode_header(header, &mut out).expect("it can be written");
    out
}

#[test]
fn every_message_is_read_as_it_was_written() {
    let (other, probe_number) = (identity(3, "c"), 200);
    let messages = [
        Message::Ping(1),
        Message::Ack(255),
        Message::PingReq { target: other.clone(), probe_number },
        Message::IndirectPing { origin: other.clone(), probe_number },
        Message::IndirectAck { target: other.clone(), probe_number },
        Message::ForwardedAck { origin: other, probe_number },
        Message::Announce,
        Message::Feed,
        Message::Gossip,
        Message::Broadcast,
        Message::TurnUndead,
    ];
    for message in messages {
        let header = header(message);
        let bytes = encoded(&header);
        let read = codec(1).decode_header(&bytes[..]).expect("it can be read");
        assert_eq!(read, header);
        assert_eq!(read.src.told, header.src.told, "the sender tells everything");
        assert_eq!(is_announce(&bytes), header.message == Message::Announce);
        for length in 0..bytes.len() {
            let cut = codec(1).decode_header(&bytes[..length]);
            assert_eq!(cut, Err(GossipWireError::Truncated), "{length} bytes");
        }
    }
}

#[test]
fn every_member_is_read_as_it_was_written() {
    for state in [State::Alive, State::Suspect, State::Down] {
        let member = Member::new(identity(5, "zone"), 65_535, state);
        let mut bytes = Vec::new();
        codec(1).encode_member(&member, &mut bytes).expect("it can be written");
        let read = codec(1).decode_member(&bytes[..]).expect("it can be read");
        assert_eq!((&read, &read.id().told), (&member, &member.id().told));
        let mut short = vec![0; bytes.len() - 1];
        let mut room = &mut short[..];
        let refused = codec(1).encode_member(&member, &mut room);
        assert_eq!(refused, Err(GossipWireError::NoRoom));
        assert!(short.iter().all(|byte| *byte == 0), "nothing was written");
    }
}

#[test]
fn what_was_not_sent_by_who_says_so_is_refused() {
    let bytes = encoded(&header(Message::Gossip));
    assert_eq!(codec(3).decode_header(&bytes[..]), Err(GossipWireError::Disguised));
}

#[test]
fn a_node_that_is_sought_is_whichever_is_found() {
    for sought in [None, Some(NodeId(2))] {
        let dst = Identity::sought(sought);
        let announce = Header { dst: dst.clone(), ..header(Message::Announce) };
        let read = codec(1).decode_header(&encoded(&announce)[..]).expect("it can be read");
        assert_eq!(read.dst, identity(2, ""));
        let ping = Header { dst: dst.clone(), ..header(Message::Ping(1)) };
        let read = codec(1).decode_header(&encoded(&ping)[..]).expect("it can be read");
        assert_eq!(read.dst, dst, "only who seeks does not know whom");
    }
    let other = Header { dst: Identity::sought(Some(NodeId(7))), ..header(Message::Announce) };
    let read = codec(1).decode_header(&encoded(&other)[..]).expect("it can be read");
    assert_ne!(read.dst, identity(2, ""));
}

#[test]
fn what_a_node_tells_fits_beside_another_one_into_a_datagram() {
    let long = identity(1, &"z".repeat(250));
    let mut told = Vec::new();
    put_full(&long, &mut told).expect("it can be told");
    let header = Header { src: long, ..header(Message::Gossip) };
    assert!(encoded(&header).len() + 2 + told.len() + 3 <= DATAGRAM_BYTES_MAX);
    let mut longer = identity(1, &"z".repeat(250));
    let facts = MemberFacts {
        version: "v".repeat(250),
        ..longer.told.as_ref().expect("told").facts.clone()
    };
    let address = longer.told.as_ref().expect("told").address;
    longer.told = Some(Arc::new(Told { facts, address }));
    assert_eq!(put_full(&longer, &mut Vec::new()), Err(GossipWireError::NoRoom));
}

#[test]
fn a_roll_holds_as_many_as_there_is_room_for() {
    let members: Vec<_> =
        (3..9).map(|node| Member::new(identity(node, "z"), 1, State::Suspect)).collect();
    let all = put_roll(&mut codec(1), members.iter(), 10_000);
    assert_eq!(take_roll(&mut codec(1), &all), Ok(members.clone()));
    let some = put_roll(&mut codec(1), members.iter(), all.len() - 1);
    assert_eq!(take_roll(&mut codec(1), &some), Ok(members[..5].to_vec()));
    for length in 0..all.len() {
        assert!(take_roll(&mut codec(1), &all[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_newer_life_of_oneself_is_noticed_and_goes_no_further() {
    let check = |member: Identity, is_superseded: bool| {
        let mut bytes = Vec::new();
        let member = Member::new(member, 1, State::Alive);
        codec(1).encode_member(&member, &mut bytes).expect("it can be written");
        let mut codec = codec(1);
        let read = codec.decode_member(&bytes[..]);
        assert_eq!(read == Err(GossipWireError::Superseded), is_superseded);
        assert_eq!(codec.0.lock().is_superseded, is_superseded);
    };
    let life = |life: u64| Identity { incarnation: NodeIncarnation(life), ..identity(2, "b") };
    check(life(5), true);
    check(life(4), false);
    check(life(3), false);
    check(Identity { incarnation: NodeIncarnation(9), ..identity(3, "c") }, false);
}

#[test]
fn later_facts_are_passed_over() {
    let identity = identity(1, "a");
    let mut bytes = Vec::new();
    put_full(&identity, &mut bytes).expect("it can be told");
    let length = u16::from_be_bytes([bytes[16], bytes[17]]) + 4;
    bytes[16..18].copy_from_slice(&length.to_be_bytes());
    bytes.extend(b"more");
    let read = take_full(&mut &bytes[..]).expect("it can be read");
    assert_eq!(read.told, identity.told);
}

#[test]
fn no_bytes_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    let bytes = encoded(&header(Message::Gossip));
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..damaged.len());
            damaged[at] = random.u8(..);
        }
        damaged.truncate(random.usize(..=damaged.len()));
        let _ = codec(1).decode_header(&damaged[..]);
        let _ = codec(1).decode_member(&damaged[..]);
        is_announce(&damaged);
        let _ = members_in(&damaged);
        let _ = take_roll(&mut codec(1), &damaged);
    }
}

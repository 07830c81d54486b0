//! Every record is read as written, and nothing else is read at all.

use super::*;
use crate::record::frame::{BODY_AT, FrameWriter, chain_after};
use crate::record::{
    Change, Draft, DraftChange, DraftValue, Header, Idempotency, IndexAction, IndexChange,
    Transaction, encode_draft, etag_of,
};
use cortado_model::{
    DocumentHead, DocumentKey, Etag, Generation, NodeId, NodeIncarnation, RememberedKey,
    ReplicaIncarnation, Scn, Sequence, StoredDocument, TableId,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const PARTITION: PartitionUuid = PartitionUuid(0x1234_5678_9abc_def0_1122_3344_5566_7788);

fn scns() -> impl Strategy<Value = Scn> {
    (0..=Generation::MAX.0, 0..=Sequence::MAX.0)
        .prop_map(|(g, s)| Scn::new(Generation(g), Sequence(s)))
}

fn byte_strings(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn history_points() -> impl Strategy<Value = HistoryPoint> {
    (scns(), any::<u128>()).prop_map(|(scn, chain)| HistoryPoint { scn, chain: ChainHash(chain) })
}

fn replica_sets() -> impl Strategy<Value = ReplicaSet> {
    vec(any::<u32>(), 0..5).prop_map(|nodes| nodes.into_iter().map(NodeId).collect())
}

fn documents() -> impl Strategy<Value = StoredDocument> {
    let head = (any::<u32>(), any::<u64>(), scns(), any::<u64>(), option::of(1..u64::MAX));
    (head, byte_strings(200)).prop_map(|((schema_version, etag, scn, time, expires), json)| {
        let (etag, time, expires) = (Etag(etag), WallMillis(time), expires.map(WallMillis));
        StoredDocument::new(DocumentHead { schema_version, etag, scn, time, expires }, &json)
    })
}

fn index_changes() -> impl Strategy<Value = IndexChange> {
    let action = prop_oneof![Just(IndexAction::Add), Just(IndexAction::Remove)];
    (any::<u32>(), action, byte_strings(30)).prop_map(|(index, action, entry)| IndexChange {
        index,
        action,
        entry,
    })
}

fn drafts() -> impl Strategy<Value = Draft> {
    let key = vec("[a-z/é]{1,9}", 1..4).prop_map(|key| DocumentKey::from_parts(&key));
    let value = option::of((any::<u32>(), option::of(1..u64::MAX), byte_strings(200)));
    let before = option::of(documents());
    let change = (any::<u32>(), key, value, before, vec(index_changes(), 0..3)).prop_map(
        |(table, key, value, before, index)| DraftChange {
            table: TableId(table),
            key: key.expect("the pattern makes keys"),
            value: value.map(|(schema_version, expires, json)| DraftValue {
                schema_version,
                expires: expires.map(WallMillis),
                json,
            }),
            before,
            index,
        },
    );
    let statuses = vec(any::<u16>(), 0..5);
    let named = ("[a-zé]{1,20}", vec(any::<u8>(), 1..40), any::<u16>());
    let entry = (named, any::<u128>(), statuses, option::of(any::<u32>())).prop_map(
        |((resource, key, index), fingerprint, statuses, ttl_ms)| {
            let name = RememberedKey::new(&resource, &key, index);
            Idempotency { name, fingerprint, statuses, ttl_ms }
        },
    );
    (vec(change, 0..5), vec(entry, 0..3))
        .prop_map(|(changes, idempotency)| Draft { changes, idempotency })
}

fn geneses() -> impl Strategy<Value = Genesis> {
    let identity = (any::<u128>(), any::<u128>(), any::<u32>(), any::<u32>());
    let origin = (any::<[u128; 3]>(), any::<u128>(), any::<u64>(), any::<u64>());
    (identity, 1..Generation::MAX.0, any::<u32>(), replica_sets(), option::of(origin)).prop_map(
        |((partition, cluster, database, number), last, lease_ms, replicas, origin)| Genesis {
            identity: PartitionIdentity {
                partition: PartitionUuid(partition),
                cluster: ClusterUuid(cluster),
                database: DatabaseId(database),
                number,
            },
            feature_level: 1,
            lease_ms,
            replicas,
            origin: origin.map(|([cluster, partition, log], chain, sequence, time)| {
                let sequence = Sequence(sequence % Sequence::MAX.0);
                let scn = Scn::new(Generation(last), sequence);
                Origin {
                    cluster: ClusterUuid(cluster),
                    partition: PartitionUuid(partition),
                    log: LogId(log),
                    history: HistoryPoint { scn, chain: ChainHash(chain) },
                    time: WallMillis(time),
                }
            }),
        },
    )
}

fn bodies() -> impl Strategy<Value = Body> {
    let trim = (any::<u64>(), any::<u128>(), scns());
    prop_oneof![
        geneses().prop_map(Body::Genesis),
        (any::<u8>(), any::<u128>(), scns()).prop_map(|(reason, evidence, seen)| {
            Body::Claim(Claim { reason: reason_of(reason), evidence, seen })
        }),
        option::of(history_points()).prop_map(|opening| Body::Barrier(Barrier { opening })),
        option::of(any::<u32>()).prop_map(|to| Body::StepDown(StepDown { to: to.map(NodeId) })),
        trim.prop_map(|(below, log, snapshot)| {
            let (below, log) = (LogOffset(below), LogId(log));
            Body::Config(Config::Trim(Trim { below, log, snapshot }))
        }),
        any::<u32>().prop_map(|duration_ms| Body::Config(Config::Lease { duration_ms })),
        replica_sets().prop_map(|replicas| Body::Config(Config::Replicas(replicas))),
        byte_strings(50).prop_map(|definitions| Body::Config(Config::Indexes(definitions))),
        Just(Body::Config(Config::Feature { level: 1 })),
        Just(Body::Config(Config::Digest)),
    ]
}

fn headers() -> impl Strategy<Value = Header> {
    (scns(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u64>()).prop_map(
        |(scn, node, incarnation, life, time)| Header {
            scn,
            node: NodeId(node),
            incarnation: ReplicaIncarnation { node: NodeIncarnation(incarnation), life },
            time: WallMillis(time),
        },
    )
}

/// A record as its producer has it: bytes, chain hash, value.
fn records() -> impl Strategy<Value = (Bytes, ChainHash, Record)> {
    let previous = any::<u128>().prop_map(ChainHash);
    let plain = (headers(), bodies(), previous).prop_map(|(header, body, previous)| {
        let record = Record { header, body };
        let (bytes, chain) = encode(PARTITION, &record, previous);
        (bytes, chain, record)
    });
    let previous = any::<u128>().prop_map(ChainHash);
    let transaction = (headers(), drafts(), previous).prop_map(|(header, draft, previous)| {
        encode_draft((PARTITION, 1), header, draft, previous)
    });
    prop_oneof![3 => plain, 2 => transaction]
}

proptest! {
    #[test]
    fn a_record_is_read_as_written((bytes, chain, record) in records()) {
        let frame = Frame::read(&bytes, PARTITION).expect("just written");
        prop_assert_eq!((frame.header, frame.chain), (record.header, chain));
        prop_assert_eq!(Frame::read_any(&bytes), Ok(frame));
        prop_assert_eq!(decode(&bytes, PARTITION), Ok(record));
        let stranger = PartitionUuid(!PARTITION.0 << 1);
        prop_assert_eq!(decode(&bytes, stranger), Err(DecodeError::Foreign));
    }

    #[test]
    fn a_chain_hash_ties_a_record_to_what_was_before(
        header in headers(),
        body in bodies(),
        previous in any::<u128>(),
    ) {
        let record = Record { header, body };
        let (bytes, chain) = encode(PARTITION, &record, ChainHash(previous));
        prop_assert_eq!(chain_after(ChainHash(previous), &bytes), chain);
        prop_assert_ne!(chain_after(ChainHash(!previous), &bytes), chain);
    }

    /// What the leader applies is what all replicas read, and a slice of the record.
    #[test]
    fn a_draft_becomes_the_transaction_that_is_read(header in headers(), draft in drafts()) {
        let (bytes, chain, record) = encode_draft((PARTITION, 1), header, draft, ChainHash(1));
        prop_assert_eq!(encode(PARTITION, &record, ChainHash(1)), (bytes.clone(), chain));
        let Body::Transaction(transaction) = &record.body else { panic!("a draft is one") };
        let range = bytes.as_ptr_range();
        for change in &transaction.changes {
            let Some(document) = &change.document else { continue };
            prop_assert!(range.contains(&document.image().as_ptr()));
            prop_assert_eq!(document.head.etag, etag_of(PARTITION, header.scn));
            prop_assert_eq!((document.head.scn, document.head.time), (header.scn, header.time));
        }
    }

    #[test]
    fn a_damaged_record_is_refused((bytes, ..) in records(), at in any::<usize>(), bit in 0..8_u8) {
        let mut damaged = bytes.to_vec();
        let at = at % damaged.len();
        damaged[at] ^= 1 << bit;
        let read = decode(&Bytes::from(damaged), PARTITION);
        prop_assert!(matches!(read, Err(DecodeError::Damaged(_))), "{read:?}");
        prop_assert!(decode(&bytes.slice(..at), PARTITION).is_err());
    }

    /// Behind a correct checksum, too, nothing panics: a foreign producer may have written it.
    #[test]
    fn no_bytes_panic(kind in 0..16_u8, header in headers(), body in byte_strings(300)) {
        let mut writer = FrameWriter::new((PARTITION, 1), &header, Kind(kind), 0);
        writer.out.extend_from_slice(&body);
        let (bytes, _) = writer.finish(ChainHash(0));
        let _ = decode(&bytes, PARTITION);
        let _ = Frame::read_any(&body);
    }
}

fn a_header() -> Header {
    Header {
        scn: Scn::new(Generation(5), Sequence(1042)),
        node: NodeId(2),
        incarnation: ReplicaIncarnation { node: NodeIncarnation(1_700_000_000_000), life: 3 },
        time: WallMillis(1_700_000_000_500),
    }
}

fn a_change() -> DraftChange {
    let json = Bytes::from_static(b"{\"a\":1}");
    let head = DocumentHead {
        schema_version: 1,
        etag: Etag(0xabcd),
        scn: Scn::new(Generation(4), Sequence(7)),
        time: WallMillis(1_600_000_000_000),
        expires: None,
    };
    let entry = |action, entry: &'static [u8]| IndexChange {
        index: 9,
        action,
        entry: Bytes::from_static(entry),
    };
    let expires = Some(WallMillis(1_800_000_000_000));
    DraftChange {
        table: TableId(1),
        key: DocumentKey::from_parts(&["JP", "40"]).expect("a key"),
        value: Some(DraftValue { schema_version: 2, expires, json }),
        before: Some(StoredDocument::new(head, b"{}")),
        index: vec![entry(IndexAction::Remove, b"old"), entry(IndexAction::Add, b"new")],
    }
}

/// One record of each kind, by the name of its data file.
fn samples() -> Vec<(&'static str, Bytes, Record)> {
    let point = |chain| HistoryPoint {
        scn: Scn::new(Generation(4), Sequence(77)),
        chain: ChainHash(chain),
    };
    let identity = PartitionIdentity {
        partition: PARTITION,
        cluster: ClusterUuid(0xc1),
        database: DatabaseId(3),
        number: 12,
    };
    let replicas: ReplicaSet = [1, 2, 5].map(NodeId).into_iter().collect();
    let origin = Origin {
        cluster: ClusterUuid(0xc0),
        partition: PartitionUuid(0x99),
        log: LogId(0x77),
        history: point(0x1010),
        time: WallMillis(1_600_000_000_000),
    };
    let genesis = Genesis { origin: Some(origin), ..Genesis::new(identity, replicas.clone()) };
    let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 0xe1, seen: point(0).scn };
    let trim = Trim { below: LogOffset(900), log: LogId(0x77), snapshot: point(0).scn };
    let bodies = [
        ("genesis", Body::Genesis(genesis)),
        ("claim", Body::Claim(claim)),
        ("barrier", Body::Barrier(Barrier::default())),
        ("opening-barrier", Body::Barrier(Barrier { opening: Some(point(0x2020)) })),
        ("step-down", Body::StepDown(StepDown { to: Some(NodeId(5)) })),
        ("trim", Body::Config(Config::Trim(trim))),
        ("digest", Body::Config(Config::Digest)),
        ("lease", Body::Config(Config::Lease { duration_ms: 800 })),
        ("feature", Body::Config(Config::Feature { level: 1 })),
        ("replicas", Body::Config(Config::Replicas(replicas))),
        ("indexes", Body::Config(Config::Indexes(Bytes::from_static(b"definitions")))),
    ];
    let mut samples = Vec::new();
    for (name, body) in bodies {
        let record = Record { header: a_header(), body };
        samples.push((name, encode(PARTITION, &record, ChainHash(7)).0, record));
    }
    let name = RememberedKey::new("JP", b"once", 1);
    let entry = Idempotency { name, fingerprint: 0xf1, statuses: vec![1, 4], ttl_ms: Some(60_000) };
    let removal = DraftChange { value: None, before: None, index: Vec::new(), ..a_change() };
    let draft = Draft { changes: vec![a_change(), removal], idempotency: vec![entry] };
    let (bytes, _, record) = encode_draft((PARTITION, 1), a_header(), draft, ChainHash(7));
    samples.push(("transaction", bytes, record));
    samples
}

/// What version 2 wrote must be readable for ever.
#[test]
fn the_bytes_of_version_2_do_not_change() {
    for (name, bytes, record) in samples() {
        let path = format!("{}/testdata/formats/{name}-v2.hex", env!("CARGO_MANIFEST_DIR"));
        let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(text, golden.trim(), "{name}");
        assert_eq!(decode(&bytes, PARTITION), Ok(record), "{name}");
    }
}

#[test]
fn a_part_that_is_not_known_is_passed_over_unless_it_is_critical() {
    let with_part = |tag: u8| {
        let mut writer = FrameWriter::new((PARTITION, 1), &a_header(), Kind::TRANSACTION, 0);
        let mut change = BytesMut::new();
        change.put_u32_le(1);
        put_bytes(&mut change, DocumentKey::from_parts(&["JP"]).expect("a key").as_bytes());
        change.put_u8(tag);
        put_bytes(&mut change, b"more");
        writer.out.put_u32_le(0);
        writer.out.put_u32_le(1);
        put_bytes(&mut writer.out, &change);
        decode(&writer.finish(ChainHash(7)).0, PARTITION)
    };
    let Ok(Record { body: Body::Transaction(Transaction { changes, .. }), .. }) = with_part(0x66)
    else {
        panic!("it may be passed over");
    };
    assert_eq!(changes.len(), 1);
    assert!(matches!(changes[0], Change { table: TableId(1), document: None, .. }));
    assert_eq!(with_part(0xe6), Err(Need::Part(0xe6).into()));
}

#[test]
fn a_document_belongs_to_its_transaction() {
    let (bytes, _, mut record) =
        encode_draft((PARTITION, 1), a_header(), draft_of(a_change()), ChainHash(7));
    assert_eq!(bytes.len(), encode(PARTITION, &record, ChainHash(7)).0.len());
    record.header.time = WallMillis(1);
    let lies = encode(PARTITION, &record, ChainHash(7)).0;
    let damaged = DecodeError::Damaged("a document names another transaction");
    assert_eq!(decode(&lies, PARTITION), Err(damaged));
}

fn draft_of(change: DraftChange) -> Draft {
    Draft { changes: vec![change], idempotency: Vec::new() }
}

#[test]
fn the_header_means_the_same_in_every_version() {
    let record = Record { header: a_header(), body: Body::Config(Config::Digest) };
    let (bytes, chain) = encode(PARTITION, &record, ChainHash(7));
    assert_eq!(bytes.len(), BODY_AT);
    let newer = crate::record::newer_record(PARTITION, &record, ChainHash(7), (3, 200));
    let frame = Frame::read(&newer, PARTITION).expect("whole, and of the partition");
    assert_eq!(frame.header, a_header());
    assert_ne!(frame.chain, chain);
    assert_eq!(chain_after(ChainHash(7), &newer), frame.chain);
    assert_eq!(frame.record(), Err(Need::RecordVersion(3).into()));
}

#[test]
fn etags_of_a_partition_differ() {
    let etag = |g, s| etag_of(PARTITION, Scn::new(Generation(g), Sequence(s)));
    let mut seen = std::collections::BTreeSet::new();
    for generation in 1..50 {
        for sequence in 1..200 {
            assert!(seen.insert(etag(generation, sequence)));
        }
    }
}

//! Every record is read as written, and nothing else is read at all.

use super::*;
use cortado_model::{Generation, Sequence};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn scns() -> impl Strategy<Value = Scn> {
    (0..=Generation::MAX.0, 0..=Sequence::MAX.0)
        .prop_map(|(g, s)| Scn::new(Generation(g), Sequence(s)))
}

fn byte_strings(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn changes() -> impl Strategy<Value = Change> {
    let key = vec("[a-z/é]{1,9}", 1..4);
    let written = option::of((any::<u32>(), byte_strings(200)));
    (any::<u32>(), key, any::<u64>(), written).prop_map(|(table, key, etag, written)| Change {
        table: TableId(table),
        key: DocumentKey::from_parts(&key).expect("the pattern makes keys"),
        etag: Etag(etag),
        written: written.map(|(schema_version, value)| Written { schema_version, value }),
    })
}

fn transactions() -> impl Strategy<Value = Transaction> {
    let statuses = vec(any::<u16>(), 0..5);
    let idempotency = option::of((byte_strings(40), any::<u128>(), statuses));
    (vec(changes(), 0..5), idempotency).prop_map(|(changes, idempotency)| Transaction {
        changes,
        idempotency: idempotency.map(|(key, fingerprint, statuses)| Idempotency {
            key,
            fingerprint,
            statuses,
        }),
    })
}

fn bodies() -> impl Strategy<Value = Body> {
    let genesis = (any::<u128>(), any::<u128>(), any::<u32>(), any::<u32>());
    prop_oneof![
        genesis.prop_map(|(partition, cluster, database, number)| Body::Genesis(Genesis {
            partition: PartitionUuid(partition),
            cluster: ClusterUuid(cluster),
            database: DatabaseId(database),
            number,
        })),
        (".{0,30}", scns()).prop_map(|(address, seen)| Body::Claim(Claim { address, seen })),
        transactions().prop_map(Body::Transaction),
        Just(Body::Barrier),
        option::of(any::<u32>()).prop_map(|to| Body::StepDown(StepDown { to: to.map(NodeId) })),
        (any::<u64>(), scns()).prop_map(|(below, snapshot)| {
            Body::Config(Config::Trim(Trim { below: LogOffset(below), snapshot }))
        }),
        Just(Body::Config(Config::Digest)),
        Just(Body::Heartbeat),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    (scns(), any::<u32>(), any::<u64>(), any::<u64>(), bodies()).prop_map(
        |(scn, node, incarnation, time, body)| {
            let (node, incarnation) = (NodeId(node), unpacked(incarnation));
            Record { header: Header { scn, node, incarnation, time: WallMillis(time) }, body }
        },
    )
}

proptest! {
    #[test]
    fn a_record_is_read_as_written(record in records(), previous in any::<u128>()) {
        let previous = ChainHash(previous);
        let (bytes, chain) = encode(&record, previous);
        prop_assert_eq!(decode(&bytes), Ok(Decoded { record, chain }));
        prop_assert_eq!(chain_after(previous, &bytes), chain);
        prop_assert_ne!(chain_after(ChainHash(!previous.0), &bytes), chain);
    }

    #[test]
    fn a_damaged_record_is_refused(record in records(), at in any::<usize>(), bit in 0..8_u8) {
        let (bytes, _) = encode(&record, ChainHash(1));
        let mut damaged = bytes.to_vec();
        let at = at % damaged.len();
        damaged[at] ^= 1 << bit;
        prop_assert!(decode(&Bytes::from(damaged)).is_err());
        prop_assert!(decode(&bytes.slice(..at)).is_err());
    }

    /// Behind a correct checksum, too, nothing panics: a foreign producer may have written it.
    #[test]
    fn no_bytes_panic(kind in 0..12_u8, body in byte_strings(300)) {
        let mut bytes = vec![0; BODY_AT];
        (bytes[4], bytes[5]) = (VERSION, kind);
        bytes.extend_from_slice(&body);
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        let _ = decode(&Bytes::from(bytes));
    }
}

/// What version 1 wrote must be readable for ever.
#[test]
fn the_bytes_of_version_1_do_not_change() {
    let scn = Scn::new(Generation(5), Sequence(1042));
    let (node, incarnation) = (NodeId(2), unpacked(3));
    let header = Header { scn, node, incarnation, time: WallMillis(1_700_000_000_000) };
    let body = Body::Transaction(Transaction {
        changes: vec![Change {
            table: TableId(1),
            key: DocumentKey::from_parts(&["JP", "40"]).expect("a key"),
            etag: Etag(0xabcd),
            written: Some(Written { schema_version: 2, value: Bytes::from_static(b"{\"a\":1}") }),
        }],
        idempotency: None,
    });
    let (bytes, _) = encode(&Record { header, body }, ChainHash(7));
    let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let golden = include_str!("../../../testdata/transaction-v1.hex");
    assert_eq!(text, golden.trim());
}

#[test]
fn etags_of_a_partition_differ() {
    let partition = PartitionUuid(0x1234_5678_9abc_def0_1122_3344_5566_7788);
    let etag = |g, s| super::super::etag_of(partition, Scn::new(Generation(g), Sequence(s)));
    let mut seen = std::collections::BTreeSet::new();
    for generation in 1..50 {
        for sequence in 1..200 {
            assert!(seen.insert(etag(generation, sequence)));
        }
    }
}

//! Every question.
//!
//! Start reading at [`questions`].

use super::{PARTITION, SCN_MAX, key, scn};
use crate::conformance::{Answer, Question};
use crate::{ChangeReplicas, HandOff, Level, Look, Read, SnapshotId, Write};
use bytes::Bytes;
use cortado_document::{
    Condition, Document, DocumentAction, JsonPatch, Match, MergePatch, Operation, Tag,
};
use cortado_driver::{KeyedWrite, WriteMode};
use cortado_model::{
    DatabaseId, DocumentKey, EntryRange, Etag, Generation, IndexId, NodeId, PartitionId,
    RememberedKey, Scn, TableId, Within,
};
use std::ops::Bound;
use tokio::time::Instant;

/// Each variant of each part of a question.
pub(in crate::conformance) fn questions(deadline: Instant) -> Vec<Question> {
    let wrap = |write| Question::Write(write);
    let read = |(level, look)| Question::Read(Read { partition: PARTITION, level, look, deadline });
    let hand_off = |to| Question::HandOff(HandOff { partition: PARTITION, to, deadline });
    each! {
        Question::Write(_) => writes(deadline).into_iter().map(wrap),
        Question::Read(_) => levels_and_looks().into_iter().map(read),
        Question::HandOff(_) => [NodeId(0), NodeId(u32::MAX)].map(hand_off),
        Question::Verify(..) => [Question::Verify(PartitionId::CLUSTER, deadline)],
        Question::Standing(..) => [Question::Standing(PartitionId::CLUSTER, deadline)],
        Question::Report(..) => [
            Question::Report(None, deadline),
            Question::Report(Some(DatabaseId(u32::MAX)), deadline),
        ],
        Question::ChangeReplicas(_) => changes(deadline),
        Question::Holdings(..) => [
            Question::Holdings(None, deadline),
            Question::Holdings(Some(Vec::new()), deadline),
            Question::Holdings(Some(vec![PartitionId::CLUSTER, PARTITION]), deadline),
        ],
        Question::OpenSnapshot(..) => [Question::OpenSnapshot(PARTITION, deadline)],
        Question::SnapshotChunk(..) => [
            Question::SnapshotChunk(SnapshotId(0), 0, deadline),
            Question::SnapshotChunk(SnapshotId(u128::MAX), u64::MAX, deadline),
        ],
    }
}

/// One question of each kind.
pub(in crate::conformance) fn one_of_each(deadline: Instant) -> Vec<Question> {
    let mut kinds = Vec::new();
    let mut questions = questions(deadline);
    questions.retain(|question| {
        let kind = std::mem::discriminant(question);
        let is_new = !kinds.contains(&kind);
        kinds.push(kind);
        is_new
    });
    questions
}

/// A question that `answer` answers.
pub(in crate::conformance) fn question_of(answer: &Answer, deadline: Instant) -> Question {
    let fits = |question: &Question| match (answer, question) {
        (Answer::Write(_), Question::Write(_))
        | (Answer::Read(_), Question::Read(_))
        | (Answer::HandOff(_), Question::HandOff(_))
        | (Answer::Verify(_), Question::Verify(..))
        | (Answer::Report(_), Question::Report(..))
        | (Answer::Standing(_), Question::Standing(..))
        | (Answer::ChangeReplicas(_), Question::ChangeReplicas(_))
        | (Answer::Holdings(_), Question::Holdings(..))
        | (Answer::OpenSnapshot(_), Question::OpenSnapshot(..))
        | (Answer::SnapshotChunk(_), Question::SnapshotChunk(..)) => true,
        (_, _) => false,
    };
    one_of_each(deadline).into_iter().find(fits).expect("there is one of each kind")
}

fn changes(deadline: Instant) -> [Question; 2] {
    let change = |from: &[u32], to: &[u32], declared_at| {
        let [from, to] = [from, to].map(|nodes| nodes.iter().copied().map(NodeId).collect());
        let generation = Generation::MAX;
        let partition = PARTITION;
        Question::ChangeReplicas(ChangeReplicas {
            partition,
            generation,
            from,
            to,
            declared_at,
            deadline,
        })
    };
    [change(&[1, 2], &[1, 2, u32::MAX], SCN_MAX), change(&[], &[], Scn::ZERO)]
}

fn writes(deadline: Instant) -> Vec<Write> {
    let name = RememberedKey::new("Cesária", b"\x00\xff any bytes", u16::MAX);
    let keyed = KeyedWrite { name, fingerprint: u128::MAX, ttl_ms: u32::MAX };
    let of = |mode, operations, keyed| Write {
        partition: PARTITION,
        catalog: scn(9),
        operations,
        mode,
        keyed,
        deadline,
    };
    let write = |mode, operations, keyed: &[KeyedWrite]| of(mode, operations, keyed.to_vec());
    let own = [keyed.clone(), KeyedWrite { ttl_ms: 1, ..keyed }];
    each! {
        Write { mode: WriteMode::Whole, .. } => [
            write(WriteMode::Whole, operations(), &own[..1]),
            write(WriteMode::Whole, Vec::new(), &[]),
            Write {
                partition: PartitionId::CLUSTER,
                catalog: Scn::ZERO,
                ..write(WriteMode::Whole, operations(), &[])
            },
        ],
        Write { mode: WriteMode::Each, .. } => [
            write(WriteMode::Each, operations().drain(..2).collect(), &own),
        ],
    }
}

/// All actions and all conditions.
fn operations() -> Vec<Operation> {
    let text = "{\"a\":[1,{\"b\":null}],\"ü\":\"\\u0000\"}".as_bytes();
    let value = Document::parse(Bytes::from_static(text)).expect("a document");
    let merge = MergePatch::parse(b"{\"a\":null,\"b\":{\"c\":1.5e3}}").expect("a merge patch");
    let steps = JsonPatch::parse(
        br#"[{"op":"add","path":"/a/-","value":[1]},{"op":"remove","path":"/b"},
             {"op":"replace","path":"/c~1d","value":null},{"op":"move","from":"/e","path":"/f"},
             {"op":"copy","from":"/g","path":"/h"},{"op":"test","path":"","value":{}}]"#,
    )
    .expect("a JSON patch");
    let actions = each! {
        DocumentAction::Put { .. } => [DocumentAction::Put { value }],
        DocumentAction::Merge { .. } => [DocumentAction::Merge { patch: merge }],
        DocumentAction::JsonPatch { .. } => [DocumentAction::JsonPatch { patch: steps }],
        DocumentAction::Delete => [DocumentAction::Delete],
        DocumentAction::Check => [DocumentAction::Check],
    };
    let conditions = conditions().into_iter().map(|condition| (DocumentAction::Check, condition));
    let actions = actions.into_iter().map(|action| (action, Condition::default()));
    let key = key(&["Cesária", "Miß Perfumado", " /%2F"]);
    let operation = |(action, condition)| Operation {
        table: TableId(u32::MAX),
        key: key.clone(),
        action,
        condition,
    };
    actions.chain(conditions).map(operation).collect()
}

fn conditions() -> Vec<Condition> {
    let tags = each! {
        Tag::Strong(_) => [Tag::Strong(Etag(0)), Tag::Strong(Etag(u64::MAX))],
        Tag::Weak(_) => [Tag::Weak(Etag(1))],
        Tag::Foreign => [Tag::Foreign],
    };
    let matches = each! {
        Match::Any => [Match::Any],
        Match::Tags(_) => [Match::Tags(tags)],
    };
    let if_match = |matches| Condition { if_match: Some(matches), if_none_match: None };
    let if_none = |matches| Condition { if_match: None, if_none_match: Some(matches) };
    matches.iter().cloned().map(if_match).chain(matches.iter().cloned().map(if_none)).collect()
}

fn levels_and_looks() -> Vec<(Level, Look)> {
    let levels = each! {
        Level::Strong => [Level::Strong],
        Level::Strict => [Level::Strict],
        Level::AtLeast(_) => [Level::AtLeast(Scn::ZERO), Level::AtLeast(SCN_MAX)],
        Level::Bounded { .. } => [Level::Bounded { max_lag_ms: u64::MAX }],
    };
    let (song, artist) = (key(&["Cesária", "Miß", "1"]), key(&["Cesária"]));
    let looks = each! {
        Look::Get(..) => [Look::Get(TableId(1), song.clone())],
        Look::Find { .. } => [
            Look::Find { keys: Vec::new(), bytes_max: 0 },
            Look::Find {
                keys: vec![(TableId(1), song), (TableId(2), artist)],
                bytes_max: usize::MAX,
            },
        ],
        Look::Page { .. } => ranges()
            .into_iter()
            .map(|range| Look::Page { range, limit: 1_000, bytes_max: 8 << 20 }),
        Look::Position => [Look::Position],
        Look::History { .. } => [Look::History { since: scn(4) }],
    };
    let position = |level| (level, Look::Position);
    let strong = |look| (Level::Strong, look);
    levels.into_iter().map(position).chain(looks.into_iter().map(strong)).collect()
}

fn ranges() -> Vec<EntryRange> {
    let withins = each! {
        Within::Documents(_) => [Within::Documents(TableId(3))],
        Within::Index(_) => [Within::Index(IndexId(u32::MAX))],
        Within::Expiry => [Within::Expiry],
    };
    let bounds = each! {
        Bound::Included(_) => [Bound::Included(Vec::new())],
        Bound::Excluded(_) => [Bound::Excluded(vec![0, 0xff])],
        Bound::Unbounded => [Bound::Unbounded],
    };
    let prefix = DocumentKey::as_bytes(&key(&["Cesária"])).to_vec();
    let low = bounds.iter().cloned().map(|low| EntryRange {
        low,
        prefix: prefix.clone(),
        ..EntryRange::all(Within::Expiry)
    });
    let high = bounds.iter().cloned().map(|high| EntryRange {
        high,
        descending: true,
        ..EntryRange::all(Within::Expiry)
    });
    withins.into_iter().map(EntryRange::all).chain(low).chain(high).collect()
}

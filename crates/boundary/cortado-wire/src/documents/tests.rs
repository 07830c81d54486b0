//! The bodies that clients rely on, to the letter.

use super::*;
use crate::read_object;
use cortado_model::{Generation, Scn, Sequence};

const AT: Position =
    Position { partition: 3, scn: Scn { generation: Generation(5), sequence: Sequence(1_042) } };

fn key(parts: &[&str]) -> DocumentKey {
    DocumentKey::from_parts(parts).expect("a key")
}

#[test]
fn a_write_answer_is_read_as_written() {
    let text = write_answer(&key(&["a\"b", "c"]), Etag(0xa1b2), AT);
    let answer: WriteAnswer = serde_json::from_slice(&text).unwrap();
    let want = WriteAnswer {
        key: vec!["a\"b".to_owned(), "c".to_owned()],
        etag: "000000000000a1b2".to_owned(),
        scn: AT,
    };
    assert_eq!(answer, want);
}

#[test]
fn a_page_is_read_as_written() {
    for count in [0, 1, 3] {
        let mut page = PageWriter::with_capacity(0);
        for _ in 0..count {
            let value = Bytes::from_static(br#"{"n":1.50}"#);
            page.push(&key(&["a", "b"]), Etag(1), AT, &value);
        }
        let next = (count > 1).then_some("c-_");
        let answer: PageAnswer = serde_json::from_slice(&page.finish(next).into_bytes()).unwrap();
        assert_eq!(answer.documents.len(), count);
        assert_eq!(answer.next.as_deref(), next);
        for entry in answer.documents {
            assert_eq!(entry.key, ["a", "b"]);
            assert_eq!((entry.etag.as_str(), entry.scn), ("0000000000000001", AT));
            assert_eq!(entry.value.get(), r#"{"n":1.50}"#);
        }
    }
}

#[test]
fn a_transaction_keeps_the_text_of_its_values() {
    let body = r#"{"operations":[{"op":"put","table":"t","key":["a"],"value":{"n": 1.50}}]}"#;
    let body: TransactionBody<'_> = read_object(body.as_bytes()).unwrap();
    assert_eq!(body.operations[0].op, OperationKind::Put);
    assert_eq!(body.operations[0].value.unwrap().get(), r#"{"n": 1.50}"#);
}

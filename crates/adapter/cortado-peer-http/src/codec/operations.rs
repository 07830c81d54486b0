//! Writes, and why they are refused.

use super::input::{Input, WireError};
use super::wire::{Wire, put_string};
use bytes::{BufMut, BytesMut};
use cortado_document::{
    Condition, Document, DocumentAction, Done, JsonError, JsonPatch, Malformed, Match, MergePatch,
    Operation, PatchError, Refusal, Tag, Unacceptable, Unmet, Violation,
};
use cortado_driver::{KeyedWrite, Refused, UnknownWhy, WriteMode, Written};
use cortado_replica::NotDone;

wire_struct! {
    Operation { table, key, action, condition }
    Condition { if_match, if_none_match }
    KeyedWrite { name, fingerprint, ttl_ms }
    Written { scn, time, etag, results, repeated }
    Violation { path, why }
}

wire_enum!(WriteMode { 0 => Whole, 1 => Each });

wire_enum!(DocumentAction {
    0 => Put { value }, 1 => Merge { patch }, 2 => JsonPatch { patch }, 3 => Delete, 4 => Check,
});

wire_enum!(Match { 0 => Any, 1 => Tags(tags) });

wire_enum!(Tag { 0 => Strong(etag), 1 => Weak(etag), 2 => Foreign });

wire_enum!(Done {
    0 => Created, 1 => Replaced, 2 => Patched, 3 => Deleted, 4 => Missing, 5 => Checked,
});

wire_enum!(UnknownWhy { 0 => LeaderLost, 1 => LogFailed });

wire_enum!(NotDone {
    0 => NotLeader, 1 => Changing, 2 => Overloaded, 3 => LogRefused, 4 => LogUnusable,
    5 => Exhausted, 6 => Offline,
});

wire_enum!(Refused {
    0 => Operation { operation, refusal }, 1 => KeyReused, 2 => TooLarge { bytes, bytes_max },
    3 => NoRoom, 4 => Budget { retry_after_ms },
});

wire_enum!(Refusal {
    0 => ConditionFailed { unmet, current }, 1 => Missing, 2 => Patch(error),
    3 => SchemaViolated(violations), 4 => SchemaTooExpensive,
});

wire_enum!(Unmet { 0 => IfMatch, 1 => IfNoneMatch });

wire_enum!(PatchError {
    0 => Json(error), 1 => NotAnArray, 2 => TooManySteps { steps_max }, 3 => BadStep { step },
    4 => BadPointer { step }, 5 => TestFailed { step }, 6 => NoSuchPlace { step },
    7 => IntoItself { step }, 8 => CopiesTooMuch { bytes_max }, 9 => TooMuchWork,
    10 => Refused(error), 11 => Damaged,
});

wire_enum!(JsonError {
    0 => Malformed { offset, why }, 1 => Unacceptable { offset, why }, 2 => TooLarge { bytes_max },
});

wire_enum!(Malformed {
    0 => Unexpected, 1 => Truncated, 2 => TrailingText, 3 => ByteOrderMark, 4 => InvalidUtf8,
    5 => ControlCharacter, 6 => InvalidEscape, 7 => LoneSurrogate, 8 => LeadingZero,
    9 => DuplicateName, 10 => TooDeep,
});

wire_enum!(Unacceptable {
    0 => NotAnObject, 1 => NumberOutOfRange, 2 => NumberTooLong, 3 => TooManyFields,
    4 => NameTooLong, 5 => NulInName,
});

/// Unchecked, like a log's: the asking node has checked it, and the frame has a checksum.
impl Wire for Document {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.as_bytes(), out);
    }

    fn take(input: &mut Input) -> Result<Document, WireError> {
        input.string().map(Document::from_stored)
    }
}

impl Wire for MergePatch {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.text().as_bytes(), out);
    }

    fn take(input: &mut Input) -> Result<MergePatch, WireError> {
        MergePatch::parse(&input.string()?).map_err(|_| WireError::Invalid("merge patch"))
    }
}

impl Wire for JsonPatch {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.to_text().as_bytes(), out);
    }

    fn take(input: &mut Input) -> Result<JsonPatch, WireError> {
        JsonPatch::parse(&input.string()?).map_err(|_| WireError::Invalid("JSON patch"))
    }
}

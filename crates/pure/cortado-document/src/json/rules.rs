//! What strict JSON may be, and how it can fail to be that.
//!
//! Start reading at [`JsonLimits`] and [`JsonError`].

use cortado_model::limits::{
    BODY_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_FIELDS_MAX,
};

/// What a check has learned on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Bytes outside strings that carry no meaning.
    pub whitespace_bytes: usize,
    /// Members of all objects together.
    pub fields: usize,
    /// Whether the outermost value is an object.
    pub is_object: bool,
}

/// How much JSON is too much.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Size without white space.
    pub bytes_max: usize,
    /// Nesting; the outermost array or object counts as 1. At most 127.
    pub depth_max: usize,
    /// Members of all objects together. One object alone has at most 10,000 under any limits.
    pub fields_max: usize,
}

impl JsonLimits {
    /// One document.
    pub const DOCUMENT: JsonLimits = JsonLimits {
        bytes_max: DOCUMENT_BYTES_MAX,
        depth_max: DOCUMENT_DEPTH_MAX,
        fields_max: DOCUMENT_FIELDS_MAX,
    };

    /// A request body that carries documents: a transaction, an administrative command, a patch.
    ///
    /// Documents inside stand up to 3 levels below the root; they are checked once more, alone.
    pub const BODY: JsonLimits = JsonLimits {
        bytes_max: BODY_BYTES_MAX,
        depth_max: DOCUMENT_DEPTH_MAX + 4,
        // No document limit applies; the size bounds it.
        fields_max: BODY_BYTES_MAX,
    };
}

/// Bytes of a member's name, as written. Longer ones are refused in any document.
pub const FIELD_NAME_BYTES_MAX: usize = 64 << 10;
/// Bytes of a number, as written: longer ones cost time to compare.
pub const NUMBER_BYTES_MAX: usize = 400;

/// Why some bytes are not accepted. Never repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not JSON that two programs would read alike.
    #[error("{why} at byte {offset}")]
    Malformed {
        /// Where, counted from 0.
        offset: usize,
        /// The broken rule.
        why: Malformed,
    },
    /// JSON, but it means something that cannot be stored.
    #[error("{why} at byte {offset}")]
    Unacceptable {
        /// Where, counted from 0.
        offset: usize,
        /// The broken rule.
        why: Unacceptable,
    },
    /// More bytes than allowed, white space not counted.
    #[error("larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
}

/// A broken rule of syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A byte that cannot stand here: comments, `NaN`, a trailing comma, …
    #[error("unexpected character")]
    Unexpected,
    /// The text ends in the middle of a value; or there is none.
    #[error("unexpected end")]
    Truncated,
    /// Something follows the value.
    #[error("more text after the value")]
    TrailingText,
    /// A byte order mark.
    #[error("byte order mark")]
    ByteOrderMark,
    /// Not UTF-8; overlong forms and encoded surrogates included.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// An unescaped control character inside a string.
    #[error("unescaped control character")]
    ControlCharacter,
    /// A backslash followed by something that JSON does not know.
    #[error("invalid escape")]
    InvalidEscape,
    /// `\ud800` to `\udfff` that is not a pair.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// A number such as `01`.
    #[error("leading zero")]
    LeadingZero,
    /// A name that its object already has, perhaps spelled with other escapes.
    #[error("repeated member name")]
    DuplicateName,
    /// Nested more deeply than allowed.
    #[error("nested too deeply")]
    TooDeep,
}

/// A broken rule of meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// A document is an object, and this is something else.
    #[error("not an object")]
    NotAnObject,
    /// A number beyond the range of doubles: infinite there, or 0 although it is not.
    #[error("number outside the range of a double (about 5e-324 to 1.8e308)")]
    NumberOutOfRange,
    /// A number of more than 400 characters.
    #[error("number longer than {NUMBER_BYTES_MAX} characters")]
    NumberTooLong,
    /// More members than allowed.
    #[error("too many fields")]
    TooManyFields,
    /// A member's name of more than 64 KiB.
    #[error("field name longer than {FIELD_NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// A member's name holds the character NUL.
    #[error("field name with a NUL character")]
    NulInName,
}

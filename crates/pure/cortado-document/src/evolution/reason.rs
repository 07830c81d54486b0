//! Why a new schema may refuse what the old one accepted, and where.

use std::fmt;

/// Why a new schema is not known to accept what the old one accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incompatible {
    /// It cannot be shown: 1 to 20 reasons.
    Reasons(Vec<Reason>),
    /// To compare the two takes more steps than a comparison may.
    TooExpensive,
}

/// Why a new schema may refuse what the old one accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Where in the new schema: a JSON pointer, cut after 256 bytes.
    pub path: String,
    /// What it demands there that the old one did not.
    pub why: Why,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}: {}", self.why)
    }
}

/// The kinds of reasons. Names are cut after 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A member is described for the first time, in an object where the old schema allowed any
    /// further member: documents may have it already, with any value.
    MemberWasOpen,
    /// A member is required that documents could lack.
    NewlyRequired {
        /// The member.
        member: String,
    },
    /// The keyword allows less than it did.
    Narrowed {
        /// The keyword.
        keyword: String,
    },
    /// The keyword is new here, and forbids something.
    Added {
        /// The keyword.
        keyword: String,
    },
    /// The keyword differs, and what that means cannot be shown.
    NotComparable {
        /// The keyword.
        keyword: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::MemberWasOpen => f.write_str(
                "documents may have this member already, with any value, \
                 since the old schema allows additional members",
            ),
            Why::NewlyRequired { member } => {
                write!(f, "requires {member:?}, which documents may lack")
            }
            Why::Narrowed { keyword } => write!(f, "{keyword} allows less than before"),
            Why::Added { keyword } => write!(f, "{keyword} is new and forbids something"),
            Why::NotComparable { keyword } => {
                write!(f, "the change of {keyword} cannot be shown compatible")
            }
        }
    }
}

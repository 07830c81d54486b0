//! The golden vectors: what the original implementation answers, and what exact arithmetic does.
//!
//! Lines without a flag must equal the original; the `exact_*` columns hold always, and where a
//! flag says that the original's floating point is wrong, a test says so too. The header of
//! testdata/aperture-vectors.tsv explains every column. Start reading at [`every_line_is_read`].

mod vectors {
    mod order;
    pub(crate) mod parse;
    mod ring;
    mod subset;
}

use std::collections::BTreeMap;
use vectors::parse::{Vector, all};

/// How many lines of each kind there are, so that none is passed over in silence.
#[test]
fn every_line_is_read() {
    let mut counts = BTreeMap::new();
    for vector in all() {
        *counts.entry(vector.kind()).or_insert(0) += 1;
    }
    let want = BTreeMap::from([
        ("adjust", 27),
        ("alias", 13),
        ("aperture", 102),
        ("choose", 24),
        ("classic", 50),
        ("coord", 20),
        ("ewma", 12),
        ("hash", 17),
        ("intersect", 12),
        ("order", 18),
        ("ring", 93),
        ("ringindex", 24),
        ("ringweight", 35),
        ("weighted", 32),
        ("width", 36),
    ]);
    assert_eq!(counts, want);
    assert_eq!(all().filter(Vector::is_flagged).count(), 107);
}

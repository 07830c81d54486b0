//! Telling of foreign records in a partition's log: loudly, and not once for each.
//!
//! Start reading at [`ForeignRecords::met`].

use cortado_model::Millis;

/// A foreign writer mostly writes more than once.
const TELL_EVERY_MS: u64 = 10_000;

/// Foreign records that a replica has passed over.
#[derive(Debug, Default)]
pub(crate) struct ForeignRecords {
    told_at: Option<Millis>,
    untold: u64,
}

impl ForeignRecords {
    /// One more was met; answers how many there are to tell of, if it is time to.
    pub(crate) fn met(&mut self, now: Millis) -> Option<u64> {
        self.untold += 1;
        if self.told_at.is_some_and(|told_at| now < told_at.plus(TELL_EVERY_MS)) {
            return None;
        }
        self.told_at = Some(now);
        Some(core::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let mut foreign_records = ForeignRecords::default();
        assert_eq!(foreign_records.met(Millis(7)), Some(1));
        assert_eq!(foreign_records.met(Millis(7)), None);
        assert_eq!(foreign_records.met(Millis(TELL_EVERY_MS)), None);
        assert_eq!(foreign_records.met(Millis(7 + TELL_EVERY_MS)), Some(3));
        assert_eq!(foreign_records.met(Millis(8 + TELL_EVERY_MS)), None);
    }
}

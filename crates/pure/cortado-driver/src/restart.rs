//! Where a life of a replica may begin: at its checkpoint, in the log that is there.
//!
//! Start reading at [`judge`].

use crate::event::{LogExtent, Survey, SurveyError};
use crate::halt::Halt;
use crate::settings::Me;
use crate::standing::Folded;
use cortado_model::LogOffset;
use cortado_replica::{DecodeError, FoldState, Need};

/// What a survey comes to.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// Go on from here.
    From(FoldState),
    /// There is no checkpoint, but an interrupted snapshot may have left entries: remove them
    /// before anything else.
    Empty {
        /// Before the log's first record.
        fold: FoldState,
        /// Where the log begins.
        first: LogOffset,
    },
}

/// The fold state to go on from, in the log that is there.
///
/// * `level`: the highest feature level that the node has declared to read.
pub(crate) fn judge(
    me: &Me,
    level: u16,
    survey: Result<Survey, SurveyError>,
) -> Result<Beginning, Halt> {
    let Survey { log, checkpoint, extent } = survey.map_err(Halt::from)?;
    if let Some(wanted) = me.log
        && wanted != log
    {
        return Err(Halt::replaced(log, wanted));
    }
    // What was found first may have been replaced since.
    if extent.log != log {
        return Err(Halt::replaced(extent.log, log));
    }
    let LogExtent { first, end, .. } = extent;
    let Some(checkpoint) = checkpoint else {
        return Ok(Beginning::Empty { fold: FoldState::before(me.genesis.clone(), log), first });
    };
    let fold = FoldState::decode(&checkpoint).map_err(|error| {
        let why = alloc::format!("its checkpoint: {error}");
        match error {
            DecodeError::NeedsUpgrade(_) => Halt::StandsStill { why, needs_upgrade: true },
            DecodeError::Damaged(_) | DecodeError::Foreign => Halt::Damaged { why },
        }
    })?;
    if fold.feature_level > level {
        let need = Need::Feature { needed: fold.feature_level, own: level };
        let why = alloc::format!("its checkpoint: {need}");
        return Err(Halt::StandsStill { why, needs_upgrade: true });
    }
    if fold.log != log {
        return Err(Halt::replaced(log, fold.log));
    }
    if fold.genesis.identity != me.genesis.identity {
        // Perhaps all that is left of that partition.
        let why = "its checkpoint is of another partition".into();
        return Err(Halt::StandsStill { why, needs_upgrade: false });
    }
    if fold.position.offset > end {
        return Err(Halt::truncated(end, fold.position.offset));
    }
    if fold.position.offset < first {
        return Err(Halt::Trimmed { first });
    }
    Ok(Beginning::From(fold))
}

/// What a survey shows of the store, if it is this partition's.
pub(crate) fn stored(me: &Me, surveyed: &Result<Survey, SurveyError>) -> Option<Folded> {
    let checkpoint = surveyed.as_ref().ok()?.checkpoint.as_ref()?;
    let fold = FoldState::decode(checkpoint).ok()?;
    (fold.genesis.identity == me.genesis.identity).then(|| Folded::of(&fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{
        ClusterUuid, DatabaseId, LogId, NodeId, NodeIncarnation, PartitionId, PartitionUuid,
    };
    use cortado_replica::{Genesis, PartitionIdentity, ReplicaSet};

    const LOG: LogId = LogId(9);

    fn me() -> Me {
        let identity = PartitionIdentity {
            partition: PartitionUuid(7),
            cluster: ClusterUuid(1),
            database: DatabaseId(1),
            number: 0,
        };
        Me {
            node: NodeId(1),
            incarnation: NodeIncarnation(1),
            lives_before: 0,
            partition: PartitionId { database: DatabaseId(1), number: 0 },
            log: Some(LOG),
            genesis: Genesis::new(identity, ReplicaSet::default()),
        }
    }

    fn fold(stored: u64) -> FoldState {
        let mut fold = FoldState::before(me().genesis, LOG);
        fold.position.offset = LogOffset(stored);
        fold
    }

    /// Where a life begins that has stored everything below `stored`, in a log that reaches from 10
    /// to 20.
    fn begin(stored: u64) -> Result<Beginning, Halt> {
        let extent = LogExtent { log: LOG, first: LogOffset(10), end: LogOffset(20) };
        judge(&me(), 1, Ok(Survey { log: LOG, checkpoint: Some(fold(stored).encode()), extent }))
    }

    #[test]
    fn a_life_begins_inside_its_log_and_at_its_ends() {
        for stored in [10, 11, 19, 20] {
            let begun = begin(stored);
            let at = |fold: &FoldState| fold.position.offset == LogOffset(stored);
            assert!(matches!(&begun, Ok(Beginning::From(fold)) if at(fold)), "{stored}: {begun:?}");
        }
    }

    #[test]
    fn the_extent_of_another_log_is_none_of_this_one() {
        let end = |log| {
            let extent = LogExtent { log, first: LogOffset(10), end: LogOffset(20) };
            judge(&me(), 1, Ok(Survey { log: LOG, checkpoint: Some(fold(15).encode()), extent }))
        };
        assert!(end(LOG).is_ok());
        let halt = end(LogId(8)).expect_err("it was replaced in between");
        assert_eq!(halt, Halt::replaced(LogId(8), LOG));
    }

    #[test]
    fn what_another_build_has_stored_is_kept() {
        let judged = |needed, own| {
            let extent = LogExtent { log: LOG, first: LogOffset(10), end: LogOffset(20) };
            let mut stored = fold(15);
            stored.feature_level = needed;
            let checkpoint = Some(stored.encode());
            judge(&me(), own, Ok(Survey { log: LOG, checkpoint, extent }))
        };
        assert!(judged(1, 1).is_ok() && judged(1, 2).is_ok() && judged(2, 2).is_ok());
        let halt = judged(2, 1).expect_err("it cannot go on");
        assert!(matches!(halt, Halt::StandsStill { needs_upgrade: true, .. }), "{halt:?}");
    }

    #[test]
    fn a_log_that_is_short_of_one_record_is_noticed() {
        for stored in [21, 22] {
            let halt = begin(stored).expect_err("it has what its log has not");
            assert_eq!(halt, Halt::truncated(LogOffset(20), LogOffset(stored)));
        }
        for stored in [9, 8, 0] {
            let halt = begin(stored).expect_err("its log has forgotten what it has not");
            assert_eq!(halt, Halt::Trimmed { first: LogOffset(10) });
        }
    }
}

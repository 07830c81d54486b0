//! Where a life of a replica may begin: at its checkpoint, in the log that is there.
//!
//! Start reading at [`judge`].

use crate::event::{LogExtent, Survey, SurveyError};
use crate::halt::Halt;
use crate::settings::Me;
use cortado_model::LogOffset;
use cortado_replica::{DecodeError, FoldState};

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
pub(crate) fn judge(me: &Me, survey: Result<Survey, SurveyError>) -> Result<Beginning, Halt> {
    let Survey { log, checkpoint, extent } = match survey {
        Ok(survey) => survey,
        Err(SurveyError::Log { why }) => return Err(Halt::Unusable { why }),
        Err(SurveyError::Replaced { found }) => {
            return Err(Halt::replaced(found, me.log.unwrap_or(found)));
        }
        Err(SurveyError::Store(error)) => return Err(Halt::from(error)),
    };
    if let Some(wanted) = me.log
        && wanted != log
    {
        return Err(Halt::replaced(log, wanted));
    }
    let LogExtent { first, end } = extent;
    let Some(checkpoint) = checkpoint else {
        return Ok(Beginning::Empty { fold: FoldState::before(me.genesis.clone(), log), first });
    };
    let fold = FoldState::decode(&checkpoint).map_err(|error| {
        let why = alloc::format!("its checkpoint: {error}");
        match error {
            DecodeError::NeedsUpgrade(_) => Halt::StandsStill { why },
            DecodeError::Damaged(_) | DecodeError::Foreign => Halt::Damaged { why },
        }
    })?;
    if fold.log != log {
        return Err(Halt::replaced(log, fold.log));
    }
    if fold.genesis.identity != me.genesis.identity {
        // Perhaps all that is left of that partition.
        let why = "its checkpoint is of another partition".into();
        return Err(Halt::StandsStill { why });
    }
    if fold.position.offset > end {
        return Err(Halt::truncated(end, fold.position.offset));
    }
    if fold.position.offset < first {
        return Err(Halt::Trimmed { first });
    }
    Ok(Beginning::From(fold))
}

//! Reading: records with the position to go on from, or why there are none.
//!
//! A reader names the leader under which it has read. If another one leads now, it asks that one
//! where the former ended: a log that was cut and has grown again says so, and in no other way.
//! Source: KIP-320. Start reading at [`PartitionView::read`].

use super::view::{Known, Knows, PartitionView, Reach};
use crate::batch::{Batch, BatchKind};
use crate::cluster::{ClientRefusal, KafkaCluster, Offsets};
use crate::code::ErrorCode;
use crate::defect::ClientDefect;
use crate::names::BrokerId;
use cortado_log::{Extent, LogEntry, LogPage, LogReadError};
use cortado_model::{LogId, LogOffset, LogPosition};
use std::io;
use std::sync::Arc;

impl PartitionView {
    /// Records from `from` on, at least one if there is one, up to about `bytes_max` bytes.
    ///
    /// * `log`: the topic's id, as it was verified; another one is another log.
    ///
    /// # Errors
    /// See [`LogReadError`].
    pub fn read(
        &mut self,
        cluster: &KafkaCluster,
        reach: Reach<'_>,
        log: Option<LogId>,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<LogPage, LogReadError> {
        let (known, leader) = self.find(cluster, reach, log)?;
        let partition = self.partition(known);
        let refused = |view: &mut PartitionView, refusal| {
            view.doubt(refusal);
            unavailable("the broker does not lead, or does not answer")
        };
        let bounds = match cluster.bounds(leader, partition) {
            Ok(bounds) => bounds,
            Err(refusal) => return Err(refused(self, refusal)),
        };
        self.check_history(cluster, known, leader, bounds, from)?;
        let defect = self.defect;
        let uncommitted = defect == Some(ClientDefect::ReadsUncommitted);
        let offset = match (from.offset.0, defect) {
            (offset, Some(ClientDefect::ResetsToEarliest)) if offset < bounds.first => bounds.first,
            (offset, Some(ClientDefect::ResetsToLatest)) if offset > bounds.high => bounds.high,
            (offset, _) => offset,
        };
        match cluster.fetch(leader, partition, offset, bytes_max, uncommitted) {
            Ok((batches, offsets)) => {
                let end = if uncommitted { offsets.end } else { offsets.high };
                let from = LogPosition { offset: LogOffset(offset), ..from };
                page(&batches, from, end, bytes_max, defect)
            }
            Err(ClientRefusal::Code(ErrorCode::OffsetOutOfRange)) if offset < bounds.first => {
                Err(LogReadError::Trimmed { first: LogOffset(bounds.first) })
            }
            Err(ClientRefusal::Code(ErrorCode::OffsetOutOfRange)) => {
                Err(LogReadError::Diverged { end: LogOffset(bounds.end) })
            }
            Err(refusal) => Err(refused(self, refusal)),
        }
    }

    /// Where the partition begins and ends.
    ///
    /// # Errors
    /// See [`LogReadError`].
    pub fn extent(
        &mut self,
        cluster: &KafkaCluster,
        reach: Reach<'_>,
        log: Option<LogId>,
    ) -> Result<Extent, LogReadError> {
        let (known, leader) = self.find(cluster, reach, log)?;
        match cluster.list_offsets(leader, self.partition(known)) {
            Ok(Offsets { epoch, .. }) if epoch < known.epoch && !self.believes_deposed() => {
                self.doubt(ClientRefusal::Code(ErrorCode::NotLeader));
                Err(unavailable("the broker does not know yet that it leads"))
            }
            Ok(Offsets { first, high, epoch, .. }) => Ok(Extent {
                log: LogId(known.id.0),
                first: LogOffset(first),
                end: LogOffset(high),
                epoch,
            }),
            Err(refusal) => {
                self.doubt(refusal);
                Err(unavailable("the broker does not lead, or does not know the end yet"))
            }
        }
    }

    /// The topic and a leader that can be asked.
    fn find(
        &mut self,
        cluster: &KafkaCluster,
        reach: Reach<'_>,
        log: Option<LogId>,
    ) -> Result<(Known, BrokerId), LogReadError> {
        let lacks = self.known().is_none_or(|known| known.leader.is_none_or(|each| !reach(each)));
        if lacks {
            match self.refresh(cluster, reach) {
                Knows::Partition => {}
                Knows::Nothing => return Err(LogReadError::Missing),
                Knows::Silence => return Err(unavailable("no broker answers")),
            }
        }
        let known = self.known().ok_or(LogReadError::Missing)?;
        let found = LogId(known.id.0);
        let ignores = self.defect == Some(ClientDefect::IgnoresTopicId);
        if log.is_some_and(|log| log != found) && !ignores {
            return Err(LogReadError::Replaced { found });
        }
        let leader = known.leader.filter(|leader| reach(*leader));
        leader.map(|leader| (known, leader)).ok_or_else(|| unavailable("no broker leads"))
    }

    fn believes_deposed(&self) -> bool {
        self.defect == Some(ClientDefect::BelievesDeposed)
    }

    /// Whether what was read up to `from` is what the leader has there.
    fn check_history(
        &mut self,
        cluster: &KafkaCluster,
        known: Known,
        leader: BrokerId,
        bounds: Offsets,
        from: LogPosition,
    ) -> Result<(), LogReadError> {
        if bounds.epoch < from.epoch.max(known.epoch) && !self.believes_deposed() {
            self.doubt(ClientRefusal::Code(ErrorCode::NotLeader));
            return Err(unavailable("the broker does not know that another one leads"));
        }
        let ignores = self.defect == Some(ClientDefect::IgnoresLeaders);
        let is_first = from.offset.0 <= bounds.first;
        if bounds.epoch == from.epoch || is_first || ignores {
            return Ok(());
        }
        match cluster.end_of_leader(leader, self.partition(known), from.epoch) {
            Ok(Some(ended)) if ended.epoch == from.epoch && ended.end >= from.offset.0 => Ok(()),
            Ok(Some(ended)) => {
                let end = LogOffset(ended.end.min(from.offset.0));
                Err(LogReadError::Diverged { end })
            }
            // It has forgotten everything of that leader, and holds what stands behind.
            Ok(None) => Ok(()),
            Err(refusal) => {
                self.doubt(refusal);
                Err(unavailable("the broker does not lead, or does not answer"))
            }
        }
    }
}

/// The records of `batches` from `from` on.
///
/// Control batches hold none, and the log vouches for that. A record that is not there though its
/// batch is was lost.
fn page(
    batches: &[Arc<Batch>],
    from: LogPosition,
    end: u64,
    bytes_max: usize,
    defect: Option<ClientDefect>,
) -> Result<LogPage, LogReadError> {
    let mut page = LogPage { entries: Vec::new(), next: from, end: LogOffset(end) };
    let mut bytes = 0;
    for batch in batches {
        if !page.entries.is_empty() && batch.epoch != page.next.epoch {
            return Ok(page);
        }
        for (offset, slot) in (batch.base..).zip(&batch.slots) {
            if offset < page.next.offset.0 {
                continue;
            }
            let is_hole = match batch.kind {
                BatchKind::Control => defect == Some(ClientDefect::ControlsAreHoles),
                BatchKind::Plain | BatchKind::Transactional => slot.is_none(),
            };
            if is_hole && defect != Some(ClientDefect::HidesHoles) {
                let at = LogOffset(offset);
                return if page.next == from { Err(LogReadError::Hole { at }) } else { Ok(page) };
            }
            if let Some(record) = slot {
                bytes += record.len();
                if bytes > bytes_max && !page.entries.is_empty() {
                    return Ok(page);
                }
                page.entries.push(LogEntry { offset: LogOffset(offset), record: record.clone() });
            }
            page.next = LogPosition { offset: LogOffset(offset + 1), epoch: batch.epoch };
        }
    }
    if defect == Some(ClientDefect::DropsFirstOfPage) && page.entries.len() > 1 {
        page.entries.remove(0);
    }
    Ok(page)
}

fn unavailable(why: &str) -> LogReadError {
    LogReadError::Unavailable(io::Error::other(why))
}

//! Where partitions begin and end, as the brokers that lead them say.
//!
//! Start reading at [`list_offsets`].

use crate::admin_call::{AdminCall, AdminCallError, items_of, text_of};
use crate::topics::terminated;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use std::time::Duration;

/// Which end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetEdge {
    /// The oldest offset that can be read.
    First,
    /// The high watermark: one above the last record that consumers see.
    End,
}

/// One partition's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The offset, and the leader epoch that belongs to it if the broker told one.
    pub found: Result<(u64, Option<u32>), OffsetError>,
}

/// Why one partition's offset is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffsetError {
    /// No broker has told it: librdkafka names no error then.
    #[error("the broker that leads it has not answered")]
    NotTold,
    /// The request failed, or was refused.
    #[error("{text} ({name}, error {code})")]
    Failed {
        /// The code of the Kafka protocol, or a negative one of librdkafka.
        code: i32,
        /// As librdkafka calls it, such as `LEADER_NOT_AVAILABLE`.
        name: String,
        /// What librdkafka says of it.
        text: String,
    },
}

/// Asks where `partitions` (topic and number) begin or end, all of them at once.
///
/// Blocks, `timeout` and a moment longer at most. Answers in any order.
///
/// # Errors
/// The request failed as a whole; what fails for one partition is in its answer.
pub fn list_offsets<C: ClientContext>(
    client: &Client<C>,
    partitions: &[(&str, i32)],
    edge: OffsetEdge,
    timeout: Duration,
) -> Result<Vec<ListedOffset>, AdminCallError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let spec = match edge {
        OffsetEdge::First => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
        OffsetEdge::End => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
    };
    let names = partitions.iter().map(|(topic, _)| terminated(topic));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
    // SAFETY: the client outlives the call, which is dropped here. The list copies the names, and
    // the request copies the list before it is destroyed.
    let call = unsafe {
        let call = AdminCall::new(client.native_ptr(), operation, timeout)?;
        let length = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        let list = sys::rd_kafka_topic_partition_list_new(length);
        for (name, (_, partition)) in names.iter().zip(partitions) {
            let added = sys::rd_kafka_topic_partition_list_add(list, name.as_ptr(), *partition);
            (*added).offset = spec as i64;
        }
        sys::rd_kafka_ListOffsets(client.native_ptr(), list, call.options(), call.queue());
        sys::rd_kafka_topic_partition_list_destroy(list);
        call
    };
    let answer = call.answer(sys::RD_KAFKA_EVENT_LISTOFFSETS_RESULT)?;
    let mut count = 0;
    // SAFETY: the answer is of this kind; all that is read of it is copied before it is dropped.
    unsafe {
        let result = sys::rd_kafka_event_ListOffsets_result(answer.event());
        let first = sys::rd_kafka_ListOffsets_result_infos(result, &mut count);
        Ok(items_of(first, count).iter().map(|info| listed(*info)).collect())
    }
}

/// # Safety
/// `info` is of an answer that is alive.
unsafe fn listed(info: *const sys::rd_kafka_ListOffsetsResultInfo_t) -> ListedOffset {
    // SAFETY: the info is alive, and so is the partition that it lends.
    unsafe {
        let found = sys::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
        let code = (*found).err;
        let epoch = u32::try_from(sys::rd_kafka_topic_partition_get_leader_epoch(found)).ok();
        let no_error = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        let offset = u64::try_from((*found).offset).ok().filter(|_| code == no_error);
        ListedOffset {
            topic: text_of((*found).topic),
            partition: (*found).partition,
            found: offset.map(|offset| (offset, epoch)).ok_or_else(|| error_of(code)),
        }
    }
}

fn error_of(code: sys::rd_kafka_resp_err_t) -> OffsetError {
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return OffsetError::NotTold;
    }
    // SAFETY: both texts are terminated, and live as long as the process.
    let (name, text) =
        unsafe { (text_of(sys::rd_kafka_err2name(code)), text_of(sys::rd_kafka_err2str(code))) };
    OffsetError::Failed { code: code as i32, name, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_name_and_none_is_no_error_zero() {
        let code = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        let text = error_of(code).to_string();
        assert_eq!(text, "Broker: Leader not available (LEADER_NOT_AVAILABLE, error 5)");
        let none = error_of(sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_eq!(none, OffsetError::NotTold);
    }
}

//! What a cluster says of topics: their ids, their partitions, and who keeps them.
//!
//! Start reading at [`describe_topics`].

use crate::admin_call::{AdminCall, AdminCallError, items_of, text_of};
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use std::ffi::{CString, c_char};
use std::time::Duration;

/// A topic as some broker knows it at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTopic {
    /// Its name.
    pub name: String,
    /// Its id, which a topic that was created anew does not share; 0 from brokers without ids.
    pub id: u128,
    /// By their numbers.
    pub partitions: Vec<DescribedPartition>,
}

/// Where the replicas of a partition are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedPartition {
    /// Its number in the topic.
    pub number: i32,
    /// `None` while it has none.
    pub broker_leader: Option<BrokerNode>,
    /// The ids of the brokers that should keep it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The ids of those that are in sync.
    pub in_sync: Vec<i32>,
}

/// A broker, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerNode {
    /// Its id.
    pub id: i32,
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: u16,
}

/// Asks a broker about topics; `None` in the place of a topic that does not exist.
///
/// Blocks, `timeout` and a moment longer at most.
///
/// # Errors
/// The question, or what was asked of one topic, failed.
pub fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> Result<Vec<Option<DescribedTopic>>, AdminCallError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let owned: Vec<CString> =
        names.iter().map(|name| terminated(name)).collect::<Result<_, _>>()?;
    let mut pointers: Vec<*const c_char> = owned.iter().map(|name| name.as_ptr()).collect();
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: the client outlives the call, which is dropped here. The collection copies the names,
    // and the request copies the collection before it is destroyed.
    let call = unsafe {
        let call = AdminCall::new(client.native_ptr(), operation, timeout)?;
        let topics =
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        sys::rd_kafka_DescribeTopics(client.native_ptr(), topics, call.options(), call.queue());
        sys::rd_kafka_TopicCollection_destroy(topics);
        call
    };
    let answer = call.answer(sys::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)?;
    let mut count = 0;
    // SAFETY: the answer is of this kind; all that is read of it is copied before it is dropped.
    let described = unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.event());
        let first = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let topics = items_of(first, count).iter();
        topics.map(|topic| described(*topic)).collect::<Result<Vec<_>, _>>()?
    };
    // Whatever the order of the answer.
    let find = |name: &&str| described.iter().flatten().find(|topic| topic.name == **name).cloned();
    Ok(names.iter().map(find).collect())
}

/// The name with a zero at its end.
pub(crate) fn terminated(name: &str) -> Result<CString, AdminCallError> {
    CString::new(name).map_err(|_| AdminCallError::Failed {
        code: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_INVALID_REQUEST as i32,
        text: "the name of a topic has a zero byte".to_owned(),
    })
}

/// # Safety
/// `topic` is of an answer that is alive.
unsafe fn described(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Result<Option<DescribedTopic>, AdminCallError> {
    // SAFETY: the topic is alive, and so is what it lends.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        // The accessors take the null pointer for no error.
        let code = sys::rd_kafka_error_code(error);
        if is_missing(code) {
            return Ok(None);
        }
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let text = text_of(sys::rd_kafka_error_string(error));
            return Err(AdminCallError::Failed { code: code as i32, text });
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let half = |bits: i64| u128::from(bits.cast_unsigned());
        let id = if id.is_null() {
            0
        } else {
            half(sys::rd_kafka_Uuid_most_significant_bits(id)) << 64
                | half(sys::rd_kafka_Uuid_least_significant_bits(id))
        };
        let mut count = 0;
        let first = sys::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let partitions = items_of(first, count).iter();
        let mut partitions: Vec<_> = partitions.map(|one| described_partition(*one)).collect();
        partitions.sort_by_key(|partition| partition.number);
        let name = text_of(sys::rd_kafka_TopicDescription_name(topic));
        Ok(Some(DescribedTopic { name, id, partitions }))
    }
}

/// # Safety
/// `partition` is of an answer that is alive.
unsafe fn described_partition(
    partition: *const sys::rd_kafka_TopicPartitionInfo_t,
) -> DescribedPartition {
    let ids = |first: *mut *const sys::rd_kafka_Node_t, count| {
        // SAFETY: librdkafka lends so many nodes, which live as long as the answer.
        unsafe { items_of(first, count).iter().map(|node| sys::rd_kafka_Node_id(*node)).collect() }
    };
    let (mut replicas, mut in_sync) = (0, 0);
    // SAFETY: the partition is alive, and so is what it lends.
    unsafe {
        DescribedPartition {
            number: sys::rd_kafka_TopicPartitionInfo_partition(partition),
            broker_leader: node(sys::rd_kafka_TopicPartitionInfo_leader(partition)),
            replicas: ids(
                sys::rd_kafka_TopicPartitionInfo_replicas(partition, &mut replicas),
                replicas,
            ),
            in_sync: ids(sys::rd_kafka_TopicPartitionInfo_isr(partition, &mut in_sync), in_sync),
        }
    }
}

/// # Safety
/// `node` is null, or of an answer that is alive.
unsafe fn node(node: *const sys::rd_kafka_Node_t) -> Option<BrokerNode> {
    if node.is_null() {
        return None;
    }
    // SAFETY: not null, and alive.
    let node = unsafe {
        BrokerNode {
            id: sys::rd_kafka_Node_id(node),
            host: text_of(sys::rd_kafka_Node_host(node)),
            port: sys::rd_kafka_Node_port(node),
        }
    };
    (node.id >= 0).then_some(node)
}

fn is_missing(code: sys::rd_kafka_resp_err_t) -> bool {
    use sys::rd_kafka_resp_err_t as Code;
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID
    )
}

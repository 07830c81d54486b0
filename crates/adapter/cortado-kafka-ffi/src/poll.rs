//! Polling a consumer so that every record and every error names its partition.
//!
//! Start reading at [`PartitionPoll::next`].

use crate::admin_call::{AdminCallError, items_of, text_of};
use crate::topics::terminated;
use rdkafka::bindings as sys;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// What a consumer has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled<'a> {
    /// A record.
    Record {
        /// Its topic.
        topic: &'a str,
        /// The number of its partition.
        partition: i32,
        /// Where it stands.
        offset: i64,
        /// The epoch of the broker leader that appended it, if it was told.
        epoch: Option<u32>,
        /// Its value; `None` for a record without one.
        value: Option<&'a [u8]>,
    },
    /// Something about one partition: an error, or that its end was reached.
    Partition {
        /// Its topic.
        topic: &'a str,
        /// Its number.
        partition: i32,
        /// Where the consumer stands, or below 0.
        offset: i64,
        /// The code of the Kafka protocol, or a negative one of librdkafka.
        code: i32,
        /// What librdkafka says of it.
        text: &'a str,
    },
    /// Something about the client, such as a connection that was lost.
    Client {
        /// As above.
        code: i32,
        /// What librdkafka says of it.
        text: &'a str,
    },
}

/// The client has no queue to poll: it was made without a `group.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer has no queue to poll: it needs a group.id")]
pub struct PollUnavailable;

/// Where a consumer begins to read a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlace {
    /// The topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The first offset that is wanted.
    pub offset: i64,
    /// The epoch of the broker leader under which stands what comes before, if it is known: when
    /// the leader changes, the consumer asks the next one whether it has that.
    pub epoch: Option<u32>,
}

/// Polls a consumer in the place of the consumer's own `poll`.
pub struct PartitionPoll<C: ConsumerContext + 'static> {
    /// The queue's owner, which outlives it.
    consumer: Arc<BaseConsumer<C>>,
    queue: *mut sys::rd_kafka_queue_t,
}

// SAFETY: librdkafka's queues and clients may be used from any thread, by its documentation.
unsafe impl<C: ConsumerContext + 'static> Send for PartitionPoll<C> {}
// SAFETY: as above; no method hands out what it points at beyond its own call.
unsafe impl<C: ConsumerContext + 'static> Sync for PartitionPoll<C> {}

impl<C: ConsumerContext + 'static> PartitionPoll<C> {
    /// Polls `consumer` from now on; its own `poll` must not be called any more.
    ///
    /// # Errors
    /// It was made without a group.
    pub fn of(consumer: &Arc<BaseConsumer<C>>) -> Result<PartitionPoll<C>, PollUnavailable> {
        let consumer = Arc::clone(consumer);
        // SAFETY: the client is alive, and is kept so by the field.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        if queue.is_null() { Err(PollUnavailable) } else { Ok(PartitionPoll { consumer, queue }) }
    }

    /// The consumer, to assign what is polled.
    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Reads these partitions, too, which it must not read yet.
    ///
    /// # Errors
    /// The consumer can go on no more, or reads one of them already.
    pub fn assign(&self, places: &[FetchPlace]) -> Result<(), AdminCallError> {
        let names = places.iter().map(|place| terminated(&place.topic));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let length = i32::try_from(places.len()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive. The list copies the names and is copied by the call; it and
        // the error are ours, and freed once, here.
        let failure = unsafe {
            let list = sys::rd_kafka_topic_partition_list_new(length);
            for (name, place) in names.iter().zip(places) {
                let added =
                    sys::rd_kafka_topic_partition_list_add(list, name.as_ptr(), place.partition);
                (*added).offset = place.offset;
                let epoch = place.epoch.and_then(|epoch| i32::try_from(epoch).ok());
                sys::rd_kafka_topic_partition_set_leader_epoch(added, epoch.unwrap_or(-1));
            }
            let client = self.consumer.client().native_ptr();
            let error = sys::rd_kafka_incremental_assign(client, list);
            sys::rd_kafka_topic_partition_list_destroy(list);
            let failure = (!error.is_null()).then(|| AdminCallError::Failed {
                code: sys::rd_kafka_error_code(error) as i32,
                text: text_of(sys::rd_kafka_error_string(error)),
            });
            // Nothing is freed for the null pointer.
            sys::rd_kafka_error_destroy(error);
            failure
        };
        failure.map_or(Ok(()), Err)
    }

    /// Waits for one thing that the consumer has to tell, and shows it to `see`; answers whether
    /// there was one. Ends early when it is [woken](Self::wake).
    pub fn next(&self, timeout: Duration, see: impl FnOnce(Polled<'_>)) -> bool {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the event is ours, and freed by the guard.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue, timeout_ms) };
        if event.is_null() {
            return false;
        }
        let event = Event(event);
        // SAFETY: the event is alive.
        match unsafe { sys::rd_kafka_event_type(event.0) } {
            sys::RD_KAFKA_EVENT_FETCH => event.see_record(see),
            sys::RD_KAFKA_EVENT_ERROR => event.see_error(see),
            sys::RD_KAFKA_EVENT_LOG => event.tell_log(self.consumer.client().context().as_ref()),
            // Statistics, commits and rebalances are not asked for.
            _ => {}
        }
        true
    }

    /// Ends a [`next`](Self::next) that waits in another thread.
    pub fn wake(&self) {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_yield(self.queue) };
    }

    /// The end of a partition as the last answer of its broker told it; `None` before the first.
    pub fn known_end(&self, topic: &str, partition: i32) -> Option<u64> {
        let topic = CString::new(topic).ok()?;
        let (mut first, mut end) = (0, -1);
        // SAFETY: the client is alive; it writes two numbers.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
                &mut first,
                &mut end,
            )
        };
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // An unknown one is below 0.
        u64::try_from(end).ok()
    }
}

impl<C: ConsumerContext + 'static> Drop for PartitionPoll<C> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back here only; the client is still alive.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// An event of a queue.
struct Event(*mut sys::rd_kafka_event_t);

impl Event {
    fn see_record(&self, see: impl FnOnce(Polled<'_>)) {
        // SAFETY: the event is alive, and with it the one message of a consumer's event and what
        // that points at.
        unsafe {
            let message = sys::rd_kafka_event_message_next(self.0);
            if message.is_null() {
                return;
            }
            let topic = CStr::from_ptr(sys::rd_kafka_topic_name((*message).rkt));
            let (Ok(topic), partition, offset) =
                (topic.to_str(), (*message).partition, (*message).offset)
            else {
                return;
            };
            let code = (*message).err;
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                let text = CStr::from_ptr(sys::rd_kafka_err2str(code)).to_str().unwrap_or_default();
                return see(Polled::Partition {
                    topic,
                    partition,
                    offset,
                    code: code as i32,
                    text,
                });
            }
            let value = (!(*message).payload.is_null())
                .then(|| items_of((*message).payload.cast::<u8>(), (*message).len));
            let epoch = u32::try_from(sys::rd_kafka_message_leader_epoch(message)).ok();
            see(Polled::Record { topic, partition, offset, epoch, value });
        }
    }

    fn see_error(&self, see: impl FnOnce(Polled<'_>)) {
        // SAFETY: the event is alive; the partition that it hands out is ours and freed below.
        let (code, text, place) = unsafe {
            let code = sys::rd_kafka_event_error(self.0) as i32;
            let text = text_of(sys::rd_kafka_event_error_string(self.0));
            let found = sys::rd_kafka_event_topic_partition(self.0);
            if found.is_null() {
                (code, text, None)
            } else {
                let place = (text_of((*found).topic), (*found).partition, (*found).offset);
                sys::rd_kafka_topic_partition_destroy(found);
                (code, text, Some(place))
            }
        };
        match place {
            Some((topic, partition, offset)) => {
                see(Polled::Partition { topic: &topic, partition, offset, code, text: &text });
            }
            None => see(Polled::Client { code, text: &text }),
        }
    }

    fn tell_log(&self, context: &impl ClientContext) {
        let (mut facility, mut text, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event is alive, and so are the texts that it lends.
        let told = unsafe {
            let told = sys::rd_kafka_event_log(self.0, &mut facility, &mut text, &mut level);
            (told == 0).then(|| (text_of(facility), text_of(text)))
        };
        if let Some((facility, text)) = told {
            context.log(log_level(level), &facility, &text);
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and freed here only.
        unsafe { sys::rd_kafka_event_destroy(self.0) };
    }
}

/// The levels of syslog.
fn log_level(level: i32) -> RDKafkaLogLevel {
    match level {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        7.. => RDKafkaLogLevel::Debug,
    }
}

//! A producer of librdkafka with the thread that hears its reports.
//!
//! rdkafka's own `ThreadedProducer` looks ten times a second, and spends the last millisecond of
//! each look spinning: one per cent of a core for each producer that has nothing to do.

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, ProducerContext};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Reports are heard at once; this is only how soon the thread notices that it is to end.
const POLL: Duration = Duration::from_secs(2);

/// The producer. Its thread ends some time after it is dropped, and lets the client go.
pub(crate) struct PolledProducer<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    is_over: Arc<AtomicBool>,
}

impl<C: ProducerContext + 'static> PolledProducer<C> {
    /// # Errors
    /// What librdkafka refuses in `config`; no thread can be had.
    pub(crate) fn new(config: &ClientConfig, context: C) -> KafkaResult<PolledProducer<C>> {
        let producer: Arc<BaseProducer<C>> = Arc::new(config.create_with_context(context)?);
        let is_over = Arc::new(AtomicBool::new(false));
        let (polled, over) = (Arc::clone(&producer), Arc::clone(&is_over));
        let poll = move || {
            while !over.load(Ordering::Relaxed) {
                polled.poll(POLL);
            }
        };
        let thread = thread::Builder::new().name("cortado-kafka-reports".to_owned());
        let no_thread = |error: std::io::Error| KafkaError::ClientCreation(error.to_string());
        thread.spawn(poll).map_err(no_thread)?;
        Ok(PolledProducer { producer, is_over })
    }
}

impl<C: ProducerContext + 'static> Deref for PolledProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &BaseProducer<C> {
        &self.producer
    }
}

impl<C: ProducerContext + 'static> Drop for PolledProducer<C> {
    /// Returns at once: records that were not sent are given up, on the thread.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

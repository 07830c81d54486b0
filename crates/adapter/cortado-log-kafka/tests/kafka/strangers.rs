//! What others write into the log's topics.

use crate::cluster::{
    PATIENCE, Tools, append, at, follow, open, partition, runtime, settings, shared_brokers, spec,
    topic_of,
};
use crate::markers::append_markers;
use cortado_log::Log;
use cortado_log::conformance::block_on;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

#[test]
fn the_markers_of_a_strangers_transactions_are_passed_over() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, settings, spec) = (runtime(), settings(brokers.bootstrap()), spec(1));
    let log = open(&runtime, &settings);
    block_on(log.create(&spec)).unwrap();
    let mut follower = log.follow(partition(0), at(0));
    append(&log, 0, &["a"]);
    assert_eq!(follow(follower.as_mut(), 1), ["a"]);

    let topic = topic_of(&settings, &spec);
    let stranger: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers.bootstrap())
        .set("transactional.id", "stranger")
        .create()
        .unwrap();
    stranger.init_transactions(PATIENCE).unwrap();
    let write = |texts: &[&str]| {
        stranger.begin_transaction().unwrap();
        for text in texts {
            let record = BaseRecord::<(), str>::to(&topic).partition(0).payload(*text);
            stranger.send(record).unwrap();
        }
        stranger.flush(PATIENCE).unwrap();
    };
    write(&["b", "c"]);
    stranger.commit_transaction(PATIENCE).unwrap();
    append(&log, 0, &["d"]);
    // Records of a transaction that came to nothing are records all the same.
    write(&["e"]);
    stranger.abort_transaction(PATIENCE).unwrap();
    write(&["f"]);
    stranger.commit_transaction(PATIENCE).unwrap();
    append(&log, 0, &["g"]);
    assert_eq!(follow(follower.as_mut(), 6), ["b", "c", "d", "e", "f", "g"]);
    // The same for who comes later, and for a page that ends in a gap.
    let mut late = log.follow(partition(0), at(0));
    assert_eq!(follow(late.as_mut(), 7), ["a", "b", "c", "d", "e", "f", "g"]);
    let end = block_on(log.extents(&[partition(0)])).unwrap()[0].end;
    append_markers(&Tools::new(&brokers.bootstrap()).broker_leader(&topic, 0), &topic, 0, 2);
    let page = block_on(log.read(partition(0), at(end.0), 100)).unwrap();
    assert_eq!((page.entries.len(), page.next.offset), (0, end.plus(2)));
}

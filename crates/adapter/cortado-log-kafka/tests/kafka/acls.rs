//! What an administrator does with other tools: grants rights, looks for topics.
//!
//! CreateAcls in version 1 and Metadata in version 4.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Allows a user one operation on all topics that begin so.
pub(crate) fn allow(broker: &str, user: &str, prefix: &str, operation: &str) {
    let operation = match operation {
        "Read" => 3,
        "Write" => 4,
        "Create" => 5,
        "Delete" => 6,
        "Describe" => 8,
        "DescribeConfigs" => 10,
        other => panic!("{other}"),
    };
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    // A topic, by the beginning of its name.
    body.push(2);
    put(&mut body, prefix);
    body.push(4);
    put(&mut body, &format!("User:{user}"));
    put(&mut body, "*");
    // Allowed.
    body.extend([operation, 3]);
    let answer = ask(broker, 30, 1, &body);
    // Correlation, throttle and count.
    assert_eq!(answer[12..14], [0, 0], "{answer:?}");
}

fn put(body: &mut Vec<u8>, text: &str) {
    body.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    body.extend(text.as_bytes());
}

fn ask(broker: &str, api: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(7_i32.to_be_bytes());
    put(&mut request, "test");
    request.extend(body);
    let mut stream = TcpStream::connect(broker).unwrap();
    stream.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Whether there is a topic.
pub(crate) fn topic_is_there(bootstrap: &str, topic: &str) -> bool {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("allow.auto.create.topics", "false");
    let client: BaseConsumer = config.create().unwrap();
    let metadata = client.fetch_metadata(None, crate::cluster::PATIENCE).unwrap();
    metadata.topics().iter().any(|found| found.name() == topic)
}

//! Whether brokers are new enough, and let this user do what a log needs: found out before anything
//! is made.
//!
//! A broker says first whether somebody may ask something of a topic, and then whether there is the
//! topic: what is asked here changes nothing. Start reading at [`examine`].
//! Source: docs/operations/kafka.md, "TLS and SASL".

use crate::broker_connection::{
    BrokerConnection, BrokerDoor, Question, put_text, take, take_number,
};
use crate::naming::{any_database_topic, cluster_topic, liveness_topic};
use crate::open_error::{KafkaOpenError, MissingRight};
use crate::settings::KafkaSettings;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How long one address may take, or a tenth of what a call may, if that is more: it may be that of
/// a broker that stands still, and the next one answers.
const WITHIN: Duration = Duration::from_secs(3);
/// ApiVersions, in the version that every broker speaks.
const VERSIONS: (i16, i16) = (18, 0);
/// Fetch, of which Kafka 4.0 has let the versions below this go.
const FETCH: (i16, i16) = (1, 4);
/// A partition that no topic has.
const NOWHERE: i32 = i32::MAX;
/// The code of what an ACL forbids.
const TOPIC_FORBIDDEN: i16 = 29;

/// What a log does with a topic, as ACLs call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Describe,
    DescribeConfigs,
    Create,
    Write,
    Read,
    Delete,
}

const RIGHTS: [Right; 6] = [
    Right::Describe,
    Right::DescribeConfigs,
    Right::Create,
    Right::Write,
    Right::Read,
    Right::Delete,
];

/// Looks at the first address that answers.
///
/// # Errors
/// The broker is too old, does not take the user, or forbids something; where none answers, only
/// what others must mend: what may pass is left to those who try again.
pub(crate) async fn examine(
    settings: &KafkaSettings,
    door: &BrokerDoor,
) -> Result<(), KafkaOpenError> {
    let within = WITHIN.max(settings.call_timeout / 10);
    for address in settings.bootstrap_servers.split(',').map(str::trim) {
        let Some(place) = split(address) else { continue };
        let connected = timeout(within, door.open(place)).await;
        let mut connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(source)) if source.kind() == io::ErrorKind::PermissionDenied => {
                let user = settings.security.principal();
                return Err(KafkaOpenError::Unauthenticated { user, source });
            }
            Ok(Err(source)) if is_untrusted(&source) => {
                let address = address.to_owned();
                return Err(KafkaOpenError::Untrusted { address, source });
            }
            Ok(Err(_)) | Err(_) => continue,
        };
        let examined = timeout(within, examine_one(settings, &mut connection)).await;
        if let Ok(Ok(found)) = examined {
            return found;
        }
    }
    Ok(())
}

/// Host and port.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

/// Whether TLS found the broker not to be who it should.
fn is_untrusted(error: &io::Error) -> bool {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    found.is_some()
}

async fn examine_one(
    settings: &KafkaSettings,
    connection: &mut BrokerConnection,
) -> io::Result<Result<(), KafkaOpenError>> {
    let answer = connection.ask(&Question { api: VERSIONS, body: Vec::new() }).await?;
    if !is_new_enough(&answer) {
        return Ok(Err(KafkaOpenError::TooOld));
    }
    let prefix = &settings.topic_prefix;
    let mut missing: Vec<MissingRight> = Vec::new();
    for topic in [cluster_topic(prefix), liveness_topic(prefix), any_database_topic(prefix)] {
        let mut operations = Vec::new();
        for right in RIGHTS {
            let answer = connection.ask(&right.question(&topic)?).await?;
            if right.code(&answer) == Some(TOPIC_FORBIDDEN) {
                operations.push(right.name());
            }
        }
        if !operations.is_empty() {
            missing.push(MissingRight { topic, operations });
        }
    }
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    let (user, prefix) = (settings.security.principal(), format!("{prefix}-"));
    Ok(Err(KafkaOpenError::Forbidden { user, prefix, missing }))
}

/// Whether a broker that speaks these versions is of Kafka 4.0 or newer.
fn is_new_enough(mut answer: &[u8]) -> bool {
    let answer = &mut answer;
    let _code = take_number::<2>(answer);
    let count = take_number::<4>(answer).map_or(0, i32::from_be_bytes);
    for _ in 0..count {
        let mut number = || take_number::<2>(answer).map(i16::from_be_bytes);
        let (Some(key), Some(least), Some(_most)) = (number(), number(), number()) else {
            return false;
        };
        if key == FETCH.0 {
            return least >= FETCH.1;
        }
    }
    false
}

impl Right {
    fn name(self) -> &'static str {
        match self {
            Right::Describe => "Describe",
            Right::DescribeConfigs => "DescribeConfigs",
            Right::Create => "Create",
            Right::Write => "Write",
            Right::Read => "Read",
            Right::Delete => "Delete",
        }
    }

    /// Asks for something that needs the right and does nothing.
    fn question(self, topic: &str) -> io::Result<Question> {
        let mut body = Body::default();
        let api = match self {
            Right::Describe => {
                body.i32(1).text(topic)?.u8(0);
                (3, 4)
            }
            Right::DescribeConfigs => {
                // One resource, a topic; of one setting; without where it comes from.
                body.i32(1).u8(2).text(topic)?.i32(1).text("cleanup.policy")?.u8(0);
                (32, 1)
            }
            Right::Create => {
                // One partition, one replica; chosen by nobody, with no settings; only to try.
                body.i32(1).text(topic)?.i32(1).i16(1).i32(0).i32(0).i32(10_000).u8(1);
                (19, 2)
            }
            Right::Write => {
                // No transaction; all acknowledge; and no bytes of records.
                body.i16(-1).i16(-1).i32(10_000).i32(1).text(topic)?.i32(1).i32(NOWHERE).i32(0);
                (0, 3)
            }
            Right::Read => {
                body.i32(-1).i32(0).i32(0).i32(1).u8(0).i32(1).text(topic)?.i32(1);
                body.i32(NOWHERE).i64(0).i32(1);
                FETCH
            }
            Right::Delete => {
                // Everything before the first record.
                body.i32(1).text(topic)?.i32(1).i32(NOWHERE).i64(0).i32(10_000);
                (21, 1)
            }
        };
        Ok(Question { api, body: body.0 })
    }

    /// The code of the answer about the one topic.
    fn code(self, mut answer: &[u8]) -> Option<i16> {
        let answer = &mut answer;
        match self {
            Right::Describe => {
                skip(answer, 4)?;
                for _ in 0..take_i32(answer)? {
                    skip(answer, 4)?;
                    skip_text(answer)?;
                    skip(answer, 4)?;
                    skip_text(answer)?;
                }
                skip_text(answer)?;
                skip(answer, 4)?;
                (take_i32(answer)? == 1).then(|| take_i16(answer))?
            }
            Right::DescribeConfigs => {
                skip(answer, 4)?;
                (take_i32(answer)? == 1).then(|| take_i16(answer))?
            }
            Right::Create => {
                skip(answer, 4)?;
                skip(answer, 4)?;
                skip_text(answer)?;
                take_i16(answer)
            }
            Right::Write => {
                skip(answer, 4)?;
                skip_text(answer)?;
                skip(answer, 4)?;
                skip(answer, 4)?;
                take_i16(answer)
            }
            Right::Read => {
                skip(answer, 8)?;
                skip_text(answer)?;
                skip(answer, 8)?;
                take_i16(answer)
            }
            Right::Delete => {
                skip(answer, 8)?;
                skip_text(answer)?;
                skip(answer, 4)?;
                skip(answer, 12)?;
                take_i16(answer)
            }
        }
    }
}

/// The body of a request as it grows.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn u8(&mut self, number: u8) -> &mut Body {
        self.0.push(number);
        self
    }

    fn i16(&mut self, number: i16) -> &mut Body {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn i32(&mut self, number: i32) -> &mut Body {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn i64(&mut self, number: i64) -> &mut Body {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(&mut self, text: &str) -> io::Result<&mut Body> {
        put_text(&mut self.0, text)?;
        Ok(self)
    }
}

fn skip(answer: &mut &[u8], count: usize) -> Option<()> {
    take(answer, count).map(drop)
}

/// Passes over a text, or none.
fn skip_text(answer: &mut &[u8]) -> Option<()> {
    let length = take_i16(answer)?;
    skip(answer, usize::try_from(length.max(0)).ok()?)
}

fn take_i16(answer: &mut &[u8]) -> Option<i16> {
    take_number::<2>(answer).map(i16::from_be_bytes)
}

fn take_i32(answer: &mut &[u8]) -> Option<i32> {
    take_number::<4>(answer).map(i32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(of: &[(i16, i16, i16)]) -> Vec<u8> {
        let mut body = Body::default();
        body.i16(0).i32(of.len() as i32);
        for (key, least, most) in of {
            body.i16(*key).i16(*least).i16(*most);
        }
        body.0
    }

    #[test]
    fn a_broker_that_still_speaks_what_was_given_up_is_too_old() {
        assert!(is_new_enough(&versions(&[(0, 0, 13), (1, 4, 18)])));
        assert!(!is_new_enough(&versions(&[(0, 0, 11), (1, 0, 16)])));
        assert!(!is_new_enough(&versions(&[(0, 0, 11)])));
        assert!(!is_new_enough(&[]));
        let whole = versions(&[(0, 0, 13), (1, 4, 18)]);
        (0..whole.len()).for_each(|end| assert!(!is_new_enough(&whole[..end]), "{end}"));
    }

    #[test]
    fn an_answer_that_ends_early_says_nothing() {
        for right in RIGHTS {
            for length in 0..8 {
                assert_eq!(right.code(&vec![0; length]), None, "{right:?} {length}");
            }
        }
    }

    #[test]
    fn addresses_are_split_at_their_port() {
        assert_eq!(split("b1:9092"), Some(("b1", 9_092)));
        assert_eq!(split("[::1]:9092"), Some(("::1", 9_092)));
        assert_eq!(split("b1"), None);
    }
}

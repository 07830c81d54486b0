//! The client: the servers of one cluster, their connections, one set of timeouts.
//!
//! Start reading at [`Client`].

use crate::address::{ServerAddress, ServerAddresses};
use crate::failure::ClientError;
use crate::hedged::send_hedged;
use crate::hedging::Hedging;
use crate::options::ClientOptions;
use crate::path::encoded;
use crate::patience::{Patience, Timeouts};
use crate::retry::Repeat;
use crate::servers::Servers;
use crate::transport::{Answer, Flowing, Outgoing};
use crate::tries::Tries;
use cortado_wire::Outcome;
use http::{HeaderName, HeaderValue, Method};
use std::sync::Arc;
use std::time::Duration;

/// A cluster of Cortado, by one or several of its servers. Cheap to clone; clones share their
/// connections and what they know of the servers.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cortado_client::{Client, ReadOptions, WriteOptions};
///
/// let places = Client::new("http://127.0.0.1:7171".parse()?).database("geo").table("place");
/// places.put(&["JP", "40", "Kitakyushu"], r#"{"lat":33.85}"#, &WriteOptions::default()).await?;
/// let found = places.get(&["JP", "40", "Kitakyushu"], &ReadOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    servers: Arc<Servers>,
    /// If reads are hedged.
    hedging: Option<Arc<Hedging>>,
    patience: Patience,
}

impl Client {
    /// A client of `servers`, each of which serves everything. Connects when the first request is
    /// sent.
    pub fn new(servers: ServerAddresses) -> Client {
        Client::with_options(servers, &ClientOptions::default())
    }

    /// The same, with more to say about how several servers are used.
    pub fn with_options(servers: ServerAddresses, options: &ClientOptions) -> Client {
        let hedging = options.hedge_reads && servers.are_several();
        Client {
            hedging: hedging.then(Arc::default),
            servers: Arc::new(Servers::new(servers, options)),
            patience: Patience::default(),
        }
    }

    /// The same servers and connections with other timeouts.
    pub fn with_timeouts(&self, timeouts: Timeouts) -> Client {
        Client { patience: Patience { timeouts, ..self.patience }, ..self.clone() }
    }

    /// The same, but a call ends after `refused_max` if the server's address is of this machine,
    /// refuses connections, and has never answered: then no server runs. A server that has answered
    /// before may be restarting, and is tried as long as any other. Of several servers, if that is
    /// so with each.
    pub fn with_refused_max(&self, refused_max: Duration) -> Client {
        let refused_max = Some(refused_max);
        Client { patience: Patience { refused_max, ..self.patience }, ..self.clone() }
    }

    /// The same, and `tell` is called with the last error of a call that has been retried for more
    /// than a second; once for each call.
    pub fn on_retry(&self, tell: fn(&str)) -> Client {
        let tell = Some(tell);
        Client { patience: Patience { tell, ..self.patience }, ..self.clone() }
    }

    /// The servers that were given.
    pub fn servers(&self) -> &ServerAddresses {
        self.servers.addresses()
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.patience.timeouts
    }

    /// The database `name`, which need not exist yet.
    pub fn database(&self, name: &str) -> Database {
        Database { client: self.clone(), name: name.to_owned() }
    }

    /// Sends `call`, again and again while that is useful and safe, and answers a success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, ClientError> {
        self.send_again(call).await.map(|(answer, _)| answer)
    }

    /// The same; answers, too, whether an attempt before that one may have taken effect.
    pub(crate) async fn send_again(&self, call: &Call) -> Result<(Answer, Outcome), ClientError> {
        let mut tries = Tries::of(&self.servers, self.patience, call.repeat, None);
        loop {
            let asked = tries.next_server();
            let (server, outgoing) = (asked.server().clone(), tries.outgoing(&call.outgoing));
            let deadline = tries.deadline();
            let sent = match &self.hedging {
                Some(hedging) if call.may_be_hedged => {
                    send_hedged(asked, &self.servers, hedging, &outgoing, deadline).await
                }
                Some(_) | None => asked.send(&outgoing, deadline).await,
            };
            match sent {
                Ok(answer) => return Ok((answer, tries.open())),
                Err(failed) => tries.on_failure(server, failed).await?,
            }
        }
    }

    /// Sends `call` and answers as soon as a success begins, without reading its body.
    ///
    /// * `avoided`: a server that is asked only if there is no other one that works.
    pub(crate) async fn open(
        &self,
        call: &Call,
        avoided: Option<ServerAddress>,
    ) -> Result<Flowing, ClientError> {
        let mut tries = Tries::of(&self.servers, self.patience, call.repeat, avoided);
        loop {
            let asked = tries.next_server();
            let server = asked.server().clone();
            match asked.open(&call.outgoing, tries.deadline()).await {
                Ok(flowing) => return Ok(flowing),
                Err(failed) => tries.on_failure(server, failed).await?,
            }
        }
    }
}

/// One database of a cluster.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `/v1/{database}` followed by `rest`.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/{}{rest}", encoded(&self.name))
    }
}

/// A request, and what may be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    outgoing: Outgoing,
    repeat: Repeat,
    /// Whether a second server may be asked, too, while the first has not answered.
    may_be_hedged: bool,
}

impl Call {
    pub(crate) fn new(method: Method, path: String, repeat: Repeat) -> Call {
        let headers = http::HeaderMap::new();
        let outgoing = Outgoing { method, path, headers, body: bytes::Bytes::new() };
        Call { outgoing, repeat, may_be_hedged: false }
    }

    pub(crate) fn get(path: String) -> Call {
        Call::new(Method::GET, path, Repeat::Nothing)
    }

    pub(crate) fn body(mut self, media_type: &'static str, body: bytes::Bytes) -> Call {
        let media_type = HeaderValue::from_static(media_type);
        self.outgoing.headers.insert(http::header::CONTENT_TYPE, media_type);
        self.outgoing.body = body;
        self
    }

    /// Lets it be sent to a second server, too: a read for which any replica will do.
    pub(crate) fn hedged(self) -> Call {
        Call { may_be_hedged: true, ..self }
    }

    /// Adds a header field.
    ///
    /// # Errors
    /// `value` holds what no header field can.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Call, ClientError> {
        let value = HeaderValue::from_str(value).map_err(|_| ClientError::Misuse {
            why: format!("invalid value of the header {name}: control characters are not allowed"),
        })?;
        self.outgoing.headers.insert(name, value);
        Ok(self)
    }
}

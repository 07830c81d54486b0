//! Connections that are no sockets, in front of services that are no node.

use super::*;
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::services::{BatchItem, BoxFuture, ChangeFeed, Services};
use cortado_document::TableDefinition;
use cortado_gateway::{
    AdminError, BulkRequest, Catalog, ChangeOrder, ChangePlan, ChangeStatus, ChangesError,
    Database, DatabaseSpec, DecisionEvent, Declared, DocumentPage, EventsError, InvalidDeclaration,
    JournalPosition, ListRequest, NotReady, ReadError, ReadOptions, ReplicaHistory, ScanPage,
    ScanRequest, Served, Status, StoredDocument, Table, UpgradeStatus, WriteError, WriteReceipt,
    WriteRequest,
};
use cortado_metrics::Registry;
use cortado_model::{ClusterUuid, DocumentKey, NodeId, PartitionId, Scn, TableId};
use cortado_node::{ChangeId, ChangeState, MoveLimits};
use tokio::io::{DuplexStream, duplex};

/// No databases, no nodes, and a defect in `status`.
struct Empty;

impl Services for Empty {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog::empty(ClusterUuid(1)))
    }

    fn confirmed_catalog(&self, _: Instant) -> BoxFuture<'_, Result<Arc<Catalog>, AdminError>> {
        Box::pin(async { Ok(self.catalog()) })
    }

    fn get<'a>(
        &'a self,
        _: &'a Database,
        _: &'a Table,
        _: &'a DocumentKey,
        _: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<Served<Option<StoredDocument>>, ReadError>> {
        Box::pin(async { Err(ReadError::NoSuchDatabase) })
    }

    fn batch_get<'a>(
        &'a self,
        _: &'a Database,
        _: &'a [(TableId, DocumentKey)],
        _: &'a (dyn Fn(u32) -> Option<Scn> + Send + Sync),
        _: usize,
        _: &'a ReadOptions,
    ) -> BoxFuture<'a, Vec<BatchItem>> {
        Box::pin(async { Vec::new() })
    }

    fn list<'a>(
        &'a self,
        _: &'a Database,
        _: &'a Table,
        _: &'a ListRequest,
        _: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<Served<DocumentPage>, ReadError>> {
        Box::pin(async { Err(ReadError::NoSuchDatabase) })
    }

    fn scan<'a>(
        &'a self,
        _: &'a Database,
        _: &'a Table,
        _: &'a ScanRequest,
        _: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<ScanPage, ReadError>> {
        Box::pin(async { Err(ReadError::NoSuchDatabase) })
    }

    fn write<'a>(
        &'a self,
        _: &'a Arc<Database>,
        _: WriteRequest,
    ) -> BoxFuture<'a, Result<WriteReceipt, WriteError>> {
        Box::pin(async { Err(WriteError::NoSuchDatabase) })
    }

    fn bulk<'a>(
        &'a self,
        _: &'a Arc<Database>,
        request: BulkRequest,
    ) -> BoxFuture<'a, Vec<Result<WriteReceipt, WriteError>>> {
        Box::pin(async move { vec![Err(WriteError::NoSuchDatabase); request.operations.len()] })
    }

    fn changes<'a>(
        &'a self,
        _: &'a Database,
        _: u32,
        _: Scn,
        _: Instant,
    ) -> BoxFuture<'a, Result<Box<dyn ChangeFeed>, ChangesError>> {
        Box::pin(async { Err(ChangesError::NoSuchPartition) })
    }

    fn dropped<'a>(&'a self, _: &'a Database) -> BoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn create_database<'a>(
        &'a self,
        _: &'a str,
        _: DatabaseSpec,
        _: Instant,
    ) -> BoxFuture<'a, Result<Declared<Arc<Database>>, AdminError>> {
        Box::pin(async { Err(InvalidDeclaration::Replication { nodes: 2 }.into()) })
    }

    fn drop_database<'a>(
        &'a self,
        _: &'a str,
        _: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchDatabase) })
    }

    fn put_table<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: TableDefinition,
        _: Instant,
    ) -> BoxFuture<'a, Result<Declared<Arc<Table>>, AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchDatabase) })
    }

    fn drop_table<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchDatabase) })
    }

    fn hand_off<'a>(
        &'a self,
        _: &'a Database,
        _: u32,
        _: Option<NodeId>,
        _: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchPartition) })
    }

    fn histories(&self, _: PartitionId) -> BoxFuture<'_, Vec<ReplicaHistory>> {
        Box::pin(async { Vec::new() })
    }

    fn resolve(
        &self,
        _: PartitionId,
        _: NodeId,
        _: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchPartition) })
    }

    fn order_change<'a>(
        &'a self,
        _: &'a ChangeOrder,
        _: bool,
        _: Instant,
    ) -> BoxFuture<'a, Result<ChangePlan, AdminError>> {
        Box::pin(async { Err(AdminError::NotRegistered) })
    }

    fn set_change_state(
        &self,
        _: ChangeId,
        _: ChangeState,
        _: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchChange) })
    }

    fn throttle_change<'a>(
        &'a self,
        _: ChangeId,
        _: &'a (dyn Fn(&mut MoveLimits) + Send + Sync),
        _: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NoSuchChange) })
    }

    fn changes_status(&self) -> BoxFuture<'_, Vec<ChangeStatus>> {
        Box::pin(async { Vec::new() })
    }

    fn events<'a>(
        &'a self,
        _: Option<&'a JournalPosition>,
        _: usize,
        _: Instant,
    ) -> BoxFuture<'a, Result<Vec<DecisionEvent>, EventsError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn rebalance<'a>(
        &'a self,
        _: Option<&'a Database>,
        _: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        unreachable!()
    }

    fn drain_node(&self, _: NodeId, _: Instant) -> BoxFuture<'_, Result<(), AdminError>> {
        unreachable!()
    }

    fn resume_node(&self, _: NodeId, _: Instant) -> BoxFuture<'_, Result<(), AdminError>> {
        unreachable!()
    }

    fn replace_node(&self, _: NodeId, _: Instant) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(async { Err(AdminError::NotRegistered) })
    }

    fn upgrade(&self, _: bool, _: Instant) -> BoxFuture<'_, Result<UpgradeStatus, AdminError>> {
        unreachable!()
    }

    fn status(&self) -> BoxFuture<'_, Status> {
        panic!("the defect that a test is about")
    }

    fn ready(&self) -> BoxFuture<'_, Result<Vec<String>, NotReady>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

pub(crate) const CLIENT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7171);

/// What answers the requests here.
pub(crate) fn api(limits: Limits, closing: watch::Receiver<bool>) -> Api {
    let (registry, hosts) = (Arc::new(Registry::default()), Hosts::new(CLIENT, &[]));
    Api::new(Arc::new(Empty), registry, limits, (None, None), hosts, closing)
}

/// What a client that sends `text` and no more reads until the server ends the stream.
async fn converse(text: &[u8]) -> String {
    let (mut client, stream): (DuplexStream, DuplexStream) = duplex(64);
    let (_close, closing) = watch::channel(false);
    let api = api(Limits::default(), closing.clone());
    let pulse = Pulse::new(Instant::now(), Limits::default().stall_time);
    let accepted = Accepted { stream, client: CLIENT, ids: RequestIds::new(1, 2), pulse };
    let served = tokio::spawn(serve(Arc::new(api), accepted, closing));
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let mut answer = Vec::new();
    let (sent, read) = tokio::join!(
        async {
            writing.write_all(text).await?;
            writing.shutdown().await
        },
        reading.read_to_end(&mut answer),
    );
    sent.and(read.map(|_| ())).expect("a stream in memory does not break");
    served.await.expect("no request ends the task of its connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request of HTTP/1.1 and checks the status and a piece of the answer.
#[track_caller]
fn check(line: &str, status: u16, piece: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let text = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = runtime.expect("a runtime").block_on(converse(text.as_bytes()));
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    assert!(answer.contains(piece), "{line}: {answer}");
}

#[test]
fn any_stream_and_any_services_will_do() {
    check("GET /readyz", 200, r#"{"ready":true}"#);
    check("GET /metrics", 200, "cortado_http_connections_total");
    check("GET /openapi.json", 200, r#""openapi":"3.1"#);
    check("GET /v1/music/album/a/b", 404, "no_such_database");
    check("PUT /admin/v1/databases/music", 422, "there are 2 nodes");
    check("GET /admin/v1/events", 200, r#""events":[]"#);
}

#[test]
fn a_panic_is_a_500_and_ends_nothing_else() {
    check("GET /admin/v1/cluster", 500, r#""code":"internal""#);
}

#[tokio::test]
async fn http2_is_told_by_its_preface() {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let answer = converse(&[PREFACE, &settings].concat()).await;
    // The server's own SETTINGS: length in three bytes, then the type.
    assert_eq!(answer.as_bytes().get(3), Some(&4), "{answer:?}");
}

#[tokio::test]
async fn a_violation_gets_a_last_word_on_any_stream() {
    let answer = converse(b"GET / HTTP/1.1\nHost: localhost\n\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("bad_request"), "{answer}");
}

/// Sends a request for a long answer and takes `bytes` of it every `pause`: whether the connection
/// ends before all of it is there.
async fn is_cut(limits: Limits, bytes: usize, pause: Duration) -> bool {
    let (mut client, stream) = duplex(64);
    let (_close, closing) = watch::channel(false);
    let pulse = Pulse::new(Instant::now(), limits.stall_time);
    let api = Arc::new(api(limits, closing.clone()));
    let accepted = Accepted { stream, client: CLIENT, ids: RequestIds::new(1, 2), pulse };
    let served = tokio::spawn(serve(api, accepted, closing));
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.expect("a stream in memory");
    let (mut pace, mut answer) = (tokio::time::interval(pause), Vec::new());
    'taking: loop {
        let taken_bytes = answer.len();
        while answer.len() < taken_bytes + bytes {
            if client.read_buf(&mut answer).await.expect("a stream in memory") == 0 {
                break 'taking;
            }
        }
        pace.tick().await;
    }
    served.await.expect("no request ends the task of its connection");
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").expect("the head of an answer");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|text| text.parse().ok()).expect("the length is known");
    assert!(length > 64 << 10, "long enough to be taken slowly");
    body.len() < length
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_an_answer_too_slowly_is_cut_off() {
    let limits = Limits::default;
    assert!(!is_cut(limits(), 16 << 10, Duration::from_secs(1)).await, "as fast as it must");
    assert!(is_cut(limits(), 64, Duration::from_secs(20)).await, "next to nothing");
    // As much as shows that it lives, but days for a longer answer.
    assert!(is_cut(limits(), 17 << 10, Duration::from_secs(60)).await);
}

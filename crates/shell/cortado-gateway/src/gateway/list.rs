//! Reads of more than one document: collections, tables, batches.
//!
//! Start reading at [`Gateway::list`].

use super::read::Wanted;
use super::{
    Gateway, ListRequest, ReadError, ReadOptions, ScanPage, ScanPosition, ScanRequest, Served,
};
use crate::catalog::{Database, Table};
use cortado_model::{DocumentKey, EntryRange, PartitionId, Scn, StoredDocument, TableId};
use cortado_peer::DocumentPage;
use std::collections::BTreeMap;

/// Bytes of documents, and the rest of the last one, in the pages of our own.
const PAGE_BYTES_MAX: usize = 8 << 20;

impl Gateway {
    /// Reads one page of a collection, all of it as of one SCN.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn list(
        &self,
        database: &Database,
        table: &Table,
        list: &ListRequest,
        read: &ReadOptions,
    ) -> Result<Served<DocumentPage>, ReadError> {
        let partition = database.partition_id(database.partition_of(&list.prefix));
        let all = EntryRange::documents(table.id, list.prefix.as_bytes());
        let all = EntryRange { descending: list.descending, ..all };
        let range = rest_of(all, list.after.as_ref());
        let wanted = Wanted::page(range, list.limit, list.bytes_max);
        self.read(partition, read, wanted).await
    }

    /// Reads one page of a whole table, partition after partition.
    ///
    /// * `read.at_least`: is of no use here, since it names one partition's position only.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn scan(
        &self,
        database: &Database,
        table: &Table,
        scan: &ScanRequest,
        read: &ReadOptions,
    ) -> Result<ScanPage, ReadError> {
        let start = ScanPosition { partition: 0, after: None };
        let mut position = scan.position.clone().unwrap_or(start);
        if position.partition >= database.partitions {
            return Err(ReadError::NoSuchPartition);
        }
        let mut documents = Vec::new();
        let mut bytes = 0;
        let mut applied = Vec::new();
        loop {
            let number = position.partition;
            let range = whole_table(table.id, position.after.as_ref());
            let room = scan.limit - documents.len();
            let wanted = Wanted::page(range, room, scan.bytes_max.saturating_sub(bytes));
            let page = self.read(database.partition_id(number), read, wanted).await?;
            let (node, role) = (page.node, page.role);
            applied.push((number, page.applied));
            bytes += page.value.documents.iter().map(|(_, d)| d.image().len()).sum::<usize>();
            documents.extend(page.value.documents.into_iter().map(|(k, d)| (number, k, d)));
            if let Some(after) = page.value.next {
                let next = Some(ScanPosition { partition: number, after: Some(after) });
                return Ok(ScanPage { documents, next, applied, node, role });
            }
            let is_full = documents.len() >= scan.limit || bytes >= scan.bytes_max;
            if is_full || number + 1 >= database.partitions {
                let next = self.first_filled(database, table, number + 1, read).await;
                return Ok(ScanPage { documents, next, applied, node, role });
            }
            position = ScanPosition { partition: number + 1, after: None };
        }
    }

    /// Where a scan goes on that has come to the end of a partition; `None` if only empty ones
    /// follow, which must not look like a further page.
    async fn first_filled(
        &self,
        database: &Database,
        table: &Table,
        from: u32,
        read: &ReadOptions,
    ) -> Option<ScanPosition> {
        for number in from..database.partitions {
            let partition = database.partition_id(number);
            let page = self.page(partition, whole_table(table.id, None), 1, read).await;
            // What cannot be read now may hold something.
            if page.map_or(true, |page| !page.value.documents.is_empty()) {
                return Some(ScanPosition { partition: number, after: None });
            }
        }
        None
    }

    /// Reads many documents; those of one resource as of one SCN. Answers in the order asked;
    /// `None` for those that were not read, since the others reach `bytes_max` without them.
    ///
    /// * `at_least`: for session reads, what the client has seen of each partition.
    pub async fn batch_get(
        &self,
        database: &Database,
        keys: &[(TableId, DocumentKey)],
        at_least: impl Fn(u32) -> Option<Scn>,
        bytes_max: usize,
        read: &ReadOptions,
    ) -> Vec<Option<Result<Served<Option<StoredDocument>>, ReadError>>> {
        let mut resources: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, (_, key)) in keys.iter().enumerate() {
            resources.entry(key.resource()).or_default().push(place);
        }
        let mut answers: Vec<_> = keys.iter().map(|_| None).collect();
        let mut bytes = 0;
        for (_, places) in resources {
            if bytes >= bytes_max {
                break;
            }
            let Some(first) = places.first().and_then(|place| keys.get(*place)) else { continue };
            let number = database.partition_of(&first.1);
            let read = ReadOptions { at_least: at_least(number), ..*read };
            let wanted: Vec<_> = places.iter().filter_map(|place| keys.get(*place)).collect();
            let partition = database.partition_id(number);
            let found = self.documents(partition, &wanted, bytes_max - bytes, &read).await;
            let mut found = found.map(spread);
            for place in places {
                let answer = match &mut found {
                    Ok(documents) => documents.next().map(Ok),
                    Err(error) => Some(Err(error.clone())),
                };
                if let Some(Ok(Served { value: Some(document), .. })) = &answer {
                    bytes += document.image().len();
                }
                if let Some(slot) = answers.get_mut(place) {
                    *slot = answer;
                }
            }
        }
        answers
    }

    /// Some documents of one partition as of one SCN.
    async fn documents(
        &self,
        partition: PartitionId,
        wanted: &[&(TableId, DocumentKey)],
        bytes_max: usize,
        read: &ReadOptions,
    ) -> Result<Served<Vec<Option<StoredDocument>>>, ReadError> {
        let wanted = wanted.iter().copied().cloned().collect();
        self.read(partition, read, Wanted::documents(wanted, bytes_max)).await
    }

    pub(crate) async fn page(
        &self,
        partition: PartitionId,
        range: EntryRange,
        limit: usize,
        read: &ReadOptions,
    ) -> Result<Served<DocumentPage>, ReadError> {
        self.read(partition, read, Wanted::page(range, limit, PAGE_BYTES_MAX)).await
    }
}

pub(crate) fn whole_table(table: TableId, after: Option<&DocumentKey>) -> EntryRange {
    rest_of(EntryRange::documents(table, &[]), after)
}

/// What a page leaves of `range` whose last document is `after`; all of it before the first page.
fn rest_of(range: EntryRange, after: Option<&DocumentKey>) -> EntryRange {
    match after {
        None => range,
        Some(after) => range.after(after.as_bytes()),
    }
}

/// One answer for each of some documents that were read together.
fn spread(
    served: Served<Vec<Option<StoredDocument>>>,
) -> impl Iterator<Item = Served<Option<StoredDocument>>> {
    let Served { value, partition, applied, node, role } = served;
    value.into_iter().map(move |value| Served { value, partition, applied, node, role })
}

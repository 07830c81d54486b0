//! What the cluster's state looks like to clients.
//!
//! Start reading at [`cluster`].

use crate::operations::VERSION;
use cortado_gateway::{
    Database, DatabaseStatus, DecisionEvent, NodeStatus, NotReady, PartitionStatus, ReplicaStatus,
    Status, Table,
};
use cortado_wire::{
    ClusterAnswer, DatabaseAnswer, DatabaseStatusAnswer, EventAnswer, NodeAnswer, PartitionAnswer,
    Position, RawJson, ReplicaAnswer, ShortText, TableAnswer,
};

/// The whole cluster.
pub(super) fn cluster(status: &Status, ready: Result<(), NotReady>) -> ClusterAnswer {
    let database = |database: &DatabaseStatus| DatabaseStatusAnswer {
        name: database.name.clone(),
        partitions: database.partitions.iter().map(partition).collect(),
    };
    ClusterAnswer {
        version: VERSION.to_owned(),
        ready: ready.is_ok(),
        reason: ready.err().map(|why| why.to_string()),
        nodes: status.nodes.iter().map(node).collect(),
        databases: status.databases.iter().map(database).collect(),
    }
}

/// A database as declared.
pub(super) fn database(database: &Database) -> DatabaseAnswer {
    let tables = database.tables().map(|one| (one.name.clone(), table(one)));
    DatabaseAnswer {
        name: database.name.clone(),
        partitions: database.partitions,
        replication: database.replication,
        owner: database.owner.clone(),
        tables: tables.collect(),
    }
}

/// A table as declared.
pub(super) fn table(table: &Table) -> TableAnswer {
    let schema = table.definition.schema().map(|schema| {
        RawJson::parse(schema.as_str().to_owned()).expect("a schema that was declared is JSON")
    });
    TableAnswer {
        name: table.name.clone(),
        key: table.definition.key().to_vec(),
        schema,
        schema_version: table.schema_version,
    }
}

/// A partition and its replicas.
pub(super) fn partition(partition: &PartitionStatus) -> PartitionAnswer {
    let number = partition.number;
    let replicas = &partition.replicas;
    let told = || replicas.iter().filter(|replica| replica.is_told);
    let led = told().find(|replica| Some(replica.node) == partition.leader);
    let furthest = || told().map(|replica| replica.applied).max();
    let applied = led.map(|replica| replica.applied).or_else(furthest);
    PartitionAnswer {
        partition: number,
        leader: partition.leader.map(|node| node.to_string()),
        preferred: partition.preferred.map(|node| node.to_string()),
        pinned: partition.pinned.map(|node| node.to_string()),
        generation: applied.map(|_| partition.generation.0),
        applied: applied.map(|scn| Position { partition: number, scn }),
        lag_records: told().map(|replica| replica.lag_records).max(),
        replicas: replicas.iter().map(|one| replica(number, one)).collect(),
    }
}

fn replica(partition: u32, replica: &ReplicaStatus) -> ReplicaAnswer {
    let told = Some(replica).filter(|replica| replica.is_told);
    ReplicaAnswer {
        node: replica.node.to_string(),
        role: replica.role.name().to_owned(),
        unverified: replica.unverified,
        applied: told.map(|told| Position { partition, scn: told.applied }),
        lag_records: told.map(|told| told.lag_records),
        lag_ms: told.map(|told| told.lag_ms),
    }
}

/// A node.
pub(super) fn node(node: &NodeStatus) -> NodeAnswer {
    NodeAnswer {
        node: node.node.to_string(),
        alive: node.alive,
        incarnation: node.incarnation.0,
        address: node.address.clone(),
        leaderships: node.leaderships,
        replicas: node.replicas,
        drained: node.drained,
        sick: node.sick.clone(),
    }
}

/// An entry of the journal.
pub(super) fn event(event: DecisionEvent) -> EventAnswer {
    EventAnswer {
        id: event.id,
        time: ShortText::of_rfc3339(event.time).as_str().to_owned(),
        node: event.node.to_string(),
        kind: event.kind.name().to_owned(),
        database: event.database,
        partition: event.partition,
        what: event.what,
        evidence: event.evidence,
        by_hand: event.by_hand,
        undo: event.undo,
    }
}

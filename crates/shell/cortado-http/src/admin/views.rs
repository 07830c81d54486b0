//! What the cluster's state looks like to clients, who know nodes by their names.
//!
//! Start reading at [`cluster`].

use crate::operations::VERSION;
use cortado_gateway::{
    Catalog, Database, DatabaseStatus, DecisionEvent, Gate, NodeStatus, NotReady, PartitionStatus,
    ReplicaStatus, Status, Table, UpgradeStatus,
};
use cortado_model::NodeId;
use cortado_node::Capacity;
use cortado_wire::{
    ClusterAnswer, DatabaseAnswer, DatabaseStatusAnswer, EventAnswer, NodeAnswer, PartitionAnswer,
    Position, RawJson, ReplicaAnswer, ShortText, TableAnswer, UpgradeAnswer, UpgradeNodeAnswer,
};

/// The whole cluster.
pub(super) fn cluster(
    status: &Status,
    ready: Result<(), NotReady>,
    warnings: Vec<String>,
    catalog: &Catalog,
) -> ClusterAnswer {
    let partition = |status: &PartitionStatus| partition(status, catalog);
    let database = |database: &DatabaseStatus| DatabaseStatusAnswer {
        name: database.name.clone(),
        partitions: database.partitions.iter().map(partition).collect(),
    };
    ClusterAnswer {
        version: VERSION.to_owned(),
        ready: ready.is_ok(),
        reason: ready.err().map(|why| why.to_string()),
        warnings,
        nodes: status.nodes.iter().map(|one| node(one, catalog)).collect(),
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
pub(super) fn partition(partition: &PartitionStatus, catalog: &Catalog) -> PartitionAnswer {
    let name = |node| catalog.name_of(node);
    let number = partition.number;
    let replicas = &partition.replicas;
    let told = || replicas.iter().filter(|replica| replica.is_told);
    let led = told().find(|replica| Some(replica.node) == partition.leader);
    let furthest = || told().map(|replica| replica.applied).max();
    let applied = led.map(|replica| replica.applied).or_else(furthest);
    PartitionAnswer {
        partition: number,
        leader: partition.leader.map(name),
        preferred: partition.preferred.map(name),
        pinned: partition.pinned.map(name),
        generation: applied.map(|_| partition.generation.0),
        applied: applied.map(|scn| Position { partition: number, scn }),
        lag_records: told().map(|replica| replica.lag_records).max(),
        replicas: replicas.iter().map(|one| replica(number, one, name(one.node))).collect(),
    }
}

fn replica(partition: u32, replica: &ReplicaStatus, node: String) -> ReplicaAnswer {
    let told = Some(replica).filter(|replica| replica.is_told);
    ReplicaAnswer {
        node,
        role: replica.role.name().to_owned(),
        unverified: replica.unverified,
        applied: told.map(|told| Position { partition, scn: told.applied }),
        lag_records: told.map(|told| told.lag_records),
        lag_ms: told.map(|told| told.lag_ms),
    }
}

/// A node.
pub(super) fn node(node: &NodeStatus, catalog: &Catalog) -> NodeAnswer {
    NodeAnswer {
        node: catalog.name_of(node.node),
        alive: node.alive,
        incarnation: node.incarnation.0,
        address: node.address.clone(),
        leaderships: node.leaderships,
        replicas: node.replicas,
        zone: node.zone.as_ref().map(ToString::to_string),
        capacity: node.capacity.map(Capacity::get),
        drained: node.drained,
        sick: node.sick.as_deref().map(|why| catalog.with_node_names(why)),
    }
}

/// How far the cluster is with a newer feature level.
pub(super) fn upgrade(status: &UpgradeStatus, catalog: &Catalog) -> UpgradeAnswer {
    let name = |node: &NodeId| catalog.name_of(*node);
    let (next_level, held_by) = match &status.gate {
        Gate::Open => (None, Vec::new()),
        Gate::Held { level, by } => (Some(*level), by.iter().map(name).collect()),
        Gate::Ready { level } => (Some(*level), Vec::new()),
    };
    let nodes = status.nodes.iter().map(|one| UpgradeNodeAnswer {
        node: name(&one.node),
        alive: one.alive,
        build: Some(one.build.clone()).filter(|build| !build.is_empty()),
        feature_level: one.feature_level,
    });
    let (feature_level, mut nodes) = (status.feature_level, nodes.collect::<Vec<_>>());
    // By what operators call them: ids are random.
    nodes.sort_by(|one, other| one.node.cmp(&other.node));
    UpgradeAnswer {
        feature_level,
        next_level,
        held_by,
        nodes,
        partitions: status.partitions,
        partitions_to_follow: status.to_follow,
    }
}

/// An entry of the journal.
pub(super) fn event(event: DecisionEvent, catalog: &Catalog) -> EventAnswer {
    let named = |text: String| catalog.with_node_names(&text);
    EventAnswer {
        id: event.id,
        time: ShortText::of_rfc3339(event.time).as_str().to_owned(),
        node: catalog.name_of(event.node),
        kind: event.kind.name().to_owned(),
        database: event.database,
        partition: event.partition,
        what: named(event.what),
        evidence: event.evidence.into_iter().map(named).collect(),
        by_hand: named(event.by_hand),
        undo: named(event.undo),
    }
}

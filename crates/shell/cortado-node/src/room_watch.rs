//! A node's eye on the room that its store and its log have.
//!
//! Start reading at [`watch_room`]. Source: docs/operations/disk.md, "A full disk".

use crate::asker::Input;
use crate::replica_host::ReplicaHost;
use cortado_driver::ReplicaRole;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

/// Between two looks: in this time a fast disk takes less than what a store keeps free.
const LOOK: Duration = Duration::from_millis(100);
/// While there is no room, replicas compare their states so often, so that the log may forget: by
/// itself a log that does not grow is not trimmed. To compare costs a look at everything stored.
const COMPARE: Duration = Duration::from_secs(60);

/// Watches until the node ends.
pub(crate) async fn watch_room(host: Arc<ReplicaHost>) {
    let (mut low, mut compare_at) = (false, Instant::now());
    loop {
        // A file system may hang.
        let looked = Arc::clone(&host);
        let look = move || [looked.store.has_room(), looked.log.has_room()];
        let [store, log] = match spawn_blocking(look).await {
            Ok(found) => found,
            Err(error) => {
                error!(node = %host.node(), %error, "no longer looking for room: restart the node");
                return;
            }
        };
        if low == (store && log) {
            low = !low;
            host.show_low(low);
            tell(&host, low, if store { "log" } else { "store" });
        }
        if low && Instant::now() >= compare_at {
            compare(&host);
            compare_at = Instant::now() + COMPARE;
        }
        sleep(LOOK).await;
    }
}

fn tell(host: &ReplicaHost, low: bool, what: &str) {
    let node = host.node();
    if low {
        error!(
            %node,
            "disk nearly full: no room for the {what}; writes are refused, reads and deletions go \
             on; make room on that disk"
        );
    } else {
        info!(%node, "there is room on the disk again: writes go on");
    }
}

/// Lets the partitions that the node leads compare the states of their replicas.
fn compare(host: &Arc<ReplicaHost>) {
    for replica in host.routes.replicas() {
        if replica.role() == ReplicaRole::Leader {
            replica.send_beside(&host.tasks, Input::Verify);
        }
    }
}

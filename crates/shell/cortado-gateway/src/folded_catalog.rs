//! The catalog as this node has folded it, for its parts.
//!
//! Start reading at [`FoldedCatalog`]; what is in it is [`Catalog`].

use crate::catalog::Catalog;
use cortado_model::{ClusterUuid, DatabaseId, Scn};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// How often a task that waits for a state of `_cluster` has it looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The newest catalog that this node knows.
pub struct FoldedCatalog {
    newest: watch::Sender<Newest>,
    wanted: Notify,
}

#[derive(Clone)]
struct Newest {
    catalog: Arc<Catalog>,
    /// The catalog shows everything up to here, though nothing of it may stand here.
    covers: Scn,
}

impl FoldedCatalog {
    /// Before anything is known.
    pub fn new(cluster: ClusterUuid) -> FoldedCatalog {
        let newest = Newest { catalog: Arc::new(Catalog::empty(cluster)), covers: Scn::ZERO };
        FoldedCatalog { newest: watch::Sender::new(newest), wanted: Notify::new() }
    }

    /// The newest one.
    pub fn newest(&self) -> Arc<Catalog> {
        Arc::clone(&self.newest.borrow().catalog)
    }

    /// `_cluster` may have moved: wakes the task that folds it into a catalog.
    pub fn look(&self) {
        self.wanted.notify_one();
    }

    /// Waits until a look is asked for.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A look has found this, or nothing new; the look covers everything up to `covers`.
    pub fn publish(&self, catalog: Option<Arc<Catalog>>, covers: Scn) {
        self.newest.send_if_modified(|newest| {
            let moved = catalog.is_some() || covers > newest.covers;
            newest.covers = newest.covers.max(covers);
            newest.catalog = catalog.unwrap_or_else(|| Arc::clone(&newest.catalog));
            moved
        });
    }

    /// The catalog once it shows everything up to `scn`; `None` if it does not by the deadline.
    pub async fn reaching(&self, scn: Scn, deadline: Instant) -> Option<Arc<Catalog>> {
        let mut newest = None;
        loop {
            let known = self.newest.borrow().clone();
            if known.covers >= scn {
                return Some(known.catalog);
            }
            if Instant::now() >= deadline {
                return None;
            }
            let changes = newest.get_or_insert_with(|| self.newest.subscribe());
            self.look();
            // Either a change or the pause: both mean to look again.
            let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
            let _ = timeout_at(look_again, changes.changed()).await;
        }
    }

    /// Waits until a database is no longer declared.
    pub(crate) async fn forgets(&self, database: DatabaseId) {
        let mut newest = self.newest.subscribe();
        // Ends with an error only when the sender is gone, which this borrows.
        let _ = newest.wait_for(|newest| newest.catalog.database_by_id(database).is_none()).await;
    }

    /// Waits for `holds`, or for the deadline.
    pub async fn wait_for(
        &self,
        deadline: Instant,
        mut holds: impl FnMut(&Catalog) -> bool,
    ) -> bool {
        let mut newest = self.newest.subscribe();
        let held = newest.wait_for(|newest| holds(&newest.catalog));
        timeout_at(deadline, held).await.is_ok()
    }
}

//! Tables that a body names, and that were perhaps created through another door a moment ago.
//!
//! Those of paths are looked up before, in [`crate::api`].

use crate::call::Call;
use crate::failure::Failure;
use crate::refusal;
use cortado_gateway::Database;
use cortado_wire::Code;
use std::sync::Arc;

/// The database as every door must know it by now: to be asked for before a table is said not to
/// exist.
///
/// # Errors
/// That cannot be found out before the deadline.
pub(crate) async fn confirmed(
    call: &Call<'_>,
    database: &Arc<Database>,
) -> Result<Arc<Database>, Failure> {
    let catalog = call.services().confirmed_catalog(call.deadline).await;
    let catalog = catalog.map_err(|error| refusal::of_admin(error, Code::Unavailable))?;
    let same = catalog.database_by_id(database.id).filter(|now| now.uuid == database.uuid);
    // One that is gone is missed by the nodes that are asked.
    Ok(Arc::clone(same.unwrap_or(database)))
}

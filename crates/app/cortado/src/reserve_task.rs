//! Keeps room on the disk for what frees some.

use crate::data_directory::Reserve;
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tracing::error;

/// Between two looks after the reserve on the disk.
const RESERVE_LOOK: Duration = Duration::from_millis(250);

/// Looks after the reserve of the data directory until it is dropped.
pub(crate) struct ReserveTask(JoinHandle<()>);

impl ReserveTask {
    pub(crate) fn of(reserve: Reserve) -> ReserveTask {
        ReserveTask(tokio::spawn(async move {
            let mut reserve = reserve;
            loop {
                sleep(RESERVE_LOOK).await;
                // Making it may take a while.
                let looked = spawn_blocking(move || {
                    reserve.look(Instant::now());
                    reserve
                });
                reserve = match looked.await {
                    Ok(reserve) => reserve,
                    Err(error) => {
                        error!(%error, "no more reserve is kept on the disk: restart the server");
                        return;
                    }
                };
            }
        }))
    }
}

impl Drop for ReserveTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

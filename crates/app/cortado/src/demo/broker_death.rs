//! The death of a broker: the log waits until the others have noticed, and goes on.
//!
//! Start reading at [`BrokerDeath::watch`].

use super::failover::{gaps, tell_gaps};
use super::site::Site;
use super::stage::{Colour, Stage};
use super::workload::{History, Workload};
use crate::failure::Failure;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A broker that was killed.
pub(super) struct BrokerDeath {
    killed: Instant,
}

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);
/// How long the partitions may take to be written again.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// So many more writes of one writer: all but the first were begun after the broker's death.
const WRITES_AFTER: u64 = 3;

impl BrokerDeath {
    /// Kills broker `id`, and shows what happens until every partition is written again.
    pub(super) async fn watch(
        site: &Site,
        id: u32,
        workload: &Workload,
        stage: &Stage,
    ) -> Result<BrokerDeath, Failure> {
        stage.title("A broker dies, and with it a third of the copies of every log")?;
        let killed = Instant::now();
        site.kill_broker(id).await?;
        let text = format!("broker {id} is killed (SIGKILL); every log has copies on two more");
        stage.fact(&stage.paint(Colour::Bad, &text))?;
        stage.fact(
            "the controllers notice that it is silent; until then a write waits, since it is \
             acknowledged by all copies in sync",
        )?;
        let before = workload.acknowledged();
        let mut unserved: Vec<usize> = (0..before.len()).collect();
        while !unserved.is_empty() {
            let now = workload.acknowledged();
            unserved.retain(|at| now[*at] < before[*at] + WRITES_AFTER);
            if killed.elapsed() > WAIT_MAX {
                return Err(Failure::new(format!(
                    "partitions {unserved:?} are not written {} s after the death of broker {id}",
                    WAIT_MAX.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
        let text = format!("+{:5} ms  every partition is written", killed.elapsed().as_millis());
        stage.line(&format!("  {}", stage.paint(Colour::Good, &text)))?;
        Ok(BrokerDeath { killed })
    }

    /// Says for how long writes waited.
    pub(super) fn report_gaps(&self, history: &History, stage: &Stage) -> io::Result<()> {
        tell_gaps("death of a broker", gaps(history, self.killed, None), stage)
    }
}

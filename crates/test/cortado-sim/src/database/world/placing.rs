//! An operator hands a leadership over, and everything goes on as if nothing had been done: the
//! leadership stays, its node dies, comes back, and leads again.
//!
//! Start reading at [`World::place_by_hand`].

use super::shared_log::partition_id;
use super::{Due, World};
use crate::database::asker::Asker;
use crate::database::invariants::pinned;
use crate::database::mutant::Mutant;
use crate::database::pin::{PARTITION, Pin, STORY, Scene};
use cortado_cluster::{Placement, WatchEvent};
use cortado_driver::Event;
use cortado_model::NodeId;

impl World {
    /// Puts the story in line.
    pub(super) fn place_by_hand(&mut self) {
        for (scene, at_us) in STORY {
            self.put(at_us, Due::Placing(scene));
        }
    }

    /// The story goes on.
    pub(super) fn play(&mut self, scene: Scene) {
        let (leader, generation) = self.led(PARTITION);
        if scene == Scene::HandsOver {
            if let Some(from) = leader {
                self.pin(from);
            }
            return;
        }
        let Some(pin) = &mut self.pin else { return };
        let to = NodeId(pin.to as u32 + 1);
        let node = leader.map(|leader| NodeId(leader as u32 + 1));
        let held = match scene {
            Scene::HandsOver => Ok(()),
            Scene::IsDone => {
                pin.generation = generation;
                pinned::check_led_by(PARTITION, to, node)
            }
            Scene::Dies => pinned::check_unmoved(PARTITION, pin.generation, generation),
            Scene::ComesBack => pinned::check_led_by_another(PARTITION, to, node),
            Scene::LeadsAgain => pinned::check_led_by(PARTITION, to, node),
        };
        pin.held_down = scene == Scene::Dies;
        let victim = pin.to;
        self.check(held);
        match scene {
            Scene::Dies => self.crash(victim),
            Scene::ComesBack => self.start(victim),
            Scene::HandsOver | Scene::IsDone | Scene::LeadsAgain => {}
        }
    }

    /// Whether `node` stays down for now.
    pub(super) fn is_held_down(&self, node: usize) -> bool {
        let pinned = self.pin.as_ref().is_some_and(|pin| pin.held_down && pin.to == node);
        let died = self.dead_leader.as_ref().is_some_and(|dead| dead.node == node);
        pinned || died || self.lost.contains(&node)
    }

    /// The order in which the nodes of a partition lead, as `node` knows it.
    pub(super) fn succession(&self, node: usize, partition: usize, placed: Placement) -> Placement {
        let pin = self.pin.as_ref().filter(|pin| pin.partition == partition);
        let pin = pin.filter(|_| !self.is(Mutant::ForgetsPins));
        let pin = pin.map(|pin| NodeId(pin.to as u32 + 1));
        placed.ordered(pin, |other| self.knows_drained(node, other))
    }

    /// The leadership goes to the next node, and every watch hears that it should.
    fn pin(&mut self, from: usize) {
        let to = (from + 1) % self.nodes.len();
        self.pin = Some(Pin { partition: PARTITION, to, generation: 0, held_down: false });
        for node in 0..self.nodes.len() {
            let placement = self.catalog_of(node).held(PARTITION);
            let placement = self.succession(node, PARTITION, placement);
            let partition = partition_id(PARTITION);
            self.tell_watch(node, WatchEvent::Placed { partition, placement });
        }
        if let Some(hosted) = self.nodes[from].hosted_mut(PARTITION) {
            hosted.operators += 1;
        }
        if let Some(leader) = self.address(from, PARTITION) {
            let to = Some(self.nodes[to].id);
            self.tell(leader, Event::HandOff { caller: Asker::Operator, to });
        }
    }

    /// The node that leads a partition, and the generation that the log has come to.
    pub(super) fn led(&self, partition: usize) -> (Option<usize>, u32) {
        let leads =
            |node: &usize| self.nodes[*node].hosted(partition).is_some_and(|hosted| hosted.leads());
        let leader = (0..self.nodes.len()).find(leads);
        (leader, self.partitions[partition].truth.last.generation.0)
    }
}

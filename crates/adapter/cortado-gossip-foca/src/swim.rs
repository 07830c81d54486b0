//! Foca, and what it wants done.
//!
//! It has no socket and no clock: what it wants to send, and when it wants to be called, is taken
//! out after each call. Start reading at [`Swim`].

use crate::codec::{CodecState, SwimCodec, put_roll, take_roll};
use crate::identity::{Identity, Told};
use crate::limits::{DATAGRAM_BYTES_MAX, GossipTiming};
use crate::random::Chance;
use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer::SelfAwareness;
use foca::{Config, Foca, Member, NoCustomBroadcast, Notification, PeriodicParams, Runtime, Timer};
use parking_lot::Mutex;
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info};

/// How many others are asked to probe a node that does not answer.
const HELPERS: NonZeroUsize = NonZeroUsize::new(3).expect("more than 0");
/// How many are told news at a time.
const TOLD: NonZeroUsize = NonZeroUsize::new(3).expect("more than 0");
/// How often each news is told: enough for a thousand nodes.
const TRANSMISSIONS: NonZeroU8 = NonZeroU8::new(12).expect("more than 0");
/// How long a node that is down is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The protocol of one node.
pub(crate) struct Swim {
    foca: Foca<Identity, SwimCodec, Chance, NoCustomBroadcast>,
    state: Arc<Mutex<CodecState>>,
    wanted: Wanted,
}

/// What foca wants done.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Messages, and to whom.
    pub(crate) sends: Vec<(Identity, Vec<u8>)>,
    /// To be called with these, each after so long.
    pub(crate) timers: Vec<(Duration, Timer<Identity>)>,
    rejoined: u64,
}

impl Runtime<Identity> for Wanted {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        match notification {
            Notification::MemberUp(Identity { node, incarnation, .. }) => {
                info!(%node, %incarnation, "gossip: node is up");
            }
            Notification::MemberDown(Identity { node, incarnation, .. }) => {
                info!(%node, %incarnation, "gossip: node is down");
            }
            Notification::Rejoin(_) => self.rejoined += 1,
            Notification::Rename(..)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        self.sends.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Identity>, after: Duration) {
        self.timers.push((after, event));
    }
}

impl Swim {
    pub(crate) fn new(own: Identity, timing: &GossipTiming) -> Swim {
        let state = CodecState {
            own: own.clone(),
            sender: (own.node, own.incarnation),
            observed: Default::default(),
            is_superseded: false,
        };
        let state = Arc::new(Mutex::new(state));
        let codec = SwimCodec(Arc::clone(&state));
        let foca = Foca::new(own, config_of(timing), Chance::new(), codec);
        Swim { foca, state, wanted: Wanted::default() }
    }

    /// What is wanted since this was asked last.
    pub(crate) fn take_wanted(&mut self) -> Wanted {
        let wanted = std::mem::take(&mut self.wanted);
        for _ in 0..wanted.rejoined {
            self.state.lock().observed.was_suspected();
        }
        self.state.lock().own = self.foca.identity().clone();
        wanted
    }

    /// Hears a message that `sender` has proven to have sent.
    pub(crate) fn hear(&mut self, sender: (NodeId, NodeIncarnation), message: &[u8]) {
        self.state.lock().sender = sender;
        if let Err(error) = self.foca.handle_data(message, &mut self.wanted) {
            debug!(node = %sender.0, %error, "gossip not understood");
        }
    }

    /// All members that are known, this node included, in at most so many bytes.
    pub(crate) fn roll(&self, bytes_max: usize) -> Vec<u8> {
        let own = Member::alive(self.foca.identity().clone());
        let mut members: Vec<_> = self.members().collect();
        // Where not all of them fit, others are told next time.
        fastrand::shuffle(&mut members);
        let members = std::iter::once(&own).chain(members);
        put_roll(&mut SwimCodec(Arc::clone(&self.state)), members, bytes_max)
    }

    /// Hears of all members that `sender` knows.
    pub(crate) fn hear_roll(&mut self, sender: NodeId, roll: &[u8]) {
        let members = match take_roll(&mut SwimCodec(Arc::clone(&self.state)), roll) {
            Ok(members) => members,
            Err(error) => return debug!(node = %sender, %error, "gossip not understood"),
        };
        if let Err(error) = self.foca.apply_many(members.into_iter(), true, &mut self.wanted) {
            debug!(node = %sender, %error, "gossip not applied");
        }
    }

    /// Whether another process takes part under this node's name and counts for more.
    pub(crate) fn is_superseded(&self) -> bool {
        self.state.lock().is_superseded
    }

    pub(crate) fn on_timer(&mut self, timer: Timer<Identity>) {
        if let Err(error) = self.foca.handle_timer(timer, &mut self.wanted) {
            debug!(%error, "gossip timer");
        }
    }

    /// Looks for a node, whichever life it is in.
    pub(crate) fn seek(&mut self, node: Option<NodeId>) {
        if let Err(error) = self.foca.announce(Identity::sought(node), &mut self.wanted) {
            debug!(%error, "gossip cannot seek");
        }
    }

    /// Tells something else of this node.
    pub(crate) fn tell(&mut self, told: Told) {
        let Some(identity) = foca::Identity::renew(self.foca.identity()) else { return };
        let identity = Identity { told: Some(Arc::new(told)), ..identity };
        if let Err(error) = self.foca.change_identity(identity, &mut self.wanted) {
            debug!(%error, "gossip cannot tell");
        }
    }

    /// Says farewell.
    pub(crate) fn leave(&mut self) {
        if let Err(error) = self.foca.leave_cluster(&mut self.wanted) {
            debug!(%error, "gossip cannot leave");
        }
    }

    pub(crate) fn own(&self) -> &Identity {
        self.foca.identity()
    }

    /// The others. Foca also remembers former tellings of this node, as down.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member<Identity>> {
        let own = self.foca.identity().node;
        self.foca.iter_membership_state().filter(move |member| member.id().node != own)
    }

    /// How many others are heard of.
    pub(crate) fn alive(&self) -> usize {
        self.foca.num_members()
    }

    pub(crate) fn awareness(&self) -> SelfAwareness {
        self.state.lock().observed.awareness
    }

    pub(crate) fn was_late(&self, late_ms: u64) {
        self.state.lock().observed.was_late(late_ms);
    }

    pub(crate) fn remembers(&self, nodes: impl Iterator<Item = NodeId>) {
        self.state.lock().observed.knows(nodes);
    }
}

fn config_of(timing: &GossipTiming) -> Config {
    let every = |frequency, num_members| Some(PeriodicParams { frequency, num_members });
    Config {
        probe_period: timing.probe_every,
        probe_rtt: timing.probe_answer,
        num_indirect_probes: HELPERS,
        max_transmissions: TRANSMISSIONS,
        suspect_to_down_after: timing.suspect_for,
        remove_down_after: Some(REMEMBERED),
        max_packet_size: NonZeroUsize::new(DATAGRAM_BYTES_MAX).expect("more than 0"),
        notify_down_members: true,
        periodic_announce: every(timing.mend_every, NonZeroUsize::MIN),
        periodic_announce_to_down_members: every(timing.mend_every, NonZeroUsize::MIN),
        periodic_gossip: every(timing.gossip_every, TOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::DirectoryUuid;
    use cortado_peer::{MemberFacts, MemberRole};

    fn identity(node: u32) -> Identity {
        let facts = MemberFacts {
            node: NodeId(node),
            incarnation: NodeIncarnation(1),
            directory: DirectoryUuid(1),
            role: MemberRole::Node,
            peer_addresses: Vec::new(),
            client_address: String::new(),
            zone: String::new(),
            version: String::new(),
            feature_level: 1,
        };
        Identity::new(facts, ([127, 0, 0, 1], 9).into())
    }

    #[test]
    fn a_former_telling_of_oneself_is_no_member() {
        let mut swim = Swim::new(identity(1), &GossipTiming::default());
        let other = Swim::new(identity(2), &GossipTiming::default());
        swim.hear_roll(NodeId(2), &other.roll(10_000));
        assert_eq!(swim.members().count(), 1);
        // It is thought to be down, and contradicts.
        let down = Member::down(identity(1));
        let told = put_roll(&mut SwimCodec(Arc::clone(&other.state)), [&down].into_iter(), 10_000);
        swim.hear_roll(NodeId(2), &told);
        assert_eq!(swim.own().telling, 1);
        // And somebody who has not heard of that says so once more.
        swim.hear_roll(NodeId(2), &told);
        let members: Vec<_> = swim.members().map(|member| member.id().node).collect();
        assert_eq!(members, [NodeId(2)], "it is no member of its own");
        let wanted = swim.take_wanted();
        assert_eq!(wanted.rejoined, 1);
        assert_eq!(swim.awareness().suspected, 1);
    }
}

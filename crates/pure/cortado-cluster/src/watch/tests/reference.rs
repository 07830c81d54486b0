//! The watch decides as one would that looks at every partition all the time.
//!
//! Random histories of a node; every millisecond the reference looks at all partitions, as simply
//! as can be, while the watch is woken by events and at the moments that it asked for.
//! Start reading at [`orders_are_those_of_a_watch_that_looks_at_everything`].

use super::super::*;
use super::scene::{ME, Shown, beat, fresh, led_by, n, p, placement};
use crate::decision::{Leadership, PartitionFacts, StayReason, Takeover};
use crate::detector::PeerOpinion;
use crate::placement::Placement;
use crate::settings::{RawSettings, Settings};
use cortado_model::{Generation, NodeIncarnation, back_off_ms};
use proptest::prelude::*;

const PARTITIONS: u32 = 5;

/// Looks at everything, and remembers what must be remembered.
struct Reference {
    detector: Detector,
    placed: BTreeMap<PartitionId, Remembered>,
    beat_due: Millis,
    tick_due: Millis,
    sickness: Option<Sickness>,
    own_silence: Option<OwnSilence>,
    cut_off: bool,
    store_full: bool,
    hand_off_running: bool,
    last_hand_back_at: Option<Millis>,
}

struct Remembered {
    placement: Placement,
    since: Option<Millis>,
    generation: Generation,
    own_claims: Vec<Millis>,
    takeovers: Vec<Takeover>,
    taken_from: Option<NodeId>,
    claimed_at: Option<Millis>,
    claims: u32,
    asked: bool,
}

impl Reference {
    fn new(settings: Settings, now: Millis) -> Reference {
        Reference {
            detector: Detector::new(ME, NodeIncarnation(1), 1, settings),
            placed: BTreeMap::new(),
            beat_due: now,
            tick_due: now,
            sickness: None,
            own_silence: None,
            cut_off: false,
            store_full: false,
            hand_off_running: false,
            last_hand_back_at: None,
        }
    }

    fn on(&mut self, now: Millis, event: &WatchEvent) {
        match event.clone() {
            WatchEvent::Placed { partition, placement } => {
                let placed = self.placed.entry(partition).or_insert_with(|| Remembered {
                    placement: placement.clone(),
                    since: None,
                    generation: Generation(0),
                    own_claims: Vec::new(),
                    takeovers: Vec::new(),
                    taken_from: None,
                    claimed_at: None,
                    claims: 0,
                    asked: false,
                });
                placed.placement = placement;
            }
            WatchEvent::Withdrawn { partition } => {
                self.placed.remove(&partition);
            }
            WatchEvent::StoreFull(full) => self.store_full = full,
            WatchEvent::Observed(evidence) => self.detector.observe(now, evidence),
            WatchEvent::HandOffEnded => self.hand_off_running = false,
            WatchEvent::Changed { .. } | WatchEvent::ClaimNotTaken { .. } => {}
        }
    }

    fn look(&mut self, now: Millis, shown: &mut Shown) -> Vec<WatchOrder> {
        let mut orders = Vec::new();
        let settings = *self.detector.settings();
        let ticks = now >= self.tick_due;
        if ticks {
            let late_ms = now.since(self.tick_due);
            self.detector.observe(now, Evidence::Lateness { late_ms });
            self.tick_due = now.next_multiple_of(settings.beat_ms / 5);
        }
        if now >= self.beat_due {
            self.beat_due = now.next_multiple_of(settings.beat_ms);
            orders.push(WatchOrder::Beat { count: self.detector.send_beat(now) });
        }
        // Told at ticks alone, by the watch too.
        if ticks && self.own_silence != self.detector.own_silence(now) {
            self.own_silence = self.detector.own_silence(now);
            orders.push(WatchOrder::OwnSilence(self.own_silence));
        }
        if self.cut_off != self.detector.is_cut_off() {
            self.cut_off = self.detector.is_cut_off();
            orders.push(WatchOrder::CutOff(self.cut_off));
        }
        if self.sickness != self.detector.sickness() {
            self.sickness = self.detector.sickness();
            orders.push(WatchOrder::Sickness(self.sickness));
        }
        let mut placed = core::mem::take(&mut self.placed);
        for (partition, remembered) in &mut placed {
            orders.extend(self.decide(now, *partition, remembered, shown, ticks));
        }
        self.placed = placed;
        orders
    }

    fn decide(
        &mut self,
        now: Millis,
        partition: PartitionId,
        remembered: &mut Remembered,
        shown: &mut Shown,
        ticks: bool,
    ) -> Option<WatchOrder> {
        let view = shown.view(partition)?;
        let taken_from = view.leadership.and_then(|known| known.taken_from(ME));
        let from = core::mem::replace(&mut remembered.taken_from, taken_from);
        if view.generation != remembered.generation {
            remembered.generation = view.generation;
            (remembered.claimed_at, remembered.claims) = (None, 0);
            remembered.asked = false;
            if let Some((node, at)) = view.leadership.and_then(|known| known.leader())
                && node == ME
            {
                remembered.own_claims.push(at);
                remembered.takeovers.extend(from.map(|from| Takeover { at, from }));
            }
        }
        let since = *remembered.since.get_or_insert(now);
        let facts = PartitionFacts {
            partition,
            me: ME,
            incarnation: view.incarnation,
            placement: &remembered.placement,
            leadership: view.leadership.unwrap_or(Leadership::Never { since }),
            claimants: &view.claimants,
            restoring: view.restoring,
            store_full: self.store_full,
            lag_records: view.lag_records,
            own_claims: &remembered.own_claims,
            takeovers: &remembered.takeovers,
            follower_lags: &shown.follower_lags(partition),
            hand_off_running: self.hand_off_running,
            last_hand_back_at: self.last_hand_back_at,
        };
        match decide(now, &facts, &self.detector) {
            Decision::Claim { why } if view.duty == Duty::Follow => {
                claim(now, partition, remembered, why)
            }
            // What is handed over is looked for at ticks alone, by the watch too.
            Decision::HandOff { to, why } if view.duty == Duty::Lead && ticks => {
                self.hand_off_running = true;
                self.last_hand_back_at = Some(now);
                Some(WatchOrder::HandOff { to, why })
            }
            Decision::AskToStepDown { leader, why, .. } if view.duty == Duty::Follow => {
                let asked = core::mem::replace(&mut remembered.asked, true);
                (!asked).then_some(WatchOrder::AskToStepDown { leader, why })
            }
            Decision::Stay(
                StayReason::Leading
                | StayReason::LeaderAlive { .. }
                | StayReason::LeaderSilent { .. }
                | StayReason::OwnBeatsSilent { .. },
            ) => {
                remembered.asked = false;
                None
            }
            Decision::Claim { .. }
            | Decision::HandOff { .. }
            | Decision::ClaimAt { .. }
            | Decision::AskToStepDown { .. }
            | Decision::Stay(_) => None,
        }
    }
}

/// Claims, unless that was lately.
fn claim(
    now: Millis,
    partition: PartitionId,
    remembered: &mut Remembered,
    why: Explanation,
) -> Option<WatchOrder> {
    let wait_ms = back_off_ms(400, remembered.claims, partition.to_u64());
    if remembered.claimed_at.is_some_and(|at| now.since(at) < wait_ms) {
        return None;
    }
    let before = remembered.claimed_at.replace(now);
    // The leader has lived since.
    let before = before.filter(|at| now.since(*at) <= 60_000);
    remembered.claims = before.map_or(1, |_| remembered.claims + 1);
    Some(WatchOrder::Claim { why, first: before.is_none() })
}

/// Something that happens to the node between two moments.
#[derive(Clone, Debug)]
enum Happening {
    /// Nothing, for so long.
    Pass {
        ms: u64,
    },
    /// Nodes go on to beat for so long, but for those that are silent.
    Beats {
        ms: u64,
        silent: Vec<u32>,
    },
    Restarted {
        node: u32,
    },
    Placed {
        partition: u32,
        first: u32,
    },
    /// An operator wants another succession.
    Ordered {
        partition: u32,
        pin: Option<u32>,
        drained: Vec<u32>,
    },
    Withdrawn {
        partition: u32,
    },
    Begun {
        partition: u32,
    },
    Claimed {
        partition: u32,
        by: u32,
    },
    SteppedDown {
        partition: u32,
        to: Option<u32>,
    },
    Duty {
        partition: u32,
        duty: Duty,
    },
    Restoring {
        partition: u32,
        restoring: bool,
    },
    /// Takes effect at the next tick: between ticks the watch does not look for it.
    Lag {
        partition: u32,
        records: u64,
    },
    FollowerLag {
        partition: u32,
        records: u64,
    },
    StoreFull(bool),
    Store {
        works: bool,
    },
    Append {
        works: bool,
    },
    /// Gossip says something of a node's present life.
    Gossip {
        node: u32,
        opinion: PeerOpinion,
    },
    /// Peers, or their machines, say something else.
    PeersSay(Evidence),
    HandOffEnded,
}

fn happening() -> impl Strategy<Value = Happening> {
    let partition = || 0..PARTITIONS;
    let node = || 1..=3_u32;
    let duty = prop_oneof![Just(Duty::Follow), Just(Duty::Lead), Just(Duty::Neither)];
    let silent = prop::collection::vec(node(), 0..2);
    let opinion =
        prop_oneof![Just(PeerOpinion::Alive), Just(PeerOpinion::Suspect), Just(PeerOpinion::Down),];
    prop_oneof![
        4 => (1..300_u64).prop_map(|ms| Happening::Pass { ms }),
        8 => (100..3_000_u64, silent).prop_map(|(ms, silent)| Happening::Beats { ms, silent }),
        1 => (10_000..12_000_u64).prop_map(|ms| Happening::Beats { ms, silent: Vec::new() }),
        1 => node().prop_map(|node| Happening::Restarted { node }),
        2 => (partition(), node())
            .prop_map(|(partition, first)| Happening::Placed { partition, first }),
        2 => (partition(), prop::option::of(node()), prop::collection::vec(node(), 0..3))
            .prop_map(|(partition, pin, drained)| Happening::Ordered { partition, pin, drained }),
        1 => partition().prop_map(|partition| Happening::Withdrawn { partition }),
        3 => partition().prop_map(|partition| Happening::Begun { partition }),
        6 => (partition(), node()).prop_map(|(partition, by)| Happening::Claimed { partition, by }),
        2 => (partition(), prop::option::of(node()))
            .prop_map(|(partition, to)| Happening::SteppedDown { partition, to }),
        2 => (partition(), duty).prop_map(|(partition, duty)| Happening::Duty { partition, duty }),
        1 => (partition(), any::<bool>())
            .prop_map(|(partition, restoring)| Happening::Restoring { partition, restoring }),
        2 => (partition(), prop_oneof![Just(0_u64), Just(20_000)])
            .prop_map(|(partition, records)| Happening::Lag { partition, records }),
        2 => (partition(), prop_oneof![Just(0_u64), Just(200)])
            .prop_map(|(partition, records)| Happening::FollowerLag { partition, records }),
        1 => any::<bool>().prop_map(Happening::StoreFull),
        1 => any::<bool>().prop_map(|works| Happening::Store { works }),
        2 => any::<bool>().prop_map(|works| Happening::Append { works }),
        3 => (node(), opinion).prop_map(|(node, opinion)| Happening::Gossip { node, opinion }),
        1 => (0..2_u32)
            .prop_map(|answering| Evidence::GossipReach { answering, members: 2 })
            .prop_map(Happening::PeersSay),
        2 => (node(), any::<bool>())
            .prop_map(|(node, reaches)| Evidence::PeerReachesLog { node: n(node), reaches })
            .prop_map(Happening::PeersSay),
        3 => (node(), partition(), any::<bool>())
            .prop_map(|(node, number, reaches)| {
                Evidence::PeerReachesLogOf { node: n(node), partition: p(number), reaches }
            })
            .prop_map(Happening::PeersSay),
        2 => (node(), any::<bool>())
            .prop_map(|(node, refuses)| Evidence::PeerRefuses { node: n(node), refuses })
            .prop_map(Happening::PeersSay),
        4 => Just(Happening::HandOffEnded),
    ]
}

/// Both watches, and what they look at.
struct Pair {
    watch: Watch,
    reference: Reference,
    shown: Shown,
    now: Millis,
    lives: BTreeMap<u32, u64>,
    /// What changes without an event, at the next tick.
    lags: Vec<(PartitionId, u64)>,
    follower_lags: Vec<(PartitionId, u64)>,
    marked: bool,
    orders: u64,
    /// Beats that this node was told to send.
    beats: u64,
}

impl Pair {
    fn new() -> Pair {
        let settings = RawSettings::default().validate().expect("defaults are valid");
        let now = Millis(1_000);
        Pair {
            watch: Watch::new(ME, NodeIncarnation(1), 1, settings, now),
            reference: Reference::new(settings, now),
            shown: Shown::default(),
            now,
            lives: BTreeMap::new(),
            lags: Vec::new(),
            follower_lags: Vec::new(),
            marked: false,
            orders: 0,
            beats: 0,
        }
    }

    fn on(&mut self, event: WatchEvent) {
        self.reference.on(self.now, &event);
        self.watch.on(self.now, event);
        self.marked = true;
    }

    fn observe(&mut self, evidence: Evidence) {
        self.on(WatchEvent::Observed(evidence));
    }

    fn show(&mut self, number: u32, change: impl FnOnce(&mut PartitionView)) {
        if let Some(view) = self.shown.views.get_mut(&p(number)) {
            change(view);
            self.on(WatchEvent::Changed { partition: p(number) });
        }
    }

    /// What has been ordered last is what comes back of the own beats.
    fn hear(&mut self, node: u32) {
        let life = *self.lives.entry(node).or_insert(1);
        self.on(WatchEvent::Observed(beat(n(node), life, self.beats)));
    }

    /// Lets a moment pass, and compares.
    fn moment(&mut self) -> Result<(), TestCaseError> {
        self.now = self.now.plus(1);
        if self.now >= self.reference.tick_due {
            for (partition, records) in core::mem::take(&mut self.lags) {
                self.shown.views.entry(partition).and_modify(|view| view.lag_records = records);
            }
            for (partition, records) in core::mem::take(&mut self.follower_lags) {
                let lags = [1, 3].map(|node| (n(node), records));
                self.shown.follower_lags.insert(partition, lags.into());
            }
        }
        let want = self.reference.look(self.now, &mut self.shown);
        let mut got = Vec::new();
        if core::mem::take(&mut self.marked) || self.watch.wake_at() <= self.now {
            self.watch.look(self.now, &mut self.shown, &mut got);
        }
        // What is told changes nothing, and has tests of its own.
        got.retain(|order| !matches!(order, WatchOrder::Abstain(_)));
        self.orders += got.len() as u64;
        let is_beat = |order: &&WatchOrder| matches!(order, WatchOrder::Beat { .. });
        self.beats += got.iter().filter(is_beat).count() as u64;
        prop_assert_eq!(sorted(got), sorted(want), "at {:?}", self.now);
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), TestCaseError> {
        let now = self.now;
        match happening {
            Happening::Pass { ms } => return self.pass(ms, &[1, 2, 3]),
            Happening::Beats { ms, silent } => return self.pass(ms, &silent),
            Happening::Restarted { node } => {
                *self.lives.entry(node).or_insert(1) += 1;
                self.hear(node);
            }
            Happening::Placed { partition, first } => {
                let order = [first, 1 + first % 3, 1 + (first + 1) % 3];
                let placement = placement(&order);
                self.on(WatchEvent::Placed { partition: p(partition), placement });
            }
            Happening::Ordered { partition, pin, drained } => {
                let placed = [0, 1, 2].map(|place| 1 + (partition + place) % 3);
                let placement = placement(&placed);
                let placement =
                    placement.ordered(pin.map(NodeId), |node| drained.contains(&node.0));
                self.on(WatchEvent::Placed { partition: p(partition), placement });
            }
            Happening::Withdrawn { partition } => {
                self.on(WatchEvent::Withdrawn { partition: p(partition) });
            }
            Happening::Begun { partition } => {
                self.shown.views.entry(p(partition)).or_insert_with(fresh);
                self.show(partition, |_| ());
            }
            Happening::Claimed { partition, by } => {
                self.show(partition, |view| *view = led_by(view, n(by), now, ME));
            }
            Happening::SteppedDown { partition, to } => self.show(partition, |view| {
                if let Some(Leadership::Claimed { node: by, .. }) = view.leadership {
                    let to = to.map(NodeId);
                    view.leadership = Some(Leadership::SteppedDown { by, to, at: now });
                    view.duty = Duty::Follow;
                }
            }),
            Happening::Duty { partition, duty } => self.show(partition, |view| view.duty = duty),
            Happening::Restoring { partition, restoring } => {
                self.show(partition, |view| view.restoring = restoring);
            }
            Happening::Lag { partition, records } => self.lags.push((p(partition), records)),
            Happening::FollowerLag { partition, records } => {
                self.follower_lags.push((p(partition), records));
            }
            Happening::StoreFull(full) => self.on(WatchEvent::StoreFull(full)),
            Happening::Store { works } => self.on(WatchEvent::Observed(match works {
                true => Evidence::OwnStore { took_ms: 1 },
                false => Evidence::OwnStoreFailed,
            })),
            Happening::Append { works } => self.on(WatchEvent::Observed(match works {
                true => Evidence::OwnAppend { took_ms: 1 },
                false => Evidence::OwnAppendFailed,
            })),
            Happening::Gossip { node, opinion } => {
                let incarnation = NodeIncarnation(*self.lives.entry(node).or_insert(1));
                let gossip = Evidence::Gossip { node: n(node), incarnation, opinion };
                self.on(WatchEvent::Observed(gossip));
            }
            Happening::PeersSay(evidence) => self.observe(evidence),
            Happening::HandOffEnded => self.on(WatchEvent::HandOffEnded),
        }
        self.moment()
    }

    fn pass(&mut self, ms: u64, silent: &[u32]) -> Result<(), TestCaseError> {
        for passed in 0..ms {
            if passed % 250 == 0 {
                for node in [1, 2, 3].into_iter().filter(|node| !silent.contains(node)) {
                    self.hear(node);
                }
            }
            self.moment()?;
        }
        Ok(())
    }
}

/// Claims of one moment have no order among themselves.
fn sorted(mut orders: Vec<WatchOrder>) -> Vec<WatchOrder> {
    orders.sort_by_key(|order| match order {
        WatchOrder::Beat { .. } => (0, None),
        WatchOrder::OwnSilence(_) => (1, None),
        WatchOrder::Sickness(_) => (2, None),
        WatchOrder::Claim { why, .. } => (3, Some(why.partition)),
        WatchOrder::HandOff { why, .. } => (4, Some(why.partition)),
        WatchOrder::AskToStepDown { why, .. } => (5, Some(why.partition)),
        WatchOrder::Abstain(_) => (6, None),
        WatchOrder::CutOff(_) => (7, None),
    });
    orders
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn orders_are_those_of_a_watch_that_looks_at_everything(
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut pair = Pair::new();
        for partition in 0..PARTITIONS {
            pair.happen(Happening::Placed { partition, first: 1 + partition % 3 })?;
            pair.happen(Happening::Begun { partition })?;
        }
        for happening in happenings {
            pair.happen(happening)?;
        }
        prop_assert!(pair.orders > 0);
    }
}

//! Worlds whose log stands on brokers: what the cluster is like, and what it suffers.
//!
//! Start reading at [`Plan::stand_on_brokers`].

use super::Plan;
use super::chore::Chore;
use crate::database::coverage::Fault;
use crate::database::scenario::Scenario;
use crate::kernel::random::{PerMillion, Random};
use crate::kernel::time::{MILLI, SECOND};
use cortado_cluster::RawSettings;
use cortado_driver::TrimPolicy;
use cortado_kafka_model::ClusterSettings;

impl Plan {
    /// Brokers take the place of the log in memory, and of what that suffers.
    pub(super) fn stand_on_brokers(&mut self, random: &mut Random) {
        let seed = random.draw();
        self.brokers = Some(ClusterSettings {
            way_us: random.one_of(&[80, 300, 1_500]),
            strict_high: random.coin(),
            ..ClusterSettings::quick(seed)
        });
        self.give_up_us = random.one_of(&[None, None, Some(250 * MILLI), Some(900 * MILLI)]);
        self.delay_us = random.one_of(&[150, 600]);
        for fault in OF_THE_LOG_IN_MEMORY {
            self.intervals_us.remove(&fault);
            self.chances.remove(&fault);
        }
        match self.scenario {
            Scenario::KafkaUnclean | Scenario::KafkaRecreated => self.lose_in_peace(random),
            Scenario::KafkaBrokers => {
                self.draw_broker_faults(random);
                self.every(&BROKERS_ALL_THE_TIME);
            }
            Scenario::KafkaLimbo => {
                self.draw_broker_faults(random);
                self.often(&REQUESTS_ALL_THE_TIME);
                // Appended by one leader, denied by it, and the next one is out of reach.
                self.every(&[
                    (Fault::BrokerLeaderMoves, 80 * MILLI),
                    (Fault::NodeCutFromBroker, 120 * MILLI),
                    (Fault::FetchStalls, SECOND),
                ]);
                self.give_up_us = Some(random.one_of(&[100, 300]) * MILLI);
                if let Some(brokers) = &mut self.brokers {
                    brokers.way_us = random.one_of(&[1_500, 8_000]);
                }
            }
            Scenario::KafkaLeaders => {
                self.draw_broker_faults(random);
                self.every(&[
                    (Fault::BrokerLeaderMoves, 120 * MILLI),
                    (Fault::BrokerKilled, 2 * SECOND),
                    (Fault::NodeCutFromBroker, 600 * MILLI),
                ]);
            }
            Scenario::KafkaStrangers => self.let_strangers_in(random),
            _ => self.draw_broker_faults(random),
        }
    }

    /// Each fault is off in half of the plans, and at one of three intensities else.
    fn draw_broker_faults(&mut self, random: &mut Random) {
        for (fault, per_million) in REQUEST_CHANCES {
            if random.coin() {
                let strength = random.one_of(&[1, 4, 12]);
                self.chances.insert(fault, PerMillion(per_million * strength));
            }
        }
        for (fault, mean_us) in BROKER_INTERVALS_US {
            if random.coin() {
                self.intervals_us.insert(fault, mean_us * random.one_of(&[2, 4, 12]) / 4);
            }
        }
    }

    fn let_strangers_in(&mut self, random: &mut Random) {
        self.draw_broker_faults(random);
        self.every(&[
            (Fault::StrangerTransacts, 80 * MILLI),
            (Fault::StrangerWrites, 300 * MILLI),
            (Fault::StrangerTrims, 300 * MILLI),
            (Fault::SettingsChanged, 900 * MILLI),
        ]);
        self.settings.trim = TrimPolicy { after_records: 40, after_bytes: 1 << 40 };
        self.chores_us.insert(Chore::Verify, 150 * MILLI);
    }

    /// Nodes are well, so that what clients were told of is held by who told them: only the log is
    /// not what it was. What it has lost, nobody forgets meanwhile.
    fn lose_in_peace(&mut self, random: &mut Random) {
        self.chances.clear();
        self.intervals_us.clear();
        self.chores_us.clear();
        self.settings.trim = TrimPolicy { after_records: 1 << 40, after_bytes: 1 << 40 };
        self.every(&[(Fault::WrongSuspicion, random.one_of(&[400, 4_000]) * MILLI)]);
        if random.coin() {
            // Enough to grow beyond what was lost.
            self.every(&[(Fault::StrangerWrites, random.one_of(&[8, 150]) * MILLI)]);
        }
        self.think_us = random.one_of(&[1, 4]) * MILLI;
        // A detector that is quick enough for a story of seconds.
        let raw = RawSettings { beat_ms: Some(20), dead_after_ms: Some(80), stagger_ms: Some(20) };
        self.detection = raw.validate().expect("three beats are within the limit");
        self.faults_us = random.between(7, 9) * SECOND;
    }
}

/// What nothing here can suffer: the brokers have faults of their own.
const OF_THE_LOG_IN_MEMORY: [Fault; 8] = [
    Fault::CutAppend,
    Fault::CutRead,
    Fault::CutBoth,
    Fault::CutAnswers,
    Fault::StaleEnd,
    Fault::LogOutage,
    Fault::LogFull,
    Fault::LogUnusable,
];

/// What requests suffer.
const REQUEST_CHANCES: [(Fault, u32); 4] = [
    (Fault::RequestLate, 4_000),
    (Fault::RequestRepeated, 4_000),
    (Fault::RequestDropped, 3_000),
    (Fault::AnswerLost, 3_000),
];

const REQUESTS_ALL_THE_TIME: [(Fault, u32); 5] = [
    (Fault::RequestLate, 40_000),
    (Fault::RequestRepeated, 40_000),
    (Fault::RequestDropped, 30_000),
    (Fault::AnswerLost, 50_000),
    (Fault::AnswerSlow, 40_000),
];

/// What brokers suffer by themselves, and the mean time between two.
const BROKER_INTERVALS_US: [(Fault, u64); 14] = [
    (Fault::BrokerKilled, 3 * SECOND),
    (Fault::BrokerFrozen, 3 * SECOND),
    (Fault::BrokersCut, 4 * SECOND),
    (Fault::BrokerCutOneWay, 4 * SECOND),
    (Fault::BrokerUnheard, 4 * SECOND),
    (Fault::BrokerNotTold, 4 * SECOND),
    (Fault::ControllerAway, 5 * SECOND),
    (Fault::NodeCutFromBroker, 2 * SECOND),
    (Fault::BrokerLeaderMoves, SECOND),
    (Fault::DiskFails, 2 * SECOND),
    (Fault::FetchStalls, 2 * SECOND),
    (Fault::StrangerTransacts, SECOND),
    (Fault::StrangerTrims, 3 * SECOND),
    (Fault::SettingsChanged, 4 * SECOND),
];

const BROKERS_ALL_THE_TIME: [(Fault, u64); 7] = [
    (Fault::BrokerKilled, 900 * MILLI),
    (Fault::BrokerFrozen, 900 * MILLI),
    (Fault::BrokersCut, 900 * MILLI),
    (Fault::BrokerUnheard, 900 * MILLI),
    (Fault::BrokerNotTold, 700 * MILLI),
    (Fault::ControllerAway, 2 * SECOND),
    (Fault::DiskFails, 700 * MILLI),
];

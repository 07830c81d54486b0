//! What a driver wants done, done: every action becomes something that happens later.
//!
//! Decides nothing but how long it takes. Start reading at [`World::execute`].

use super::due::{Question, Work};
use super::{Address, Due, World};
use crate::database::asker::{Asker, Purpose};
use crate::database::coverage::{BoundaryPoint, CoveragePoint, variant};
use crate::database::invariants::{answers, eligible, trims};
use crate::database::mutant::Mutant;
use crate::database::node::Node;
use crate::kernel::random::PerMillion;
use crate::kernel::time::MILLI;
use crate::kernel::violation::Violation;
use bytes::Bytes;
use cortado_driver::{Action, Driver, Event, JobId, Reply};
use cortado_model::NodeId;
use cortado_replica::Trim;

impl World {
    /// Executes one action; answers the boundary behind it, if it has a name.
    pub(super) fn execute(
        &mut self,
        here: Address,
        action: Action<Asker>,
    ) -> Option<BoundaryPoint> {
        self.kernel.note(&super::observing::facts(&action), || {
            format!("{here}: executes {}", super::observing::describe(&action))
        });
        self.coverage.meet(variant::action(&action));
        match action {
            Action::Append { records } => {
                self.append(here, records);
                return Some(BoundaryPoint::AfterAppend);
            }
            Action::OpenProducer(job) => self.open_producer(here, job),
            Action::Survey(job) => return self.survey(here, job),
            Action::LookThrough(job) => self.ask(here, Question::LookThrough(job)),
            Action::AskExtent(job) => self.ask(here, Question::Extent(job)),
            Action::ReadPage { job, from, bytes_max } => {
                self.ask(here, Question::Page { job, from, bytes_max });
            }
            Action::LookAround(job) => self.ask(here, Question::Around(job)),
            Action::AskPeers(job) => self.ask_peers(here, job),
            Action::AskToClaim { node } => self.ask_to_claim(here, node),
            Action::Report(report) => {
                if !self.strikes(crate::database::coverage::Fault::ReportLost) {
                    self.ask(here, Question::Report(report));
                }
            }
            Action::Find { job, keys, names } => self.work(here, Work::Find { job, keys, names }),
            Action::Apply { job, batch, last, .. } => self.begin_apply(here, job, batch, last),
            Action::FindBookmark { job, trim } => {
                self.work(here, Work::FindBookmark { job, trim });
            }
            Action::Hash { job, time, known } => self.work(here, Work::Hash { job, time, known }),
            Action::ProbeStore(job) => self.work(here, Work::Probe(job)),
            Action::ClearStore(job) => self.work(here, Work::Clear(job)),
            Action::InstallSnapshot { job, from } => {
                self.work(here, Work::Install { job, from });
            }
            Action::Condemn { nodes, why } => self.condemn(here, &nodes, &why),
            Action::TrimLog(trim) => {
                self.trim_log(here, trim);
                return Some(BoundaryPoint::AfterTrim);
            }
            Action::FailStore { .. } => self.fail_store(here),
            Action::Reply { caller, reply } => {
                self.pass_on(here, caller, reply);
                return Some(BoundaryPoint::AfterAnswer);
            }
            Action::Tell(news) => self.observe_news(here, &news),
            Action::End => self.end_driver(here),
        }
        None
    }

    fn ask(&mut self, here: Address, question: Question) {
        let delay_us = self.delay();
        self.put(delay_us, Due::Asks { to: here, question });
    }

    fn survey(&mut self, here: Address, job: JobId) -> Option<BoundaryPoint> {
        let lives = self.hosted_at(here)?.driver.incarnation().life;
        if lives > 0 && self.is(Mutant::RebuildsAsItself) {
            self.replace_driver(here);
            return None;
        }
        self.ask(here, Question::Checkpoint(job));
        None
    }

    /// For a planted bug: a new driver that takes itself for the one before.
    fn replace_driver(&mut self, here: Address) {
        let Address { node, partition, .. } = here;
        let Some(hosted) = self.hosted_at(here) else { return };
        let clients = hosted.take_clients();
        self.hang_up(partition, clients);
        let Some(process) = &self.nodes[node].process else { return };
        let incarnation = process.incarnation;
        // Nothing that was on its way to the one before reaches this one.
        let number = self.next_number();
        let hosted = self.new_hosted((node, partition), number, incarnation);
        if let Some(process) = &mut self.nodes[node].process {
            process.hosted[partition] = Some(hosted);
        }
    }

    /// The store is given a batch: one at a time.
    fn begin_apply(
        &mut self,
        here: Address,
        job: JobId,
        batch: Box<cortado_model::Batch>,
        last: cortado_model::Scn,
    ) {
        let now = self.nodes[here.node].clock.read(self.kernel.now).clock;
        let Some(hosted) = self.hosted_at(here) else { return };
        let alone = answers::check_alone(hosted.applying.replace(job), job);
        hosted.applying_since = now;
        if let Some(process) = &mut self.nodes[here.node].process {
            process.observer.store.begin(now);
        }
        self.check(alone);
        self.work(here, Work::Apply { job, batch, last });
        if self.is(Mutant::AnswersBeforeApply) {
            self.tell_in(0, here, Event::Applied(job, Ok(())));
        }
    }

    /// Answers the caller.
    fn pass_on(&mut self, here: Address, caller: Asker, reply: Reply) {
        let (client, attempt, purpose, stage) = match caller {
            Asker::Client { client, attempt, purpose, stage } => (client, attempt, purpose, stage),
            Asker::Operator => return self.pass_on_to_operator(here, &reply),
            Asker::Prober => return self.probed(here, &reply),
        };
        if self.is(Mutant::LosesAnswersAtResignation)
            && self.hosted_at(here).is_some_and(|hosted| hosted.has_resigned)
        {
            return;
        }
        let look = match (&purpose, &reply) {
            (Purpose::Read(look), Reply::Ready) => Some(look.clone()),
            (Purpose::Read(_) | Purpose::Write, _) => None,
        };
        if let Some(look) = look {
            let delay_us = if self.plan.look_us == 0 {
                0
            } else {
                self.kernel.random.around(self.plan.look_us)
            };
            if delay_us == 0 {
                return self.look(here, client, attempt, &look);
            }
            if let Some(hosted) = self.hosted_at(here)
                && let Some(unanswered) = hosted.unanswered.get_mut(&attempt)
            {
                unanswered.is_proven = true;
            }
            return self.put(delay_us, Due::Look { to: here, client, attempt, look });
        }
        let is_withdrawn = stage.get() == crate::database::asker::Stage::Withdrawn;
        let Some(hosted) = self.hosted_at(here) else { return };
        let Some(unanswered) = hosted.unanswered.remove(&attempt) else {
            let done = matches!(reply, Reply::Written(_) | Reply::Each(_) | Reply::Unknown(_));
            if !is_withdrawn || done {
                self.check(Err(answers::unexpected(&format!("{attempt:?} {reply:?}"))));
            }
            return;
        };
        self.observe_reply(&unanswered, &reply);
        let twice = self.is(Mutant::SettlesTwice) && self.kernel.random.happens(PerMillion(20_000));
        if twice && let Some(hosted) = self.hosted_at(here) {
            let caller = Asker::Client { client, attempt, purpose, stage };
            hosted.actions.push_front(Action::Reply { caller, reply: reply.clone() });
        }
        if !unanswered.is_told {
            self.reply_as_driver(here.partition, client, attempt, unanswered.writes, reply);
        }
    }

    fn pass_on_to_operator(&mut self, here: Address, reply: &Reply) {
        let Some(hosted) = self.hosted_at(here) else { return };
        if hosted.operators == 0 {
            return self.check(Err(answers::unexpected(&format!("an operator {reply:?}"))));
        }
        hosted.operators -= 1;
        if *reply == Reply::Ready {
            self.coverage.reach(CoveragePoint::HandedOff);
        }
    }

    fn condemn(&mut self, here: Address, nodes: &[NodeId], why: &str) {
        for id in nodes {
            let node = id.0 as usize - 1;
            let reaches = self.can_talk(here.node, node);
            if let Some(to) = self.address(node, here.partition).filter(|_| reaches) {
                let delay_us = self.delay();
                self.tell_in(delay_us, to, Event::Condemned { why: why.to_owned() });
            }
        }
    }

    fn trim_log(&mut self, here: Address, trim: Trim) {
        let Address { partition, .. } = here;
        let below = match self.is(Mutant::TrimsEarly) {
            true => self.log.end(partition),
            false => trim.below,
        };
        let holds = |node: &&Node| self.holds_as_known(here.node, partition, node.id);
        let durable = self.nodes.iter().filter(holds).map(|n| n.disk[partition].durable().offset);
        let held = trims::check(below, &durable.collect::<Vec<_>>());
        self.check(held);
        let holds = |node: &&Node| self.holds_as_known(here.node, partition, node.id);
        // A replica that is new may come when the trim is decided: it copies what it lacks.
        let first = self.catalogs[0].held(partition);
        let is_new = |node: &&Node| node.added[partition] || !first.contains(node.id);
        let awaited = self.nodes.iter().filter(holds).filter(|node| !is_new(node));
        let awaited = awaited.filter(|node| !node.was_away);
        let verified = awaited.map(|node| (node.id, node.verified[partition]));
        let verified = trims::check_verified(below, verified);
        self.check(verified);
        if trim.log != self.log.id() {
            let details = format!("{here} trims {:?}, which is not its log", trim.log);
            self.check(Err(Violation::new("trims", details)));
        }
        self.coverage.reach(CoveragePoint::Trimmed);
        self.log.trim(partition, below);
    }

    /// The store of the whole node is opened again: its process does not survive that. The other
    /// replicas hear of it before, if they do.
    fn fail_store(&mut self, here: Address) {
        for partition in 0..self.plan.partitions {
            if let Some(to) = self.address(here.node, partition).filter(|to| *to != here) {
                let why = "told to fail".to_owned();
                let delay_us = self.kernel.random.between(0, 10) * MILLI;
                self.tell_in(delay_us, to, Event::StoreFailed { why });
            }
        }
        let in_us = self.kernel.random.between(0, 20) * MILLI;
        let Some(process) = self.nodes[here.node].process.as_ref() else { return };
        let process = process.number;
        self.put(in_us, Due::Kill { node: here.node, process });
    }

    fn end_driver(&mut self, here: Address) {
        let Some(hosted) = self.hosted_at(here) else { return };
        // Later callers are refused; those in line are still answered.
        hosted.has_ended = true;
        self.coverage.reach(CoveragePoint::Ended);
        let Some(process) = self.nodes[here.node].process.as_ref() else { return };
        let number = process.number;
        if process.drivers().all(|hosted| hosted.has_ended) {
            self.put(MILLI, Due::Kill { node: here.node, process: number });
        }
    }

    /// A process whose drivers have all ended owes no caller an answer.
    pub(super) fn check_ended(&mut self, node: usize) {
        let Some(process) = &self.nodes[node].process else { return };
        if !process.drivers().all(|hosted| hosted.is_over()) {
            return;
        }
        let result = answers::check_none_waits(process.drivers().flat_map(|hosted| hosted.owed()));
        self.check(result);
    }

    /// A driver as its process makes it.
    pub(super) fn new_hosted(
        &mut self,
        (node, partition): (usize, usize),
        number: u64,
        incarnation: cortado_model::NodeIncarnation,
    ) -> crate::database::hosted::Hosted {
        let me = cortado_driver::Me {
            node: self.nodes[node].id,
            incarnation,
            lives_before: self.nodes[node].lives_before[partition],
            partition: super::shared_log::partition_id(partition),
            log: Some(self.log.id()),
            genesis: self.genesis(partition),
        };
        let now = self.time_of(node);
        let mut actions = Vec::new();
        let driver = Driver::new(me, self.settings_of(node), now, &mut actions);
        crate::database::hosted::Hosted::new(number, driver, actions, self.kernel.now)
    }

    fn open_producer(&mut self, here: Address, job: JobId) {
        let Some(hosted) = self.hosted_at(here) else { return };
        let opened = crate::database::hosted::Producer { job, ..Default::default() };
        let former = std::mem::replace(&mut hosted.producer, opened);
        // What was handed to the former one is given up.
        let open = former.sent.iter().filter(|sent| sent.outcomes.is_none());
        open.for_each(|sent| self.feel_append(here.node, sent.sent_at, false));
        // Its way to the log is its own: what the one before has sent may arrive later.
        self.log.lanes.remove(&(here.node, here.partition));
    }

    /// Who may not claim sends no claim.
    fn check_eligible(&mut self, here: Address, records: &[Bytes]) {
        let may_claim = self.may_claim(here.node, here.partition);
        let uuid = self.genesis(here.partition).identity.partition;
        let result = eligible::check(here, may_claim, records, uuid);
        self.check(result);
    }

    fn append(&mut self, here: Address, records: Vec<Bytes>) {
        if self.is(Mutant::AnswersWhenSent) {
            self.answer_appended(here, &records);
        }
        self.check_times(here, &records);
        self.check_eligible(here, &records);
        self.hold_disputes(here, &records);
        let records = match self.is(Mutant::ReplacesWhoServes) {
            true => self.hide_disputes(here, records),
            false => records,
        };
        self.send_records(here, records);
    }
}

//! The network: what becomes of a message.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::clock::Time;
use super::draws::Draws;
use super::events::Event;
use super::message::{Endpoint, FromClient, Message, StreamId};

/// Clients' places among the machines.
const CLIENTS_FROM: usize = 1_000;

/// What a network is like.
#[derive(Debug)]
pub(crate) struct Network {
    /// In a thousand messages between nodes.
    lost: u64,
    doubled: u64,
    late: u64,
    /// Messages take up to so long, in microseconds.
    pub(crate) delay_max: Time,
    /// Links that carry nothing, from and to.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// Streams of clients on which something was lost: nothing more comes through.
    broken: BTreeSet<StreamId>,
    /// When the last frame of a stream arrives, by direction: what is behind comes later.
    last_of_stream: BTreeMap<(StreamId, bool), Time>,
}

impl Network {
    pub(crate) fn new(draws: &mut Draws) -> Self {
        let bad = draws.below(3);
        Self {
            lost: bad * draws.below(20),
            doubled: bad * draws.below(20),
            late: bad * draws.below(20),
            delay_max: draws.between(300, 6_000),
            cut: BTreeSet::new(),
            broken: BTreeSet::new(),
            last_of_stream: BTreeMap::new(),
        }
    }

    /// Everything is well from now on.
    pub(crate) fn mend(&mut self) {
        (self.lost, self.doubled, self.late) = (0, 0, 0);
        self.cut.clear();
    }
}

impl World {
    /// How long something takes, in microseconds.
    pub(crate) fn delay(&mut self) -> Time {
        let max = self.network.delay_max;
        100 + self.draws.below(max) * self.draws.below(max) / max
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.network.cut.contains(&(from, to))
    }

    /// The place of who sends or receives.
    fn place(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            Endpoint::Process(id) => self.processes[id.0].machine,
            Endpoint::Client(client) => CLIENTS_FROM + client,
        }
    }

    /// Cuts or mends the way between a client and a machine.
    pub(crate) fn cut_client(&mut self, client: usize, machine: usize) {
        self.network.cut.insert((CLIENTS_FROM + client, machine));
        self.network.cut.insert((machine, CLIENTS_FROM + client));
    }

    /// Sends a message, which may be lost, late, or come twice.
    pub(crate) fn send(&mut self, from: Endpoint, to: Endpoint, message: Message) {
        let delay = self.delay();
        if let Message::FromClient(stream, _) | Message::ToClient(stream, _) = &message {
            let key = (*stream, matches!(message, Message::FromClient(..)));
            let earliest = self.network.last_of_stream.get(&key).copied().unwrap_or(0);
            let late = if self.draws.below(1_000) < self.network.late { self.draws.below(400_000) } else { 0 };
            let at = (self.now + delay + late).max(earliest);
            self.network.last_of_stream.insert(key, at);
            if matches!(message, Message::FromClient(_, FromClient::Call(_)))
                && self.draws.below(1_000) < self.network.doubled
            {
                let later = at + self.draws.below(2_000_000);
                self.events.add(later, Event::Deliver { from, to, message: message.clone() });
            }
            return self.events.add(at, Event::Deliver { from, to, message });
        }
        if from != to && self.draws.below(1_000) < self.network.lost {
            return;
        }
        if self.draws.below(1_000) < self.network.doubled {
            let at = self.now + delay + self.draws.below(100_000);
            self.events.add(at, Event::Deliver { from, to, message: message.clone() });
        }
        let late = if self.draws.below(1_000) < self.network.late { self.draws.below(1_500_000) } else { 0 };
        let at = self.now + delay + late;
        self.events.add(at, Event::Deliver { from, to, message });
    }

    /// A message comes to its end, unless the link is cut.
    pub(crate) fn deliver(&mut self, from: Endpoint, to: Endpoint, message: Message) {
        let is_cut = self.is_cut(self.place(from), self.place(to));
        if let Message::FromClient(stream, _) | Message::ToClient(stream, _) = &message {
            let dead = |endpoint: Endpoint| matches!(endpoint, Endpoint::Process(id) if !self.processes[id.0].is_alive);
            if is_cut || dead(from) || dead(to) {
                self.network.broken.insert(*stream);
            }
            if self.network.broken.contains(stream) {
                return;
            }
        }
        if is_cut {
            return;
        }
        match to {
            Endpoint::Process(id) => self.receive(id, from, message),
            Endpoint::Client(client) => self.receive_as_client(client, from, message),
        }
    }
}

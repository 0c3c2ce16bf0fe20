//! Votes one by one, and messages made of them: the one place that knows how votes are bundled.

use std::rc::Rc;

use constellation_acs::{InstanceSet, Message, Root, Step, Value, Vote as Bundled};

/// Encoded messages are shared between their receivers.
pub(crate) type Bytes = Rc<[u8]>;

/// A vote in one broadcast or one agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    Echo { proposer: usize, root: Root },
    Ready { proposer: usize, root: Root },
    ReadyAsEchoed { proposer: usize },
    Agree { instance: u16, round: u32, step: Step, value: Value },
    Coin { instance: u16, round: u32, proof: Vec<u8> },
    CoinMin { instance: u16, round: u32, owner: usize, proof: Vec<u8> },
    Decided { instance: u16, value: bool },
}

/// The votes in a message.
pub(crate) fn votes_of(message: &Message) -> Vec<Vote> {
    let mut single = Vec::new();
    let Message::Votes(votes) = message else { return single };
    for vote in votes {
        match vote.clone() {
            Bundled::Echo { proposer, root } => single.push(Vote::Echo { proposer, root }),
            Bundled::Ready { proposer, root } => single.push(Vote::Ready { proposer, root }),
            Bundled::ReadyAsEchoed { proposers } => {
                single.extend(proposers.iter().map(|proposer| Vote::ReadyAsEchoed { proposer: usize::from(proposer) }));
            }
            Bundled::Agree { instances, round, step, value } => {
                single.extend(instances.iter().map(|instance| Vote::Agree { instance, round, step, value }));
            }
            Bundled::Coin { instance, round, proof } => single.push(Vote::Coin { instance, round, proof }),
            Bundled::CoinMin { instance, round, owner, proof } => {
                single.push(Vote::CoinMin { instance, round, owner, proof });
            }
            Bundled::Decided { instances, value } => {
                single.extend(instances.iter().map(|instance| Vote::Decided { instance, value }));
            }
        }
    }
    single
}

/// A message that carries these votes, each by itself.
pub(crate) fn message_of(votes: Vec<Vote>) -> Message {
    let bundled = votes.into_iter().map(|vote| match vote {
        Vote::Echo { proposer, root } => Bundled::Echo { proposer, root },
        Vote::Ready { proposer, root } => Bundled::Ready { proposer, root },
        Vote::ReadyAsEchoed { proposer } => Bundled::ReadyAsEchoed { proposers: InstanceSet::one(proposer as u16) },
        Vote::Agree { instance, round, step, value } => {
            Bundled::Agree { instances: InstanceSet::one(instance), round, step, value }
        }
        Vote::Coin { instance, round, proof } => Bundled::Coin { instance, round, proof },
        Vote::CoinMin { instance, round, owner, proof } => Bundled::CoinMin { instance, round, owner, proof },
        Vote::Decided { instance, value } => Bundled::Decided { instances: InstanceSet::one(instance), value },
    });
    Message::Votes(bundled.collect())
}

pub(crate) fn encode(message: &Message) -> Bytes {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes.into()
}

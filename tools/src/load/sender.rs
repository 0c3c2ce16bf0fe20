//! One node as the load test reaches it: a thread that sends, and a thread that follows final blocks.
//!
//! Both do what takes time (waiting for a socket) and nothing else: all that is decided is decided by the conductor, which hands out one
//! job at a time to each node and hears of everything through one bounded channel.

use super::stars::StarIndex;
use constellation_chain::{Hash, PublicKey};
use constellation_node::api::{Admission, StarAnswer};
use constellation_node::api::{Client, ClientError, FinalBlock, FinalStream, TransactionStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Between two attempts to reach a node that was lost.
const RECONNECT: Duration = Duration::from_millis(500);
/// How long a follower waits for a block before it looks whether the test is over.
const FOLLOW: Duration = Duration::from_millis(200);

/// Something to ask a node.
pub enum Job {
    /// Take these transactions.
    Submit {
        /// Their ids.
        ids: Vec<Hash>,
        /// Their records, one after the other.
        records: Vec<u8>,
    },
    /// Where do these stars stand?
    Heads(Vec<(StarIndex, PublicKey)>),
    /// What became of these transactions?
    Fates(Vec<Hash>),
}

/// Something that happened.
pub enum Event {
    /// The answer to [`Job::Submit`].
    Submitted(Vec<(Hash, Admission)>),
    /// The answer to [`Job::Heads`].
    Heads(Vec<(StarIndex, StarAnswer)>),
    /// The answer to [`Job::Fates`].
    Fates(Vec<(Hash, TransactionStatus)>),
    /// The node cannot be reached; its job, if it had one, may or may not be done.
    Down(ClientError),
    /// The node can be reached again.
    Up,
    /// Whether the node's final blocks are followed.
    Following(bool),
    /// A final block, and when it was seen.
    Final(Instant, FinalBlock),
}

/// What both threads of a node need.
#[derive(Clone, Copy)]
pub struct Wire<'a> {
    /// The node's place in the list.
    pub node: usize,
    /// Its address.
    pub address: &'a str,
    /// Where events go.
    pub events: &'a SyncSender<(usize, Event)>,
    /// Set when the test is over.
    pub is_over: &'a AtomicBool,
}

impl Wire<'_> {
    /// False when nobody listens any more.
    fn tell(&self, event: Event) -> bool {
        self.events.send((self.node, event)).is_ok()
    }

    fn over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Carries out jobs until there are no more.
    pub fn send_all(self, mut client: Option<Client>, jobs: &Receiver<Job>) {
        while !self.over() {
            let Some(connected) = &mut client else {
                client = Client::connect(self.address).ok();
                match client {
                    Some(_) if self.tell(Event::Up) => {}
                    Some(_) => return,
                    None => std::thread::sleep(RECONNECT),
                }
                continue;
            };
            let Ok(job) = jobs.recv() else { return };
            let event = carry_out(connected, job).unwrap_or_else(|error| {
                client = None;
                Event::Down(error)
            });
            if !self.tell(event) {
                return;
            }
        }
    }

    /// Follows the node's final blocks until the test is over.
    pub fn follow(self, mut stream: Option<FinalStream>) {
        while !self.over() {
            let Some(connected) = &mut stream else {
                stream = Client::connect(self.address).and_then(Client::subscribe).ok();
                match stream {
                    Some(_) if self.tell(Event::Following(true)) => {}
                    Some(_) => return,
                    None => std::thread::sleep(RECONNECT),
                }
                continue;
            };
            let event = match connected.next(FOLLOW) {
                Ok(None) => continue,
                Ok(Some(block)) => Event::Final(Instant::now(), block),
                Err(_) => {
                    stream = None;
                    Event::Following(false)
                }
            };
            if !self.tell(event) {
                return;
            }
        }
    }
}

fn carry_out(client: &mut Client, job: Job) -> Result<Event, ClientError> {
    match job {
        Job::Submit { ids, records } => {
            let admissions = match client.submit_records(&records) {
                Err(ClientError::Busy { retry_after_ms }) => vec![Admission::Busy { retry_after_ms }; ids.len()],
                answer => answer?,
            };
            if admissions.len() != ids.len() {
                let what = format!("{} admissions for {} transactions", admissions.len(), ids.len());
                return Err(ClientError::Protocol(what));
            }
            Ok(Event::Submitted(ids.into_iter().zip(admissions).collect()))
        }
        Job::Heads(stars) => {
            let heads = stars.into_iter().map(|(index, star)| Ok((index, client.star(&star)?)));
            heads.collect::<Result<_, ClientError>>().map(Event::Heads)
        }
        Job::Fates(ids) => {
            let fates = ids.into_iter().map(|id| Ok((id, client.transaction(&id)?)));
            fates.collect::<Result<_, ClientError>>().map(Event::Fates)
        }
    }
}

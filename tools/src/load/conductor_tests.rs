//! A conductor against nodes that are a few lines each.

use super::*;
use crate::load::star_keys;
use constellation_chain::{Genesis, GenesisNode, GenesisStar, Ledger, NetworkId, Offer, Reader, StarHead, Transaction};
use std::collections::HashMap;
use std::sync::mpsc::{TryRecvError, sync_channel};

const STARS: usize = 64;

/// Nodes that share one ledger, and fold what they have every few milliseconds.
struct Network {
    jobs: Vec<Receiver<Job>>,
    events: SyncSender<(usize, Event)>,
    ledger: Ledger,
    height: u64,
    pool: Vec<Transaction>,
    /// Transactions of a node that dies before it has passed them on.
    swallowed: Vec<Transaction>,
    is_down: Vec<bool>,
    busy_left: usize,
}

impl Network {
    /// Serves until the conductor has gone; `disturb` is called before each round.
    fn serve(mut self, mut disturb: impl FnMut(&mut Network)) -> Ledger {
        for round in 1.. {
            disturb(&mut self);
            for node in 0..self.jobs.len() {
                loop {
                    match self.jobs[node].try_recv() {
                        Ok(job) => self.work(node, job),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return self.ledger,
                    }
                }
            }
            self.fold(round);
            std::thread::sleep(Duration::from_millis(2));
        }
        self.ledger
    }

    fn work(&mut self, node: usize, job: Job) {
        let event = match job {
            Job::Submit { ids, records } => {
                let mut reader = Reader::new(&records);
                let mut admissions = Vec::new();
                for id in ids {
                    let transaction = Transaction::read(&mut reader, NetworkId::default()).unwrap();
                    assert_eq!(transaction.id(), id);
                    admissions.push((id, self.admit(node, transaction)));
                }
                Event::Submitted(admissions)
            }
            Job::Heads(stars) => {
                let answer = |star| {
                    let account = self.ledger.account(star).cloned().unwrap_or_default();
                    let (balance, head, forks) = (account.balance, account.head, account.forks);
                    StarAnswer { balance, head, forks, height: self.height }
                };
                Event::Heads(stars.iter().map(|(index, star)| (*index, answer(star))).collect())
            }
            Job::Fates(ids) => Event::Fates(ids.into_iter().map(|id| (id, TransactionStatus::Unknown)).collect()),
        };
        self.tell(node, event);
    }

    fn admit(&mut self, node: usize, transaction: Transaction) -> Admission {
        if self.busy_left > 0 {
            self.busy_left -= 1;
            return Admission::Busy { retry_after_ms: 3 };
        }
        match self.ledger.judge(&transaction) {
            Some(Reason::Duplicate) => Admission::Final,
            Some(reason @ (Reason::Stale | Reason::Orphan)) => Admission::Censored { reason },
            _ if self.is_down[node] => {
                self.swallowed.push(transaction);
                Admission::Admitted
            }
            _ => {
                self.pool.push(transaction);
                Admission::Admitted
            }
        }
    }

    fn fold(&mut self, round: u64) {
        let transactions = std::mem::take(&mut self.pool);
        if transactions.is_empty() {
            return;
        }
        self.height = round;
        let application = self.ledger.apply(&transactions);
        let censored: HashMap<usize, Reason> =
            application.censored.iter().map(|censored| (censored.index as usize, censored.reason)).collect();
        let outcomes: Vec<_> = transactions
            .iter()
            .enumerate()
            .map(|(index, transaction)| (transaction.id(), censored.get(&index).copied()))
            .collect();
        let gaps = transactions.into_iter().enumerate();
        self.pool = gaps.filter(|(index, _)| censored.get(index) == Some(&Reason::Gap)).map(|(_, t)| t).collect();
        for node in 0..self.jobs.len() {
            if !self.is_down[node] {
                let block = FinalBlock { height: round, black_hole: Hash::ZERO, outcomes: outcomes.clone() };
                self.tell(node, Event::Final(Instant::now(), block));
            }
        }
    }

    fn tell(&self, node: usize, event: Event) {
        // The conductor may be done.
        self.events.send((node, event)).ok();
    }
}

/// Runs a load over `nodes` of them, and gives the report and how many transactions the ledger has applied.
fn run(
    nodes: usize,
    rate_per_s: u64,
    ms: u64,
    busy: usize,
    disturb: impl FnMut(&mut Network) + Send,
) -> (LoadReport, u64) {
    let keys = star_keys([3; 32], STARS);
    let genesis_node = GenesisNode::new(keys[0].public_key(), "127.0.0.1:1".parse().unwrap());
    let genesis_stars = keys.iter().map(|key| GenesisStar { public_key: key.public_key(), balance: 50 }).collect();
    let ledger = Ledger::new(&Genesis::new("test", 1, vec![genesis_node], genesis_stars).unwrap());
    let options = LoadOptions {
        nodes: (0..nodes).map(|node| node.to_string()).collect(),
        rate_per_s,
        duration: Duration::from_millis(ms),
        drain_max: Duration::from_secs(20),
        threads: 2,
        ..LoadOptions::default()
    };
    let (events_in, events) = sync_channel(1024);
    let (desks, jobs) = (0..nodes)
        .map(|_| {
            let (jobs_in, jobs) = sync_channel(1);
            (Desk::new(jobs_in, true, true), jobs)
        })
        .unzip();
    let network = Network {
        jobs,
        events: events_in,
        ledger,
        height: 0,
        pool: Vec::new(),
        swallowed: Vec::new(),
        is_down: vec![false; nodes],
        busy_left: busy,
    };
    let stars = Stars::new(keys.clone(), &[(StarHead::default(), 50); STARS], 1);
    std::thread::scope(|scope| {
        let serving = scope.spawn(move || network.serve(disturb));
        let conductor = Conductor::new(&options, desks, (stars, Prepared::default()), 0, 0);
        let report = conductor.run(&events, &mut |_| {}, &AtomicBool::new(false));
        drop(events);
        let ledger = serving.join().unwrap();
        assert_eq!(ledger.total_supply(), 50 * STARS as u128);
        let halves: u64 = keys.iter().map(|key| ledger.head(&key.public_key()).sequence).sum();
        (report, halves / 2)
    })
}

fn assert_it_adds_up(report: &LoadReport) {
    assert_eq!(report.asked, report.sent + report.not_sent, "{report:?}");
    let censored: u64 = report.censored.values().sum();
    assert_eq!(report.sent, report.committed + censored + report.lost + report.not_admitted, "{report:?}");
    assert!(report.black_holes > 0 && report.latency_max_ms >= report.latency_p50_ms);
}

#[test]
fn everything_is_committed_and_busy_nodes_are_asked_again() {
    let (report, applied) = run(3, 2000, 300, 40, |_| {});
    assert_it_adds_up(&report);
    assert_eq!((report.asked, report.committed, report.busy, report.resent), (600, 600, 40, 0), "{report:?}");
    assert!(report.censored.is_empty() && applied == 600);
}

#[test]
fn a_node_that_dies_with_its_pool_loses_nothing() {
    let mut round = 0;
    let (report, applied) = run(3, 1000, 400, 0, |network| {
        round += 1;
        match round {
            20 => network.is_down[1] = true,
            40 => {
                let error = constellation_node::api::ClientError::Protocol("killed".into());
                network.tell(1, Event::Following(false));
                network.tell(1, Event::Down(error));
            }
            _ => {}
        }
    });
    assert_it_adds_up(&report);
    assert_eq!((report.committed, report.lost, report.node_errors), (400, 0, 1), "{report:?}");
    assert!(report.resent > 0 && applied == 400);
}

#[test]
fn a_censored_transaction_takes_its_successors_along_and_the_stars_go_on() {
    let mut is_done = false;
    let (report, applied) = run(2, 1000, 400, 0, |network| {
        if !is_done && network.pool.is_empty() && network.height > 10 {
            is_done = true;
            // Somebody else with the same keys gets in first.
            let keys = star_keys([3; 32], STARS);
            let head = |key: &constellation_chain::SecretKey| network.ledger.head(&key.public_key());
            let offer = Offer::transfer(NetworkId::default(), &keys[0], head(&keys[0]), keys[1].public_key(), 7);
            let rival = offer.countersign(&keys[1], head(&keys[1])).unwrap();
            assert_eq!(network.ledger.judge(&rival), None);
            network.pool.push(rival);
        }
    });
    let censored: u64 = report.censored.values().sum();
    assert!(censored > 0, "{report:?}");
    assert_eq!(report.committed + censored, 400, "{report:?}");
    assert_eq!(applied, report.committed + 1);
}

#[test]
fn with_no_node_up_the_schedule_goes_on_and_says_so() {
    let options = LoadOptions {
        nodes: vec!["none".into()],
        rate_per_s: 1000,
        duration: Duration::from_millis(50),
        drain_max: Duration::from_millis(50),
        ..LoadOptions::default()
    };
    let (jobs, _jobs) = sync_channel(1);
    let (_events_in, events) = sync_channel(1);
    let stars = Stars::new(star_keys([3; 32], 4), &[(StarHead::default(), 50); 4], 1);
    let conductor = Conductor::new(&options, vec![Desk::new(jobs, false, false)], (stars, Prepared::default()), 0, 1);
    let report = conductor.run(&events, &mut |_| {}, &AtomicBool::new(false));
    assert_eq!((report.asked, report.sent, report.not_sent, report.node_errors), (50, 0, 50, 1), "{report:?}");
}

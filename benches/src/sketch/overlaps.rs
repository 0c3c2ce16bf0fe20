//! Which blocks of a round overlap, are near-copies, or spend twice: who finds how many of them, and for what.
//!
//! A block is a list of transfers between stars drawn from [`STARS`], all alike or by Zipf's law. One block in [`BLOCKS_PER_PLANT`] (and one at least) is made a near-copy
//! of another (nine transfers in ten), and as many pairs are given a double spend: one star's number in both. Making the sketches is told apart from using them: a
//! facilitator makes each once, for all.

use std::hint::black_box;

use constellation_chain::{KeyMap, PublicKey};
use serde::Serialize;

use super::index::{candidates, shared_by_account, shared_sorted};
use super::name;
use crate::machine::cpu_ms;
use crate::random::{Random, Zipf};

/// Stars that the transfers are between.
pub const STARS: usize = 100_000;
/// One block in so many is a near-copy of another, and one has a double spend with another.
pub const BLOCKS_PER_PLANT: usize = 16;
/// Two blocks that are at least so alike count as near-copies, in percent of Jaccard similarity.
pub const COPY_PERCENT: u32 = 50;

/// Who trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// All stars alike.
    Uniform,
    /// By Zipf's law.
    Zipf,
}

impl Traffic {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Zipf];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }
}

/// One way to find them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Blocks of the round.
    pub blocks: usize,
    /// Transactions of each.
    pub transactions: usize,
    /// Who trades.
    pub traffic: &'static str,
    /// `sketch`, `all_pairs` or `inverted_index`.
    pub method: &'static str,
    /// Pairs whose accounts were compared one by one.
    pub pairs_compared: usize,
    /// Of all pairs, the share that overlaps.
    pub overlapping_share: f64,
    /// Of the pairs that overlap, the share found.
    pub overlap_recall: f64,
    /// Of the near-copies, the share found.
    pub copy_recall: f64,
    /// Of the double spends, the share found.
    pub conflict_recall: f64,
    /// CPU time of the search, in microseconds.
    pub search_cpu_us: f64,
    /// CPU time of making all blocks' sketches, in microseconds; zero where none are used.
    pub sketches_cpu_us: f64,
}

/// What a block touches and claims, both sorted.
struct Block {
    accounts: Vec<PublicKey>,
    /// A star's place, and its number: a pair that is in two blocks is a double spend.
    claims: Vec<(u32, u64)>,
}

/// A transfer: initiator, its number, counterparty.
type Transfer = (u32, u64, u32);

/// What was found, pairs as (smaller, larger) place.
#[derive(Default)]
struct Found {
    pairs_compared: usize,
    overlaps: usize,
    copies: usize,
    conflicts: usize,
}

impl Found {
    /// Takes a pair with so many accounts in common.
    fn note(&mut self, (one, other): (&Block, &Block), shared: u32) {
        self.overlaps += usize::from(shared > 0);
        let union = one.accounts.len() as u32 + other.accounts.len() as u32 - shared;
        self.copies += usize::from(100 * shared >= COPY_PERCENT * union);
    }

    /// Compares a pair one by one.
    fn compare(&mut self, one: &Block, other: &Block) {
        self.pairs_compared += 1;
        self.note((one, other), shared_sorted(&one.accounts, &other.accounts));
        self.conflicts += shared_sorted(&one.claims, &other.claims) as usize;
    }
}

/// All three ways on one round.
pub fn rows(count: usize, transactions: usize, traffic: Traffic, seed: u64) -> Vec<Row> {
    let blocks = draw(count, transactions, traffic, seed);
    let key = [7; 32];
    let (sketches, sketches_cpu_us) = timed(|| {
        let sketch = |block: &Block| constellation_verify::sketch(&key, block.accounts.iter().map(|one| &one.0));
        blocks.iter().map(sketch).collect::<Vec<_>>()
    });
    let by_sketch = timed(|| {
        let mut found = Found::default();
        for (one, other) in candidates(&sketches) {
            found.compare(&blocks[one as usize], &blocks[other as usize]);
        }
        found
    });
    let all_pairs = timed(|| {
        let mut found = Found::default();
        for (at, one) in blocks.iter().enumerate() {
            blocks[at + 1..].iter().for_each(|other| found.compare(one, other));
        }
        found
    });
    let inverted = timed(|| by_inverted_index(&blocks));
    let truth = &all_pairs.0;
    let share = |found: usize, of: usize| if of == 0 { 1.0 } else { found as f64 / of as f64 };
    let row = |method, (found, search_cpu_us): &(Found, f64), sketches_cpu_us| Row {
        blocks: count,
        transactions,
        traffic: traffic.name(),
        method,
        pairs_compared: found.pairs_compared,
        overlapping_share: share(truth.overlaps, count * (count - 1) / 2),
        overlap_recall: share(found.overlaps, truth.overlaps),
        copy_recall: share(found.copies, truth.copies),
        conflict_recall: share(found.conflicts, truth.conflicts),
        search_cpu_us: *search_cpu_us,
        sketches_cpu_us,
    };
    vec![
        row("sketch", &by_sketch, sketches_cpu_us),
        row("all_pairs", &all_pairs, 0.0),
        row("inverted_index", &inverted, 0.0),
    ]
}

/// Hash maps from account to blocks, and from claim to blocks.
fn by_inverted_index(blocks: &[Block]) -> Found {
    let mut found = Found::default();
    let accounts: Vec<&[PublicKey]> = blocks.iter().map(|block| &block.accounts[..]).collect();
    let shared = shared_by_account(&accounts);
    for (at, one) in blocks.iter().enumerate() {
        for (offset, other) in blocks[at + 1..].iter().enumerate() {
            found.note((one, other), shared[at * blocks.len() + at + 1 + offset]);
        }
    }
    let mut claimed: KeyMap<(u32, u64), usize> = KeyMap::default();
    for claim in blocks.iter().flat_map(|block| &block.claims) {
        let before = claimed.entry(*claim).or_default();
        // With each block before that claims it.
        found.conflicts += *before;
        *before += 1;
    }
    found
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start_ms = cpu_ms();
    let result = black_box(work());
    (result, 1e3 * (cpu_ms() - start_ms))
}

fn draw(count: usize, transactions: usize, traffic: Traffic, seed: u64) -> Vec<Block> {
    let mut random = Random(seed);
    let zipf = Zipf::new(STARS);
    let star = |random: &mut Random| match traffic {
        Traffic::Uniform => random.below(STARS) as u32,
        Traffic::Zipf => zipf.draw(random) as u32,
    };
    let mut numbers = vec![0; STARS];
    let mut transfer = |random: &mut Random| -> Transfer {
        let initiator = star(random);
        numbers[initiator as usize] += 1;
        (initiator, numbers[initiator as usize], star(random))
    };
    let mut blocks: Vec<Vec<Transfer>> =
        (0..count).map(|_| (0..transactions).map(|_| transfer(&mut random)).collect()).collect();
    // Copies in the front half of the round, double spends in the back half. What is copied claims other numbers, so that neither is counted for
    // the other.
    let plants = (count / BLOCKS_PER_PLANT).max(1);
    for plant in 0..plants {
        let kept = blocks[2 * plant][..transactions * 9 / 10].iter().map(|(star, number, to)| (*star, !*number, *to));
        let kept: Vec<Transfer> = kept.collect();
        blocks[2 * plant + 1].splice(..kept.len(), kept);
        let spent = blocks[count - 1 - 2 * plant][0];
        blocks[count - 2 - 2 * plant].push(spent);
    }
    let keys: Vec<PublicKey> = (0..STARS as u64).map(|number| name(seed, number)).collect();
    let block = |transfers: Vec<Transfer>| {
        let mut accounts: Vec<PublicKey> =
            transfers.iter().flat_map(|(from, _, to)| [keys[*from as usize], keys[*to as usize]]).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let mut claims: Vec<(u32, u64)> = transfers.iter().map(|(star, number, _)| (*star, *number)).collect();
        claims.sort_unstable();
        Block { accounts, claims }
    };
    blocks.into_iter().map(block).collect()
}

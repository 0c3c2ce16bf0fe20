//! Every way a device can fail, alone and in random order: each signature still gets the verdict of the rule, and each
//! request is accounted for.

use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;

use super::double::{Act, Script};
use super::runner::{Gpu, GpuOptions, GpuTimeouts};
use super::self_test::{self, known_signatures};
use super::shared::GpuCounters;
use crate::known_answers::KnownTransactions;
use crate::transactions::UnderWay;
use crate::{Batch, Messages, OwnedBatch, TransactionResults, Transactions, Verdicts, portable};

/// Items of a request of the double.
const REQUEST_LEN: usize = 8;

/// Far beyond what any test needs: no verdict here depends on time.
const LONG: Duration = Duration::from_secs(20);

fn options() -> GpuOptions {
    GpuOptions {
        batch_max: REQUEST_LEN,
        batch_min: 1,
        timeouts: GpuTimeouts {
            deadline: Duration::from_millis(20),
            patience: LONG,
            back_off_first: Duration::from_millis(1),
            back_off_max: Duration::from_millis(2),
        },
        ..GpuOptions::default()
    }
}

fn start(script: &Script, options: GpuOptions) -> Gpu {
    Gpu::start_with(script.make(REQUEST_LEN), options)
}

/// Signatures of which some are valid, with the CPU's verdicts.
fn known() -> &'static (OwnedBatch, Verdicts) {
    static KNOWN: OnceLock<(OwnedBatch, Verdicts)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let (batch, _) = known_signatures(4 * REQUEST_LEN);
        let verdicts = portable::verify(&batch.as_batch());
        assert!(verdicts.count_valid() > 0 && !verdicts.all());
        (batch, verdicts)
    })
}

fn part(first: usize, count: usize) -> OwnedBatch {
    let all = known().0.as_batch();
    let mut part = OwnedBatch::new();
    for index in first..first + count {
        part.push(&all.public_keys()[index], &all.signatures()[index], &[all.messages().at(index)]).unwrap();
    }
    part
}

fn assert_accounted_for(counters: GpuCounters) {
    assert_eq!(counters.requests, counters.answered + counters.redone(), "{counters:?}");
}

/// Transactions for four requests, of which some are valid, with the CPU's results.
fn known_transactions() -> (Transactions<'static>, &'static TransactionResults) {
    static KNOWN: OnceLock<(KnownTransactions, TransactionResults)> = OnceLock::new();
    let (known, results) = KNOWN.get_or_init(|| {
        let known = KnownTransactions::new(2 * REQUEST_LEN);
        let mut under_way = UnderWay::new(known.transactions().with_sketch(&[8; 32]));
        under_way.do_on_cpu(0..2 * REQUEST_LEN, &portable::verify);
        let results = under_way.finish();
        assert!(results.verdicts.iter().eq(known.verdicts.iter().copied()));
        (known, results)
    });
    (known.transactions().with_sketch(&[8; 32]), results)
}

/// What takes four requests with as many signatures.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Signatures,
    Transactions,
}

impl Ask {
    const BOTH: [Self; 2] = [Self::Signatures, Self::Transactions];

    /// Asks for all that is known, and compares.
    fn check(self, gpu: &Gpu, what: &Act) {
        match self {
            Self::Signatures => {
                let (batch, expected) = known();
                assert_eq!(gpu.verify(&batch.as_batch(), &portable::verify), *expected, "{what:?}");
            }
            Self::Transactions => {
                let (transactions, expected) = known_transactions();
                assert_eq!(gpu.verify_transactions(&transactions, &portable::verify), *expected, "{what:?}");
            }
        }
    }
}

/// Either of the two asked with the fault.
fn one_fault(act: Act, counted: impl Fn(&GpuCounters) -> u64 + Copy, devices_made: usize) {
    for ask in Ask::BOTH {
        one_fault_of(ask, act.clone(), counted, devices_made);
    }
}

/// Four requests, the second of which meets `act`; then four more, when the GPU is back.
fn one_fault_of(ask: Ask, act: Act, counted: impl Fn(&GpuCounters) -> u64, devices_made: usize) {
    let script = Script::default();
    let gpu = start(&script, options());
    assert!(gpu.wait_ready(LONG));

    script.set([Act::Answer, act.clone()]);
    ask.check(&gpu, &act);
    let counters = gpu.counters();
    assert_accounted_for(counters);
    assert!(counted(&counters) >= 1, "{act:?}: {counters:?}");
    let takes_all_with_it = matches!(act, Act::LostAtSubmit | Act::OutOfMemory);
    assert!(counters.answered >= 1 || takes_all_with_it, "{act:?}: the request before it was good: {counters:?}");
    assert_eq!(counters.redone(), counted(&counters) + counters.redone_not_started, "{act:?}: {counters:?}");
    assert_eq!(counters.signatures_gpu + counters.signatures_cpu, 4 * REQUEST_LEN as u64);

    assert!(gpu.wait_ready(LONG), "{act:?}: the GPU comes back");
    ask.check(&gpu, &act);
    assert_eq!(gpu.counters().answered, counters.answered + 4, "{ask:?}: {act:?}");
    assert_eq!(gpu.counters().taken_in, 2, "{act:?}");
    assert_eq!(script.devices_made(), devices_made, "{act:?}");
}

#[test]
fn the_double_passes_the_self_test() {
    let mut device = Script::default().make(REQUEST_LEN)().unwrap();
    self_test::check(device.as_mut(), LONG).unwrap();
    let found = self_test::calibrate(device.as_mut(), REQUEST_LEN, LONG, LONG).unwrap();
    assert_eq!(found.batch, REQUEST_LEN);
}

#[test]
fn a_lost_device_is_made_again() {
    for act in [Act::LostAtSubmit, Act::LostInFlight, Act::Panic] {
        one_fault(act, |counters| counters.redone_lost, 2);
    }
    one_fault(Act::OutOfMemory, |counters| counters.redone_out_of_memory, 2);
}

#[test]
fn a_late_result_is_not_waited_for() {
    one_fault(Act::Late, |counters| counters.redone_late, 1);
}

#[test]
fn a_result_that_is_not_the_requests_own_is_refused() {
    for act in [Act::Zeros, Act::Garbage, Act::Stale, Act::Flipped, Act::Truncated] {
        one_fault(act, |counters| counters.redone_garbled, 1);
    }
}

#[test]
fn only_the_faulty_request_is_redone() {
    let script = Script::default();
    let gpu = start(&script, options());
    assert!(gpu.wait_ready(LONG));
    script.set([Act::Garbage]);
    let one = part(0, REQUEST_LEN);
    assert_eq!(gpu.verify(&one.as_batch(), &portable::verify), portable::verify(&one.as_batch()));
    let counters = gpu.counters();
    assert_eq!((counters.requests, counters.redone_garbled, counters.answered), (1, 1, 0));
    assert_eq!((counters.signatures_gpu, counters.signatures_cpu), (0, REQUEST_LEN as u64));
}

#[test]
fn a_device_that_cannot_be_made_is_tried_again() {
    let script = Script::default();
    script.fail_creations(3);
    let gpu = start(&script, options());
    let (batch, expected) = known();
    assert_eq!(gpu.verify(&batch.as_batch(), &portable::verify), *expected);
    assert!(gpu.wait_ready(LONG));
    assert_eq!(gpu.verify(&batch.as_batch(), &portable::verify), *expected);
    assert_eq!(gpu.counters().answered, 4);
    assert_eq!(script.devices_made(), 1);
}

#[test]
fn a_device_that_fails_its_self_test_is_not_taken_in() {
    for act in [Act::Flipped, Act::Stale, Act::Zeros, Act::Panic, Act::OutOfMemory] {
        let script = Script::default();
        script.set([act.clone()]);
        let gpu = start(&script, options());
        assert!(gpu.wait_ready(LONG));
        assert_eq!(gpu.counters().taken_in, 1);
        assert_eq!(script.devices_made(), 2, "{act:?}: the first device failed its test");
    }
}

#[test]
fn a_device_that_computes_wrongly_is_not_taken_in() {
    // Signatures, ids, a sketch, transactions, and signatures twice more to find the batch.
    for right_answers in 0..6 {
        let script = Script::default();
        script.set(vec![Act::Answer; right_answers].into_iter().chain([Act::Wrong]));
        let gpu = start(&script, options());
        while gpu.last_fault().is_none() {
            assert_eq!(gpu.counters().taken_in, 0, "after {right_answers} right answers");
            std::thread::yield_now();
        }
        assert!(gpu.last_fault().unwrap().contains("wrong"), "{:?}", gpu.last_fault());
        assert!(gpu.wait_ready(LONG));
    }
}

#[test]
fn a_hanging_driver_stops_nobody() {
    let script = Script::default();
    let patience = Duration::from_millis(50);
    let gpu = start(&script, GpuOptions { timeouts: GpuTimeouts { patience, ..options().timeouts }, ..options() });
    assert!(gpu.wait_ready(LONG));
    let (release, hanging) = crossbeam::channel::bounded(0);
    script.set([Act::Hang(hanging)]);
    let (batch, expected) = known();
    assert_eq!(gpu.verify(&batch.as_batch(), &portable::verify), *expected);
    let counters = gpu.counters();
    assert_accounted_for(counters);
    assert!(counters.redone_late >= 1, "{counters:?}");
    assert_eq!(gpu.verify(&batch.as_batch(), &portable::verify), *expected);
    assert_eq!(gpu.counters().requests, counters.requests, "nothing more goes to a thread that hangs");

    drop(release);
    assert!(gpu.wait_ready(LONG), "the GPU comes back");
    assert_eq!(gpu.counters().taken_in, 2);
}

#[test]
fn long_messages_are_for_the_cpu() {
    let script = Script::default();
    let gpu = start(&script, options());
    assert!(gpu.wait_ready(LONG));
    let mut batch = part(0, 30);
    let valid = known().0.as_batch();
    let first_valid = (0..valid.len()).find(|&index| known().1.get(index)).unwrap();
    batch.push(&valid.public_keys()[first_valid], &valid.signatures()[first_valid], &[&[0; 5_000]]).unwrap();
    let valid = part(first_valid, 1);
    let valid = valid.as_batch();
    batch.push(&valid.public_keys()[0], &valid.signatures()[0], &[valid.messages().at(0)]).unwrap();
    let verdicts = gpu.verify(&batch.as_batch(), &portable::verify);
    assert_eq!(verdicts, portable::verify(&batch.as_batch()));
    assert!(verdicts.get(31) && !verdicts.get(30));
    assert_eq!((gpu.counters().signatures_gpu, gpu.counters().signatures_cpu), (31, 1));
}

#[test]
fn both_sides_share_a_batch() {
    let script = Script::default();
    let gpu = start(&script, GpuOptions { share_with_cpu: true, ..options() });
    assert!(gpu.wait_ready(LONG));
    for round in 1..=20 {
        Ask::BOTH[round % 2].check(&gpu, &Act::Answer);
        let counters = gpu.counters();
        assert_eq!(counters.signatures_gpu + counters.signatures_cpu, (round * 4 * REQUEST_LEN) as u64);
        assert_accounted_for(counters);
    }
    let counters = gpu.counters();
    assert!(counters.signatures_gpu > 0 && counters.signatures_cpu > 0, "{counters:?}");
}

#[test]
fn ids_and_sketches_survive_faults() {
    let script = Script::default();
    let gpu = start(&script, options());
    let bytes: Vec<u8> = (0..=255).cycle().take(100 * 70).collect();
    let ends: Vec<u32> = (1..=100).map(|index| 70 * index).collect();
    let messages = Messages::new(&bytes, &ends).unwrap();
    let elements: Vec<[u8; 32]> = (0..8_u8).map(|index| [index; 32]).collect();
    for act in [Act::Answer, Act::Garbage, Act::LostInFlight, Act::Stale, Act::Late] {
        assert!(gpu.wait_ready(LONG));
        script.set([act.clone()]);
        assert_eq!(gpu.transaction_ids(&messages), crate::transaction_ids(&messages), "{act:?}");
        assert!(gpu.wait_ready(LONG));
        script.set([act.clone()]);
        assert_eq!(gpu.sketch(&[9; 32], &elements), crate::sketch(&[9; 32], &elements), "{act:?}");
        assert_accounted_for(gpu.counters());
    }
    assert!(gpu.counters().redone_garbled >= 4);
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Answer),
        1 => Just(Act::LostAtSubmit),
        1 => Just(Act::LostInFlight),
        1 => Just(Act::Panic),
        1 => Just(Act::OutOfMemory),
        1 => Just(Act::Late),
        1 => Just(Act::Zeros),
        1 => Just(Act::Garbage),
        1 => Just(Act::Stale),
        1 => Just(Act::Flipped),
        1 => Just(Act::Swapped),
        1 => Just(Act::Truncated),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, ..ProptestConfig::default() })]

    /// Two callers at once, on a device that follows any script: some of its faults fall into self-tests.
    #[test]
    fn any_order_of_faults_changes_no_verdict(
        acts in prop::collection::vec(any_act(), 1..16),
        parts in prop::collection::vec((0..REQUEST_LEN, 0..3 * REQUEST_LEN), 4),
        share_with_cpu in any::<bool>(),
    ) {
        let script = Script::default();
        let gpu = start(&script, GpuOptions { share_with_cpu, ..options() });
        prop_assert!(gpu.wait_ready(LONG));
        script.set(acts);
        let verify_all = |parts: &[(usize, usize)]| {
            for &(first, count) in parts {
                let batch = part(first, count);
                assert_verdicts(&gpu, &batch.as_batch(), first);
                assert!(gpu.wait_ready(LONG), "the GPU comes back");
                Ask::Transactions.check(&gpu, &Act::Answer);
                assert!(gpu.wait_ready(LONG), "the GPU comes back");
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| verify_all(&parts[..2]));
            verify_all(&parts[2..]);
        });
        let counters = gpu.counters();
        assert_accounted_for(counters);
        let total: usize = parts.iter().map(|(_, count)| count + 4 * REQUEST_LEN).sum();
        prop_assert_eq!(counters.signatures_gpu + counters.signatures_cpu, total as u64);
    }
}

fn assert_verdicts(gpu: &Gpu, batch: &Batch<'_>, first: usize) {
    let verdicts = gpu.verify(batch, &portable::verify);
    assert_eq!(verdicts.len(), batch.len());
    for (index, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict, known().1.get(first + index), "signature {index}");
    }
}

//! Every backend gives the verdict of the portable one, alone and in a batch beside good and bad signatures.
#![no_main]

use constellation_fuzz::star_key;
use constellation_verify::{Backend, Engine, OwnedBatch};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENGINES: LazyLock<Vec<Engine>> =
    LazyLock::new(|| Backend::available().into_iter().filter_map(|backend| Engine::new(backend).ok()).collect());

fuzz_target!(|input: &[u8]| {
    let Some((key, rest)) = input.split_first_chunk::<32>() else { return };
    let Some((signature, message)) = rest.split_first_chunk::<64>() else { return };
    let good = star_key(0);
    let (good_key, good_signature) = (good.public_key().0, good.sign(message).0);
    let mut batch = OwnedBatch::new();
    for (key, signature) in [(key, signature), (&good_key, &good_signature), (&good_key, signature), (key, signature)] {
        batch.push(key, signature, &[message]).expect("four short messages fit a batch");
    }
    let verdicts: Vec<Vec<bool>> =
        ENGINES.iter().map(|engine| engine.verify(&batch.as_batch()).iter().collect()).collect();
    assert!(verdicts.iter().all(|other| *other == verdicts[0]));
    assert!(verdicts[0][1] && verdicts[0][0] == verdicts[0][3]);
});

//! Criterion benches of our backends, on the workloads of the side-by-side report.

use constellation_benches::{Case, Entrant, Signed, Workload};
use constellation_verify::Backend;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MESSAGE_BYTES: usize = 175;

fn verify(criterion: &mut Criterion) {
    let signed = Signed::new(4096, MESSAGE_BYTES, 0);
    for (case, batch) in Case::ALL.map(|case| (case, 4096)).into_iter().chain([(Case::NewKeys, 64)]) {
        let workload = Workload::new(case, batch, signed.front(batch)).expect("far below 4 GiB of messages");
        let mut group = criterion.benchmark_group(format!("{case}/{batch}"));
        group.throughput(Throughput::Elements(batch as u64));
        group.sample_size(20);
        for backend in Backend::available() {
            let entrant = Entrant::ours(backend, false).expect("it is available");
            let mut contender = entrant.enter(&workload).expect("it needs no process");
            group.bench_function(entrant.name(), |bencher| bencher.iter(|| contender.pass(1)));
        }
        group.finish();
    }
}

criterion_group!(benches, verify);
criterion_main!(benches);

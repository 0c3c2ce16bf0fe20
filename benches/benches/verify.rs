//! Criterion benches of verification throughput, on the cases of the side-by-side report.

use constellation_benches::{Case, Workload, contenders};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SIGNATURES: usize = 1024;

fn verify(criterion: &mut Criterion) {
    for case in [Case::NewKeys, Case::OneBad] {
        let workload = Workload::new(case, SIGNATURES, SIGNATURES).expect("a kibibatch is far below 4 GiB");
        let mut group = criterion.benchmark_group(case.name());
        group.throughput(Throughput::Elements(SIGNATURES as u64));
        group.sample_size(20);
        for mut contender in contenders() {
            group.bench_function(contender.name(), |bencher| {
                bencher.iter(|| contender.count_valid(&workload.batches[0].as_batch()));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, verify);
criterion_main!(benches);

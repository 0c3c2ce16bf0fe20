//! Field arithmetic at the limits that [`crate::shape`] states: the twin against big integers, and the WGSL against
//! the twin on whatever adapter there is.

use num_bigint::BigUint;

use crate::rig;
use crate::shape::Shape;
use crate::twin::Fe;
use crate::{Arithmetic, Kind, Pass, Program, generate};

/// How large a limb may be, in the classes of [`crate::shape`].
#[derive(Clone, Copy)]
enum Class {
    Tight,
    Loose,
    Wide,
}

fn limb_max(arithmetic: Arithmetic, class: Class, limb: usize) -> u32 {
    let bits = Shape::of(arithmetic).bits[limb];
    let tenths = |tenths: u64| u32::try_from((tenths << bits) / 10).unwrap();
    match (arithmetic, class) {
        (Arithmetic::Int64, Class::Tight) => (1 << bits) + (1 << (bits - 7)),
        (Arithmetic::Int64, Class::Loose) => tenths(31),
        (Arithmetic::Int64, Class::Wide) => tenths(72),
        (Arithmetic::Int32, _) => 8191 + if limb == 0 { 3 * 608 } else { 64 },
    }
}

struct Source(blake3::OutputReader);

impl Source {
    fn word(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Limbs at 0, at the limit, or between.
    fn element(&mut self, arithmetic: Arithmetic, class: Class, extreme: bool) -> Fe {
        let limbs: Vec<u32> = (0..Shape::of(arithmetic).limbs())
            .map(|limb| {
                let max = limb_max(arithmetic, class, limb);
                match self.word() % 4 {
                    _ if extreme => max,
                    0 => 0,
                    1 => max,
                    _ => self.word() % (max + 1),
                }
            })
            .collect();
        Fe::from_limbs(arithmetic, &limbs)
    }
}

fn order() -> BigUint {
    (BigUint::from(1_u32) << 255) - 19_u32
}

fn value(element: &Fe, arithmetic: Arithmetic) -> BigUint {
    let shape = Shape::of(arithmetic);
    element.limbs().iter().enumerate().map(|(limb, &word)| BigUint::from(word) << shape.start(limb)).sum()
}

/// What the operations take and give: six elements to seven, and the words of the canonical form.
struct Operations {
    wide: Fe,
    loose: [Fe; 3],
    tight: [Fe; 2],
}

impl Operations {
    fn random(source: &mut Source, arithmetic: Arithmetic, extreme: bool) -> Self {
        let mut element = |class| source.element(arithmetic, class, extreme);
        Self {
            wide: element(Class::Wide),
            loose: [Class::Loose; 3].map(&mut element),
            tight: [Class::Tight; 2].map(&mut element),
        }
    }

    fn operands(&self) -> [Fe; 6] {
        let ([a, b, c], [d, e]) = (self.loose, self.tight);
        [self.wide, a, b, c, d, e]
    }

    /// Product, square, sum, difference, wide difference, carried.
    fn results(&self) -> [Fe; 6] {
        let ([a, b, c], [d, e]) = (&self.loose, &self.tight);
        [self.wide.mul(a), b.square(), d.add(e), d.sub(e), b.sub_wide(c), self.wide.carry()]
    }

    fn check(&self, arithmetic: Arithmetic) {
        let p = order();
        let value = |element: &Fe| value(element, arithmetic);
        let ([a, b, c], [d, e]) = (&self.loose, &self.tight);
        // Multiples of p keep the differences above 0.
        let room = &p << 8;
        let expected = [
            value(&self.wide) * value(a),
            value(b) * value(b),
            value(d) + value(e),
            value(d) + &room - value(e),
            value(b) + &room - value(c),
            value(&self.wide),
        ];
        let classes = [Class::Tight, Class::Tight, Class::Loose, Class::Loose, Class::Wide, Class::Tight];
        for (number, ((result, expected), class)) in self.results().iter().zip(expected).zip(classes).enumerate() {
            assert_eq!(value(result) % &p, expected % &p, "{arithmetic:?} operation {number}");
            for (limb, &word) in result.limbs().iter().enumerate() {
                let max = limb_max(arithmetic, class, limb);
                assert!(word <= max, "{arithmetic:?} operation {number}: limb {limb} is {word}, above {max}");
            }
        }
        let canonical = BigUint::new(self.loose[0].canonical().to_vec());
        assert_eq!(canonical, value(a) % &p, "{arithmetic:?} canonical form");
    }
}

fn operations(arithmetic: Arithmetic, count: usize) -> Vec<Operations> {
    let mut source = Source(blake3::Hasher::new().update(arithmetic.name().as_bytes()).finalize_xof());
    (0..count).map(|number| Operations::random(&mut source, arithmetic, number == 0)).collect()
}

/// Run with overflow checks, as tests are, this also shows that nothing overflows.
#[test]
fn multiplication_at_the_limb_bounds() {
    for arithmetic in Arithmetic::ALL {
        for operations in operations(arithmetic, 3000) {
            operations.check(arithmetic);
        }
    }
}

#[test]
fn canonical_form_around_multiples_of_p() {
    for arithmetic in Arithmetic::ALL {
        for offset in 0..40_u32 {
            for base in [BigUint::ZERO, order() - 20_u32] {
                let mut words = (base + offset).to_u32_digits();
                words.resize(8, 0);
                let element = Fe::from_words(arithmetic, &words.clone().try_into().unwrap());
                let expected = BigUint::new(words) % (BigUint::from(1_u32) << 255) % order();
                assert_eq!(BigUint::new(element.canonical().to_vec()), expected, "{arithmetic:?} {offset}");
                assert!(element.add(&element.negate().carry()).is_zero(), "{arithmetic:?} {offset}");
            }
        }
    }
}

#[test]
fn numbers_of_the_curve() {
    use crate::numbers::{BASE, D, SQRT_MINUS_ONE, TWICE_D};
    let [d, twice_d, root] = [D, TWICE_D, SQRT_MINUS_ONE].map(|words| BigUint::new(words.to_vec()));
    let p = order();
    assert_eq!(&d * 121_666_u32 % &p, &p - 121_665_u32);
    assert_eq!(&d * 2_u32 % &p, twice_d);
    assert_eq!(&root * &root % &p, &p - 1_u32);
    let [x, y] = BASE.map(|words| BigUint::new(words.to_vec()));
    let (xx, yy) = (&x * &x % &p, &y * &y % &p);
    assert_eq!((&yy + &p - &xx) % &p, (1_u32 + d * xx * yy) % &p);
}

/// Items of six elements in, six out and a canonical form.
const KERNEL: &str = "
@compute @workgroup_size(64)
fn operations(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= input[COUNT] {
        return;
    }
    let at = (6u * PAIR_VECTORS + 2u) * id.x;
    let first = load_scratch(at);
    let second = load_scratch(at + PAIR_VECTORS);
    let third = load_scratch(at + 2u * PAIR_VECTORS);
    let to = at + 3u * PAIR_VECTORS;
    store_scratch(to, fe_mul(first.x, first.y), fe_square(second.x));
    store_scratch(to + PAIR_VECTORS, fe_add(third.x, third.y), fe_sub(third.x, third.y));
    store_scratch(to + 2u * PAIR_VECTORS, fe_sub_wide(second.x, second.y), fe_carry(first.x));
    let w = fe_canonical(first.y);
    scratch[to + 3u * PAIR_VECTORS] = vec4<u32>(w[0], w[1], w[2], w[3]);
    scratch[to + 3u * PAIR_VECTORS + 1u] = vec4<u32>(w[4], w[5], w[6], w[7]);
}
";

#[test]
fn field_operations_equal_their_twin_on_an_adapter() {
    let Some(rig) = rig::open() else { return };
    for arithmetic in Arithmetic::ALL {
        let buffers = include_str!("../wgsl/buffers.wgsl");
        let source = [buffers, &generate::field(arithmetic), KERNEL].join("\n");
        let passes = vec![Pass { entry_point: "operations", workgroup_size: 64, items_per_workgroup: Some(64) }];
        let program = Program { kind: Kind::Signatures(arithmetic), name: "field operations", source, passes };
        let Some(ready) = rig.prepare(program) else { continue };
        let (count, mut start, mut expected) = (1000, Vec::new(), Vec::new());
        for operations in operations(arithmetic, count as usize) {
            let operands: Vec<u32> = operations.operands().iter().flat_map(Fe::limbs).copied().collect();
            let results = operations.results();
            start.extend_from_slice(&operands);
            start.resize(start.len() + operands.len() + 8, 0);
            expected.extend_from_slice(&operands);
            expected.extend(results.iter().flat_map(Fe::limbs));
            expected.extend(operations.loose[0].canonical());
        }
        let run = rig.run(&ready, &[0, 0, count, 0, 0, 0, 0, 0], count, (&start, &[0; 4]), &[]);
        assert_eq!(run.scratch.len(), expected.len());
        let difference = run.scratch.iter().zip(&expected).position(|(left, right)| left != right);
        assert_eq!(difference, None, "{arithmetic:?}: the first word that differs");
    }
}

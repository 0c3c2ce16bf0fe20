// Half-size scalars (Antipa, Brown, Gallant, Lambert, Struik, Vanstone 2005): u and v of 126 bits with u = ±v k mod l
// and v not 0, from Euclid's algorithm on l and k, stopped half way. [v] takes nothing away from an equation that is
// multiplied by the cofactor: the points left have order l or 1.
//
// Every (r, t) of the algorithm has r = ±t k mod l; two that follow one another have opposite signs. At the first
// remainder below 2^126 the one before it is 2^126 or more, so that t <= l / 2^126.

struct Halves { u: array<u32, 4>, v: array<u32, 4>, is_negative: bool }

// Two remainders and their factors; b is a whole one, a may be on the way to the next. `is_negative` is b's sign.
struct Remainders {
    a: array<u32, 8>,
    b: array<u32, 8>,
    factor_a: array<u32, 4>,
    factor_b: array<u32, 4>,
    is_negative: bool,
}

const HALF_BITS = 126u;

fn swapped(s: Remainders) -> Remainders {
    return Remainders(s.b, s.a, s.factor_b, s.factor_a, !s.is_negative);
}

fn halve(k: array<u32, 8>) -> Halves {
    let one = array<u32, 4>(1u, 0u, 0u, 0u);
    var s = Remainders(GROUP_ORDER, k, array<u32, 4>(), one, false);
    // A subtraction takes a bit at least off a, and follows a round without one: fewer than 512 rounds.
    for (var round = 0u; round < 512u; round++) {
        if length(s.a) < length(s.b) {
            s = swapped(s);
        }
        let length_b = length(s.b);
        if length_b <= HALF_BITS {
            break;
        }
        // The largest multiple of b by a power of 2 that is not above a: by `shift` bits or one less.
        let shift = length(s.a) - length_b;
        let multiple = shift_left(s.b, shift);
        let difference = subtract(s.a, multiple);
        if difference.is_negative && shift == 0u {
            s = swapped(s);
        } else {
            let half = choose(array<u32, 8>(), shift_right_once(multiple), difference.is_negative);
            s.a = add(difference.value, half);
            let factor = shift_left_4(s.factor_b, shift - select(0u, 1u, difference.is_negative));
            s.factor_a = add_4(s.factor_a, factor);
        }
    }
    return Halves(array<u32, 4>(s.b[0], s.b[1], s.b[2], s.b[3]), s.factor_b, s.is_negative);
}

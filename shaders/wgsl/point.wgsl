// Points of the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 in extended coordinates (x = X/Z, y = Y/Z, T = XY/Z;
// Hisil, Wong, Carter, Dawson 2008). The formulas are complete: they hold for every pair of points. Which operand is
// tight, loose or wide follows the discipline in src/shape.rs; the first of a product may be wide.

struct Extended { x: Fe, y: Fe, z: Fe, t: Fe }

// y + x, y - x, 2z, 2dt of a point to be added: tight.
struct Cached { sum: Fe, difference: Fe, z2: Fe, t2d: Fe }

// x = e/g, y = h/f: the factors of a sum before they are multiplied out. f may be wide; e, g, h are loose.
struct Completed { e: Fe, f: Fe, g: Fe, h: Fe }

fn identity() -> Extended {
    return Extended(FE_ZERO, FE_ONE, FE_ONE, FE_ZERO);
}

// All but t, which a doubling does not read.
fn projective(c: Completed) -> Extended {
    return Extended(fe_mul(c.f, c.e), fe_mul(c.g, c.h), fe_mul(c.f, c.g), FE_ZERO);
}

fn extended(c: Completed) -> Extended {
    return Extended(fe_mul(c.f, c.e), fe_mul(c.g, c.h), fe_mul(c.f, c.g), fe_mul(c.e, c.h));
}

fn double(p: Extended) -> Completed {
    let xx = fe_square(p.x);
    let yy = fe_square(p.y);
    let zz = fe_square(p.z);
    let h = fe_add(yy, xx);
    let g = fe_sub(yy, xx);
    let e = fe_carry(fe_sub_wide(fe_square(fe_add(p.x, p.y)), h));
    return Completed(e, fe_sub_wide(fe_add(zz, zz), g), g, h);
}

// p + [±1] of the point with these values; its 2z times p's z is given.
fn add_values(p: Extended, sum: Fe, difference: Fe, t2d: Fe, zz2: Fe, is_negative: bool) -> Completed {
    let a = fe_mul(fe_sub(p.y, p.x), fe_select(difference, sum, is_negative));
    let b = fe_mul(fe_add(p.y, p.x), fe_select(sum, difference, is_negative));
    let c = fe_mul(p.t, fe_select(t2d, fe_sub(FE_ZERO, t2d), is_negative));
    return Completed(fe_sub(b, a), fe_sub(zz2, c), fe_add(zz2, c), fe_add(b, a));
}

fn add_cached(p: Extended, q: Cached, is_negative: bool) -> Completed {
    return add_values(p, q.sum, q.difference, q.t2d, fe_mul(p.z, q.z2), is_negative);
}

// The same for a point with z = 1.
fn add_affine(p: Extended, sum: Fe, difference: Fe, t2d: Fe, is_negative: bool) -> Completed {
    return add_values(p, sum, difference, t2d, fe_carry(fe_add(p.z, p.z)), is_negative);
}

fn cached(p: Extended) -> Cached {
    return Cached(
        fe_carry(fe_add(p.y, p.x)), fe_carry(fe_sub(p.y, p.x)), fe_carry(fe_add(p.z, p.z)), fe_mul(p.t, FE_2D),
    );
}

use ocellus_format::ops::Add;

super::binary::rows! {
    /// Sum, or difference with a negative `multiplier_b`, of tensors with different scales.
    add_s8, Add, p, {
        let shift = u32::from(p.shift);
        // The zero points and the half in one addend: sums of 32 bits wrap, and the true sum does not leave them.
        let addend = 1_i32
            .wrapping_shl(shift.wrapping_sub(1))
            .wrapping_sub(i32::from(p.zero_point_a).wrapping_mul(p.multiplier_a))
            .wrapping_sub(i32::from(p.zero_point_b).wrapping_mul(p.multiplier_b));
        let (zero_point, min, max) = (
            i32::from(p.output.zero_point),
            i32::from(p.output.min),
            i32::from(p.output.max),
        );
        move |a: i8, b: i8| {
            let a = i32::from(a).wrapping_mul(p.multiplier_a);
            let b = i32::from(b).wrapping_mul(p.multiplier_b);
            let sum = a.wrapping_add(b).wrapping_add(addend).wrapping_shr(shift);
            // At most 2^30 after a shift of at least 1: no saturation.
            sum.wrapping_add(zero_point).max(min).min(max) as i8
        }
    }
}

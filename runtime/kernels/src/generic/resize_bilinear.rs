use ocellus_format::ops::ResizeBilinear;

/// Blends whole pixels, in code that a compiler turns into vectors. `x` and `y` have the lengths that the parameters say, and no size is 0.
#[inline(always)]
pub(crate) fn resize_bilinear(
    p: &ResizeBilinear,
    x: &[i8],
    rows: &[[u16; 3]],
    columns: &[[u16; 3]],
    y: &mut [i8],
) {
    let (in_w, channels) = (p.in_w as usize, p.channels as usize);
    for (row, line) in rows
        .iter()
        .zip(y.chunks_exact_mut(p.out_w as usize * channels))
    {
        let (iy, wy) = blend(row, p.in_h);
        for (column, y) in columns.iter().zip(line.chunks_exact_mut(channels)) {
            let (ix, wx) = blend(column, p.in_w);
            let pixel = |iy: usize, ix: usize| {
                let first = (iy * in_w + ix) * channels;
                &x[first..first + channels]
            };
            let top = pixel(iy[0], ix[0]).iter().zip(pixel(iy[0], ix[1]));
            let bottom = pixel(iy[1], ix[0]).iter().zip(pixel(iy[1], ix[1]));
            for ((y, (&a, &b)), (&c, &d)) in y.iter_mut().zip(top).zip(bottom) {
                let top = i32::from(a) * wx[0] + i32::from(b) * wx[1];
                let bottom = i32::from(c) * wx[0] + i32::from(d) * wx[1];
                *y = ((top * wy[0] + bottom * wy[1] + (1 << 21)) >> 22) as i8;
            }
        }
    }
}

/// Two indices of an axis and their weights, clamped.
fn blend(&[i0, i1, f]: &[u16; 3], size: u32) -> ([usize; 2], [i32; 2]) {
    let last = (size as usize).saturating_sub(1);
    let f = f.min(ResizeBilinear::ONE);
    (
        [usize::from(i0).min(last), usize::from(i1).min(last)],
        [i32::from(ResizeBilinear::ONE - f), i32::from(f)],
    )
}

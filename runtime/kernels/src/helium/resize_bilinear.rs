use core::arch::asm;

use ocellus_format::ops::ResizeBilinear;

use crate::IndexedIo;

/// Bilinear resize, all channels of a pixel in one block, four at a time in 32-bit lanes.
pub(super) fn resize_bilinear_s8(p: &ResizeBilinear, io: IndexedIo<'_>) {
    let (in_w, channels) = (p.in_w as usize, p.channels as usize);
    let mut pixels = io.y.chunks_exact_mut(channels.max(1));
    for row in io.rows.chunks_exact(3).take(p.out_h as usize) {
        let ([i0, i1], [w0, w1]) = blend(row, p.in_h);
        for column in io.columns.chunks_exact(3).take(p.out_w as usize) {
            let ([j0, j1], [v0, v1]) = blend(column, p.in_w);
            let pixel = |iy: usize, ix: usize| {
                let first = (iy * in_w + ix) * channels;
                io.x.get(first..first + channels)
            };
            let four = (pixel(i0, j0), pixel(i0, j1), pixel(i1, j0), pixel(i1, j1));
            let (Some(y), (Some(a), Some(b), Some(c), Some(d))) = (pixels.next(), four) else {
                return;
            };
            sum([a, b, c, d], [w0 * v0, w0 * v1, w1 * v0, w1 * v1], y);
        }
    }
}

/// The two indices and weights of an entry `(i0, i1, f)`, clamped.
fn blend(entry: &[u16], size: u32) -> ([usize; 2], [i32; 2]) {
    let last = (size as usize).saturating_sub(1);
    let &[i0, i1, f] = entry else {
        return ([0; 2], [0; 2]);
    };
    let f = i32::from(f.min(ResizeBilinear::ONE));
    (
        [i0, i1].map(|i| usize::from(i).min(last)),
        [i32::from(ResizeBilinear::ONE) - f, f],
    )
}

/// Weighted sums of four pixels, which are as long as `y`.
fn sum(x: [&[i8]; 4], weights: [i32; 4], y: &mut [i8]) {
    let [a, b, c, d] = x.map(<[i8]>::as_ptr);
    let n = x.iter().fold(y.len(), |n, x| n.min(x.len()));
    if n == 0 {
        return;
    }
    // SAFETY: tail predication loads `n` values of each pixel and stores as many, and none of the five slices is shorter. The weights are four words. The registers are named as
    // clobbered.
    unsafe {
        asm!(
            "dlstp.32 lr, r12",
            "ldm r8, {{r5, r8, r9, r10}}",
            "2:",
            "vldrb.s32 q0, [r0], #4",
            "vmul.i32 q0, q0, r5",
            "vldrb.s32 q1, [r1], #4",
            "vmla.i32 q0, q1, r8",
            "vldrb.s32 q1, [r2], #4",
            "vmla.i32 q0, q1, r9",
            "vldrb.s32 q1, [r3], #4",
            "vmla.i32 q0, q1, r10",
            "vrshr.s32 q0, q0, #22",
            "vstrb.32 q0, [r4], #4",
            "letp lr, 2b",
            // Widening loads and narrowing stores take r0 to r7 only.
            inout("r0") a => _,
            inout("r1") b => _,
            inout("r2") c => _,
            inout("r3") d => _,
            inout("r4") y.as_mut_ptr() => _,
            inout("r8") weights.as_ptr() => _,
            in("r12") n,
            out("r5") _, out("r9") _, out("r10") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

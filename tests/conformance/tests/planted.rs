//! The cases find mistakes: kernels with one each must fail.

use ocellus_cases::{Fault, MEMORY_BYTES, Outcome, run_case};
use ocellus_format::{
    Isa,
    ops::{self, OpCode},
};
use ocellus_kernels::{BinaryIo, ConvIo, InOut, Kernels, UnaryIo, reference};

/// The first fault among many cases.
fn first_fault<K: Kernels>(k: K, op: OpCode) -> Option<Fault> {
    let mut memory = vec![0; MEMORY_BYTES];
    (0..300).find_map(|seed| match run_case(k, op, seed, &mut memory) {
        Outcome::Failed(fault) => Some(fault),
        _ => None,
    })
}

macro_rules! planted {
    ($($name:ident, $op:ident, $pattern:pat, $method:item)*) => {$(
        #[test]
        fn $name() {
            #[derive(Clone, Copy)]
            struct Planted;
            impl Kernels for Planted {
                const ISA: Isa = Isa::Reference;
                $method
            }
            let fault = first_fault(Planted, OpCode::$op);
            assert!(matches!(fault, Some($pattern)), "{fault:?}");
        }
    )*};
}

planted! {
    finds_a_padding_of_zero, Conv2d, Fault::Differs { .. },
    fn conv_2d_s8(self, p: &ops::Conv2d, io: ConvIo<'_>) {
        reference::conv_2d_s8(&ops::Conv2d { zero_point_in: 0, ..*p }, io);
    }

    finds_rounding_down, FullyConnected, Fault::Differs { .. },
    fn fully_connected_s8(self, p: &ops::FullyConnected, io: ConvIo<'_>) {
        // An accumulator less by one moves a value that lies just above a half.
        let bias: Vec<i32> = io.bias.iter().map(|&bias| bias.wrapping_sub(1)).collect();
        reference::fully_connected_s8(p, ConvIo { bias: &bias, ..io });
    }

    finds_a_lost_clamp, DepthwiseConv2d, Fault::Differs { .. },
    fn depthwise_conv_2d_s8(self, p: &ops::DepthwiseConv2d, io: ConvIo<'_>) {
        let output = ops::OutputS8 { max: i8::MAX, ..p.output };
        reference::depthwise_conv_2d_s8(&ops::DepthwiseConv2d { output, ..*p }, io);
    }

    finds_an_element_that_is_not_written, Slice, Fault::Differs { .. },
    fn slice_s8(self, p: &ops::Slice, io: UnaryIo<'_>) {
        let all = io.y.len() - 1;
        reference::slice_s8(p, UnaryIo { x: io.x, y: &mut io.y[..all] });
    }

    finds_a_transposed_convolution_off_by_a_row, TransposeConv2d, Fault::Differs { .. },
    fn transpose_conv_2d_s8(self, p: &ops::TransposeConv2d, io: ConvIo<'_>) {
        let mut p = *p;
        p.window.pad_top = p.window.pad_top.saturating_sub(1);
        reference::transpose_conv_2d_s8(&p, io);
    }

    finds_a_second_input_that_is_not_repeated, Add, Fault::Differs { .. },
    fn add_s8(self, p: &ops::Add, io: BinaryIo<'_>) {
        let binary = ops::Binary { broadcast_b: 0, ..p.binary };
        reference::add_s8(&ops::Add { binary, ..*p }, io);
    }

    finds_a_kernel_that_forgets_to_run_in_place, Maximum, Fault::Differs { .. },
    fn maximum_s8(self, p: &ops::Maximum, io: BinaryIo<'_>) {
        if let InOut::Apart(..) = io.a_y {
            reference::maximum_s8(p, io);
        }
    }
}

#[test]
fn too_little_memory_is_a_fault_and_not_a_panic() {
    for op in OpCode::ALL {
        for len in [0, 1, 16, 64, 100] {
            let outcome = run_case(ocellus_kernels::Reference, op, 3, &mut vec![0; len]);
            assert!(
                matches!(outcome, Outcome::Failed(Fault::MemoryTooSmall { .. })),
                "{outcome:?}"
            );
        }
    }
}

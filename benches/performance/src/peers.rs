//! What other runtimes need for the same models, counted with the same emulator and the same cycle model.

/// TensorFlow Lite Micro with CMSIS-NN, built by GCC 12 with its recommended flags.
pub(crate) struct Micro {
    pub(crate) model: &'static str,
    /// Estimated cycles on Cortex-M4, instructions on Cortex-M7 and on Cortex-M55.
    pub(crate) m4_cycles: u64,
    pub(crate) m4_instructions: u64,
    pub(crate) m7_instructions: u64,
    pub(crate) m55_instructions: u64,
    /// Bytes on Cortex-M4.
    pub(crate) arena_bytes: u64,
    pub(crate) code_bytes: u64,
    pub(crate) model_bytes: u64,
    pub(crate) load_instructions: u64,
}

pub(crate) const MICRO: [Micro; 4] = [
    Micro {
        model: "IC",
        m4_cycles: 37_100_000,
        m4_instructions: 29_864_462,
        m7_instructions: 29_624_710,
        m55_instructions: 4_812_406,
        arena_bytes: 54_996,
        code_bytes: 56_108,
        model_bytes: 98_496,
        load_instructions: 540_000,
    },
    Micro {
        model: "VWW",
        m4_cycles: 29_100_000,
        m4_instructions: 24_101_542,
        m7_instructions: 24_377_730,
        m55_instructions: 6_433_173,
        arena_bytes: 100_708,
        code_bytes: 58_336,
        model_bytes: 333_288,
        load_instructions: 3_500_000,
    },
    Micro {
        model: "KWS",
        m4_cycles: 9_200_000,
        m4_instructions: 7_697_208,
        m7_instructions: 7_729_392,
        m55_instructions: 1_784_597,
        arena_bytes: 22_820,
        code_bytes: 58_336,
        model_bytes: 53_936,
        load_instructions: 790_000,
    },
    Micro {
        model: "AD",
        m4_cycles: 720_000,
        m4_instructions: 582_271,
        m7_instructions: 582_562,
        m55_instructions: 149_917,
        arena_bytes: 2_580,
        code_bytes: 33_128,
        model_bytes: 276_976,
        load_instructions: 80_000,
    },
];

/// The row of a model; one with all its channels is compared like the other.
pub(crate) fn micro(model: &str) -> Option<&'static Micro> {
    let name = model.split(',').next().unwrap_or(model);
    MICRO.iter().find(|row| row.model == name)
}

/// TensorFlow Lite with XNNPACK (LiteRT), one thread: instructions on an AArch64 board.
pub(crate) fn lite(model: &str, board: &str) -> Option<u64> {
    let (a53, a76, max) = match model.split(',').next()? {
        "IC" => (5_020_000, 1_510_000, 1_260_000),
        "VWW" => (4_030_000, 1_940_000, 1_910_000),
        "KWS" => (1_350_000, 720_000, 750_000),
        "AD" => (150_000, 57_000, 53_000),
        _ => return None,
    };
    match board {
        "qemu-a53" => Some(a53),
        "qemu-a76" => Some(a76),
        "qemu-max" => Some(max),
        _ => None,
    }
}

//! The figures as `docs/performance.md`.

use crate::measure::Figures;
use crate::peers::{lite, micro};

const HEAD: &str = "\
# Performance

`cargo xtask performance --update` measures this and writes it; `benches/record` has the figures of each commit that it was run on. The models are MLPerf Tiny's int8 files: IC (ResNet-8), VWW (person
detection), KWS (keyword spotting), AD (autoencoder). One inference, counted in QEMU; nothing here was run on silicon.

`times` is theirs over ours. Theirs are counted with the same emulator and, where it says cycles, the same cycle model: TensorFlow Lite Micro with CMSIS-NN, built by GCC 12 with its
recommended flags, the better of `-O2` and `-Ofast` (on Cortex-M33 the counts of Cortex-M4, whose instructions it has); LiteRT with XNNPACK, one thread. VWW loses the output channels whose weights are zero when it is converted; the row with all channels keeps them.

";

const MODELS: &str = "\
## The cycle models

Rules and limits are in [benches/cycles](../benches/cycles/README.md). They are yardsticks; what is known of their error:

| core | model | against silicon |
| --- | --- | --- |
| Cortex-M4 | in order, no flash wait states | published MLPerf Tiny results of CMSIS-NN kernels on an STM32L4R5 are 1.21 to 1.43 times the estimate, flash wait states included |
| Cortex-M33 | that of Cortex-M4 | the same on an nRF5340: 0.99 to 1.11 times the estimate |
| Cortex-M7 | that of Cortex-M4: no second issue slot | not compared; the core issues up to two instructions a cycle, so that the estimate is an upper bound |
| Cortex-M55 | scalar 1, Helium 2; the upper end, nothing overlapped | nobody has published results of this core |
| AArch64 | none | |
";

/// The whole document.
pub(crate) fn document(figures: &[Figures]) -> String {
    let of = |board: &str| -> Vec<&Figures> {
        let of_board = figures.iter().filter(|row| row.board == board);
        of_board.collect()
    };
    let mut text = HEAD.to_owned();
    text += &cortex_m4(&of("qemu-m4"));
    for (title, board) in [("Cortex-M7", "qemu-m7"), ("Cortex-M33", "qemu-m33")] {
        text += &others(title, &of(board), |row| {
            micro(&row.model).map(|peer| match board {
                "qemu-m7" => peer.m7_instructions,
                _ => peer.m4_instructions,
            })
        });
    }
    text += &others("Cortex-M55", &of("qemu-m55"), |row| {
        micro(&row.model).map(|peer| peer.m55_instructions)
    });
    for (title, board) in [
        ("Cortex-A53: no dot product", "qemu-a53"),
        ("Cortex-A76: dot product", "qemu-a76"),
        ("Armv8.6-A: int8 matrix product", "qemu-max"),
    ] {
        text += &others(title, &of(board), |row| lite(&row.model, board));
    }
    text + MODELS
}

fn cortex_m4(rows: &[&Figures]) -> String {
    let mut text = "\
## Cortex-M4

| model | M cycles, estimated | a MAC | theirs, M | times | instructions | arena, bytes | theirs | code, bytes | theirs | model, bytes | theirs | load, instructions | theirs |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for row in rows {
        let (Some(cycles), Some(peer)) = (row.estimated_cycles, micro(&row.model)) else {
            continue;
        };
        text += &format!(
            "| {} | {} | {:.2} | {} | {:.2} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            row.model,
            millions(cycles),
            cycles as f64 / row.macs as f64,
            millions(peer.m4_cycles),
            peer.m4_cycles as f64 / cycles as f64,
            grouped(row.instructions),
            grouped(row.arena_bytes),
            grouped(peer.arena_bytes),
            row.code_bytes.map_or("-".to_owned(), grouped),
            grouped(peer.code_bytes),
            grouped(row.model_bytes),
            grouped(peer.model_bytes),
            row.load_instructions.map_or("-".to_owned(), grouped),
            grouped(peer.load_instructions),
        );
    }
    text + "\n"
}

/// Instructions on one board beside a peer's; nothing where it was not measured.
fn others(title: &str, rows: &[&Figures], theirs: impl Fn(&Figures) -> Option<u64>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "## {title}\n\n| model | instructions | a MAC | theirs | times | M cycles, estimated | arena, bytes | MACs on SIMD |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        let theirs = theirs(row);
        let times = theirs.map(|theirs| theirs as f64 / row.instructions as f64);
        text += &format!(
            "| {} | {} | {:.2} | {} | {} | {} | {} | {:.1} % |\n",
            row.model,
            grouped(row.instructions),
            row.instructions as f64 / row.macs as f64,
            theirs.map_or("-".to_owned(), grouped),
            times.map_or("-".to_owned(), |times| format!("{times:.2}")),
            row.estimated_cycles.map_or("-".to_owned(), millions),
            grouped(row.arena_bytes),
            100.0 * row.macs_on_simd_share,
        );
    }
    text + "\n"
}

/// `12345678` as `12.35`, and below a million with one digit more.
fn millions(value: u64) -> String {
    let value = value as f64 / 1e6;
    if value < 1.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.2}")
    }
}

/// `1234567` as `1,234,567`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(board: &str) -> Figures {
        Figures {
            model: "VWW, all channels".to_owned(),
            board: board.to_owned(),
            macs: 10_000_000,
            macs_on_simd_share: 1.0,
            instructions: 20_000_000,
            estimated_cycles: Some(14_550_000),
            load_instructions: Some(1_000),
            arena_bytes: 55_296,
            model_bytes: 1,
            code_bytes: None,
        }
    }

    #[test]
    fn ratios_are_theirs_over_ours() {
        let text = document(&[row("qemu-m4"), row("qemu-a53")]);
        assert!(
            text.contains("| VWW, all channels | 14.55 | 1.46 | 29.10 | 2.00 |"),
            "{text}"
        );
        assert!(
            text.contains("| VWW, all channels | 20,000,000 | 2.00 | 4,030,000 | 0.20 |"),
            "{text}"
        );
    }

    #[test]
    fn numbers_have_groups_of_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}

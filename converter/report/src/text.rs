//! Numbers and sentences for people.

use maud::{Markup, html};

/// Digits in groups of three: `1,234,567`.
pub(crate) fn grouped(value: u64) -> String {
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

/// Three digits and a letter: `13.6 M`.
pub(crate) fn short(value: f64) -> String {
    let (value, letter) = match value {
        v if v >= 1e9 => (v / 1e9, " G"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    if letter.is_empty() {
        return format!("{value:.0}");
    }
    let decimals = if value >= 100.0 || value.fract() == 0.0 {
        0
    } else {
        1
    };
    format!("{value:.decimals$}{letter}")
}

/// Bytes as a reader of data sheets knows them: `96.1 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b >= 1024.0 * 1024.0 => format!("{:.2} MiB", b / 1024.0 / 1024.0),
        b if b >= 1024.0 => format!("{:.1} KiB", b / 1024.0),
        b => format!("{b:.0} B"),
    }
}

/// The text, with the middle left out where it has more letters than `most`.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let half = most.saturating_sub(1) / 2;
    let (head, tail) = (&letters[..half], &letters[letters.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// A sentence: what stands between backticks is code.
pub(crate) fn prose(text: &str) -> Markup {
    html! {
        @for (index, piece) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// `1x96x96x3`.
pub(crate) fn shape(sizes: &[u32]) -> String {
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    sizes.join("×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sentences_are_short_and_whole() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            [999.0, 13_570_304.0, 250_000.0].map(short),
            ["999", "13.6 M", "250 k"]
        );
        assert_eq!(
            [12, 2048, 3_145_728].map(size),
            ["12 B", "2.0 KiB", "3.00 MiB"]
        );
        assert_eq!(shortened("abcdefgh", 5), "ab…gh");
        assert_eq!(
            prose("layer `<a>` of it").into_string(),
            "layer <code>&lt;a&gt;</code> of it"
        );
    }
}

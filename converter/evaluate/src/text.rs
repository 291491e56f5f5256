//! Text out of a recognizer's scores, and how far it is from a transcription.

use crate::rank;

/// The classes that a recognizer reads, by connectionist temporal classification: the strongest class of each step, runs joined, blanks left out.
/// `scores` holds `classes` numbers a step.
pub fn ctc_greedy(scores: &[f32], classes: usize, blank: usize) -> Vec<usize> {
    let mut text = Vec::new();
    let mut last = None;
    for step in scores.chunks_exact(classes.max(1)) {
        let strongest = rank(step, 1).first().copied();
        if strongest != last {
            text.extend(strongest.filter(|&class| class != blank));
        }
        last = strongest;
    }
    text
}

/// Levenshtein's distance: insertions, deletions and replacements of characters that make one text the other.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Texts read against transcriptions. The character error rate is the sum of the distances over the sum of the transcriptions' lengths; it may exceed 1.
#[derive(Clone, Debug, Default)]
pub struct TextTally {
    /// Of each picture: distance, length of the transcription.
    pictures: Vec<(u64, u64)>,
}

impl TextTally {
    /// Adds a picture.
    pub fn add(&mut self, transcription: &str, read: &str) {
        let distance = edit_distance(transcription, read) as u64;
        self.pictures
            .push((distance, transcription.chars().count() as u64));
    }

    /// Pictures added.
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Where picture `i` counts `weights[i]` times; `None` without characters.
    pub fn character_error_rate(&self, weights: &[u32]) -> Option<f64> {
        let weighted = |of: fn(&(u64, u64)) -> u64| -> u64 {
            let pictures = self.pictures.iter().zip(weights);
            pictures.map(|(p, &weight)| of(p) * u64::from(weight)).sum()
        };
        let (distance, length) = (weighted(|p| p.0), weighted(|p| p.1));
        (length > 0).then(|| distance as f64 / length as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_one_letter_and_a_blank_parts_them() {
        let step = |class: usize| (0..4).map(move |i| f32::from(u8::from(i == class)));
        let scores: Vec<f32> = [1, 1, 0, 1, 3, 3, 0].into_iter().flat_map(step).collect();
        assert_eq!(ctc_greedy(&scores, 4, 0), [1, 1, 3]);
        assert_eq!(ctc_greedy(&[], 4, 0), []);
    }

    #[test]
    fn distances_as_in_the_textbook() {
        for (a, b, wanted) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("flaw", "lawn", 2),
            ("straße", "strasse", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(edit_distance(a, b), wanted, "{a} {b}");
        }
    }

    #[test]
    fn errors_are_shares_of_all_characters() {
        let mut tally = TextTally::default();
        tally.add("EXIT", "EXIT");
        tally.add("ab", "cd");
        assert_eq!(tally.character_error_rate(&[1, 1]), Some(2.0 / 6.0));
        assert_eq!(tally.character_error_rate(&[2, 0]), Some(0.0));
        assert_eq!(tally.character_error_rate(&[0, 0]), None);
    }
}

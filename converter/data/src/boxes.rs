use std::path::Path;

use crate::DataError;

/// A labelled box of a YOLO text file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelledBox {
    /// Class in the numbering of the data set.
    pub class: usize,
    /// Left, top, right, bottom as shares of the picture's sides.
    pub corners: [f32; 4],
}

/// Reads a YOLO text file: a line for each box, `class x y width height`, the centre and the sizes as shares of the picture.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Labels`] with the line.
pub fn read_boxes(path: &Path) -> Result<Vec<LabelledBox>, DataError> {
    let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
    let mut boxes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let parsed = parse(&words).ok_or_else(|| DataError::Labels {
            path: path.to_owned(),
            reason: format!(
                "line {}: a box is `class x y width height`, the class a whole number, the others shares of the picture from 0 to 1",
                number + 1
            ),
        })?;
        boxes.push(parsed);
    }
    Ok(boxes)
}

fn parse(words: &[&str]) -> Option<LabelledBox> {
    let &[class, x, y, width, height] = words else {
        return None;
    };
    let share = |word: &str| {
        word.parse()
            .ok()
            .filter(|v: &f32| v.is_finite() && (0.0..=1.0).contains(v))
    };
    let [x, y, width, height] = [share(x)?, share(y)?, share(width)?, share(height)?];
    Some(LabelledBox {
        class: class.parse().ok()?,
        corners: [
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_boxes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "45 0.5 0.25 0.5 0.5\n\n0 1 1 0 0\n").unwrap();
        let boxes = read_boxes(&path).unwrap();
        assert_eq!(boxes[0].class, 45);
        assert_eq!(boxes[0].corners, [0.25, 0.0, 0.75, 0.5]);
        assert_eq!(boxes.len(), 2);
    }

    #[test]
    fn a_line_that_is_no_box_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for bad in [
            "0 0.5 0.5 0.5",
            "person 0 0 0 0",
            "0 0 0 0 300",
            "0 0 0 0 nan",
        ] {
            std::fs::write(&path, format!("0 0.5 0.5 0.1 0.1\n{bad}\n")).unwrap();
            let message = read_boxes(&path).unwrap_err().to_string();
            assert!(message.contains("a.txt: line 2"), "{message}");
        }
    }
}

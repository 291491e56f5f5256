//! AP50 as pycocotools computes it, on scenes that `average_precision.py` drew.

use ocellus_evaluate::{Label, PrecisionTally};
use ocellus_tasks::{BBox, Detection};

/// A set of pictures: the wanted value, and labels and detections of each.
type Set = (f64, Vec<(Vec<Label>, Vec<Detection>)>);

fn sets() -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    for line in include_str!("average_precision.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<f32>().unwrap();
        let bbox = || BBox {
            x0: number(2),
            y0: number(3),
            x1: number(4),
            y1: number(5),
        };
        if words[0] == "set" {
            sets.push((words[1].parse().unwrap(), Vec::new()));
            continue;
        }
        let (_, pictures) = sets.last_mut().unwrap();
        if words[0] == "picture" {
            pictures.push((Vec::new(), Vec::new()));
            continue;
        }
        let class_id = words[1].parse().unwrap();
        let (labels, found) = pictures.last_mut().unwrap();
        match words[0] {
            "label" => labels.push(Label {
                bbox: bbox(),
                class_id,
            }),
            "found" => found.push(Detection {
                bbox: bbox(),
                score: number(6),
                class_id,
            }),
            other => panic!("{other}"),
        }
    }
    sets
}

#[test]
fn equals_pycocotools() {
    let sets = sets();
    assert_eq!(sets.len(), 12);
    for (index, (wanted, pictures)) in sets.iter().enumerate() {
        let mut tally = PrecisionTally::default();
        for (labels, found) in pictures {
            tally.add(labels, found);
        }
        let value = tally.sorted().ap50(&vec![1; pictures.len()]).unwrap();
        assert!(
            (value - wanted).abs() < 1e-9,
            "set {index}: {value}, not {wanted}"
        );
    }
}

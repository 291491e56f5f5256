//! An input size at which a model fits a board, found by converting it with that size.
//!
//! The shapes of a model's tensors say about which size would fit. Whether the file takes it is another matter: many exports have sizes that depend on their
//! input's as constants. So the refusal of a conversion names a size that was tried, or says why the file has to be exported again.

use std::path::Path;

use anyhow::Result;
use ocellus_board_file::Board;
use ocellus_compile::Method;
use ocellus_compile::budget::{ArenaTooLarge, InputSize, OverBudget};
use ocellus_import::ImportError;
use ocellus_ir::passes::Checking;

use crate::board;
use crate::commands::convert::{Calibrate, Request, convert};
use crate::layout::PictureAxes;
use crate::output::grouped;

/// Sizes that are tried, the largest first.
const TRIES: usize = 4;

/// Passes that only change values: they take time and no memory.
const IDLE: [&str; 3] = ["bias-correction", "equalization", "reconstruction"];

/// Networks halve their pictures this often at most: sides are tried in steps of two to that power.
const HALVINGS: u32 = 5;

/// The sentence on the input's size in a refusal; `None` where it is no picture.
pub(crate) fn sentence(
    model: &Path,
    request: &Request<'_>,
    board: &Board,
    refusal: &ArenaTooLarge,
) -> Option<String> {
    let estimate = refusal.input.as_ref()?;
    let InputSize::Fits {
        size, instead_of, ..
    } = *estimate
    else {
        return Some(estimate.to_string());
    };
    let Some((name, shape, axes)) = picture_input(model, request) else {
        return Some(estimate.to_string());
    };
    for size in sizes(size, instead_of) {
        let shape = with_size(&shape, axes, size);
        let words: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let option = format!("--input {name}={}", words.join("x"));
        match arena_bytes(model, request, board, &name, shape) {
            Ok(Some(bytes)) => {
                return Some(format!(
                    "With `{option}` it fits: {} bytes of RAM (tried)",
                    grouped(bytes)
                ));
            }
            Ok(None) => {}
            Err(error) => {
                return Some(format!(
                    "{estimate}, but this file is made for one size: export it again for a smaller one ({})",
                    reason(&error)
                ));
            }
        }
    }
    Some(estimate.to_string())
}

/// Name and shape of the only input, in the file's order of axes.
fn picture_input(model: &Path, request: &Request<'_>) -> Option<(String, Vec<usize>, PictureAxes)> {
    let imported = request.source.import(model).ok()?;
    let [input] = imported.graph.inputs.as_slice() else {
        return None;
    };
    let axes = PictureAxes::of(&input.shape)?;
    Some((input.name.clone(), input.shape.clone(), axes))
}

/// Sizes up to one, in the proportions of another and divisible as often as that.
fn sizes([rows, _]: [usize; 2], [h, w]: [usize; 2]) -> Vec<[usize; 2]> {
    // TensorFlow's segmentation models have a row and a column more: 513.
    let extra = [h, w].map(|side| side % 2);
    let halvings = |side: usize| (side - side % 2).trailing_zeros();
    // Coarser than a quarter of a small picture there is little to try.
    let quarter = (h.min(w) / 4).max(1).ilog2();
    let step = 1 << halvings(h).min(halvings(w)).min(quarter).min(HALVINGS);
    let most = rows.saturating_sub(extra[0]) / step;
    let steps = (1..=most).rev().take(TRIES);
    steps
        .map(|steps| {
            let columns = (w - extra[1]) * steps * step / (h - extra[0]).max(1);
            [
                steps * step + extra[0],
                (columns / step).max(1) * step + extra[1],
            ]
        })
        .collect()
}

fn with_size(shape: &[usize], axes: PictureAxes, [rows, columns]: [usize; 2]) -> Vec<usize> {
    let mut shape = shape.to_vec();
    let first = shape.len() - 3 + usize::from(!axes.channels_last);
    shape[first] = rows;
    shape[first + 1] = columns;
    shape
}

/// Bytes of arena with another shape of an input; `None` where that does not fit either.
fn arena_bytes(
    model: &Path,
    request: &Request<'_>,
    board: &Board,
    name: &str,
    shape: Vec<usize>,
) -> Result<Option<u64>> {
    let mut no_pass: Vec<String> = IDLE.map(str::to_owned).to_vec();
    no_pass.extend(request.no_pass.iter().cloned());
    let converted = convert(
        model,
        &Request {
            source: &request.source.with_input(name, shape),
            target: request.target,
            memories: request.memories.clone(),
            calibrate: Calibrate::Synthetic(0),
            every: 1,
            method: Some(Method::MinMax),
            auto: None,
            no_pass: &no_pass,
            checking: Checking::Never,
        },
    )?;
    let report = &converted.compiled.report;
    let fit = board::fit(board, report)?;
    // Whether the file with the weights has a place is another matter.
    let fits = !matches!(fit.refusal, Some(OverBudget::Arena(_)));
    Ok(fits.then_some(report.arena_bytes))
}

/// What is in the way of another size, without the file's name and what to do about it: both are in the refusal.
fn reason(error: &anyhow::Error) -> String {
    let text = match error.downcast_ref::<ImportError>() {
        Some(error) => format!("{}{}", error.place, error.reason),
        None => format!("{error:#}"),
    };
    let first = text.split_once("; where the file").map(|(first, _)| first);
    first.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use ocellus_compile::Passes;

    use super::*;

    #[test]
    fn sizes_keep_proportions_and_stay_divisible() {
        assert_eq!(
            sizes([208, 208], [352, 352]),
            [[192, 192], [160, 160], [128, 128], [96, 96]]
        );
        assert_eq!(sizes([96, 128], [480, 640])[0], [96, 128]);
        assert_eq!(sizes([72, 72], [513, 513]), [[65, 65], [33, 33]]);
        assert_eq!(sizes([152, 203], [240, 320])[0], [144, 192]);
        assert_eq!(sizes([5, 5], [8, 8]), [[4, 4], [2, 2]]);
        assert_eq!(sizes([1, 1], [3, 3]), Vec::<[usize; 2]>::new());
    }

    #[test]
    fn a_size_goes_where_rows_and_columns_are() {
        for (shape, expected) in [
            (vec![1, 3, 8, 9], vec![1, 3, 4, 5]),
            (vec![1, 8, 9, 3], vec![1, 4, 5, 3]),
            (vec![3, 8, 9], vec![3, 4, 5]),
        ] {
            let axes = PictureAxes::of(&shape).unwrap();
            assert_eq!(with_size(&shape, axes, [4, 5]), expected);
        }
    }

    #[test]
    fn passes_that_are_left_out_have_those_names() {
        for name in IDLE {
            assert!(Passes::NAMES.contains(&name));
        }
    }
}

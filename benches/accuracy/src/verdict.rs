//! What a measurement says of a promise.

use crate::measure::Measured;
use crate::rows::{Promise, Row};

/// Of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    /// The bar, not the target.
    HoldsTheBar,
    AgreementFails,
    AccuracyFails,
}

impl Verdict {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::HoldsTheBar => "holds the bar",
            Verdict::AgreementFails => "**fails**: agreement",
            Verdict::AccuracyFails => "**fails**: accuracy",
        }
    }

    pub(crate) fn fails(self) -> bool {
        matches!(self, Verdict::AgreementFails | Verdict::AccuracyFails)
    }
}

/// Boxes that one of the two models keeps alone.
pub(crate) fn boxes_apart(measured: &Measured) -> u64 {
    let common = measured.agreement_same;
    let alone = |kept: u64| kept.saturating_sub(common);
    alone(measured.agreement_of) + alone(measured.kept_boxes.unwrap_or(common))
}

/// Agreement counts first. Accuracy fails where it falls by more than the bar plus one standard error of the paired difference.
pub(crate) fn verdict(row: &Row, measured: &Measured) -> Verdict {
    let agreement = measured.agreement.unwrap_or(0.0);
    let agrees = match row.promise {
        Promise::Share { target, .. } if agreement >= target => Verdict::Holds,
        Promise::Share { bar, .. } if agreement >= bar => Verdict::HoldsTheBar,
        Promise::Differ { most }
            if measured.agreement_of - measured.agreement_same.min(measured.agreement_of)
                <= most =>
        {
            Verdict::Holds
        }
        Promise::Boxes { most } if boxes_apart(measured) <= most => Verdict::Holds,
        _ => Verdict::AgreementFails,
    };
    let falls = match (row.may_fall, measured.difference) {
        (Some(may_fall), Some(d)) => -d.value > may_fall + d.standard_error,
        // A promise about accuracy that was not measured is not kept.
        (Some(_), None) => true,
        (None, _) => false,
    };
    if falls && !agrees.fails() {
        Verdict::AccuracyFails
    } else {
        agrees
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Difference;
    use crate::rows::ROWS;

    fn row(name: &str) -> &'static Row {
        ROWS.iter().find(|row| row.name == name).unwrap()
    }

    fn agreeing(agreement: f64, difference: f64) -> Measured {
        Measured {
            agreement: Some(agreement),
            difference: Some(Difference {
                value: difference,
                standard_error: 0.002,
                ..Difference::default()
            }),
            ..Measured::default()
        }
    }

    #[test]
    fn targets_bars_and_falls() {
        let row = row("ic_resnet8_f32");
        for (agreement, difference, wanted) in [
            (0.975, 0.0, Verdict::Holds),
            (0.9749, 0.0, Verdict::HoldsTheBar),
            (0.966, -0.007, Verdict::HoldsTheBar),
            (0.966, -0.0071, Verdict::AccuracyFails),
            (0.9659, 0.1, Verdict::AgreementFails),
        ] {
            let measured = agreeing(agreement, difference);
            assert_eq!(verdict(row, &measured), wanted, "{agreement} {difference}");
        }
        let unmeasured = Measured {
            difference: None,
            ..agreeing(1.0, 0.0)
        };
        assert_eq!(verdict(row, &unmeasured), Verdict::AccuracyFails);
    }

    #[test]
    fn pictures_and_boxes_are_counted() {
        let counts = |same, of, kept| Measured {
            agreement_same: same,
            agreement_of: of,
            kept_boxes: kept,
            ..Measured::default()
        };
        let pictures = row("vww_96_f32");
        assert_eq!(verdict(pictures, &counts(99, 102, None)), Verdict::Holds);
        assert!(verdict(pictures, &counts(98, 102, None)).fails());
        let faces = row("ultraface_slim_320");
        assert_eq!(verdict(faces, &counts(30, 31, Some(30))), Verdict::Holds);
        // One lost and another found are two.
        assert!(verdict(faces, &counts(30, 31, Some(31))).fails());
    }
}

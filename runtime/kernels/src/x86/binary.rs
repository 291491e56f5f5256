//! Functions of two values on rows of a broadcast.

/// Defines a function of two values applied to whole rows, with the loop in a function that may use AVX2.
macro_rules! rows {
    ($(#[$doc:meta])* $name:ident, $params:ty, $p:ident, $f:expr) => {
        $(#[$doc])*
        pub(super) fn $name(_: super::Avx2, $p: &$params, mut io: crate::BinaryIo<'_>) {
            #[target_feature(enable = "avx2")]
            fn run($p: &$params, a: Option<&[i8]>, b: &[i8], y: &mut [i8]) {
                let f = $f;
                match a {
                    Some(a) => {
                        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                            *y = f(a, b);
                        }
                    }
                    None => {
                        for (y, &b) in y.iter_mut().zip(b) {
                            *y = f(*y, b);
                        }
                    }
                }
            }
            let done = crate::generic::RowsOf::new(&$p.binary).is_some_and(|rows| {
                // SAFETY: the token proves AVX2.
                rows.for_each(&mut io, |a, b, y| unsafe { run($p, a, b, y) })
            });
            if !done {
                crate::reference::$name($p, io);
            }
        }
    };
}
pub(super) use rows;

use ocellus_format::ops::Minimum;

super::binary::rows! {
    /// The smaller of two.
    minimum_s8, Minimum, _p, |a: i8, b: i8| a.min(b)
}

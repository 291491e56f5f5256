use ocellus_format::ops::Maximum;

super::binary::rows! {
    /// The larger of two.
    maximum_s8, Maximum, _p, |a: i8, b: i8| a.max(b)
}

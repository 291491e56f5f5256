//! The line between device and PC.

/// Why bytes did not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The other side is gone; the firmware stops serving.
    Closed,
    /// The peripheral or the debugger refused; the firmware stops serving.
    Device,
}

/// A line of bytes in both directions.
///
/// # For driver authors
/// - [`read`](Link::read) **must** wait for at least one byte and **may** return fewer than asked. It returns 0 at the conversation's end only.
/// - [`write_all`](Link::write_all) **must** keep the order, and **may** return before the bytes have left.
/// - Bytes **may** be lost or damaged: messages carry a checksum.
pub trait Link {
    /// Receives.
    ///
    /// # Errors
    /// [`LinkError`]
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LinkError>;

    /// Sends.
    ///
    /// # Errors
    /// [`LinkError`]
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LinkError>;
}

impl<L: Link> Link for &mut L {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LinkError> {
        (**self).read(buffer)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        (**self).write_all(bytes)
    }
}

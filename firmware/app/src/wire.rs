//! Messages over the board's link.

use ocellus_board_api::{Link, LinkError};
use ocellus_protocol::{
    DATA_CHUNK_BYTES, DeviceError, FrameDecoder, FrameError, Request, Response, SendError, decode,
    send,
};

/// Bytes asked of the link at once.
const CHUNK_BYTES: usize = 256;

/// The link, seen as messages.
pub(crate) struct Wire<'b, L> {
    link: &'b mut L,
    decoder: FrameDecoder,
    chunk: [u8; CHUNK_BYTES],
    /// Bytes of `chunk` that hold something, and of these the ones already used.
    filled: usize,
    used: usize,
}

impl<'b, L: Link> Wire<'b, L> {
    pub(crate) fn new(link: &'b mut L) -> Self {
        Wire {
            link,
            decoder: FrameDecoder::default(),
            chunk: [0; CHUNK_BYTES],
            filled: 0,
            used: 0,
        }
    }

    /// The next request; `None` at the conversation's end. Damaged ones are answered here.
    pub(crate) fn receive<'r>(
        &mut self,
        buffer: &'r mut [u8],
    ) -> Result<Option<Request<'r>>, LinkError> {
        // The length of a frame that decodes: the borrow of a request must not outlive the turn that found it damaged.
        let len = loop {
            match self.next_frame(buffer)? {
                None => return Ok(None),
                Some(Err(error)) => self.refuse(DeviceError::Frame(error))?,
                Some(Ok(len)) => match decode::<Request<'_>>(buffer.get(..len).unwrap_or_default())
                {
                    Ok(_) => break len,
                    Err(_) => self.refuse(DeviceError::UnknownRequest)?,
                },
            }
        };
        Ok(decode(buffer.get(..len).unwrap_or_default()).ok())
    }

    fn next_frame(
        &mut self,
        buffer: &mut [u8],
    ) -> Result<Option<Result<usize, FrameError>>, LinkError> {
        loop {
            while self.used < self.filled {
                let byte = self.chunk.get(self.used).copied().unwrap_or(0);
                self.used += 1;
                if let Some(frame) = self.decoder.push(byte, buffer) {
                    return Ok(Some(frame));
                }
            }
            self.used = 0;
            self.filled = self.link.read(&mut self.chunk)?;
            if self.filled == 0 {
                return Ok(None);
            }
        }
    }

    pub(crate) fn answer(&mut self, response: &Response<'_>) -> Result<(), LinkError> {
        let link = &mut *self.link;
        send(response, &mut |bytes: &[u8]| link.write_all(bytes)).map_err(|error| match error {
            SendError::Link(error) => error,
            SendError::Encode => LinkError::Device,
        })
    }

    pub(crate) fn refuse(&mut self, error: DeviceError) -> Result<(), LinkError> {
        self.answer(&Response::Error(error))
    }

    /// Sends `bytes` in pieces, each made into a response together with its offset.
    pub(crate) fn stream<'d>(
        &mut self,
        bytes: &'d [u8],
        first_offset: u32,
        response: impl Fn(u32, &'d [u8]) -> Response<'d>,
    ) -> Result<(), LinkError> {
        let mut offset = first_offset;
        for data in bytes.chunks(DATA_CHUNK_BYTES) {
            self.answer(&response(offset, data))?;
            offset = offset.wrapping_add(data.len() as u32);
        }
        Ok(())
    }
}

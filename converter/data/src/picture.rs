use std::path::Path;

use ocellus_image::{Frame, PixelFormat};
use sha2::{Digest, Sha256};

use crate::{DataError, write_whole};

/// A decoded picture: red, green, blue, top row first.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Columns.
    pub width_px: u32,
    /// Rows.
    pub height_px: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
    /// Of the file's bytes.
    pub sha256: [u8; 32],
}

impl Picture {
    /// Reads and decodes a JPEG, PNG or PNM file; grey and transparent pictures become RGB.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Picture`] (also for a side above 16,384 pixels).
    pub fn open(path: &Path) -> Result<Picture, DataError> {
        let bytes = std::fs::read(path).map_err(DataError::io(path))?;
        Picture::decode(&bytes, path)
    }

    /// Decodes the bytes of a picture file; `path` is for messages.
    ///
    /// # Errors
    /// [`DataError::Picture`].
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Picture, DataError> {
        let error = |reason: String| DataError::Picture {
            path: path.to_owned(),
            reason,
        };
        let mut reader = image::ImageReader::new(std::io::Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| error(e.to_string()))?;
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(Frame::MAX_SIDE_PX);
        limits.max_image_height = Some(Frame::MAX_SIDE_PX);
        reader.limits(limits);
        let rgb = reader
            .decode()
            .map_err(|e| match e {
                image::ImageError::Limits(_) => error(format!(
                    "a side is above {},{:03} pixels, or it takes too much memory",
                    Frame::MAX_SIDE_PX / 1000,
                    Frame::MAX_SIDE_PX % 1000
                )),
                // The decoder's text goes on with its own state, which is for programmers.
                e => {
                    let text = e.to_string();
                    let until = text.find(" while ").or(text.find(" {"));
                    error(text[..until.unwrap_or(text.len())].to_owned())
                }
            })?
            .into_rgb8();
        if rgb.is_empty() {
            return Err(error("it has no pixels".to_owned()));
        }
        let sha256 = Sha256::digest(bytes).into();
        Ok(Picture {
            width_px: rgb.width(),
            height_px: rgb.height(),
            rgb: rgb.into_raw(),
            sha256,
        })
    }

    /// The picture as a camera would deliver it.
    ///
    /// # Panics
    /// Never for a picture made here: its sizes agree.
    pub fn frame(&self) -> Frame<'_> {
        Frame::new(
            &self.rgb,
            self.width_px,
            self.height_px,
            PixelFormat::Rgb888,
        )
        .expect("a decoded picture is a frame")
    }

    /// A part of the picture; what lies outside is black.
    pub fn crop(&self, x0: i64, y0: i64, width_px: u32, height_px: u32) -> Picture {
        let mut rgb = Vec::with_capacity(width_px as usize * height_px as usize * 3);
        for y in y0..y0 + i64::from(height_px) {
            for x in x0..x0 + i64::from(width_px) {
                let inside = x >= 0
                    && y >= 0
                    && x < i64::from(self.width_px)
                    && y < i64::from(self.height_px);
                rgb.extend(if inside {
                    self.frame().rgb(x as u32, y as u32)
                } else {
                    [0; 3]
                });
            }
        }
        let sha256 = Sha256::digest(&rgb).into();
        Picture {
            width_px,
            height_px,
            rgb,
            sha256,
        }
    }

    /// Writes a PNG, aside first.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Picture`].
    pub fn write_png(&self, path: &Path) -> Result<(), DataError> {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        image::ImageEncoder::write_image(
            encoder,
            &self.rgb,
            self.width_px,
            self.height_px,
            image::ExtendedColorType::Rgb8,
        )
        .map_err(|e| DataError::Picture {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        write_whole(path, &bytes)
    }

    /// Draws a rectangle's outline, `thickness_px` wide, around the corners.
    pub fn draw_box(&mut self, [x0, y0, x1, y1]: [f32; 4], thickness_px: u32, colour: [u8; 3]) {
        let (x0, y0, x1, y1) = (
            x0.round() as i64,
            y0.round() as i64,
            x1.round() as i64,
            y1.round() as i64,
        );
        let t = i64::from(thickness_px);
        self.fill([x0, y0, x1, y0 + t], colour);
        self.fill([x0, y1 - t, x1, y1], colour);
        self.fill([x0, y0, x0 + t, y1], colour);
        self.fill([x1 - t, y0, x1, y1], colour);
    }

    /// Mixes a colour into the pixels for which `colour` has one, half and half.
    pub fn tint(&mut self, colour: impl Fn(u32, u32) -> Option<[u8; 3]>) {
        let (width, height) = (self.width_px, self.height_px);
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        for (pixel, (x, y)) in self.rgb.chunks_exact_mut(3).zip(places) {
            for (value, mixed) in pixel.iter_mut().zip(colour(x, y).iter().flatten()) {
                *value = value.midpoint(*mixed);
            }
        }
    }

    fn fill(&mut self, [x0, y0, x1, y1]: [i64; 4], colour: [u8; 3]) {
        let (width, height) = (i64::from(self.width_px), i64::from(self.height_px));
        for y in y0.clamp(0, height)..y1.clamp(0, height) {
            for x in x0.clamp(0, width)..x1.clamp(0, width) {
                let at = (y * width + x) as usize * 3;
                self.rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_comes_back_and_a_box_is_drawn_inside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut picture = Picture {
            width_px: 8,
            height_px: 6,
            rgb: vec![7; 8 * 6 * 3],
            sha256: [0; 32],
        };
        picture.draw_box([-3.0, 1.0, 5.0, 4.0], 1, [255, 0, 0]);
        picture.write_png(&path).unwrap();
        let back = Picture::open(&path).unwrap();
        assert_eq!((back.width_px, back.height_px), (8, 6));
        assert_eq!(back.rgb, picture.rgb);
        assert_eq!(back.frame().rgb(4, 2), [255, 0, 0]);
        assert_eq!(back.frame().rgb(3, 2), [7, 7, 7]);
    }

    #[test]
    fn a_tint_is_half_the_colour() {
        let mut picture = Picture {
            width_px: 2,
            height_px: 1,
            rgb: vec![100; 6],
            sha256: [0; 32],
        };
        picture.tint(|x, _| (x == 1).then_some([200, 0, 100]));
        assert_eq!(picture.rgb, [100, 100, 100, 150, 50, 100]);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "not a picture").unwrap();
        let message = Picture::open(&path).unwrap_err().to_string();
        assert!(
            message.contains("notes.txt") && message.contains("JPEG"),
            "{message}"
        );
    }
}

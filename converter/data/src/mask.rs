use std::path::Path;

use ocellus_image::Frame;

use crate::DataError;

/// A class for each pixel of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Columns.
    pub width_px: u32,
    /// Rows.
    pub height_px: u32,
    /// `height * width` classes in the numbering of the data set, top row first.
    pub classes: Vec<u16>,
}

impl Mask {
    /// Reads a PNG of one channel whose values are classes.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Labels`] where it is no such picture; a palette and colours are refused.
    pub fn open(path: &Path) -> Result<Mask, DataError> {
        let error = |reason: String| DataError::Labels {
            path: path.to_owned(),
            reason,
        };
        let mut reader = image::ImageReader::open(path)
            .map_err(DataError::io(path))?
            .with_guessed_format()
            .map_err(DataError::io(path))?;
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(Frame::MAX_SIDE_PX);
        limits.max_image_height = Some(Frame::MAX_SIDE_PX);
        reader.limits(limits);
        let picture = reader
            .decode()
            .map_err(|e| error(format!("not a mask that can be decoded: {e}")))?;
        let (width_px, height_px) = (picture.width(), picture.height());
        let classes = match picture {
            image::DynamicImage::ImageLuma8(grey) => {
                grey.into_raw().into_iter().map(u16::from).collect()
            }
            image::DynamicImage::ImageLuma16(grey) => grey.into_raw(),
            _ => {
                return Err(error(
                    "a mask is a grey PNG whose values are classes, and this one has colours or a palette; save the class numbers themselves"
                        .to_owned(),
                ));
            }
        };
        Ok(Mask {
            width_px,
            height_px,
            classes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_values_are_classes_and_colours_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        image::GrayImage::from_raw(2, 1, vec![0, 200])
            .unwrap()
            .save(&path)
            .unwrap();
        let mask = Mask::open(&path).unwrap();
        assert_eq!((mask.width_px, mask.height_px), (2, 1));
        assert_eq!(mask.classes, [0, 200]);
        image::RgbImage::new(2, 1).save(&path).unwrap();
        let message = Mask::open(&path).unwrap_err().to_string();
        assert!(
            message.contains("mask.png") && message.contains("grey"),
            "{message}"
        );
    }
}

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use npyz::WriterBuilder;

use crate::{DataError, write_whole};

/// Values of an [`Array`], in the type of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Real numbers (also read from `f64`).
    F32(Vec<f32>),
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Whole numbers.
    I32(Vec<i32>),
    /// Whole numbers in 64 bits.
    I64(Vec<i64>),
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(values) => values.len(),
            Values::U8(values) => values.len(),
            Values::I8(values) => values.len(),
            Values::I32(values) => values.len(),
            Values::I64(values) => values.len(),
        }
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As real numbers; whole ones beyond `2^24` are rounded.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Values::F32(values) => values.clone(),
            Values::U8(values) => values.iter().copied().map(f32::from).collect(),
            Values::I8(values) => values.iter().copied().map(f32::from).collect(),
            Values::I32(values) => values.iter().map(|&v| v as f32).collect(),
            Values::I64(values) => values.iter().map(|&v| v as f32).collect(),
        }
    }
}

/// A dense array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// As many as the product of the sizes.
    pub values: Values,
}

/// Reads a `.npy` file.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Array`] where it is damaged, of another type than f32, f64, i64, i32, u8, i8, or not finite.
pub fn read_npy(path: &Path) -> Result<Array, DataError> {
    let file = File::open(path).map_err(DataError::io(path))?;
    let npy =
        npyz::NpyFile::new(BufReader::new(file)).map_err(|e| damaged(path, &e.to_string()))?;
    read_array(npy, path)
}

/// Reads every array of a `.npz` file, by name, sorted.
///
/// # Errors
/// As [`read_npy`].
pub fn read_npz(path: &Path) -> Result<Vec<(String, Array)>, DataError> {
    std::fs::metadata(path).map_err(DataError::io(path))?;
    let mut archive =
        npyz::npz::NpzArchive::open(path).map_err(|e| damaged(path, &e.to_string()))?;
    let mut names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names.sort();
    let mut arrays = Vec::new();
    for name in names {
        // Read to the end first: only there is the entry's checksum compared.
        let file_name = npyz::npz::file_name_from_array_name(&name);
        let mut bytes = Vec::new();
        archive
            .zip_archive()
            .by_name(&file_name)
            .map_err(std::io::Error::from)
            .and_then(|mut entry| entry.read_to_end(&mut bytes))
            .map_err(|e| damaged(path, &format!("array `{name}`: {e}")))?;
        let npy = npyz::NpyFile::new(&bytes[..])
            .map_err(|e| damaged(path, &format!("array `{name}`: {e}")))?;
        let array = read_array(npy, path).map_err(|error| match error {
            DataError::Array { path, reason } => DataError::Array {
                path,
                reason: format!("array `{name}`: {reason}"),
            },
            other => other,
        })?;
        arrays.push((name, array));
    }
    Ok(arrays)
}

/// Writes a `.npy` file.
///
/// # Errors
/// [`DataError::Io`].
pub fn write_npy(path: &Path, array: &Array) -> Result<(), DataError> {
    let shape: Vec<u64> = array.shape.iter().map(|&size| size as u64).collect();
    let bytes = match &array.values {
        Values::F32(values) => npy_bytes(&shape, values),
        Values::U8(values) => npy_bytes(&shape, values),
        Values::I8(values) => npy_bytes(&shape, values),
        Values::I32(values) => npy_bytes(&shape, values),
        Values::I64(values) => npy_bytes(&shape, values),
    };
    write_whole(path, &bytes.map_err(DataError::io(path))?)
}

fn npy_bytes<T: npyz::AutoSerialize + Copy>(
    shape: &[u64],
    values: &[T],
) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(&mut bytes)
        .begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

fn damaged(path: &Path, reason: &str) -> DataError {
    refused(path, format!("cannot be read as an array: {reason}"))
}

fn refused(path: &Path, reason: String) -> DataError {
    DataError::Array {
        path: path.to_owned(),
        reason,
    }
}

fn read_array<R: std::io::Read>(npy: npyz::NpyFile<R>, path: &Path) -> Result<Array, DataError> {
    let shape: Vec<usize> = npy.shape().iter().map(|&size| size as usize).collect();
    let order = npy.order();
    if order == npyz::Order::Fortran && shape.len() > 1 {
        return Err(refused(
            path,
            "it is in Fortran order; save it with `numpy.ascontiguousarray`".to_owned(),
        ));
    }
    let dtype = npy.dtype().descr().trim_matches('\'').to_owned();
    let io = |e: std::io::Error| damaged(path, &e.to_string());
    let values = match dtype.trim_start_matches(['<', '|', '=']) {
        "f4" => Values::F32(npy.into_vec::<f32>().map_err(io)?),
        "f8" => Values::F32(
            npy.into_vec::<f64>()
                .map_err(io)?
                .into_iter()
                .map(|v| v as f32)
                .collect(),
        ),
        "i8" => Values::I64(npy.into_vec::<i64>().map_err(io)?),
        "i4" => Values::I32(npy.into_vec::<i32>().map_err(io)?),
        "u1" => Values::U8(npy.into_vec::<u8>().map_err(io)?),
        "i1" => Values::I8(npy.into_vec::<i8>().map_err(io)?),
        other => {
            return Err(refused(
                path,
                format!("type `{other}` is not read; save float32, uint8 or int8"),
            ));
        }
    };
    let expected: usize = shape.iter().product();
    if values.len() != expected {
        return Err(damaged(
            path,
            &format!(
                "{} values where its shape {shape:?} needs {expected}",
                values.len()
            ),
        ));
    }
    if let Values::F32(reals) = &values
        && let Some(index) = reals.iter().position(|value| !value.is_finite())
    {
        let value = reals[index];
        return Err(refused(
            path,
            format!(
                "it holds {value} at position {index} of {}; remove NaN and infinite values",
                reals.len()
            ),
        ));
    }
    Ok(Array { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back() {
        let folder = tempfile::tempdir().unwrap();
        for values in [
            Values::F32(vec![1.5, -2.0, 0.0, 9.0, 3.0, 4.0]),
            Values::U8(vec![0, 1, 2, 3, 4, 255]),
            Values::I8(vec![-128, 0, 1, 2, 3, 127]),
            Values::I32(vec![i32::MIN, 0, 1, 2, 3, i32::MAX]),
            Values::I64(vec![i64::MIN, 0, 1, 2, 3, i64::MAX]),
        ] {
            let path = folder.path().join("a.npy");
            let array = Array {
                shape: vec![2, 3],
                values,
            };
            write_npy(&path, &array).unwrap();
            assert_eq!(read_npy(&path).unwrap(), array);
        }
    }

    #[test]
    fn nan_and_rubbish_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_npy(
            &path,
            &Array {
                shape: vec![1],
                values: Values::F32(vec![f32::NAN]),
            },
        )
        .unwrap();
        assert!(read_npy(&path).unwrap_err().to_string().contains("NaN"));
        std::fs::write(&path, b"rubbish").unwrap();
        assert!(read_npy(&path).is_err());
    }
}

//! Pixel arrays in the type the modality stored, so that a 19 MB mammogram stays 19 MB.

use ndarray::Array2;

/// Stored values of one monochrome frame, index order (row, column). Bits above HighBit are gone: values lie within
/// BitsStored. Signed 8-bit images are held as `I16`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pixels {
    U8(Array2<u8>),
    U16(Array2<u16>),
    I16(Array2<i16>),
}

impl Pixels {
    /// (rows, columns)
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::U8(a) => a.dim(),
            Self::U16(a) => a.dim(),
            Self::I16(a) => a.dim(),
        }
    }
}

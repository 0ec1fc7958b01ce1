//! Orthanc's own image decoder (DCMTK inside the core, or a decoder plugin such as GDCM), for the transfer syntaxes that dicom-rs cannot decode.

use std::ffi::c_void;
use std::ptr;

use super::error::HostError;
use super::host::{Host, c_size};
use super::sys::{self, Service};

/// How the core lays out a pixel. Samples of more than one byte are in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    Grayscale8,
    Grayscale16,
    SignedGrayscale16,
    Grayscale32,
    Grayscale64,
    Float32,
    Rgb24,
    Rgb48,
    Rgba32,
    Bgra32,
}

impl PixelFormat {
    fn from_sys(format: sys::OrthancPluginPixelFormat) -> Option<Self> {
        use sys::OrthancPluginPixelFormat as Sys;
        Some(match format {
            Sys::Grayscale8 => Self::Grayscale8,
            Sys::Grayscale16 => Self::Grayscale16,
            Sys::SignedGrayscale16 => Self::SignedGrayscale16,
            Sys::Grayscale32 => Self::Grayscale32,
            Sys::Grayscale64 => Self::Grayscale64,
            Sys::Float32 => Self::Float32,
            Sys::RGB24 => Self::Rgb24,
            Sys::RGB48 => Self::Rgb48,
            Sys::RGBA32 => Self::Rgba32,
            Sys::BGRA32 => Self::Bgra32,
            _ => return None,
        })
    }

    pub fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Grayscale8 => 1,
            Self::Grayscale16 | Self::SignedGrayscale16 => 2,
            Self::Rgb24 => 3,
            Self::Grayscale32 | Self::Float32 | Self::Rgba32 | Self::Bgra32 => 4,
            Self::Rgb48 => 6,
            Self::Grayscale64 => 8,
        }
    }
}

/// One decoded frame.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodedImage {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    pub pixel_format: PixelFormat,
    /// `height` rows of `width` pixels with nothing between them.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for DecodedImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecodedImage({}×{} {:?})", self.width, self.height, self.pixel_format)
    }
}

/// Decodes frame number `frame` (from 0) of a DICOM file. The core may serialise such calls (before 1.12.2 it does).
///
/// # Errors
/// The core's code if it cannot decode (`BadFileFormat`, `NotImplemented` for a transfer syntax without a decoder, …), and
/// [`HostError::Unexpected`] for a pixel format or a row length that cannot be.
pub fn decode_frame(host: &Host, dicom: &[u8], frame: u32) -> Result<DecodedImage, HostError> {
    const CALL: &str = "DecodeDicomImage";
    let mut image: *mut sys::OrthancPluginImage = ptr::null_mut();
    let params = sys::_OrthancPluginCreateImage {
        target: &raw mut image,
        constBuffer: dicom.as_ptr().cast::<c_void>(),
        bufferSize: c_size("a DICOM file", dicom.len())?,
        frameIndex: frame,
        ..Default::default()
    };
    // SAFETY: OrthancPluginDecodeDicomImage passes this structure, zeroed but for these four fields; all outlive the call.
    unsafe { host.invoke(CALL, Service::DecodeDicomImage, &raw const params) }?;
    if image.is_null() {
        return Err(HostError::NullPointer { call: CALL, what: "the image" });
    }
    Image { host, image }.copy()
}

/// An image of the core, freed with `OrthancPluginFreeImage`.
struct Image<'a> {
    host: &'a Host,
    image: *mut sys::OrthancPluginImage,
}

impl Image<'_> {
    fn copy(&self) -> Result<DecodedImage, HostError> {
        let unexpected = |problem| HostError::Unexpected { what: "the image that Orthanc decoded".into(), problem };
        let mut format = sys::OrthancPluginPixelFormat::Unknown;
        let mut info = self.info();
        info.resultPixelFormat = &raw mut format;
        // SAFETY: OrthancPluginGetImagePixelFormat passes this structure with resultPixelFormat set.
        unsafe { self.host.invoke("GetImagePixelFormat", Service::GetImagePixelFormat, &raw const info) }?;
        let pixel_format = PixelFormat::from_sys(format)
            .ok_or_else(|| unexpected(format!("pixel format {} is not one of the SDK's", format.0)))?;
        let width = self.size("GetImageWidth", Service::GetImageWidth)?;
        let height = self.size("GetImageHeight", Service::GetImageHeight)?;
        let pitch = self.size("GetImagePitch", Service::GetImagePitch)?;
        let row = width.checked_mul(pixel_format.bytes_per_pixel()).filter(|row| *row <= pitch);
        let (Some(row), Some(_)) = (row, pitch.checked_mul(height)) else {
            return Err(unexpected(format!(
                "{height} rows of {width} {pixel_format:?} pixels do not fit a pitch of {pitch} bytes"
            )));
        };
        if row == 0 || height == 0 {
            return Ok(DecodedImage { width, height, pixel_format, data: Vec::new() });
        }
        let start = self.pixels()?;
        let mut data = Vec::with_capacity(row * height);
        for y in 0..height {
            // SAFETY: the core's buffer holds `height` rows that lie `pitch` bytes apart, each of at least `row` bytes.
            data.extend_from_slice(unsafe { std::slice::from_raw_parts(start.add(y * pitch), row) });
        }
        Ok(DecodedImage { width, height, pixel_format, data })
    }

    fn pixels(&self) -> Result<*const u8, HostError> {
        const CALL: &str = "GetImageBuffer";
        let mut pixels: *mut c_void = ptr::null_mut();
        let mut info = self.info();
        info.resultBuffer = &raw mut pixels;
        // SAFETY: OrthancPluginGetImageBuffer passes this structure with resultBuffer set.
        unsafe { self.host.invoke(CALL, Service::GetImageBuffer, &raw const info) }?;
        if pixels.is_null() {
            return Err(HostError::NullPointer { call: CALL, what: "the pixels" });
        }
        Ok(pixels.cast_const().cast::<u8>())
    }

    fn size(&self, call: &'static str, service: Service) -> Result<usize, HostError> {
        let mut size: u32 = 0;
        let mut info = self.info();
        info.resultUint32 = &raw mut size;
        // SAFETY: OrthancPluginGetImageWidth, …Height and …Pitch pass this structure with resultUint32 set.
        unsafe { self.host.invoke(call, service, &raw const info) }?;
        Ok(size as usize)
    }

    fn info(&self) -> sys::_OrthancPluginGetImageInfo {
        sys::_OrthancPluginGetImageInfo { image: self.image, ..Default::default() }
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        let params = sys::_OrthancPluginFreeImage { image: self.image };
        // SAFETY: "it must be freed with OrthancPluginFreeImage()", which passes this structure; done once, here.
        if let Err(error) = unsafe { self.host.invoke("FreeImage", Service::FreeImage, &raw const params) } {
            log::warn!("an image of Orthanc's was not freed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorCode;
    use super::super::fake::{Fake, FakeImage};
    use super::*;

    fn image(format: sys::OrthancPluginPixelFormat, width: u32, height: u32, pitch: u32) -> FakeImage {
        let data = (0..pitch * height).map(|value| value as u8).collect();
        FakeImage { format, width, height, pitch, data }
    }

    #[test]
    fn rows_are_packed_and_the_image_is_freed() {
        use sys::OrthancPluginPixelFormat as Sys;
        let fake = Fake::new("1.10.1");
        fake.set_image(Some(image(Sys::Grayscale16, 2, 3, 8)));
        let decoded = decode_frame(fake.host(), b"DICM", 0).unwrap();
        assert_eq!((decoded.width, decoded.height, decoded.pixel_format), (2, 3, PixelFormat::Grayscale16));
        assert_eq!(decoded.data, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]);
        fake.set_image(Some(image(Sys::RGB24, 1, 2, 3)));
        assert_eq!(decode_frame(fake.host(), b"DICM", 0).unwrap().data, [0, 1, 2, 3, 4, 5]);
        fake.set_image(Some(image(Sys::Grayscale8, 0, 4, 0)));
        assert_eq!(decode_frame(fake.host(), b"DICM", 0).unwrap().data, [0; 0]);
        assert_eq!(fake.unfreed(), 0);
    }

    #[test]
    fn what_cannot_be_is_refused_and_freed() {
        use sys::OrthancPluginPixelFormat as Sys;
        let fake = Fake::new("1.13.0");
        for bad in [image(Sys::Unknown, 2, 2, 4), image(Sys(99), 2, 2, 4), image(Sys::Grayscale16, 3, 1, 4)] {
            fake.set_image(Some(bad));
            assert!(matches!(decode_frame(fake.host(), b"", 0).unwrap_err(), HostError::Unexpected { .. }));
        }
        fake.set_image(None);
        assert!(matches!(decode_frame(fake.host(), b"", 0).unwrap_err(), HostError::NullPointer { .. }));
        fake.set_image(Some(image(Sys::Grayscale8, 2, 2, 2)));
        fake.null(Service::GetImageBuffer);
        assert!(matches!(decode_frame(fake.host(), b"", 0).unwrap_err(), HostError::NullPointer { .. }));
        fake.fail(Service::GetImageWidth, sys::Code::InternalError);
        assert_eq!(decode_frame(fake.host(), b"", 0).unwrap_err().code(), Some(ErrorCode::INTERNAL_ERROR));
        fake.fail(Service::DecodeDicomImage, sys::Code::BadFileFormat);
        assert_eq!(decode_frame(fake.host(), b"", 0).unwrap_err().code(), Some(ErrorCode::BAD_FILE_FORMAT));
        assert_eq!(fake.unfreed(), 0);
    }
}

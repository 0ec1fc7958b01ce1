//! Colour images of other people, where the folder is at hand (`ORTHANC_AI_SHARED`, else `../shared`), against pydicom 3.0.2
//! with pylibjpeg and pyjpegls.

#[path = "support/shared_data.rs"]
mod shared_data;

use orthanc_ai::imaging::{Image, read_image};
use shared_data::{files, folder, read};

/// Lossless ones: crc32 of pydicom's `pixel_array(ds).tobytes()`, RGB.
const LOSSLESS: [(&str, u32); 10] = [
    ("derived_isic__2_XC_J2KR.dcm", 0x4c69407b),
    ("pm5644__PM5644-960x540_JPEG-LS_Lossless.dcm", 0x037a9d3a),
    ("pm5644__PM5644-960x540_JPEG-Lossless_RGB.dcm", 0x30dff062),
    ("pm5644__PM5644-960x540_JPEG2000-Lossless.dcm", 0x6e9e840c),
    ("pm5644__PM5644-960x540_RLE-Lossless.dcm", 0x9f12d529),
    ("pydicom__SC_rgb_small_odd_jpeg.dcm", 0x78b344f1),
    ("pydicom__SC_ybr_full_422_uncompressed.dcm", 0x5860632a),
    ("wg04_VL4_fundus__VL4_J2KI", 0x7dcc5884),
    ("wg04_VL6__VL6_J2KR", 0x973df6ac),
    ("wg04_VL6__VL6_RLE", 0x973df6ac),
];

/// Lossy JPEG, whose decoders differ by a few levels: rows, columns, and the mean of each colour. A YBR image that is taken
/// for RGB, or converted twice, is off by tens.
type Mean = (&'static str, [usize; 2], [f64; 3]);
const LOSSY: [Mean; 18] = [
    ("deid_cookie__image1.dcm", [1536, 2048], [124.453, 84.865, 35.356]),
    ("deid_cookie__image2.dcm", [1536, 2048], [155.556, 110.103, 50.718]),
    ("derived_isic__0_XC_JPEGBaseline.dcm", [767, 1022], [131.922, 148.411, 170.740]),
    ("derived_isic__1_DMS_JPEGBaseline.dcm", [767, 1022], [166.347, 162.140, 165.694]),
    ("fodicom__GH538-jpeg1.dcm", [434, 636], [10.618, 11.040, 12.937]),
    ("gcp_xc__example.dcm", [500, 500], [252.669, 252.669, 252.669]),
    ("gcp_xc__example2.dcm", [500, 500], [252.669, 252.669, 252.669]),
    ("pm5644__PM5644-960x540_JPEG-Baseline_YBR422.dcm", [540, 960], [121.289, 121.384, 117.048]),
    ("pydicom__SC_jpeg_no_color_transform.dcm", [256, 256], [243.977, 243.978, 243.964]),
    ("pydicom__SC_jpeg_no_color_transform_2.dcm", [256, 256], [245.498, 245.519, 245.896]),
    ("pydicom__SC_rgb_dcmtk_+eb+cr.dcm", [100, 100], [127.750, 127.730, 127.750]),
    ("pydicom__SC_rgb_dcmtk_+eb+cy+n1.dcm", [100, 100], [127.570, 127.710, 127.470]),
    ("pydicom__SC_rgb_dcmtk_+eb+cy+n2.dcm", [100, 100], [127.720, 127.650, 127.830]),
    ("pydicom__SC_rgb_dcmtk_+eb+cy+np.dcm", [100, 100], [127.570, 127.710, 127.470]),
    ("pydicom__SC_rgb_dcmtk_+eb+cy+s2.dcm", [100, 100], [127.720, 127.650, 127.830]),
    ("pydicom__SC_rgb_dcmtk_+eb+cy+s4.dcm", [100, 100], [127.720, 127.650, 127.830]),
    ("pydicom__SC_rgb_jpeg_dcmtk.dcm", [100, 100], [127.720, 127.650, 127.830]),
    ("pydicom__SC_rgb_jpeg_lossy_gdcm.dcm", [100, 100], [127.520, 127.540, 127.550]),
];

/// What is no single colour image that results could refer to.
const REFUSED: [(&str, &str); 5] = [
    // Its header is not encoded as its transfer syntax says.
    ("pydicom__SC_rgb_jpeg.dcm", "malformed data set at byte 0, element (0008,0008): unknown VR"),
    ("highdicom__sm_image.dcm", "NumberOfFrames: found 25, expected 1"),
    ("pydicom__examples_ybr_color.dcm", "NumberOfFrames: found 30, expected 1"),
    ("pydicom__HTJ2KLossless_08_RGB.dcm", "StudyInstanceUID is missing"),
    ("pydicom__SC_rgb_jls_lossy_line.dcm", "StudyInstanceUID is missing"),
];

#[test]
fn colour_equals_pydicom() {
    let Some(folder) = folder("vl_derm") else { return };
    let colour = |name: &str| match read_image(&read(&folder.join(name)), None) {
        Ok(Image::Colour(image)) => image.rgb,
        other => panic!("{name}: {other:?}"),
    };
    for (name, expected) in LOSSLESS {
        let mut crc = crc32fast::Hasher::new();
        let samples: Vec<u8> = colour(name).iter().copied().collect();
        crc.update(&samples);
        assert_eq!(crc.finalize(), expected, "{name}");
    }
    for (name, [rows, columns], expected) in LOSSY {
        let rgb = colour(name);
        assert_eq!(rgb.dim(), (rows, columns, 3), "{name}");
        for (c, expected) in expected.into_iter().enumerate() {
            let plane = rgb.index_axis(ndarray::Axis(2), c);
            let mean = plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len() as f64;
            assert!((mean - expected).abs() < 0.2, "{name}: mean {mean} of colour {c}, expected {expected}");
        }
    }
}

#[test]
fn every_file_is_an_image_or_refused_in_words() {
    let Some(folder) = folder("vl_derm") else { return };
    for (name, words) in REFUSED {
        let error = read_image(&read(&folder.join(name)), None).expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    let known: Vec<&str> =
        LOSSLESS.iter().map(|l| l.0).chain(LOSSY.iter().map(|l| l.0)).chain(REFUSED.map(|r| r.0)).collect();
    for path in files(&folder, "") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !known.contains(&name.as_str()) && !name.ends_with(".jpg") {
            println!("not in the tables: {name}: {:?}", read_image(&read(&path), None).map(|image| image.dim()));
        }
    }
}

//! The golden fixtures: outputs of the Python references, and the generator of the weights and inputs that led to them
//! (specified in the README of the fixture folder, section 1). Shared by every `parity_*` test.
#![allow(dead_code)] // each test binary uses its part

pub mod network;

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A folder of fixtures: `config.json` says what is in it, `fixtures/*.safetensors` what must come out.
pub struct Golden {
    pub root: PathBuf,
    pub config: Value,
}

/// The folder named by `GOLDEN_DIR`, else `../shared/golden` beside the repository.
///
/// A folder that was asked for by name must be complete: its absence fails the test. The default folder is a
/// developer's convenience: without it the test says loudly that it checked nothing.
pub fn golden_dir() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("GOLDEN_DIR") {
        let root = PathBuf::from(named);
        assert!(root.join("config.json").is_file(), "GOLDEN_DIR={} has no config.json", root.display());
        return Some(root);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if root.join("config.json").is_file() {
        return Some(root);
    }
    eprintln!("SKIPPED: no golden fixtures at {}; set GOLDEN_DIR", root.display());
    None
}

impl Golden {
    /// Opens the fixture folder, or `None` (after saying so on stderr) where there is none to open.
    pub fn open() -> Option<Self> {
        let root = golden_dir()?;
        let path = root.join("config.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let config = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Some(Self { root, config })
    }

    /// The seed of a network or of `preproc`: `seeds[name]`, else the common `seed`.
    pub fn seed(&self, name: &str) -> u64 {
        self.config["seeds"][name].as_u64().or(self.config["seed"].as_u64()).expect("config.json: seed")
    }

    /// The list of cases at a JSON pointer such as `/resnet50_4/cases`; it must be there and not be empty.
    pub fn cases(&self, pointer: &str) -> &[Value] {
        let cases = self.config.pointer(pointer).and_then(Value::as_array);
        let cases = cases.unwrap_or_else(|| panic!("config.json: {pointer} is missing"));
        assert!(!cases.is_empty(), "config.json: {pointer} is empty");
        cases
    }

    /// `fixtures/<name>.safetensors`
    pub fn fixture(&self, name: &str) -> Fixture {
        let path = self.root.join("fixtures").join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Fixture { path, bytes }
    }

    /// `contracts/<name>.json`: every key of a network with its shape and generator parameters.
    pub fn contract(&self, name: &str) -> Value {
        let path = self.root.join("contracts").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// One file of expected outputs.
pub struct Fixture {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Fixture {
    /// Shape and values of a tensor of any numeric type, as f64 (exact for all types in the fixtures but large I64).
    pub fn values(&self, key: &str) -> (Vec<usize>, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        let view = file.tensor(key).unwrap_or_else(|e| panic!("{}: {key}: {e}", self.path.display()));
        let data = view.data();
        let values = match view.dtype() {
            Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
            Dtype::U16 => words(data).map(|b| f64::from(u16::from_le_bytes(b))).collect(),
            Dtype::I16 => words(data).map(|b| f64::from(i16::from_le_bytes(b))).collect(),
            Dtype::I32 => words(data).map(|b| f64::from(i32::from_le_bytes(b))).collect(),
            Dtype::I64 => words(data).map(|b| i64::from_le_bytes(b) as f64).collect(),
            Dtype::F32 => words(data).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            Dtype::F64 => words(data).map(f64::from_le_bytes).collect(),
            other => panic!("{}: {key}: {other:?} is not read here", self.path.display()),
        };
        (view.shape().to_vec(), values)
    }

    pub fn has(&self, key: &str) -> bool {
        let file = SafeTensors::deserialize(&self.bytes).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        file.tensor(key).is_ok()
    }

    /// The names of all tensors.
    pub fn keys(&self) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        file.names().into_iter().map(ToString::to_string).collect()
    }

    pub fn f64s(&self, key: &str) -> Vec<f64> {
        self.values(key).1
    }

    pub fn f32s(&self, key: &str) -> Vec<f32> {
        self.f64s(key).into_iter().map(|v| v as f32).collect()
    }

    pub fn i64s(&self, key: &str) -> Vec<i64> {
        self.f64s(key).into_iter().map(|v| v as i64).collect()
    }

    pub fn u8s(&self, key: &str) -> Vec<u8> {
        self.f64s(key).into_iter().map(|v| v as u8).collect()
    }

    /// A checksum stored as one I64.
    pub fn crc32(&self, key: &str) -> u32 {
        u32::try_from(self.i64s(key)[0]).expect("a crc32 fits 32 bits")
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    data.chunks_exact(N).map(|chunk| chunk.try_into().expect("chunks_exact gives N bytes"))
}

// ------------------------------------------------------------------------------------------------ generator

/// FNV-1a, 64 bits, of the UTF-8 bytes.
pub fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The i-th output of splitmix64 seeded with `key`.
pub fn raw64(key: u64, i: u64) -> u64 {
    let mut z = key.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// [-1, 1), exact in f32 too.
pub fn unit(key: u64, i: u64) -> f64 {
    (raw64(key, i) >> 40) as f64 * (1.0 / 8_388_608.0) - 1.0
}

/// `n` values `center + amp * unit`, f64 arithmetic with one final rounding.
pub fn tensor(stream: &str, n: usize, center: f64, amp: f64) -> Vec<f32> {
    let key = fnv1a64(stream);
    (0..n as u64).map(|i| (center + amp * unit(key, i)) as f32).collect()
}

/// Network input of any rank >= 2 (N, C, spatial…): a block-constant part plus `fine` times noise.
pub fn block_input(stream: &str, shape: &[usize], block: usize, fine: f64) -> Vec<f32> {
    let (coarse, noise) = (fnv1a64(&format!("{stream}:coarse")), fnv1a64(&format!("{stream}:fine")));
    let spatial = |axis: usize| axis >= 2;
    let grid: Vec<usize> =
        shape.iter().enumerate().map(|(axis, &d)| if spatial(axis) { d.div_ceil(block) } else { d }).collect();
    let total: usize = shape.iter().product();
    (0..total)
        .map(|flat| {
            let (mut rest, mut cell, mut stride) = (flat, 0, 1);
            for axis in (0..shape.len()).rev() {
                let at = rest % shape[axis];
                rest /= shape[axis];
                cell += stride * if spatial(axis) { at / block } else { at };
                stride *= grid[axis];
            }
            (unit(coarse, cell as u64) + fine * unit(noise, flat as u64)) as f32
        })
        .collect()
}

/// HWC test image of 8 bits: (3 * coarse + fine) / 4 of 8-bit hashes.
pub fn block_image_u8(stream: &str, h: usize, w: usize, c: usize, block: usize) -> Vec<u8> {
    let (coarse, noise) = (fnv1a64(&format!("{stream}:coarse")), fnv1a64(&format!("{stream}:fine")));
    let grid_w = w.div_ceil(block);
    let mut image = Vec::with_capacity(h * w * c);
    for y in 0..h {
        for x in 0..w {
            for k in 0..c {
                let cell = ((y / block) * grid_w + x / block) * c + k;
                let flat = (y * w + x) * c + k;
                let (co, fi) = (raw64(coarse, cell as u64) >> 56, raw64(noise, flat as u64) >> 56);
                image.push(((3 * co + fi) >> 2) as u8);
            }
        }
    }
    image
}

/// Synthetic mammogram, integers only: a half ellipse of tissue at the chest wall with a mass, a film label, bright and
/// dark specks, and noise. `side` is "left" or "right".
pub fn mammogram_u16(stream: &str, h: usize, w: usize, side: &str) -> Vec<u16> {
    let key = fnv1a64(&format!("{stream}:noise"));
    let (h, w) = (h as i64, w as i64);
    let (ry, rx, cy) = (2 * h / 5, 11 * w / 20, h / 2);
    let full = rx * rx * ry * ry;
    let radius = w / 16;
    let mut image = Vec::with_capacity((h * w) as usize);
    for y in 0..h {
        for x in 0..w {
            let n = (raw64(key, (y * w + x) as u64) >> 40) as i64;
            let xx = if side == "left" { x } else { w - 1 - x };
            let q = (y - cy).pow(2) * rx * rx + xx.pow(2) * ry * ry;
            let inside = q <= full;
            let mut v = if inside { 9000 + (full - q) * 14000 / full + n % 2500 } else { n % 200 };
            if (y - (cy - h / 8)).pow(2) + (xx - w / 4).pow(2) <= radius * radius {
                v += 12000;
            }
            if y >= h / 20 && y < h / 20 + h / 16 && xx >= w - w / 6 && xx < w - w / 20 {
                v = 40000 + n % 1000;
            }
            if n % 997 == 0 {
                v = 30000;
            }
            if inside && n % 1009 == 0 {
                v = 500;
            }
            image.push(v as u16); // below 65536: numpy's astype keeps the value
        }
    }
    image
}

/// Integer-only synthetic head CT slice in Hounsfield units (README section 4).
pub fn head_ct_i16(stream: &str, h: usize, w: usize) -> Vec<i16> {
    let key = fnv1a64(&format!("{stream}:noise"));
    let noise = |i: usize| (raw64(key, i as u64) >> 40) as i64;
    let (hi, wi) = (h as i64, w as i64);
    let (cy, cx) = (hi / 2, wi / 2);
    let square = |v: i64| v * v;
    let pixel = |i: usize| {
        let (n, y, x) = (noise(i), (i / w) as i64, (i % w) as i64);
        let within = |ry: i64, rx: i64| square(y - cy) * rx * rx + square(x - cx) * ry * ry <= rx * rx * ry * ry;
        let disc = |y0: i64, x0: i64, r: i64| square(y - y0) + square(x - x0) <= r * r;
        let mut hu = n % 30 - 1000;
        for (inside, value) in [
            (within(9 * hi / 20, 2 * wi / 5), 20 + n % 80),
            (within(21 * hi / 50, 37 * wi / 100), 700 + n % 600),
            (within(19 * hi / 50, 33 * wi / 100), 22 + n % 20),
            (disc(cy, cx, hi / 16), 2 + n % 9),
            (disc(cy + hi / 8, cx + wi / 6, hi / 14), 58 + n % 30),
        ] {
            hu = if inside { value } else { hu };
        }
        hu as i16
    };
    (0..h * w).map(pixel).collect()
}

/// Probabilities (slice, row, column) for the morphology chain, integers over 1000: a body with a closed cavity, a ball that
/// touches the border, a third one, a thin bridge between them, bright specks and pin holes in noise.
pub fn prob_volume_f32(stream: &str, [d, h, w]: [usize; 3]) -> Vec<f32> {
    let key = fnv1a64(&format!("{stream}:noise"));
    let [d, h, w] = [d, h, w].map(|n| n as i64);
    let m = d.min(h).min(w);
    let mut volume = Vec::with_capacity((d * h * w) as usize);
    for i in 0..d * h * w {
        let (z, y, x) = (i / (h * w), i / w % h, i % w);
        let ball = |cz: i64, cy: i64, cx: i64, r: i64| (z - cz).pow(2) + (y - cy).pow(2) + (x - cx).pow(2) <= r * r;
        let n = (raw64(key, i as u64) >> 40) as i64;
        let mut v = n % 400;
        if ball(d / 2, h / 2, w / 3, m / 4) {
            v = 720 + n % 280;
        }
        if ball(d / 2, h / 2, w / 3, m / 12) {
            v = 100 + n % 200;
        }
        if ball(0, h / 4, w - 1, m / 5) {
            v = 750 + n % 250;
        }
        if ball(3 * d / 4, 3 * h / 4, 3 * w / 4, m / 7) {
            v = 701 + n % 299;
        }
        if (z - d / 2).abs() <= 1 && (y - h / 2).abs() <= 1 && x >= w / 3 && x < 7 * w / 8 {
            v = 800 + n % 100;
        }
        if n % 211 == 0 {
            v = 990;
        }
        if n % 1499 == 1 {
            v = 10;
        }
        volume.push((v as f64 / 1000.0) as f32);
    }
    volume
}

/// A stored mask: eight voxels a byte, the first in the lowest bit.
pub fn unpack_bits(bits: &[u8], voxels: usize) -> Vec<u8> {
    assert_eq!(bits.len(), voxels.div_ceil(8), "bytes of a mask of {voxels} voxels");
    (0..voxels).map(|i| bits[i / 8] >> (i % 8) & 1).collect()
}

/// zlib's crc32 of little-endian bytes.
pub fn crc32<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    values.into_iter().for_each(|bytes| hasher.update(&bytes));
    hasher.finalize()
}

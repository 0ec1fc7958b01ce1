//! The colours of heat: "jet", from dark blue over green to dark red, as OpenCV's COLORMAP_JET has them.

/// The colour (RGB) of a level, 0 to 255.
pub const fn jet(level: u8) -> [u8; 3] {
    let i = level as i32;
    let blue = match i {
        0..=31 => 128 + 4 * i,
        32..=95 => 255,
        96..=158 => 254 - 4 * (i - 96),
        159 => 1,
        _ => 0,
    };
    let green = match i {
        0..=32 => 0,
        33..=95 => 4 * (i - 32),
        96..=159 => 255,
        160..=222 => 252 - 4 * (i - 160),
        _ => 0,
    };
    let red = match i {
        0..=95 => 0,
        96..=159 => 2 + 4 * (i - 96),
        160..=223 => 255,
        _ => 252 - 4 * (i - 224),
    };
    [red as u8, green as u8, blue as u8]
}

#[cfg(test)]
mod tests {
    use super::jet;

    #[test]
    fn ends_and_corners() {
        assert_eq!(jet(0), [0, 0, 128]);
        assert_eq!(jet(64), [0, 128, 255]);
        assert_eq!(jet(128), [130, 255, 126]);
        assert_eq!(jet(255), [128, 0, 0]);
        let step = |i: u8| jet(i).iter().zip(jet(i + 1)).map(|(a, b)| a.abs_diff(b)).max();
        assert!((0..255).all(|i| step(i) <= Some(5)), "no jumps");
    }
}

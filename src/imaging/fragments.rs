//! Which fragments of encapsulated pixel data make which frame (PS3.5 A.4).

use std::ops::Range;

/// Encapsulated PixelData, as ranges of the data set.
#[derive(Debug)]
pub struct Fragments {
    /// Value of the basic offset table, the first item; may be empty.
    pub offset_table: Range<usize>,
    /// The items after it.
    pub items: Vec<Range<usize>>,
}

impl Fragments {
    /// The fragments of each frame, as ranges of `items`.
    ///
    /// In this order: one frame has them all; as many fragments as frames are one a frame, whatever a table says (such
    /// tables are often zeros); ExtendedOffsetTable (7FE0,0001) with one offset a frame; the basic offset table; the
    /// fragments that begin a JPEG or JPEG 2000 stream, where those are as many as the frames.
    ///
    /// # Errors
    /// In words, where none of these tells.
    pub fn by_frame(&self, dataset: &[u8], extended: &[u64], frames: usize) -> Result<Vec<Range<usize>>, String> {
        let count = self.items.len();
        if frames == 1 && count > 0 {
            return Ok(std::iter::once(0..count).collect());
        }
        if count == frames {
            return Ok((0..count).map(|i| i..i + 1).collect());
        }
        let found = format!("found {count} fragments for {frames} frames");
        if count < frames {
            return Err(format!("{found}, expected one or more a frame"));
        }
        let starts = if extended.is_empty() {
            let table = dataset.get(self.offset_table.clone()).unwrap_or_default();
            let basic: Vec<u64> = table.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b).into()).collect();
            if basic.is_empty() { Some(self.stream_starts(dataset)) } else { self.starts_at(&basic) }
        } else {
            self.starts_at(extended)
        };
        let starts = starts.ok_or_else(|| format!("{found}, and an offset table that points at no fragments"))?;
        if starts.len() != frames || starts.first() != Some(&0) {
            return Err(format!("{found}, and offsets or stream starts for {}", starts.len()));
        }
        let ends = starts.iter().skip(1).copied().chain([count]);
        Ok(starts.iter().zip(ends).map(|(&start, end)| start..end).collect())
    }

    /// Fragments whose item begins at these offsets, which count from the item after the table's; ascending.
    fn starts_at(&self, offsets: &[u64]) -> Option<Vec<usize>> {
        let base = self.items.first()?.start;
        let place = |offset: &u64| {
            let start = base.checked_add(usize::try_from(*offset).ok()?)?;
            self.items.binary_search_by_key(&start, |item| item.start).ok()
        };
        let starts: Vec<usize> = offsets.iter().map(place).collect::<Option<_>>()?;
        starts.is_sorted_by(|a, b| a < b).then_some(starts)
    }

    /// Fragments that begin with a start of image (JPEG, JPEG-LS) or of codestream (JPEG 2000).
    fn stream_starts(&self, dataset: &[u8]) -> Vec<usize> {
        let begins = |item: &Range<usize>| {
            dataset
                .get(item.clone())
                .is_some_and(|b| b.starts_with(&[0xFF, 0xD8, 0xFF]) || b.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]))
        };
        (0..self.items.len()).filter(|&i| begins(&self.items[i])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fragments of these contents behind a table, each with its 8 bytes of item header.
    fn made(table: &[u32], contents: &[&[u8]]) -> (Vec<u8>, Fragments) {
        let mut data = vec![0; 8];
        data.extend(table.iter().flat_map(|v| v.to_le_bytes()));
        let offset_table = 8..data.len();
        let items = contents.iter().map(|content| {
            data.extend([0; 8]);
            let start = data.len();
            data.extend_from_slice(content);
            start..data.len()
        });
        let items = items.collect();
        (data, Fragments { offset_table, items })
    }

    const SOI: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0];
    const REST: &[u8] = &[1, 2, 3, 4, 5, 6];

    #[test]
    fn tables_and_stream_starts_tell_the_frames() {
        let parts = [SOI, REST, SOI, REST, REST];
        // Items are 12, 14, 12, 14 and 14 bytes long. Expected: the first fragment of each frame.
        let cases: [(&[u32], &[u64], &[usize]); 6] = [
            (&[], &[], &[0]),
            (&[0, 0, 0, 0, 0], &[], &[0, 1, 2, 3, 4]),
            (&[0, 26], &[], &[0, 2]),
            (&[0, 12, 52], &[], &[0, 1, 4]),
            (&[], &[0, 26, 38], &[0, 2, 3]),
            (&[], &[], &[0, 2]),
        ];
        for (table, extended, starts) in cases {
            let (data, fragments) = made(table, &parts);
            let frames = fragments.by_frame(&data, extended, starts.len()).unwrap();
            assert!(frames.iter().map(|f| f.start).eq(starts.iter().copied()), "{table:?}: {frames:?}");
            assert!(
                frames.iter().map(|f| f.end).eq(starts.iter().skip(1).copied().chain([5])),
                "{table:?}: {frames:?}"
            );
        }
    }

    #[test]
    fn what_does_not_tell_is_an_error() {
        let parts = [SOI, REST, SOI, REST, REST];
        let cases: [(&[u32], &[u64], usize); 7] = [
            (&[], &[], 6),
            (&[], &[], 3),
            (&[0, 27], &[], 2),
            (&[26, 0], &[], 2),
            (&[12, 26], &[], 2),
            (&[0, 26], &[], 3),
            (&[], &[0, u64::MAX], 2),
        ];
        for (table, extended, frames) in cases {
            let (data, fragments) = made(table, &parts);
            let error = fragments.by_frame(&data, extended, frames).unwrap_err();
            assert!(error.contains(&format!("5 fragments for {frames} frames")), "{error}");
        }
        let (data, none) = made(&[], &[]);
        assert!(none.by_frame(&data, &[], 1).is_err());
    }
}

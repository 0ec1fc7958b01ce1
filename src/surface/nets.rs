//! Surface nets (Gibson, MICCAI 1998) on a binary mask: a vertex near each corner of voxels that the surface passes, two triangles for each
//! face between a voxel inside and one outside. What makes it a closed 2-manifold is in [`super::corner`], and here the rule that two edges
//! between the same two vertices get a vertex of their own each.

use std::collections::HashMap;

use ndarray::ArrayView3;

use super::corner::{Corner, face, half_edge, others, table};
use super::mesh::Mesh;
use super::volume::Parts;
use super::{MAX_FACES, SurfaceError};
use crate::imaging::Geometry;
use crate::imaging::geometry::{cross, dot, norm, sub};

/// The mesh as it comes from the grid.
pub struct Nets {
    pub mesh: Mesh,
    /// The place of each vertex on the voxels' own, stepped surface, as an index (slice, row, column).
    steps: Vec<[f32; 3]>,
}

impl Nets {
    /// The mesh's connected parts with the volume of their voxels.
    pub fn parts(&self, geometry: &Geometry) -> Parts {
        let place = |p: &[f32; 3]| geometry.to_patient(p.map(f64::from));
        let stepped = self.steps.iter().map(place).collect();
        Parts::of(&Mesh { vertices: stepped, triangles: self.mesh.triangles.clone() })
    }
}

/// None: no voxel is inside.
pub fn extract(mask: ArrayView3<u8>, geometry: &Geometry) -> Result<Option<Nets>, SurfaceError> {
    let Some(bits) = Bits::of(mask) else { return Ok(None) };
    let [s, r, c] = geometry.steps_mm;
    let mut net = Net {
        table: table(),
        layers: [Layer::new(&bits), Layer::new(&bits)],
        geometry,
        mirrored: dot(s, cross(r, c)) < 0.0,
        nets: Nets { mesh: Mesh::default(), steps: Vec::new() },
        middles: HashMap::new(),
        bits,
    };
    for layer in 0..net.bits.size[0] - 1 {
        net.layers.swap(0, 1);
        net.corners(layer);
        net.faces(layer);
        if net.nets.mesh.triangles.len() > 2 * MAX_FACES {
            return Err(SurfaceError::TooLarge);
        }
    }
    Ok(Some(net.nets))
}

/// The smallest box that holds the mask, with a border of one voxel outside all around; one bit a voxel.
struct Bits {
    /// With the border.
    size: [usize; 3],
    /// Index in the mask of the box's first voxel, the border's.
    first: [isize; 3],
    words: usize,
    bits: Vec<u64>,
}

impl Bits {
    fn of(mask: ArrayView3<u8>) -> Option<Self> {
        let (slices, rows, columns) = mask.dim();
        let full = columns.div_ceil(64);
        let mut packed = vec![0u64; slices * rows * full];
        let mut seen = [(usize::MAX, 0); 3];
        let mut grow = |axis: usize, low: usize, high: usize| {
            seen[axis] = (low.min(seen[axis].0), high.max(seen[axis].1));
        };
        for (line, (number, into)) in mask.rows().into_iter().zip(packed.chunks_exact_mut(full.max(1)).enumerate()) {
            match line.to_slice() {
                Some(line) => pack(line, into),
                None => pack(&line.to_vec(), into),
            }
            let Some(low) = into.iter().position(|w| *w != 0) else { continue };
            let high = into.iter().rposition(|w| *w != 0).unwrap_or(low);
            grow(0, number / rows, number / rows);
            grow(1, number % rows, number % rows);
            let highest = high * 64 + 63 - into[high].leading_zeros() as usize;
            grow(2, low * 64 + into[low].trailing_zeros() as usize, highest);
        }
        if seen[0].0 == usize::MAX {
            return None;
        }
        let size = seen.map(|(low, high)| high - low + 3);
        let first = seen.map(|(low, _)| low as isize - 1);
        let words = size[2].div_ceil(64);
        let mut bits = vec![0u64; size[0] * size[1] * words];
        for slice in 1..size[0] - 1 {
            for row in 1..size[1] - 1 {
                let from = ((seen[0].0 + slice - 1) * rows + seen[1].0 + row - 1) * full;
                let into = (slice * size[1] + row) * words;
                shift(&packed[from..from + full], first[2], &mut bits[into..into + words]);
            }
        }
        Some(Self { size, first, words, bits })
    }

    fn row(&self, slice: usize, row: usize) -> &[u64] {
        let start = (slice * self.size[1] + row) * self.words;
        &self.bits[start..start + self.words]
    }
}

fn pack(line: &[u8], into: &mut [u64]) {
    for (chunk, word) in line.chunks(64).zip(into) {
        // Most of a mask is empty.
        if chunk.iter().any(|v| *v != 0) {
            *word = chunk.iter().rev().fold(0, |word, v| word << 1 | u64::from(*v != 0));
        }
    }
}

/// Bit 0 of `into` is bit `by` (from -1) of `from`.
fn shift(from: &[u64], by: isize, into: &mut [u64]) {
    let bit = by.rem_euclid(64) as u32;
    let start = by.div_euclid(64);
    let word = |i: isize| usize::try_from(i).ok().and_then(|i| from.get(i)).copied().unwrap_or(0);
    for (n, into) in (start..).zip(into) {
        *into = if bit == 0 { word(n) } else { word(n) >> bit | word(n + 1) << (64 - bit) };
    }
}

/// The numbers of the set bits.
fn ones(words: impl Iterator<Item = u64>) -> impl Iterator<Item = usize> {
    words.enumerate().flat_map(|(n, mut word)| {
        std::iter::from_fn(move || {
            let bit = (word != 0).then(|| n * 64 + word.trailing_zeros() as usize)?;
            word &= word - 1;
            Some(bit)
        })
    })
}

/// The row moved by one voxel: bit c is voxel c + 1.
fn next(row: &[u64]) -> impl Iterator<Item = u64> {
    row.iter().enumerate().map(|(n, word)| word >> 1 | row.get(n + 1).copied().unwrap_or(0) << 63)
}

/// The corners between two slices; only those that the surface passes are written.
struct Layer {
    bits: Vec<u8>,
    /// The number of the corner's first vertex.
    base: Vec<u32>,
}

impl Layer {
    fn new(bits: &Bits) -> Self {
        let corners = bits.size[1] * bits.size[2];
        Self { bits: vec![0; corners], base: vec![0; corners] }
    }
}

struct Net<'a> {
    table: &'static [Corner],
    bits: Bits,
    /// The layer below the voxel slice, and the one above.
    layers: [Layer; 2],
    geometry: &'a Geometry,
    /// Whether (slice, row, column) is a left-handed system in the patient.
    mirrored: bool,
    nets: Nets,
    /// (corner at the lower end, axis, which of the two voxels): the vertex of one of two edges between the same vertices.
    middles: HashMap<([usize; 3], usize, usize), u32>,
}

impl Net<'_> {
    fn vertex(&mut self, corner: [f32; 3], centre: [f32; 3]) -> u32 {
        // Corner n lies between the voxels n and n + 1 of the box.
        let corner: [f32; 3] = std::array::from_fn(|axis| corner[axis] + 0.5 + self.bits.first[axis] as f32);
        let index: [f32; 3] = std::array::from_fn(|axis| corner[axis] + centre[axis]);
        self.nets.steps.push(corner);
        self.nets.mesh.vertices.push(self.geometry.to_patient(index.map(f64::from)));
        (self.nets.steps.len() - 1) as u32
    }

    /// Makes the vertices between the slices `layer` and `layer + 1`.
    fn corners(&mut self, layer: usize) {
        let mut found: Vec<(usize, u8)> = Vec::new();
        for row in 0..self.bits.size[1] - 1 {
            let rows: [&[u64]; 4] = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(s, r)| self.bits.row(layer + s, row + r));
            found.clear();
            let shifted: [Vec<u64>; 4] = rows.map(|row| next(row).collect());
            let all = rows.iter().copied().chain(shifted.iter().map(Vec::as_slice));
            let any = |n: usize| all.clone().fold(0, |a, row| a | row[n]);
            let every = |n: usize| all.clone().fold(u64::MAX, |a, row| a & row[n]);
            for column in ones((0..self.bits.words).map(|n| any(n) & !every(n))) {
                let bit = |row: &[u64]| (row[column / 64] >> (column % 64) & 1) as u8;
                let bits = (0..4).fold(0, |bits, n| bits | bit(rows[n]) << (2 * n) | bit(&shifted[n]) << (2 * n + 1));
                found.push((column, bits));
            }
            for &(column, bits) in &found {
                let at = row * self.bits.size[2] + column;
                let table = self.table;
                self.layers[1].bits[at] = bits;
                self.layers[1].base[at] = self.nets.steps.len() as u32;
                for centre in &table[bits as usize].centres {
                    self.vertex([layer, row, column].map(|v| v as f32), *centre);
                }
            }
        }
    }

    /// Makes the faces of slice `layer` along rows and columns, and those between it and the next.
    fn faces(&mut self, layer: usize) {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for row in 0..self.bits.size[1] - 1 {
            let here = self.bits.row(layer, row);
            let xor = |other: &[u64]| -> Vec<u64> { here.iter().zip(other).map(|(a, b)| a ^ b).collect() };
            let sideways: Vec<u64> = here.iter().zip(next(here)).map(|(a, b)| a ^ b).collect();
            let differing = [xor(self.bits.row(layer + 1, row)), xor(self.bits.row(layer, row + 1)), sideways];
            found.clear();
            for (axis, words) in differing.into_iter().enumerate() {
                found.extend(ones(words.into_iter()).map(|column| (axis, column)));
            }
            for &(axis, column) in &found {
                let inside = self.bits.row(layer, row)[column / 64] >> (column % 64) & 1 == 1;
                self.face(axis, [layer, row, column], inside);
            }
        }
    }

    /// The face between `voxel` and the next one along `axis`, whichever is inside.
    fn face(&mut self, axis: usize, voxel: [usize; 3], first_inside: bool) {
        let [b, c] = others(axis);
        // Around the face; the corner before a voxel sees it at offset 1.
        let around = [[0, 0], [1, 0], [1, 1], [0, 1]].map(|[ob, oc]: [usize; 2]| {
            let mut corner = voxel;
            corner[b] = voxel[b] + ob - 1;
            corner[c] = voxel[c] + oc - 1;
            (corner, face(axis, [1 - ob, 1 - oc]))
        });
        let mut polygon = [0u32; 8];
        let mut count = 0;
        let mut fan = None;
        for n in 0..4 {
            let (corner, face) = around[n];
            let (bits, base) = self.at(corner, voxel[0]);
            polygon[count] = base + u32::from(self.table[bits as usize].umbrella[face]);
            count += 1;
            let along = [b, c][n % 2];
            let (from, to) = if n < 2 { (corner, around[n + 1].0) } else { (around[(n + 1) % 4].0, corner) };
            if self.is_doubled(from, to, along, voxel[0]) {
                let mut inside = voxel;
                inside[axis] += usize::from(!first_inside);
                polygon[count] = self.middle(from, along, inside);
                fan = fan.or(Some(count));
                count += 1;
            }
        }
        // (row × column), (slice × column), (slice × row) against slice, row, column.
        let forwards = (axis != 1) == first_inside;
        let polygon = &mut polygon[..count];
        let start = fan.unwrap_or_else(|| self.shorter_diagonal(polygon));
        polygon.rotate_left(start);
        if forwards == self.mirrored {
            polygon[1..].reverse();
        }
        for pair in polygon[1..].windows(2) {
            self.nets.mesh.triangles.push([polygon[0], pair[0], pair[1]]);
        }
    }

    /// Bits and first vertex of a corner; `slice` is that of the voxel whose face is made.
    fn at(&self, corner: [usize; 3], slice: usize) -> (u8, u32) {
        let layer = &self.layers[usize::from(corner[0] == slice)];
        let at = corner[1] * self.bits.size[2] + corner[2];
        (layer.bits[at], layer.base[at])
    }

    fn is_doubled(&self, from: [usize; 3], to: [usize; 3], axis: usize, slice: usize) -> bool {
        let has = |corner, up| self.table[self.at(corner, slice).0 as usize].doubled >> half_edge(axis, up) & 1 == 1;
        has(from, true) && has(to, false)
    }

    /// The vertex in the middle of an edge, on the side of the inside voxel.
    fn middle(&mut self, corner: [usize; 3], axis: usize, inside: [usize; 3]) -> u32 {
        let [b, c] = others(axis);
        let key = (corner, axis, inside[b] - corner[b]);
        if let Some(&vertex) = self.middles.get(&key) {
            return vertex;
        }
        let mut middle = corner.map(|v| v as f32);
        middle[axis] += 0.5;
        let mut centre = [0.0; 3];
        for other in [b, c] {
            centre[other] = (inside[other] - corner[other]) as f32 * 0.5 - 0.25;
        }
        let vertex = self.vertex(middle, centre);
        self.middles.insert(key, vertex);
        vertex
    }

    fn shorter_diagonal(&self, polygon: &[u32]) -> usize {
        let place = |n: usize| self.nets.mesh.vertices[polygon[n] as usize];
        // Of equal ones always the same, however places are rounded.
        usize::from(1.001 * norm(sub(place(1), place(3))) < norm(sub(place(0), place(2))))
    }
}

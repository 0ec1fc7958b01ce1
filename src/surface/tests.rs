use std::collections::HashMap;

use ndarray::Array3;

use super::*;
use crate::phantom::Random;

fn grid(size: [usize; 3], steps_mm: [[f64; 3]; 3]) -> Geometry {
    Geometry { size, origin_mm: [-120.0, 35.0, 800.0], steps_mm, frame_of_reference_uid: None }
}

/// Unequal spacings, turned, and sheared as by a tilted gantry.
const TILTED: [[f64; 3]; 3] = [[0.3, 0.9, 2.8], [0.1, 0.79, -0.1], [0.8, -0.1, 0.0]];
const PLAIN: [[f64; 3]; 3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];

fn made(mask: &Array3<u8>, steps_mm: [[f64; 3]; 3], max: usize) -> (Mesh, Geometry) {
    let (s, r, c) = mask.dim();
    let geometry = grid([s, r, c], steps_mm);
    (surface(mask.view(), &geometry, max).unwrap().unwrap(), geometry)
}

/// As [`Mesh::is_watertight`], written another way, and no two vertices at one place in a file's f32.
#[track_caller]
fn check(mesh: &Mesh, what: &str) {
    let mut uses: HashMap<[u32; 2], [usize; 2]> = HashMap::new();
    for &[a, b, c] in &mesh.triangles {
        for [from, to] in [[a, b], [b, c], [c, a]] {
            assert_ne!(from, to, "{what}");
            uses.entry([from.min(to), from.max(to)]).or_default()[usize::from(from < to)] += 1;
        }
    }
    assert!(uses.values().all(|n| *n == [1, 1]), "{what}: an edge is not between two triangles");
    assert!(mesh.is_watertight(), "{what}");
    let mut places = HashMap::new();
    for (n, p) in mesh.vertices.iter().enumerate() {
        let place = p.map(|v| (v as f32).to_bits());
        assert_eq!(places.insert(place, n), None, "{what}: two vertices at {p:?}");
    }
    assert!(mesh.volume_mm3() > 0.0, "{what}: normals point inwards");
}

/// Voxels' volume of the mask, in mm³.
fn voxels(mask: &Array3<u8>, geometry: &Geometry) -> f64 {
    mask.iter().filter(|v| **v != 0).count() as f64 * geometry.voxel_mm3()
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() <= tolerance, "found {found}, expected {expected} within {tolerance}");
}

/// A ball of `radius` mm on the grid, round in mm.
fn ball(size: [usize; 3], steps_mm: [[f64; 3]; 3], radius: f64) -> Array3<u8> {
    let geometry = grid(size, steps_mm);
    let centre = geometry.to_patient(size.map(|n| (n - 1) as f64 / 2.0));
    Array3::from_shape_fn(size, |(s, r, c)| {
        let p = geometry.to_patient([s as f64, r as f64, c as f64]);
        u8::from((0..3).map(|axis| (p[axis] - centre[axis]).powi(2)).sum::<f64>() <= radius * radius)
    })
}

#[test]
fn a_ball_has_the_area_and_volume_of_one() {
    for (size, steps, radius) in [([50, 50, 50], PLAIN, 20.0), ([26, 70, 70], TILTED, 22.0)] {
        let mask = ball(size, steps, radius);
        let pi = std::f64::consts::PI;
        for max in [usize::MAX, 2000] {
            let (mesh, geometry) = made(&mask, steps, max);
            check(&mesh, "ball");
            near(mesh.volume_mm3(), voxels(&mask, &geometry), 2e-4);
            near(mesh.volume_mm3(), 4.0 / 3.0 * pi * radius.powi(3), 0.02);
            near(mesh.area_mm2(), 4.0 * pi * radius * radius, 0.04);
            assert!(mesh.triangles.len() <= max);
            let [low, high] = mesh.bounds_mm().unwrap();
            let centre = geometry.to_patient(size.map(|n| (n - 1) as f64 / 2.0));
            for axis in 0..3 {
                assert!((high[axis] - centre[axis] - radius).abs() < 1.5, "{high:?} {centre:?}");
                assert!((centre[axis] - low[axis] - radius).abs() < 1.5, "{low:?} {centre:?}");
            }
        }
    }
}

#[test]
fn a_mirrored_grid_has_its_normals_outwards_too() {
    let mirrored = [[0.0, 0.0, -1.0], PLAIN[1], PLAIN[2]];
    let (mesh, _) = made(&ball([20, 20, 20], mirrored, 7.0), mirrored, usize::MAX);
    check(&mesh, "mirrored");
}

#[test]
fn an_empty_mask_has_no_surface_and_misfits_are_told() {
    let geometry = grid([3, 4, 5], PLAIN);
    assert_eq!(surface(Array3::zeros((3, 4, 5)).view(), &geometry, 10), Ok(None));
    let error = surface(Array3::zeros((3, 4, 6)).view(), &geometry, 10).unwrap_err();
    assert_eq!(error.to_string(), "the mask has [3, 4, 6] slices, rows and columns, expected [3, 4, 5] as the grid");
    let flat = grid([3, 4, 5], [PLAIN[0], PLAIN[1], PLAIN[1]]);
    assert_eq!(surface(Array3::ones((3, 4, 5)).view(), &flat, 10), Err(SurfaceError::Grid));
}

#[test]
fn masks_at_the_border_of_one_voxel_and_of_all() {
    for size in [(1, 1, 1), (1, 3, 2), (4, 5, 70), (2, 64, 63)] {
        let mask = Array3::ones(size);
        let (mesh, geometry) = made(&mask, TILTED, usize::MAX);
        check(&mesh, &format!("{size:?}"));
        near(mesh.volume_mm3(), voxels(&mask, &geometry), 2e-4);
    }
}

#[test]
fn bodies_that_touch_are_apart_and_keep_their_volumes() {
    for other in [(1, 1, 0), (1, 1, 1)] {
        let mut mask = Array3::<u8>::zeros((2, 2, 2));
        mask[[0, 0, 0]] = 1;
        mask[other] = 1;
        let (mesh, geometry) = made(&mask, PLAIN, usize::MAX);
        check(&mesh, "touching");
        assert_eq!(Parts::of(&mesh).count(), 2);
        near(mesh.volume_mm3(), voxels(&mask, &geometry), 2e-4);
    }
}

#[test]
fn a_hollow_has_a_surface_of_its_own() {
    let mut mask = ball([30, 30, 30], PLAIN, 12.0);
    mask.zip_mut_with(&ball([30, 30, 30], PLAIN, 6.0), |v, inner| *v -= inner);
    let (mesh, geometry) = made(&mask, PLAIN, 1000);
    check(&mesh, "hollow");
    assert_eq!(Parts::of(&mesh).count(), 2);
    near(mesh.volume_mm3(), voxels(&mask, &geometry), 2e-4);
}

/// Two slabs that two voxels join, which touch along an edge: there two edges lie between the same vertices.
#[test]
fn two_pillars_that_touch_between_slabs() {
    let mut mask = Array3::<u8>::ones((3, 4, 4));
    mask.index_axis_mut(ndarray::Axis(0), 1).fill(0);
    mask[[1, 1, 1]] = 1;
    mask[[1, 2, 2]] = 1;
    let (mesh, geometry) = made(&mask, PLAIN, usize::MAX);
    check(&mesh, "pillars");
    near(mesh.volume_mm3(), voxels(&mask, &geometry), 2e-4);
}

#[test]
fn every_mask_gives_a_closed_surface_also_when_decimated() {
    let mut random = Random::new(7, 0);
    for round in 0..60 {
        let share = [0.1, 0.3, 0.5, 0.7, 0.9][round % 5];
        let mask = Array3::from_shape_fn((7, 6, 8), |_| u8::from(random.chance(share)));
        let (mesh, _) = made(&mask, TILTED, usize::MAX);
        check(&mesh, &format!("noise {round}"));
        let (fewer, _) = made(&mask, TILTED, mesh.triangles.len() / 3);
        check(&fewer, &format!("decimated noise {round}"));
        assert!(fewer.triangles.len() < mesh.triangles.len());
        assert_eq!(Parts::of(&fewer).count(), Parts::of(&mesh).count());
    }
}

#[test]
fn noise_is_refused_before_it_takes_the_memory() {
    let checkers = Array3::from_shape_fn((150, 150, 150), |(s, r, c)| ((s + r + c) % 2) as u8);
    let result = surface(checkers.view(), &grid([150, 150, 150], PLAIN), 10);
    assert_eq!(result, Err(SurfaceError::TooLarge));
}

#[test]
fn the_file_says_what_it_is_and_holds_the_triangles() {
    let (mesh, _) = made(&ball([12, 12, 12], PLAIN, 4.0), PLAIN, usize::MAX);
    let bytes = stl::write(&mesh);
    assert_eq!(bytes.len(), 84 + 50 * mesh.triangles.len());
    assert!(bytes.starts_with(b"AI-generated surface, for research use only"));
    let number = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    for (n, triangle) in mesh.triangles.iter().enumerate() {
        let at = 84 + 50 * n;
        let corners: Vec<f32> = (0..9).map(|i| number(at + 12 + 4 * i)).collect();
        let expected: Vec<f32> = mesh.corners(*triangle).iter().flatten().map(|v| *v as f32).collect();
        assert_eq!(corners, expected);
        let length: f32 = (0..3).map(|i| number(at + 4 * i).powi(2)).sum();
        assert!((length - 1.0).abs() < 1e-5, "a normal of length² {length}");
    }
}

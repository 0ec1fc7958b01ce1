//! Heads that are known: an egg-shaped skull, placed and turned in the patient, cut by planes of all kinds.

use ndarray::Array2;

use super::*;
use crate::imaging::geometry::cross;

/// A skull around the patient's point (12, -7, 30), turned about the axis from feet to head: positive to the patient's left.
struct Head {
    turn_degrees: f64,
}

const CENTER: [f64; 3] = [12.0, -7.0, 30.0];

impl Head {
    /// Coordinates of the head itself: (to its left, to its front, up), mm.
    fn own(&self, point: [f64; 3]) -> [f64; 3] {
        let [x, y, z] = sub(point, CENTER);
        let (sin, cos) = self.turn_degrees.to_radians().sin_cos();
        [x * cos + y * sin, x * sin - y * cos, z]
    }

    fn to_patient(&self, [left, front, up]: [f64; 3]) -> [f64; 3] {
        let (sin, cos) = self.turn_degrees.to_radians().sin_cos();
        [CENTER[0] + left * cos + front * sin, CENTER[1] + left * sin - front * cos, CENTER[2] + up]
    }

    fn hu(&self, point: [f64; 3]) -> f32 {
        let [left, front, up] = self.own(point);
        let level = |grow: f64| {
            let width = 66.0 - 0.12 * front + grow;
            (left / width).powi(2) + (front / (84.0 + grow)).powi(2) + (up / (72.0 + grow)).powi(2)
        };
        if level(0.0) <= 1.0 {
            35.0
        } else if level(7.0) <= 1.0 {
            900.0
        } else if level(12.0) <= 1.0 {
            40.0
        } else {
            -1000.0
        }
    }

    fn slice(&self, geometry: &Geometry) -> Array2<f32> {
        let [_, rows, columns] = geometry.size;
        Array2::from_shape_fn((rows, columns), |(r, c)| self.hu(geometry.to_patient([0.0, r as f64, c as f64])))
    }
}

/// A slice through the head's centre with these directions of increasing columns and rows.
fn plane(columns: [f64; 3], rows: [f64; 3], spacing: [f64; 2]) -> Geometry {
    let size = [1, (230.0 / spacing[0]) as usize, (230.0 / spacing[1]) as usize];
    let steps = [cross(columns, rows), rows.map(|v| v * spacing[0]), columns.map(|v| v * spacing[1])];
    let middle = [size[1] as f64 / 2.0 + 6.0, size[2] as f64 / 2.0 - 4.0];
    let origin = std::array::from_fn(|i| CENTER[i] - middle[0] * steps[1][i] - middle[1] * steps[2][i]);
    Geometry { size, origin_mm: origin, steps_mm: steps, frame_of_reference_uid: None }
}

fn spec() -> SkullPlaceSpec {
    SkullPlaceSpec { bone_hu: 300.0, midline_mm: 5.0 }
}

const X: [f64; 3] = [1.0, 0.0, 0.0];
const Y: [f64; 3] = [0.0, 1.0, 0.0];
const Z: [f64; 3] = [0.0, 0.0, 1.0];

fn minus(v: [f64; 3]) -> [f64; 3] {
    v.map(|c| -c)
}

/// The head's own directions, wherever the image's rows and columns run: head first and feet first, mirrored, on the side, turned.
#[test]
fn side_and_part_are_the_heads_own_whatever_way_the_image_lies() {
    let ways = [
        (X, Y),
        (minus(X), Y),
        (X, minus(Y)),
        (minus(X), minus(Y)),
        (Y, X),
        (Y, minus(X)),
        (minus(Y), X),
        (minus(Y), minus(X)),
    ];
    for turn in [-30.0, -12.0, 0.0, 7.5, 25.0] {
        let head = Head { turn_degrees: turn };
        for (columns, rows) in ways {
            let geometry = plane(columns, rows, [1.1, 0.9]);
            let frame = HeadFrame::of_slice(head.slice(&geometry).view(), &geometry, 0, &spec()).unwrap();
            for (own, side, part) in [
                ([30.0, 60.0, 0.0], Side::Left, Part::Front),
                ([-30.0, 60.0, 0.0], Side::Right, Part::Front),
                ([45.0, 5.0, 0.0], Side::Left, Part::Middle),
                ([-8.0, 5.0, 0.0], Side::Right, Part::Middle),
                ([2.0, -60.0, 0.0], Side::Midline, Part::Back),
                ([-40.0, -50.0, 0.0], Side::Right, Part::Back),
            ] {
                let found = frame.place(head.to_patient(own));
                let expected = Place { side: Some(side), part: Some(part), image_side: None };
                assert_eq!(
                    found, expected,
                    "turned by {turn}, columns along {columns:?}, rows along {rows:?}, at {own:?}"
                );
            }
            let (anterior, reach) = frame.anterior.unwrap();
            let own = head.to_patient([0.0, 1.0, 0.0]);
            assert!(
                dot(anterior, sub(own, CENTER)).min(1.0).acos().to_degrees() < 1.5,
                "turned by {turn}: {anterior:?}"
            );
            assert!((reach[1] - reach[0] - 168.0).abs() < 4.0, "{reach:?}");
        }
    }
}

/// A gantry tilted about the axis from left to right: the slice's rows lean to the feet or to the head.
#[test]
fn a_tilted_gantry_changes_nothing() {
    for tilt in [-25.0f64, 18.5] {
        let (sin, cos) = tilt.to_radians().sin_cos();
        let geometry = plane(X, [0.0, cos, sin], [0.5, 0.5]);
        for turn in [-15.0, 10.0] {
            let head = Head { turn_degrees: turn };
            let frame = HeadFrame::of_slice(head.slice(&geometry).view(), &geometry, 0, &spec()).unwrap();
            for (own, side, part) in [
                ([30.0, 55.0], Side::Left, Part::Front),
                ([-30.0, 0.0], Side::Right, Part::Middle),
                ([-25.0, -60.0], Side::Right, Part::Back),
            ] {
                // The point of the slice at this place of the head.
                let [left, front] = own;
                let flat = head.to_patient([left, front, 0.0]);
                let up = (flat[1] - CENTER[1]) * sin / cos;
                let found = frame.place([flat[0], flat[1], flat[2] + up]);
                assert_eq!((found.side, found.part), (Some(side), Some(part)), "tilt {tilt}, turn {turn}, {own:?}");
            }
        }
    }
}

#[test]
fn coronal_slices_have_sides_and_sagittal_ones_parts() {
    let head = Head { turn_degrees: 0.0 };
    for (columns, rows) in [(X, minus(Z)), (minus(X), minus(Z)), (X, Z)] {
        let geometry = plane(columns, rows, [1.0, 1.0]);
        let frame = HeadFrame::of_slice(head.slice(&geometry).view(), &geometry, 0, &spec()).unwrap();
        let found = frame.place(head.to_patient([25.0, 0.0, 20.0]));
        assert_eq!((found.side, found.part), (Some(Side::Left), None));
        assert_eq!(frame.place(head.to_patient([-25.0, 0.0, -20.0])).side, Some(Side::Right));
    }
    for (columns, rows) in [(Y, minus(Z)), (minus(Y), minus(Z)), (minus(Z), Y)] {
        let geometry = plane(columns, rows, [1.0, 1.0]);
        let frame = HeadFrame::of_slice(head.slice(&geometry).view(), &geometry, 0, &spec()).unwrap();
        let found = frame.place(head.to_patient([0.0, 60.0, 10.0]));
        assert_eq!((found.side, found.part), (None, Some(Part::Front)));
        assert_eq!(frame.place(head.to_patient([0.0, -60.0, 10.0])).part, Some(Part::Back));
    }
}

#[test]
fn what_is_no_closed_skull_has_no_frame() {
    let geometry = plane(X, Y, [1.0, 1.0]);
    let head = Head { turn_degrees: 0.0 };
    let whole = head.slice(&geometry);
    let none = |hu: Array2<f32>| assert_eq!(HeadFrame::of_slice(hu.view(), &geometry, 0, &spec()), None);
    none(whole.mapv(|v| if v > 300.0 { 40.0 } else { v }));
    // Bone around air, as around a phantom's or a lung's.
    none(whole.mapv(|v| if v == 35.0 { -700.0 } else { v }));
    // A third of the ring is missing.
    let columns = whole.ncols();
    none(Array2::from_shape_fn(whole.dim(), |(r, c)| {
        if c > columns / 2 && whole[[r, c]] > 300.0 { 40.0 } else { whole[[r, c]] }
    }));
    none(Array2::from_elem((20, 20), f32::NAN));
}

#[test]
fn a_picture_has_sides_of_its_own() {
    assert_eq!(Place::in_picture(10.0, 224).image_side, Some(ImageSide::Left));
    assert_eq!(Place::in_picture(200.0, 224).image_side, Some(ImageSide::Right));
    assert_eq!(Place::in_picture(10.0, 224).side, None);
}

use ndarray::{Array3, Array4, ArrayView3, s};
fn zoom(v: ArrayView3<f32>, to: [usize; 3]) -> Array3<f32> {
    let mut out = v.to_owned();
    for axis in 0..3 {
        let (n, m) = (out.shape()[axis], to[axis]);
        if n == m {
            continue;
        }
        let mut shape = [out.shape()[0], out.shape()[1], out.shape()[2]];
        shape[axis] = m;
        let mut next = Array3::<f32>::zeros(shape);
        for i in 0..m {
            let x = i as f64 * (n - 1) as f64 / (m - 1) as f64;
            let k = (x as usize).min(n - 2);
            let t = (x - k as f64) as f32;
            let (a, b) = (out.index_axis(ndarray::Axis(axis), k), out.index_axis(ndarray::Axis(axis), k + 1));
            let mut o = next.index_axis_mut(ndarray::Axis(axis), i);
            ndarray::Zip::from(&mut o).and(&a).and(&b).for_each(|o, a, b| *o = a + (b - a) * t);
        }
        out = next;
    }
    out
}
pub fn prepare(exam: &crate::phantom::BreastMri) -> (Array4<f32>, Array3<f32>) {
    let n = exam.truth.dim().0;
    let start = (n - 96) / 2;
    let mut input = Array4::zeros([4, 96, 96, 96]);
    for (c, phase) in exam.phases.iter().enumerate() {
        let mut v = phase.slice(s![start..start + 96, .., ..]).mapv(f32::from);
        for mut slice in v.outer_iter_mut() {
            let (lo, hi) = slice.iter().fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            if hi > lo {
                slice.mapv_inplace(|v| (v - lo) / (hi - lo));
            }
        }
        input.index_axis_mut(ndarray::Axis(0), c).assign(&zoom(v.view(), [96; 3]));
    }
    let truth = exam.truth.slice(s![start..start + 96, .., ..]).mapv(f32::from);
    (input, zoom(truth.view(), [96; 3]))
}

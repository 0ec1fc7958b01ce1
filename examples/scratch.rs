use std::time::Instant;
use tch::{Device, Kind, Tensor};
fn cpu() -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat").unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
        * 1e-9
}
fn time(name: &str, mut f: impl FnMut() -> Tensor) -> Tensor {
    let mut best = f64::MAX;
    let mut out = f();
    for _ in 0..3 {
        let _w = Instant::now();
        let t = cpu();
        out = f();
        best = best.min(cpu() - t);
    }
    println!("{name:50} {:8.1} ms", best * 1e3);
    out
}
fn cl(t: &Tensor) -> Tensor {
    t.movedim_int(1, -1).contiguous().movedim_int(-1, 1)
}
fn main() {
    let _g = tch::no_grad_guard();
    tch::set_num_threads(1);
    let o = (Kind::Float, Device::Cpu);
    let a = Tensor::rand([1024, 1024], o);
    let b = Tensor::rand([1024, 1024], o);
    time("gemm 1024 (2.1 GFLOP)", || a.mm(&b));
    let n = None::<&Tensor>;
    let _ = n;
    let qkv = Tensor::rand([343, 343, 3, 3, 8], o);
    let m = Tensor::rand([3, 343, 343], o);
    time("sdpa", || {
        let p = qkv.permute([2, 0, 3, 1, 4]);
        Tensor::scaled_dot_product_attention(
            &p.select(0, 0),
            &p.select(0, 1),
            &p.select(0, 2),
            Some(&m.unsqueeze(0)),
            0.0,
            false,
            None,
            false,
        )
    });
    for chunk in [1i64, 7] {
        let mm = m.unsqueeze(0).expand([chunk, 3, 343, 343], false).reshape([chunk * 3, 343, 343]).contiguous();
        let buf = Tensor::rand([chunk * 3, 343, 343], o);
        let buf2 = Tensor::rand([chunk * 3, 343, 343], o);
        let y = Tensor::rand([chunk * 3, 343, 8], o);
        time(&format!("explicit chunks of {chunk}"), || {
            for i in 0..343 / chunk {
                let p =
                    qkv.narrow(0, i * chunk, chunk).permute([2, 0, 3, 1, 4]).contiguous().view([3, chunk * 3, 343, 8]);
                let _ = mm.baddbmm_out(&buf, &p.select(0, 0), &p.select(0, 1).transpose(1, 2));
                let _ = buf.internal_softmax_out(&buf2, -1, false);
                let _ = buf2.bmm_out(&y, &p.select(0, 2));
            }
            y.shallow_clone()
        });
        time(&format!("  of that baddbmm"), || {
            for i in 0..343 / chunk {
                let p =
                    qkv.narrow(0, i * chunk, chunk).permute([2, 0, 3, 1, 4]).contiguous().view([3, chunk * 3, 343, 8]);
                let _ = mm.baddbmm_out(&buf, &p.select(0, 0), &p.select(0, 1).transpose(1, 2));
            }
            y.shallow_clone()
        });
        time(&format!("  of that softmax"), || {
            for _ in 0..343 / chunk {
                let _ = buf.internal_softmax_out(&buf2, -1, false);
            }
            y.shallow_clone()
        });
        time(&format!("  of that exp_"), || {
            for _ in 0..343 / chunk {
                let _ = buf.exp_out(&buf2);
            }
            y.shallow_clone()
        });
        let p = qkv.narrow(0, 0, chunk).permute([2, 0, 3, 1, 4]).contiguous().view([3, chunk * 3, 343, 8]);
        time(&format!("  of that bmm"), || {
            for _ in 0..343 / chunk {
                let _ = buf2.bmm_out(&y, &p.select(0, 2));
            }
            y.shallow_clone()
        });
    }
}

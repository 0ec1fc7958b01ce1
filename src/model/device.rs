//! The device that networks run on, by configuration, and the number of threads.

use super::ModelError;

/// Where networks live, and with how many threads the CPU computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    torch: tch::Device,
    threads: usize,
}

impl Device {
    /// Reads the configuration's choice: "cpu", "cuda" (the first card), "cuda:1", or "auto" (the first card if there is
    /// one, else the CPU). `threads`: None takes one a core.
    ///
    /// # Errors
    /// [`ModelError::Device`] for any other word, and for a card that is not there.
    pub fn from_choice(choice: &str, threads: Option<usize>) -> Result<Self, ModelError> {
        let refuse = |reason: String| Err(ModelError::Device { choice: choice.to_owned(), reason });
        let cards = || usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
        let torch = match choice {
            "cpu" => tch::Device::Cpu,
            "auto" => tch::Device::cuda_if_available(),
            _ => match choice.strip_prefix("cuda").map(|rest| rest.strip_prefix(':').unwrap_or("0").parse::<usize>()) {
                Some(Ok(index)) if index < cards() => tch::Device::Cuda(index),
                Some(Ok(index)) => return refuse(format!("CUDA card {index} is not there, found {} cards", cards())),
                _ => return refuse("expected \"cpu\", \"cuda\", \"cuda:<index>\" or \"auto\"".into()),
            },
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.unwrap_or(cores);
        if !(1..=1024).contains(&threads) {
            return refuse(format!("found {threads} threads, expected 1 to 1024"));
        }
        Ok(Self { torch, threads })
    }

    /// The CPU with one thread a core.
    pub fn cpu() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { torch: tch::Device::Cpu, threads }
    }

    /// Sets libtorch's thread count for the calling thread. OpenMP keeps that count per thread, so the thread that runs
    /// the networks has to call this, once.
    pub fn enter_thread(self) {
        tch::set_num_threads(i32::try_from(self.threads).unwrap_or(1));
    }

    /// Seconds of one f32 matrix product of two `size`² matrices: the machine's yardstick, beside which a network's time
    /// means something on any machine.
    ///
    /// # Errors
    /// What libtorch refuses (memory).
    pub fn gemm_seconds(self, size: i64) -> Result<f64, ModelError> {
        let matrix = || tch::Tensor::f_rand([size, size], (tch::Kind::Float, self.torch));
        let (a, b) = (matrix()?, matrix()?);
        let started = std::time::Instant::now();
        let c = a.f_mm(&b)?;
        // Reading one element waits for a card to finish.
        c.f_double_value(&[0, 0])?;
        Ok(started.elapsed().as_secs_f64())
    }

    pub fn threads(self) -> usize {
        self.threads
    }

    /// "CPU, 2 threads" or "CUDA card 0".
    pub fn describe(self) -> String {
        match self.torch {
            tch::Device::Cuda(index) => format!("CUDA card {index}"),
            _ => format!("CPU, {} threads", self.threads),
        }
    }

    pub(super) fn torch(self) -> tch::Device {
        self.torch
    }
}

#[cfg(test)]
mod tests {
    use super::Device;

    #[test]
    fn choices() {
        assert_eq!(Device::from_choice("cpu", Some(2)).unwrap().describe(), "CPU, 2 threads");
        assert!(Device::from_choice("auto", None).unwrap().threads() >= 1);
        for (choice, threads, expected) in [
            ("gpu", None, "expected \"cpu\", \"cuda\""),
            ("cuda:x", None, "expected \"cpu\", \"cuda\""),
            ("cuda:99", None, "CUDA card 99 is not there"),
            ("cpu", Some(0), "found 0 threads"),
        ] {
            let error = Device::from_choice(choice, threads).unwrap_err().to_string();
            assert!(error.contains(expected), "{choice}: {error}");
        }
    }
}

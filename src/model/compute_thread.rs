//! The one thread on which networks compute, where a server has more to do.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::pace::{self, Urgent};
use super::{CamTarget, Device, Explanation, Logits, ModelError, Network};

/// How the thread behaves towards the rest of the server.
pub struct Manners {
    /// Called first in the thread: it may move behind others. libtorch's own threads start from this one and follow it.
    pub enter: fn(),
    /// What the thread gives way to between two layers; None: nothing.
    pub urgent: Option<Urgent>,
}

/// A thread apart from the one that fetches and stores: a thread behind all others must never hold a lock that they wait for.
pub struct ComputeThread {
    pool: rayon::ThreadPool,
}

impl ComputeThread {
    /// # Errors
    /// [`ModelError::Thread`]: the thread cannot start.
    pub fn start(device: Device, manners: Manners) -> Result<Arc<Self>, ModelError> {
        let Manners { enter, urgent } = manners;
        let start = move |_| {
            enter();
            device.enter_thread();
            if let Some(urgent) = &urgent {
                pace::give_way_to(urgent.clone());
            }
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "orthanc-ai-net".into())
            .start_handler(start)
            .build()
            .map_err(|e| ModelError::Thread(e.to_string()))?;
        Ok(Arc::new(Self { pool }))
    }

    /// The network, computing here from now on, whoever asks.
    pub fn take(self: &Arc<Self>, network: Box<dyn Network>) -> Box<dyn Network> {
        Box::new(Elsewhere { network, thread: self.clone() })
    }
}

struct Elsewhere {
    network: Box<dyn Network>,
    thread: Arc<ComputeThread>,
}

impl Elsewhere {
    /// On the thread. A panic of the network is one of the caller's.
    fn there<T: Send>(&mut self, ask: impl FnOnce(&mut dyn Network) -> T + Send) -> T {
        let Self { network, thread } = self;
        thread.pool.install(|| {
            // A network whose layers are not ours does not do so itself.
            pace::stand_aside();
            ask(&mut **network)
        })
    }
}

impl Network for Elsewhere {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        self.there(|network| network.forward(input))
    }

    fn forward_with_spread(&mut self, input: ArrayViewD<'_, f32>) -> Result<(Logits, Option<ArrayD<f32>>), ModelError> {
        self.there(|network| network.forward_with_spread(input))
    }

    fn explain(&mut self, input: ArrayViewD<'_, f32>, target: CamTarget) -> Result<Explanation, ModelError> {
        self.there(|network| network.explain(input, target))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ndarray::{Array2, Array3};

    use super::*;
    use crate::model::CamScore;

    /// Answers with the number of its thread's name's letters, and breaks on a batch of none.
    struct Named;

    impl Network for Named {
        fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
            assert!(!input.is_empty(), "broken");
            let name = std::thread::current().name().unwrap_or_default().len();
            Ok(Logits::Global(Array2::from_elem((1, 1), name as f32)))
        }

        fn explain(&mut self, input: ArrayViewD<'_, f32>, _: CamTarget) -> Result<Explanation, ModelError> {
            let logits = self.forward(input)?.global()?;
            let activation_maps = Array3::zeros((1, 1, 1));
            Ok(Explanation { channel_weights: logits.clone(), logits, outputs: vec![0], activation_maps })
        }

        fn forward_with_spread(
            &mut self,
            input: ArrayViewD<'_, f32>,
        ) -> Result<(Logits, Option<ArrayD<f32>>), ModelError> {
            let logits = self.forward(input)?.global()?;
            Ok((Logits::Global(logits.clone()), Some(logits.into_dyn())))
        }
    }

    #[test]
    fn networks_compute_on_the_thread_that_has_been_entered_once() {
        static ENTERED: AtomicUsize = AtomicUsize::new(0);
        let enter = || {
            ENTERED.fetch_add(1, Ordering::SeqCst);
        };
        let thread = ComputeThread::start(Device::cpu(), Manners { enter, urgent: None }).unwrap();
        let input = ArrayD::<f32>::zeros(vec![1]);
        for mut network in [thread.take(Box::new(Named)), thread.take(Box::new(Named))] {
            let logits = network.forward(input.view()).unwrap().global().unwrap();
            let expected = "orthanc-ai-net".len() as f32;
            assert_eq!(logits[[0, 0]], expected);
            // Whatever a network is asked, it answers there, and it is asked itself.
            let target = CamTarget { output: None, score: CamScore::Logit };
            assert_eq!(network.explain(input.view(), target).unwrap().logits[[0, 0]], expected);
            let (_, spread) = network.forward_with_spread(input.view()).unwrap();
            assert_eq!(spread.unwrap()[[0, 0]], expected);
        }
        assert_eq!(ENTERED.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_panic_is_the_callers_and_the_thread_lives() {
        let thread = ComputeThread::start(Device::cpu(), Manners { enter: || (), urgent: None }).unwrap();
        let mut network = thread.take(Box::new(Named));
        let empty = ArrayD::<f32>::zeros(vec![0]);
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| network.forward(empty.view()).is_ok()));
        assert!(broken.is_err());
        assert!(network.forward(ArrayD::<f32>::zeros(vec![1]).view()).is_ok());
    }
}

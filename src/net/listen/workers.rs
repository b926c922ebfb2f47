//! Worker threads, each with a runtime of its own, and the choice among them.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

/// Connections that wait for a busy worker, at most; further ones wait in the kernel.
pub const QUEUE_MAX: usize = 256;

/// Threads that one worker may use for blocking calls, at most.
const BLOCKING_THREADS_MAX: usize = 32;

/// What is started on a worker, which tells it its number.
type Start = Box<dyn FnOnce(usize, Load) + Send>;

/// The threads that serve connections. Cheap to clone; they end with [`Workers::stop`], or
/// when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    workers: Vec<Worker>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Worker {
    queue: mpsc::Sender<(Start, Load)>,
    open: Arc<AtomicUsize>,
}

/// Counts as load of a worker until it is dropped.
#[derive(Debug)]
pub(super) struct Load(Arc<AtomicUsize>);

impl Load {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` of them, at least one.
    ///
    /// # Errors
    /// The operating system refuses a thread or what a runtime needs.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let mut pool = Pool { workers: Vec::new(), threads: Mutex::default(), stop };
        for number in 0..count.max(1) {
            let (queue, inbox) = mpsc::channel(QUEUE_MAX);
            let stop = pool.stop.clone();
            let (ready, started) = std_mpsc::channel();
            let thread = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || run(number, inbox, &stop, &ready))?;
            pool.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
            started.recv().map_err(|_| io::Error::other("a worker thread died at start"))??;
            pool.workers.push(Worker { queue, open: Arc::default() });
        }
        Ok(Self(Arc::new(pool)))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.workers.len()
    }

    /// Connections open on each of them.
    pub fn open(&self) -> Vec<usize> {
        self.0.workers.iter().map(|worker| worker.open.load(Ordering::Relaxed)).collect()
    }

    /// Ends the threads, dropping whatever still runs on them, and waits for that. Shut the
    /// servers down before. Blocks: not for an async task.
    pub fn stop(&self) {
        self.0.stop.cancel();
        let threads = &mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A panic of the thread itself was printed; there is nothing left to end.
            let _ = thread.join();
        }
    }

    /// Starts something on the worker with the fewest connections, or on another one if that
    /// one's queue is full, and waits if all are. False when the workers have ended.
    pub(super) async fn place(&self, start: Start) -> bool {
        let mut by_load: Vec<&Worker> = self.0.workers.iter().collect();
        by_load.sort_by_key(|worker| worker.open.load(Ordering::Relaxed));
        let mut start = start;
        for worker in &by_load {
            match worker.queue.try_send((start, Load::new(&worker.open))) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => start = back.0,
            }
        }
        let worker = by_load[0];
        worker.queue.send((start, Load::new(&worker.open))).await.is_ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn run(
    number: usize,
    mut inbox: mpsc::Receiver<(Start, Load)>,
    stop: &CancellationToken,
    ready: &std_mpsc::Sender<io::Result<()>>,
) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    runtime.block_on(async {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = inbox.recv() => match next {
                    Some((start, load)) => start(number, load),
                    None => break,
                },
            }
        }
    });
}

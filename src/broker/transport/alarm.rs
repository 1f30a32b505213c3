//! The waker of a trunk's driver, which does not reschedule a task that runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Wake;
use std::task::Waker;

use parking_lot::Mutex;

/// What wakes the driver: its connection, its timer, and whoever gives it work.
///
/// A connection wakes its own task at nearly every step of its work. Taken at face
/// value, the runtime would queue the task once more while it runs, and on a
/// multi-thread runtime wake another thread for it, which costs more than a whole
/// call. A ring while the driver runs is only remembered: it goes round again.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    rung: AtomicBool,
    running: AtomicBool,
    /// The driver's task.
    task: Mutex<Option<Waker>>,
}

impl Alarm {
    /// The driver's task runs from now on.
    pub(super) fn start(&self, task: &Waker) {
        let mut current = self.task.lock();
        match &mut *current {
            Some(current) => current.clone_from(task),
            current => *current = Some(task.clone()),
        }
        drop(current);
        self.running.store(true, Ordering::SeqCst);
    }

    /// Whether it rang since this was last asked.
    pub(super) fn take(&self) -> bool {
        self.rung.swap(false, Ordering::SeqCst)
    }

    /// The driver's task returns to its runtime. A ring that it has not taken
    /// schedules it.
    pub(super) fn stop(&self) {
        self.running.store(false, Ordering::SeqCst);
        if self.take() {
            self.schedule();
        }
    }

    /// Has the task run again, after others that are ready.
    fn schedule(&self) {
        let task = self.task.lock().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First the ring, then the look, as `stop` does it the other way round: one
        // of the two sees the other.
        let first = !self.rung.swap(true, Ordering::SeqCst);
        if first && !self.running.load(Ordering::SeqCst) && self.take() {
            self.schedule();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn alarm() -> (Arc<Alarm>, Waker, Arc<Task>) {
        let (alarm, task) = (Arc::new(Alarm::default()), Arc::new(Task::default()));
        alarm.start(&Waker::from(task.clone()));
        (alarm.clone(), Waker::from(alarm), task)
    }

    #[test]
    fn a_ring_while_the_driver_runs_is_remembered_and_wakes_nobody() {
        let (alarm, waker, task) = alarm();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert!(alarm.take());
        assert!(!alarm.take());
        alarm.stop();
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_ring_that_the_driver_has_not_taken_schedules_it() {
        let (alarm, waker, task) = alarm();
        waker.wake();
        alarm.stop();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn every_ring_while_the_driver_sleeps_schedules_it() {
        let (alarm, waker, task) = alarm();
        alarm.stop();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(task.0.load(Ordering::SeqCst), 2);
        assert!(!alarm.take());
    }

    #[test]
    fn a_ring_that_races_with_the_drivers_rest_is_never_lost() {
        for _ in 0..1000 {
            let (alarm, waker, task) = alarm();
            std::thread::scope(|threads| {
                threads.spawn(|| waker.wake_by_ref());
                alarm.stop();
            });
            assert_eq!(task.0.load(Ordering::SeqCst), 1);
        }
    }
}

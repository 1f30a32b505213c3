//! Credit: what may be sent, what may still arrive, and who may have more.

use super::error::Violation;
use super::frame::FRAME_COST;
use super::limits::MAX_CREDIT;

/// A part of less than this is not sent if there is more: it would make many
/// small frames of one big message. At most a quarter of the initial window, so
/// that the receiver always owes credit when the sender waits for it.
const SMALLEST_PART: u64 = 1024;

/// What this side may send on a stream.
#[derive(Debug)]
pub(crate) struct SendWindow {
    credit: u64,
    smallest_part: u64,
}

impl SendWindow {
    pub(crate) fn new(initial: u32) -> Self {
        let initial = u64::from(initial);
        Self { credit: initial, smallest_part: SMALLEST_PART.min(initial / 4) }
    }

    /// Bytes of data that the credit covers, in one frame.
    pub(crate) fn covers(&self) -> usize {
        usize::try_from(self.credit.saturating_sub(FRAME_COST)).unwrap_or(usize::MAX)
    }

    pub(crate) fn add(&mut self, bytes: u32) -> Result<(), Violation> {
        let credit = self.credit + u64::from(bytes);
        if credit > u64::from(MAX_CREDIT) {
            return Err(Violation::CreditOverflow);
        }
        self.credit = credit;
        Ok(())
    }

    /// How much of `pending` bytes may go into the next frame; `None` while
    /// credit must come first.
    pub(crate) fn part_of(&self, pending: usize, longest: u32) -> Option<usize> {
        let room = self.credit.checked_sub(FRAME_COST)?;
        let whole = (pending as u64).min(u64::from(longest));
        let part = whole.min(room);
        let worth_it = part == whole || part >= self.smallest_part;
        // `part` is at most `longest`, a u32.
        (worth_it && part > 0).then_some(part as usize)
    }

    /// Takes what a frame with `data` bytes costs, which `part_of` allowed.
    pub(crate) fn take(&mut self, data: usize) {
        self.credit = self.credit.saturating_sub(FRAME_COST + data as u64);
    }
}

/// What may still arrive on a stream, and what is owed for what was consumed.
#[derive(Debug)]
pub(crate) struct RecvWindow {
    size: u64,
    /// What the peer may still send.
    open: u64,
    /// What was consumed and not yet given back.
    owed: u64,
    initial: u64,
}

impl RecvWindow {
    pub(crate) fn new(initial: u32) -> Self {
        let initial = u64::from(initial);
        Self { size: initial, open: initial, owed: 0, initial }
    }

    /// Accounts for a frame that arrived.
    pub(crate) fn receive(&mut self, cost: u64) -> Result<(), Violation> {
        self.open = self.open.checked_sub(cost).ok_or(Violation::Overrun)?;
        Ok(())
    }

    /// Accounts for what the application consumed. Returns whether it is worth
    /// sending credit: half of the window.
    pub(crate) fn consume(&mut self, cost: u64) -> bool {
        self.owed += cost;
        self.owed * 2 >= self.size
    }

    /// The credit to give now. A window that the peer used up grows, doubling
    /// up to `max`, by what `pool` can spare.
    pub(crate) fn give(&mut self, max: u32, pool: &mut Pool) -> u32 {
        let used_up = self.open * 4 <= self.size;
        let growth = if used_up {
            pool.take(self.size.min(u64::from(max).saturating_sub(self.size)))
        } else {
            0
        };
        self.size += growth;
        let credit = self.owed + growth;
        self.owed = 0;
        self.open += credit;
        // `open` is at most `size`, which is at most `max`, a u32.
        u32::try_from(credit).unwrap_or(u32::MAX)
    }

    /// Gives back to the pool what the window had grown by.
    pub(crate) fn release(&mut self, pool: &mut Pool) {
        pool.put(self.size - self.initial);
        self.size = self.initial;
    }
}

/// What all windows of a trunk may still grow by.
#[derive(Debug)]
pub(crate) struct Pool {
    free: u64,
    total: u64,
}

impl Pool {
    pub(crate) fn new(total: u64) -> Self {
        Self { free: total, total }
    }

    fn take(&mut self, wanted: u64) -> u64 {
        let taken = wanted.min(self.free);
        self.free -= taken;
        taken
    }

    fn put(&mut self, bytes: u64) {
        self.free = (self.free + bytes).min(self.total);
    }

    /// What is taken.
    pub(crate) fn used(&self) -> u64 {
        self.total - self.free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_through_what_it_holds_and_then_waits() {
        let mut window = SendWindow::new(1024);
        assert_eq!(window.part_of(992, 65536), Some(992));
        window.take(992);
        assert_eq!(window.part_of(1, 65536), None);
    }

    #[test]
    fn a_small_part_of_a_big_message_waits_for_more_credit() {
        let mut window = SendWindow::new(16 * 1024);
        window.take(16 * 1024 - 200);
        assert_eq!(window.part_of(5000, 65536), None);
        assert_eq!(window.part_of(100, 65536), Some(100), "but a whole small one goes");
    }

    #[test]
    fn a_sender_that_waits_is_always_owed_credit() {
        for initial in [1024u32, 1500, 4096, 16 * 1024] {
            let mut send = SendWindow::new(initial);
            let mut recv = RecvWindow::new(initial);
            let mut pool = Pool::new(0);
            let mut pending = 200_000;
            while pending > 0 {
                let mut worth = false;
                while let Some(part) = send.part_of(pending, 700) {
                    send.take(part);
                    pending -= part;
                    recv.receive(FRAME_COST + part as u64).expect("within the window");
                    worth = recv.consume(FRAME_COST + part as u64);
                }
                assert!(worth || pending == 0, "{initial}: both wait with {pending} left");
                send.add(recv.give(initial, &mut pool)).expect("no overflow");
            }
        }
    }

    #[test]
    fn credit_beyond_a_window_is_a_violation() {
        let mut window = SendWindow::new(1024);
        assert_eq!(window.add(u32::MAX), Err(Violation::CreditOverflow));
    }

    #[test]
    fn a_window_that_is_used_up_grows_until_the_pool_is_empty() {
        let mut pool = Pool::new(3000);
        let mut window = RecvWindow::new(1024);
        window.receive(1024).expect("fits");
        assert!(window.consume(1024));
        assert_eq!(window.give(1 << 20, &mut pool), 2048);
        window.receive(2048).expect("fits");
        assert!(window.consume(2048));
        assert_eq!(window.give(1 << 20, &mut pool), 2048 + 1976);
        assert_eq!(pool.used(), 3000);
        window.release(&mut pool);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_window_that_is_not_used_up_does_not_grow() {
        let mut pool = Pool::new(1 << 20);
        let mut window = RecvWindow::new(1024);
        window.receive(512).expect("fits");
        assert!(window.consume(512));
        assert_eq!(window.give(1 << 20, &mut pool), 512);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn what_does_not_fit_is_an_overrun() {
        let mut window = RecvWindow::new(1024);
        assert_eq!(window.receive(1025), Err(Violation::Overrun));
    }
}

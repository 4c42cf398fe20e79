//! Counting in event time: a window is two cells, the running one and the one before.

/// Two neighbouring cells of `T`; together they cover between one and two cell lengths.
///
/// Adding to a cell commutes, so events may come in any order as long as they are at most one cell
/// late; older ones are refused.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair<T> {
    epoch: u32,
    pub(crate) now: T,
    pub(crate) before: T,
}

impl<T: Default> Pair<T> {
    /// Moves the window up to `time_ms` without counting anything.
    pub(crate) fn roll(&mut self, time_ms: i64, cell_secs: u32) {
        self.at(time_ms, cell_secs);
    }

    /// The cell for an event at `time_ms`; `None` when it is older than both cells.
    pub(crate) fn at(&mut self, time_ms: i64, cell_secs: u32) -> Option<&mut T> {
        let epoch = epoch(time_ms, cell_secs);
        match epoch.checked_sub(self.epoch) {
            Some(0) => Some(&mut self.now),
            Some(1) => {
                self.epoch = epoch;
                self.before = std::mem::take(&mut self.now);
                Some(&mut self.now)
            }
            Some(_) => {
                self.epoch = epoch;
                self.before = T::default();
                self.now = T::default();
                Some(&mut self.now)
            }
            None if epoch + 1 == self.epoch => Some(&mut self.before),
            None => None,
        }
    }
}

/// The number of the cell that holds `time_ms`.
pub(crate) fn epoch(time_ms: i64, cell_secs: u32) -> u32 {
    let cell_ms = i64::from(cell_secs.max(1)) * 1000;
    // A clock before 1970 or past the year 10000 is a broken clock; both ends are held.
    u32::try_from(time_ms.max(0) / cell_ms).unwrap_or(u32::MAX - 1)
}

/// Seconds since 1970, as small state keeps them.
pub(crate) fn secs(time_ms: i64) -> u32 {
    u32::try_from(time_ms.max(0) / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_within_a_cell_length_does_not_matter() {
        let mut forward = Pair::<u32>::default();
        let mut shuffled = Pair::<u32>::default();
        for time in [60_000, 70_000, 119_000, 120_000, 130_000] {
            *forward.at(time, 60).unwrap() += 1;
        }
        for time in [120_000, 70_000, 130_000, 60_000, 119_000] {
            *shuffled.at(time, 60).unwrap() += 1;
        }
        assert_eq!((forward.now, forward.before), (2, 3));
        assert_eq!((shuffled.now, shuffled.before), (2, 3));
        assert!(shuffled.at(59_000, 60).is_none());
        shuffled.at(300_000, 60);
        assert_eq!((shuffled.now, shuffled.before), (0, 0));
    }
}

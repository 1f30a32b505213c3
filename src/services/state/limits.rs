//! How large a plugin's keys, values and pages may be.

/// The limits that a host puts on one plugin's use of its state. They bound
/// what a single call can make the host hold in memory.
///
/// Limits on writing hold for what is written from now on: what is already
/// stored stays readable when they are lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateLimits {
    /// The longest key, in bytes. Default: 1 KiB. Keys are held in memory and
    /// compared often, and a name does not need more.
    pub key_bytes: usize,
    /// The largest value, in bytes. Default: 1 MiB. A value is written and read
    /// as a whole; what is larger belongs into several keys or a file.
    pub value_bytes: usize,
    /// The most items on a page of a list. Default: 1,000. A plugin that asks
    /// for more gets this many.
    pub page_items: usize,
    /// The most bytes of keys and values on a page of a list. Default: 1 MiB. A
    /// page always holds at least one item, so one with a larger value is a
    /// page of its own.
    pub page_bytes: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self {
            key_bytes: 1024,
            value_bytes: 1024 * 1024,
            page_items: 1000,
            page_bytes: 1024 * 1024,
        }
    }
}

/// Room in a message for what is not key or value: tags, lengths, the
/// precondition. Also what a value may be over the limit by and still be
/// refused with its length rather than by the codec.
const MESSAGE_ROOM: usize = 64 * 1024;

impl StateLimits {
    /// The largest request that the host reads, in bytes.
    pub(super) fn message_bytes(&self) -> usize {
        self.value_bytes.saturating_add(self.key_bytes).saturating_add(MESSAGE_ROOM)
    }
}

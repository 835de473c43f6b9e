//! Where a shard ends: the quote state machine, at the speed of `memchr`.
//!
//! Pure: it looks at the bytes from the shard's start on and says where to cut, or that it needs more of them. What it
//! says does not hang on how many bytes it was shown at a time.

use memchr::{memchr, memchr2, memrchr2};

use super::{CR, LF, QUOTE, lines};

/// What the bytes so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not enough bytes to say.
    NeedMore,
    /// The shard ends here, behind a line end or at the end of the source.
    At(usize),
    /// A record past the limit begins at `record`; `scanned` bytes are known not to end it.
    Long { record: usize, scanned: usize, state: State },
}

/// The state of the quote machine between two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Outside quotes. Whether a field begins here follows from the byte before.
    Unquoted,
    /// Inside an open quote.
    Quoted,
    /// Behind a quote inside a quoted field: it closes the field, or is the first of two.
    QuoteInQuoted,
}

/// How far an unterminated record was looked at.
#[derive(Debug, Clone, Copy)]
struct Horizon {
    pos: usize,
    state: State,
}

/// Looks for one shard's end after the other. Positions count from the shard's start.
#[derive(Debug)]
pub(super) struct Scanner {
    delimiter: u8,
    target: usize,
    limit: usize,
    pos: usize,
    /// The start of the record that `pos` stands in.
    record: usize,
    state: State,
    /// Every line end of an unterminated record up to here stands inside its quote. A later record that is inside a
    /// quote at one of these line ends is in the same state from there on, so that part need not be looked at again:
    /// otherwise a file of unterminated lines would cost the limit for each line.
    horizon: Option<Horizon>,
}

impl Scanner {
    /// Shards of `target` bytes, records of at most `limit` bytes without their line end.
    pub(super) fn new(delimiter: u8, target: usize, limit: usize) -> Self {
        Self { delimiter, target, limit, pos: 0, record: 0, state: State::Unquoted, horizon: None }
    }

    /// Takes the first `bytes` bytes of the shard as the header: whole lines that are not looked at.
    pub(super) fn skip_header(&mut self, bytes: usize) {
        self.pos = bytes;
        self.record = bytes;
    }

    /// Begins the next shard, `taken` bytes behind the start of the last one.
    pub(super) fn next_shard(&mut self, taken: usize) {
        self.pos = 0;
        self.record = 0;
        self.state = State::Unquoted;
        self.horizon = self.horizon.filter(|h| h.pos > taken).map(|h| Horizon { pos: h.pos - taken, state: h.state });
    }

    /// Goes on where it stopped. `bytes` begin at the shard's start and are `whole` where the source ends behind them.
    pub(super) fn scan(&mut self, bytes: &[u8], whole: bool) -> Cut {
        if self.pos == self.record && self.pos >= self.target && self.pos <= bytes.len() {
            return Cut::At(self.pos); // the header alone is a shard
        }
        // Looking far past the target would be done again for the next shard.
        let step = self.target.clamp(4 << 10, 64 << 10);
        loop {
            let limit_end = self.record.saturating_add(self.limit).saturating_add(1);
            if self.pos >= limit_end {
                return self.past_limit(bytes, whole);
            }
            let end = bytes.len().min(limit_end).min(self.pos + step);
            if self.pos < end {
                if let Some(cut) = self.step(bytes, end, whole) {
                    return cut;
                }
            } else if whole {
                return self.at_end(bytes);
            } else {
                return Cut::NeedMore;
            }
        }
    }

    /// Moves on by one run of bytes, at most to `end`, which is at most one byte past the record's limit.
    fn step(&mut self, bytes: &[u8], end: usize, whole: bool) -> Option<Cut> {
        match self.state {
            State::Unquoted => return self.step_unquoted(bytes, end, whole),
            State::Quoted => {
                let quote = memchr(QUOTE, &bytes[self.pos..end]).map(|i| self.pos + i);
                let horizon = self.horizon.filter(|h| self.pos < h.pos);
                if let Some(horizon) = horizon
                    && lines::find(&bytes[self.pos..quote.unwrap_or(end).min(horizon.pos)]).is_some()
                {
                    self.pos = horizon.pos;
                    self.state = horizon.state;
                } else if let Some(quote) = quote {
                    self.pos = quote + 1;
                    self.state = State::QuoteInQuoted;
                } else {
                    self.pos = end;
                }
            }
            State::QuoteInQuoted if bytes[self.pos] == QUOTE => {
                self.pos += 1;
                self.state = State::Quoted;
            }
            State::QuoteInQuoted => self.state = State::Unquoted,
        }
        None
    }

    /// Up to the next quote every line end is a record's end, so only two of them matter: the first one behind the
    /// target, and the last one, behind which the next record begins.
    fn step_unquoted(&mut self, bytes: &[u8], end: usize, whole: bool) -> Option<Cut> {
        let quote = memchr(QUOTE, &bytes[self.pos..end]).map(|i| self.pos + i);
        let end = quote.unwrap_or(end);
        let from = self.pos.max(self.target.saturating_sub(1));
        if from < end
            && let Some(i) = memchr2(CR, LF, &bytes[from..end])
        {
            return Some(lines::end_of(bytes, from + i, whole).map_or(Cut::NeedMore, Cut::At));
        }
        if let Some(i) = memrchr2(CR, LF, &bytes[self.pos..end]) {
            self.record = self.pos + i + 1;
        }
        self.pos = end;
        if let Some(quote) = quote {
            if quote == self.record || bytes[quote - 1] == self.delimiter {
                self.state = State::Quoted;
            }
            self.pos = quote + 1;
        }
        None
    }

    /// One byte past the limit, and the record has not ended.
    fn past_limit(&mut self, bytes: &[u8], whole: bool) -> Cut {
        if self.state == State::Quoted
            && let Some(i) = lines::find(&bytes[self.record..self.pos])
        {
            return lines::end_of(bytes, self.record + i, whole).map_or(Cut::NeedMore, |end| self.unterminated(end));
        }
        Cut::Long { record: self.record, scanned: self.pos, state: self.state }
    }

    /// The source has ended.
    fn at_end(&mut self, bytes: &[u8]) -> Cut {
        let first_line = match self.state {
            State::Quoted => lines::find(&bytes[self.record..]),
            State::Unquoted | State::QuoteInQuoted => None,
        };
        match first_line.and_then(|i| lines::end_of(bytes, self.record + i, true)) {
            Some(end) => self.unterminated(end),
            None => Cut::At(bytes.len()),
        }
    }

    fn unterminated(&mut self, line_end: usize) -> Cut {
        self.horizon = Some(Horizon { pos: self.pos, state: self.state });
        Cut::At(line_end)
    }
}

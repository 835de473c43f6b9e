//! Years, dates and timestamps as texts.

use std::fmt::Write;

const MINUTES_A_DAY: i32 = 24 * 60;

/// The year of `YYYY`, `YYYY.0…`, `YYYY-MM` or `YYYY-MM-DD`. Month and day are digits, no more is asked of them: a
/// catalogue's `2011-00` still tells the year.
#[inline]
pub(crate) fn parse_year(text: &[u8]) -> Option<i64> {
    let (year, rest) = text.split_first_chunk::<4>()?;
    let year = number(year)?;
    let complete = match rest {
        [] => true,
        [b'.', zeros @ ..] => !zeros.is_empty() && zeros.iter().all(|b| *b == b'0'),
        [b'-', m1, m2] => [m1, m2].iter().all(|b| b.is_ascii_digit()),
        [b'-', m1, m2, b'-', d1, d2] => [m1, m2, d1, d2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    complete.then_some(i64::from(year))
}

/// Whether a text is `YYYY-MM-DD` and that day exists (proleptic Gregorian calendar, years 0000 to 9999).
pub(crate) fn is_date(text: &[u8]) -> bool {
    Date::parse(text).is_some()
}

/// An RFC 3339 timestamp in UTC: `YYYY-MM-DDTHH:MM:SS[.fraction]Z`, the fraction without trailing zeros. `None` where
/// it is none, has no offset, or its UTC day is outside the years 0000 to 9999. A space may stand for the `T`.
/// Second 60 is taken only where UTC has its leap seconds, at 23:59.
pub(crate) fn utc_timestamp(text: &[u8]) -> Option<String> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let date = Date::parse(date)?;
    let (time, rest) = rest.split_first_chunk::<9>()?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = *time else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, offset) = fraction(rest)?;
    let minutes = hour * 60 + minute - offset_minutes(offset)?;
    let date = match minutes.div_euclid(MINUTES_A_DAY) {
        0 => date,
        1 => date.next()?,
        _ => date.previous()?,
    };
    let minutes = minutes.rem_euclid(MINUTES_A_DAY);
    if second == 60 && minutes != MINUTES_A_DAY - 1 {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 1);
    let Date { year, month, day } = date;
    write!(out, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{second:02}", minutes / 60, minutes % 60).ok()?;
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out.push('Z');
    Some(out)
}

/// Splits `.123000Z` into `123` and `Z`; without a point there is no fraction.
fn fraction(text: &[u8]) -> Option<(&str, &[u8])> {
    let [b'.', rest @ ..] = text else { return Some(("", text)) };
    let end = rest.iter().position(|b| !b.is_ascii_digit())?;
    let (digits, offset) = rest.split_at(end);
    if digits.is_empty() {
        return None;
    }
    Some((std::str::from_utf8(digits).ok()?.trim_end_matches('0'), offset))
}

/// Minutes that local time is ahead of UTC.
fn offset_minutes(text: &[u8]) -> Option<i32> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            let ahead = hours * 60 + minutes;
            (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Date {
    year: i32,
    month: i32,
    day: i32,
}

impl Date {
    fn parse(text: &[u8]) -> Option<Self> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
        let date = Self { year: number(&[y1, y2, y3, y4])?, month: number(&[m1, m2])?, day: number(&[d1, d2])? };
        ((1..=12).contains(&date.month) && (1..=date.days_of_month()).contains(&date.day)).then_some(date)
    }

    fn days_of_month(self) -> i32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        }
    }

    fn next(self) -> Option<Self> {
        let Self { year, month, day } = self;
        match (month, day < self.days_of_month()) {
            (_, true) => Some(Self { day: day + 1, ..self }),
            (12, _) => (year < 9999).then_some(Self { year: year + 1, month: 1, day: 1 }),
            _ => Some(Self { month: month + 1, day: 1, ..self }),
        }
    }

    fn previous(self) -> Option<Self> {
        let Self { year, month, day } = self;
        match (month, day) {
            (1, 1) => (year > 0).then_some(Self { year: year - 1, month: 12, day: 31 }),
            (_, 1) => {
                let last = Self { month: month - 1, ..self };
                Some(Self { day: last.days_of_month(), ..last })
            }
            _ => Some(Self { day: day - 1, ..self }),
        }
    }
}

/// A few ASCII digits as a number.
#[inline]
fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i32::from(b - b'0')))
}

#[cfg(test)]
mod tests;

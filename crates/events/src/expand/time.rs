//! Times as RFC 3339 writes them.

const DAY_US: i64 = 86_400_000_000;
/// The first and the last microsecond that RFC 3339 can write: its years have four digits.
const FIRST_US: i64 = -719_528 * DAY_US;
const LAST_US: i64 = 2_932_897 * DAY_US - 1;

/// Microseconds since the Unix epoch as `2024-02-29T23:59:59.000001Z`; a time outside of the years 0 to 9999 becomes
/// the nearest one inside.
pub fn rfc3339(time_us: i64) -> String {
    let time_us = time_us.clamp(FIRST_US, LAST_US);
    let (year, month, day) = civil_from_days(time_us.div_euclid(DAY_US));
    let rest = time_us.rem_euclid(DAY_US);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The proleptic Gregorian date of a day counted from 1970-01-01: Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`. Years begin in March there, so that the leap day is the last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The microseconds that [`rfc3339`] wrote; `None` for any other text.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let days = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let time_us = days * DAY_US + seconds * 1_000_000 + number(20, 26)?;
    // Whatever else stands in it, or is out of its range, is written differently.
    (rfc3339(time_us) == text).then_some(time_us)
}

/// The inverse of [`civil_from_days`], from the same source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_known_times() {
        for (us, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199_000_001, "2024-02-29T23:59:59.000001Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (i64::MIN, "0000-01-01T00:00:00.000000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339(us), text);
            assert_eq!(parse_rfc3339(text), Some(us.clamp(FIRST_US, LAST_US)));
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in
            ["", "2024", "2023-02-29T00:00:00.000000Z", "2024-01-01T00:00:60.000000Z", "2024-01-01 00:00:00.000000Z"]
        {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = civil_from_days(-800_000);
        for day in -799_999..800_000 {
            let now = civil_from_days(day);
            let (y, m, d) = before;
            assert!(now == (y, m, d + 1) || now == (y, m + 1, 1) || now == (y + 1, 1, 1), "{before:?} {now:?}");
            let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
            assert_eq!(days_from_civil(now.0, now.1, now.2), day);
            if m == 2 && now.1 == 3 {
                assert_eq!(d, if leap { 29 } else { 28 }, "{y}");
            }
            before = now;
        }
    }
}

//! Times as records have them: UTC to the microsecond, as one text only
//! (`2026-11-21T10:00:00.100000Z`), or as microseconds since 1970.

const DAY: i64 = 86_400;

/// The days of a year before each of its months, where it is no leap year.
const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// The microseconds since 1970; none where `text` is of another form or no
/// time of the calendar, so that a time has one text.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let bytes: &[u8; 27] = text.as_bytes().try_into().ok()?;
    if !(bytes[4] == b'-' && bytes[7] == b'-' && bytes[10] == b'T' && bytes[13] == b':')
        || !(bytes[16] == b':' && bytes[19] == b'.' && bytes[26] == b'Z')
    {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_of(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_until(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000_000 + number(20, 26)?)
}

/// The text of a time; none outside of the years 1 to 9999.
#[must_use]
pub fn text(micros: i64) -> Option<String> {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, seconds) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // The year of a day is near to this one, of which it may miss by one.
    let guess = 1970 + days.div_euclid(365) - days.div_euclid(365 * 1_461);
    let mut year = guess.clamp(0, 10_000);
    while days_until(year, 1, 1) > days && year > 0 {
        year -= 1;
    }
    while days_until(year + 1, 1, 1) <= days && year < 10_000 {
        year += 1;
    }
    if !(1..=9_999).contains(&year) {
        return None;
    }
    let month = (1..=12).rev().find(|month| days_until(year, *month, 1) <= days)?;
    let day = days - days_until(year, month, 1) + 1;
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from 1970-01-01 to a day of the Gregorian calendar.
const fn days_until(year: i64, month: i64, day: i64) -> i64 {
    let past = year - 1;
    let before = past * 365 + past / 4 - past / 100 + past / 400 - 719_162;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a month is 1 to 12")]
    let in_year = BEFORE_MONTH[(month - 1) as usize];
    before + in_year + (month > 2 && is_leap(year)) as i64 + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_others_say_that_they_are() {
        for (written, micros) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("2000-02-29T23:59:59.999999Z", 951_868_799_999_999),
            ("2001-09-09T01:46:40.000000Z", 1_000_000_000_000_000),
            ("2038-01-19T03:14:08.000001Z", 2_147_483_648_000_001),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("0001-01-01T00:00:00.000000Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] {
            assert_eq!((parse(written), text(micros).as_deref()), (Some(micros), Some(written)));
        }
        for micros in [-62_135_596_800_000_001, 253_402_300_800_000_000, i64::MIN, i64::MAX] {
            assert_eq!(text(micros), None, "{micros}");
        }
    }

    #[test]
    fn each_day_of_eight_hundred_years_has_its_one_text() {
        for day in -146_097..146_097 {
            let micros = day * DAY * 1_000_000 + 1;
            assert_eq!(text(micros).as_deref().and_then(parse), Some(micros), "{day}");
        }
    }

    #[test]
    fn a_time_in_another_form_or_of_no_calendar_is_none() {
        for other in [
            "2026-02-29T00:00:00.000000Z",
            "1900-02-29T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-04-31T00:00:00.000000Z",
            "2026-04-00T00:00:00.000000Z",
            "0000-01-01T00:00:00.000000Z",
            "2026-04-01T24:00:00.000000Z",
            "2026-04-01T00:60:00.000000Z",
            "2026-04-01T00:00:60.000000Z",
            "2026-04-01 00:00:00.000000Z",
            "2026-04-01T00:00:00.000000z",
            "2026-04-01T00:00:00.00000Z",
            "2026-04-01T00:00:00.0000000Z",
            "+026-04-01T00:00:00.000000Z",
            "infinity",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}

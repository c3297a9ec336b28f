//! The Gregorian calendar, as far as dates in headers and certificates need it.

/// Days between 1970-01-01 and a day; months from 1 to 12.
pub fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // The year counts from March, so that a leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

/// The last day of a month, from 1 to 12.
pub fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2000, 3, 1) - days_since_1970(2000, 2, 28), 2);
        assert_eq!(days_since_1970(2100, 3, 1) - days_since_1970(2100, 2, 28), 1);
        assert_eq!(days_since_1970(2023, 11, 14), 19_675);
        assert_eq!([days_of_month(2024, 2), days_of_month(2100, 2), days_of_month(2023, 4)], [29, 28, 30]);
    }
}

//! The one way in which values become bytes that are hashed or signed.

/// Appends the length of `value` as a big-endian 32-bit integer, and then its
/// bytes; null is the length `0xFFFFFFFF` alone.
pub(crate) fn put(bytes: &mut Vec<u8>, value: Option<&str>) {
    let Some(value) = value else { return bytes.extend(u32::MAX.to_be_bytes()) };
    bytes.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(value.as_bytes());
}

/// Appends a number in decimal, as [`put`] would its text.
pub(crate) fn put_number(bytes: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    bytes.extend(u32::try_from(digits.len() - at).unwrap_or_default().to_be_bytes());
    bytes.extend(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_put_as_its_text() {
        for number in [0, 7, -7, 10, 1_000_000, i64::MAX, i64::MIN] {
            let (mut number_put, mut text_put) = (Vec::new(), Vec::new());
            put_number(&mut number_put, number);
            put(&mut text_put, Some(&number.to_string()));
            assert_eq!(number_put, text_put, "{number}");
        }
    }

    #[test]
    fn null_is_not_the_empty_text_and_no_field_flows_into_its_neighbour() {
        let put_all = |values: &[Option<&str>]| {
            let mut bytes = Vec::new();
            for value in values {
                put(&mut bytes, *value);
            }
            bytes
        };
        assert_ne!(put_all(&[None]), put_all(&[Some("")]));
        assert_ne!(put_all(&[Some("ab"), Some("c")]), put_all(&[Some("a"), Some("bc")]));
    }
}

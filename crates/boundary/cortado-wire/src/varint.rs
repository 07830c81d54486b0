//! Numbers in as few bytes as they need: 7 bits a byte, low bits first (LEB128).
//!
//! Private to tokens and cursors.

/// Appends `number`, 1 to 10 bytes.
pub(crate) fn write(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front of `bytes`; `None` if it is cut short or exceeds 64 bits.
pub(crate) fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: u64, bytes_want: usize) {
        let mut bytes = Vec::new();
        write(number, &mut bytes);
        assert_eq!(bytes.len(), bytes_want);
        let mut rest = bytes.as_slice();
        assert_eq!(read(&mut rest), Some(number));
        assert!(rest.is_empty());
        assert_eq!(read(&mut &bytes[..bytes.len() - 1]), None, "cut short");
    }

    #[test]
    fn numbers_come_back() {
        check(0, 1);
        check(127, 1);
        check(128, 2);
        check(1 << 40, 6);
        check(u64::MAX, 10);
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_none() {
        assert_eq!(read(&mut [0xff; 11].as_slice()), None);
        assert_eq!(
            read(&mut [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2].as_slice()),
            None
        );
    }
}

//! `$GENERATE`: records of one pattern, as BIND makes them (its manual, "BIND Primary File Extension").

use std::str::FromStr;

/// The values that the pattern is filled with: `START-STOP` or `START-STOP/STEP`.
///
/// Both ends are included. The bounds are those of BIND: numbers of 31 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// The next value; those so far have been taken.
    next: u32,
    stop: u32,
    step: u32,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "found the range {text:?}, expected START-STOP or START-STOP/STEP such as 1-9/2"
            )
        };
        let number = |text: &str| {
            let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
            let number = text.parse::<u32>().ok().filter(|_| is_number);
            number
                .filter(|number| i32::try_from(*number).is_ok())
                .ok_or_else(wrong)
        };
        let (ends, step) = text.split_once('/').unwrap_or((text, "1"));
        let (start, stop) = ends.split_once('-').ok_or_else(wrong)?;
        let range = Self {
            next: number(start)?,
            stop: number(stop)?,
            step: number(step)?,
        };
        if range.step == 0 || range.next > range.stop {
            Err(wrong())
        } else {
            Ok(range)
        }
    }
}

impl Iterator for Range {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let value = self.next;
        self.next = value.saturating_add(self.step);
        (value <= self.stop).then_some(value)
    }
}

impl Range {
    /// How many values there are.
    pub(super) fn count(self) -> usize {
        ((self.stop - self.next) / self.step) as usize + 1
    }

    /// The pattern with a value in the place of `$` and `${OFFSET,WIDTH,BASE}`.
    ///
    /// A backslash keeps the next character as it is, `$$` is a dollar sign, and `${...}` a value
    /// in a form of its own.
    pub(super) fn filled(self, pattern: &str, value: u32) -> Result<String, String> {
        let mut line = String::with_capacity(pattern.len() + 8);
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => {
                    line.push(c);
                    line.extend(rest.next());
                }
                '$' if rest.as_str().starts_with('$') => {
                    rest.next();
                    line.push('$');
                }
                '$' => {
                    let mut form = Form::PLAIN;
                    if let Some(after) = rest.as_str().strip_prefix('{') {
                        let (inside, after) = after
                            .split_once('}')
                            .ok_or("found \"${\" without a \"}\" after it")?;
                        form = inside.parse()?;
                        rest = after.chars();
                    }
                    line.push_str(&form.written(value));
                }
                _ => line.push(c),
            }
        }
        Ok(line)
    }
}

/// How a value is written, as `${OFFSET,WIDTH,BASE}` has it.
struct Form {
    /// Added to the value; may be negative.
    offset: i64,
    /// The least number of characters, filled with zeros.
    width: usize,
    base: Base,
}

#[derive(Clone, Copy)]
enum Base {
    Decimal,
    Octal,
    Hex {
        upper: bool,
    },
    /// Hexadecimal digits as labels, the last digit first, as reverse names of IPv6 have them.
    Nibbles {
        upper: bool,
    },
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "found \"${{{text}}}\", expected ${{OFFSET,WIDTH,BASE}} with a base of d, o, x, X, n or N"
            )
        };
        let mut parts = text.split(',');
        let offset = parts.next().unwrap_or_default();
        let offset: i32 = offset.parse().map_err(|_| wrong())?;
        let width: u8 = parts.next().unwrap_or("0").parse().map_err(|_| wrong())?;
        let base = match parts.next().unwrap_or("d") {
            "d" => Base::Decimal,
            "o" => Base::Octal,
            "x" => Base::Hex { upper: false },
            "X" => Base::Hex { upper: true },
            "n" => Base::Nibbles { upper: false },
            "N" => Base::Nibbles { upper: true },
            _ => return Err(wrong()),
        };
        match parts.next() {
            Some(_) => Err(wrong()),
            None => Ok(Self {
                offset: offset.into(),
                width: width.into(),
                base,
            }),
        }
    }
}

impl Form {
    const PLAIN: Self = Self {
        offset: 0,
        width: 0,
        base: Base::Decimal,
    };

    /// A value in its form.
    fn written(&self, value: u32) -> String {
        let value = i64::from(value) + self.offset;
        let width = self.width;
        // What C's printf makes of a negative number: 32 bits, as they stand.
        let bits = value as i32 as u32;
        match self.base {
            Base::Decimal => format!("{value:0width$}"),
            Base::Octal => format!("{bits:0width$o}"),
            Base::Hex { upper: false } => format!("{bits:0width$x}"),
            Base::Hex { upper: true } => format!("{bits:0width$X}"),
            Base::Nibbles { upper } => nibbles(bits, width, upper),
        }
    }
}

/// Digits and dots fill the width.
///
/// `1a` with a width of 7 is `a.1.0.0`: reverse names begin with the last digit (RFC 3596 section
/// 2.5).
fn nibbles(mut value: u32, mut width: usize, upper: bool) -> String {
    let mut text = String::new();
    loop {
        let digit = char::from_digit(value & 0xf, 16).expect("four bits");
        text.push(if upper {
            digit.to_ascii_uppercase()
        } else {
            digit
        });
        value >>= 4;
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return text;
        }
        text.push('.');
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return text;
        }
    }
}

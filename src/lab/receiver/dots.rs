//! Content as it comes over the wire: dots undone and the end found (RFC 5321 section 4.5.2), in chunks too (RFC 3030), which
//! have neither.
//!
//! Only `<CRLF>.<CRLF>` ends it (section 4.1.1.4). CR and LF by themselves are part of it, and told: who
//! takes them for the end of a line lets messages be smuggled.
//!
//! It is a machine of five states that takes octets as they come, in whatever pieces, and keeps
//! none of them.

/// Where in the content the next octet is. The final dot counts after CRLF and at the very start:
/// the CRLF that ends the DATA command is the one before it (section 4.1.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start of a line, which is where the content starts too.
    ///
    /// Reached by CRLF alone, never by a bare LF.
    LineStart,
    /// After a dot at the start of a line, which is not content (section 4.5.2).
    Dot,
    /// After a CR that followed such a dot.
    DotCr,
    /// In a line.
    Text,
    /// After a CR in a line.
    Cr,
}

/// Which of CR and LF stood by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bare {
    /// Whether there was a CR that no LF followed.
    pub(super) cr: bool,
    /// Whether there was an LF that followed no CR.
    pub(super) lf: bool,
}

impl Bare {
    /// Takes note of an octet. A CR counts as bare when something else follows, an LF when nothing precedes; so CR CR LF has
    /// one bare CR.
    fn see(&mut self, after_cr: bool, octet: u8) {
        self.cr |= after_cr && octet != b'\n';
        self.lf |= !after_cr && octet == b'\n';
    }
}

/// The lines of content that comes in chunks, wherever one ends.
#[derive(Debug, Default)]
pub(super) struct ChunkLines {
    after_cr: bool,
    bare: Bare,
}

impl ChunkLines {
    /// Takes the next octets; which stood by themselves so far.
    pub(super) fn take(&mut self, octets: &[u8]) -> Bare {
        for octet in octets {
            self.bare.see(self.after_cr, *octet);
            self.after_cr = *octet == b'\r';
        }
        self.bare
    }

    /// Which stood by themselves where no more come.
    pub(super) fn end(mut self) -> Bare {
        self.bare.cr |= self.after_cr;
        self.bare
    }
}

/// Undoes dots and finds the end.
#[derive(Debug)]
pub(super) struct Dots {
    at: At,
    /// Which of CR and LF stood by themselves so far.
    pub(super) bare: Bare,
}

impl Dots {
    pub(super) fn new() -> Self {
        Self {
            at: At::LineStart,
            bare: Bare::default(),
        }
    }

    /// Takes octets up to the end of the content, if that is among them, and appends what they
    /// stand for. Returns how many it took, and whether the content has ended; the octets after
    /// that are the next command.
    pub(super) fn take(&mut self, octets: &[u8], content: &mut Vec<u8>) -> (usize, bool) {
        let mut taken = 0;
        while let Some(octet) = octets.get(taken) {
            if self.at == At::Text {
                // Most of it is lines: they are taken as a whole.
                let is_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
                let rest = &octets[taken..];
                let plain = rest.iter().position(is_end).unwrap_or(rest.len());
                content.extend_from_slice(&rest[..plain]);
                taken += plain;
                if plain > 0 {
                    continue;
                }
            }
            taken += 1;
            if self.step(*octet, content) {
                return (taken, true);
            }
        }
        (taken, false)
    }

    /// Takes one octet; whether it ends the content.
    fn step(&mut self, octet: u8, content: &mut Vec<u8>) -> bool {
        match (self.at, octet) {
            (At::LineStart, b'.') => {
                self.at = At::Dot;
                return false;
            }
            (At::Dot, b'\r') => {
                self.at = At::DotCr;
                return false;
            }
            (At::DotCr, b'\n') => return true,
            // The dot was stuffing, and the CR belongs to the line.
            (At::DotCr, _) => {
                content.push(b'\r');
                self.at = At::Cr;
            }
            _ => {}
        }
        let after_cr = self.at == At::Cr;
        self.bare.see(after_cr, octet);
        content.push(octet);
        self.at = match octet {
            b'\r' => At::Cr,
            b'\n' if after_cr => At::LineStart,
            _ => At::Text,
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a wire has: the content, what is left after its end, and the bare octets; in pieces of a size.
    fn taken(wire: &[u8], size: usize) -> (Vec<u8>, Option<usize>, bool, bool) {
        let (mut dots, mut content) = (Dots::new(), Vec::new());
        let mut end = None;
        let mut consumed = 0;
        for piece in wire.chunks(size) {
            let (taken, ended) = dots.take(piece, &mut content);
            consumed += taken;
            if ended {
                end = Some(wire.len() - consumed);
                break;
            }
            assert_eq!(taken, piece.len());
        }
        (content, end, dots.bare.cr, dots.bare.lf)
    }

    #[test]
    fn dots_are_undone_however_the_octets_come() {
        for size in 1..20 {
            for (wire, content) in [
                (&b".\r\nQUIT\r\n"[..], &b""[..]),
                (b"..foo\r\n.\r\nQUIT\r\n", b".foo\r\n"),
                (
                    b"a\r\n.b\r\n...\r\n\r\n.\r\nQUIT\r\n",
                    b"a\r\nb\r\n..\r\n\r\n",
                ),
                (b"a.b.\r\n.\r\nQUIT\r\n", b"a.b.\r\n"),
            ] {
                assert_eq!(
                    taken(wire, size),
                    (content.to_vec(), Some(6), false, false),
                    "{wire:?}"
                );
            }
        }
    }

    #[test]
    fn only_crlf_dot_crlf_ends_it() {
        for size in 1..20 {
            for (wire, content, cr, lf) in [
                (&b"a\n.\nb"[..], &b"a\n.\nb"[..], false, true),
                (b"a\n.\r\nb", b"a\n.\r\nb", false, true),
                (b"a\r\n.\nb", b"a\r\n\nb", false, true),
                (b"a\r.\rb", b"a\r.\rb", true, false),
                (b"a\r\n.\rb", b"a\r\n\rb", true, false),
                (b"a\r\n.\r\r\nb", b"a\r\n\r\r\nb", true, false),
                (b"a\r.\r\nb", b"a\r.\r\nb", true, false),
                (b"\n.\r\n", b"\n.\r\n", false, true),
            ] {
                assert_eq!(
                    taken(wire, size),
                    (content.to_vec(), None, cr, lf),
                    "{wire:?}"
                );
            }
        }
    }

    #[test]
    fn in_chunks_a_line_may_go_on_in_the_next() {
        for size in 1..20 {
            for (content, cr, lf) in [
                (&b""[..], false, false),
                (b"a\r\n.\r\n", false, false),
                (b"a\nb\r\n", false, true),
                (b"a\rb\r\n", true, false),
                (b"a\r\r\n", true, false),
                (b"a\r\n\n", false, true),
                (b"a\r", true, false),
            ] {
                let mut lines = ChunkLines::default();
                for chunk in content.chunks(size) {
                    lines.take(chunk);
                }
                assert_eq!(lines.end(), Bare { cr, lf }, "{content:?}");
            }
        }
    }
}

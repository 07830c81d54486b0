//! Where the heads of HTTP/2 requests begin and end, as far as timeouts must know.
//!
//! Judges nothing: h2 does, behind this. Pure: sees bytes, in whatever pieces they come. Start
//! reading at [`Frames::feed`]. Source: RFC 9113, sections 4.1 and 6.2.

/// With these bytes a client begins HTTP/2 (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames of one connection from a client.
#[derive(Debug)]
pub(crate) struct Frames {
    /// What has come of the head of a frame.
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    /// What is to come of the preface, or of the frame whose head came last.
    left_bytes: usize,
    /// Whether a request's head has begun and not ended.
    is_in_head: bool,
    /// Whether it ends with this frame.
    is_last: bool,
    heads: u64,
}

impl Frames {
    /// Before the preface.
    pub(crate) fn new() -> Frames {
        Frames {
            head: [0; FRAME_HEAD_BYTES],
            head_bytes: 0,
            left_bytes: PREFACE.len(),
            is_in_head: false,
            is_last: false,
            heads: 0,
        }
    }

    /// Whether a head has begun and not ended; or a frame that may become one.
    pub(crate) fn is_in_head(&self) -> bool {
        self.is_in_head || self.head_bytes > 0
    }

    /// How many heads have ended so far.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Takes the next bytes of the connection.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left_bytes > 0 {
                let skipped = self.left_bytes.min(bytes.len());
                self.left_bytes -= skipped;
                bytes = &bytes[skipped..];
            } else {
                let taken = (FRAME_HEAD_BYTES - self.head_bytes).min(bytes.len());
                let place = self.head_bytes..self.head_bytes + taken;
                self.head[place].copy_from_slice(&bytes[..taken]);
                self.head_bytes += taken;
                bytes = &bytes[taken..];
                if self.head_bytes < FRAME_HEAD_BYTES {
                    return;
                }
                self.begin_frame();
            }
            if self.left_bytes == 0 && self.is_in_head && self.is_last {
                (self.is_in_head, self.is_last) = (false, false);
                self.heads += 1;
            }
        }
    }

    fn begin_frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.head_bytes = 0;
        self.left_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind == HEADERS || kind == CONTINUATION {
            self.is_in_head = true;
            self.is_last = flags & END_HEADERS != 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame without its stream's number, which matters to nobody here.
    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1];
        [&head, payload].concat()
    }

    /// Feeds `text` behind the preface, at once and in pieces: how many heads, and whether in one.
    #[track_caller]
    fn check(text: &[u8], want: (u64, bool)) {
        let all = [PREFACE, text].concat();
        for piece_bytes in [all.len(), 1, 7] {
            let mut frames = Frames::new();
            all.chunks(piece_bytes).for_each(|piece| frames.feed(piece));
            assert_eq!((frames.heads(), frames.is_in_head()), want, "{text:?} by {piece_bytes}");
        }
    }

    #[test]
    fn heads_end_with_their_last_frame() {
        let whole = frame(HEADERS, END_HEADERS, b"abc");
        let (first, next) = (frame(HEADERS, 0, b"abc"), frame(CONTINUATION, 0, b""));
        let last = frame(CONTINUATION, END_HEADERS, b"de");
        check(b"", (0, false));
        check(&frame(4, 0, b"settings"), (0, false));
        check(&whole, (1, false));
        check(&frame(HEADERS, END_HEADERS, b""), (1, false));
        check(&whole[..whole.len() - 1], (0, true));
        check(&whole[..5], (0, true));
        check(&first, (0, true));
        check(&[&first[..], &next].concat(), (0, true));
        check(&[&first[..], &next, &last].concat(), (1, false));
        // The flag of this value means something else in other frames.
        check(&frame(0, END_HEADERS, b"data"), (0, false));
        check(&[&whole[..], &frame(0, 1, b"data"), &whole, &first].concat(), (2, true));
    }
}

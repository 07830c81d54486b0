//! What smuggles requests past proxies is refused, however the bytes arrive.

use super::*;
use proptest::prelude::*;

/// Feeds `text` at once, then in two pieces cut anywhere: the verdict is always the same.
#[track_caller]
fn check(text: &str, want: Result<bool, Violation>) {
    let judge = |pieces: &[&[u8]]| {
        let mut framing = Framing::new();
        let fed = pieces.iter().try_for_each(|piece| framing.feed(piece));
        fed.map_err(|broken| broken.violation).map(|()| framing.is_between())
    };
    let bytes = text.as_bytes();
    assert_eq!(judge(&[bytes]), want, "{text:?}");
    for cut in 0..bytes.len() {
        assert_eq!(judge(&[&bytes[..cut], &bytes[cut..]]), want, "{text:?} cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(judge(&single), want, "{text:?} byte by byte");
}

const BETWEEN: Result<bool, Violation> = Ok(true);
const WITHIN: Result<bool, Violation> = Ok(false);

#[test]
fn whole_requests_end_where_they_say() {
    check("", BETWEEN);
    check("\r\n", BETWEEN);
    check("GET / HTTP/1.1\r\nHost: x\r\n\r\n", BETWEEN);
    check("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", BETWEEN);
    check("PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n{\n}", BETWEEN);
    check("PUT / HTTP/1.1\r\ncontent-length:3\r\n\r\nabcGET / ", WITHIN);
    check("PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", BETWEEN);
    check("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BETWEEN);
    check(
        "PUT / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\n\n\n\r\n0\r\na: b\r\n\r\n",
        BETWEEN,
    );
}

#[test]
fn unfinished_requests_are_waited_for() {
    check("G", WITHIN);
    check("GET / HTTP/1.1\r\n", WITHIN);
    check("GET / HTTP/1.1\r\nHost: x\r\n\r", WITHIN);
    check("PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", WITHIN);
    check("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n", WITHIN);
    check("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", WITHIN);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    check("GET / HTTP/1.1\nHost: x\n\n", Err(Violation::BareLineEnd));
    check("GET / HTTP/1.1\r\nHost: x\n\r\n", Err(Violation::BareLineEnd));
    let length = |value: &str| format!("PUT / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n");
    for value in ["+5", "-1", "0x10", "1 2", "5,5", "", "18446744073709551616", "٣"] {
        check(&length(value), Err(Violation::BadLength));
    }
    check(&length("5\r\nContent-Length: 6"), Err(Violation::TwoLengths));
    check(&length("5\r\ncontent-length:5"), Err(Violation::TwoLengths));
    for value in ["5, 5", "5;", "5.", "\u{b}5"] {
        check(&length(value), Err(Violation::BadLength));
    }
    check(&length("5\r\nTransfer-Encoding: chunked"), Err(Violation::TwoLengths));
    let coding = |value: &str| format!("PUT / HTTP/1.1\r\nTransfer-Encoding: {value}\r\n\r\n");
    check(&coding("chunked\r\nContent-Length: 5"), Err(Violation::TwoLengths));
    check(&coding("chunked\r\nTransfer-Encoding: chunked"), Err(Violation::TwoLengths));
    for value in ["gzip", "chunked, gzip", "gzip, chunked", "xchunked", "identity", ""]
        .into_iter()
        .chain(["chunked, identity", "chunked, chunked", "chunked;q=1", "\u{b}chunked"])
    {
        check(&coding(value), Err(Violation::UnknownCoding));
    }
    let chunks = |body: &str| format!("{}{body}", coding("chunked"));
    let extension = format!("1;{}\r\na\r\n", "x".repeat(300));
    for body in ["x\r\n", "\r\n", "-1\r\n", "+1\r\n", "1 1\r\na\r\n", "123456789\r\n", &extension] {
        check(&chunks(body), Err(Violation::BadChunk));
    }
    check(&chunks("2\r\nabc\r\n"), Err(Violation::BadChunk));
    check(&chunks("2\r\nab\n0\r\n\r\n"), Err(Violation::BareLineEnd));
    check(&chunks("2\nab\r\n0\r\n\r\n"), Err(Violation::BareLineEnd));
}

#[test]
fn what_stands_before_a_broken_line_is_good() {
    let head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = format!("{head}1\r\nx\r\nzz\r\n");
    let broken = Framing::new().feed(text.as_bytes());
    let good_bytes = text.len() - "zz\r\n".len();
    assert_eq!(broken, Err(Broken { violation: Violation::BadChunk, good_bytes }));
}

#[test]
fn an_endless_line_behind_the_last_chunk_is_left_to_the_parser() {
    let mut framing = Framing::new();
    let head = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    assert_eq!(framing.feed(head), Ok(()));
    for _ in 0..10 {
        assert_eq!(framing.feed(&[b'x'; 64 << 10]), Ok(()));
    }
    assert!(framing.carry.len() <= LINE_BYTES_MAX + (64 << 10));
    assert!(!framing.is_in_head());
}

/// What becomes of `text`, fed at once and in pieces of 1,000 bytes.
#[track_caller]
fn check_long(text: &str, want: Result<(), Violation>) {
    for piece_bytes in [text.len(), 1_000] {
        let mut framing = Framing::new();
        let mut pieces = text.as_bytes().chunks(piece_bytes);
        let fed = pieces.try_for_each(|piece| framing.feed(piece));
        let shown = &text[..text.len().min(60)];
        assert_eq!(fed.map_err(|broken| broken.violation), want, "{shown} by {piece_bytes}");
    }
}

#[test]
fn heads_that_no_parser_here_could_hold_are_refused() {
    let x = |bytes: u32| "x".repeat(bytes as usize);
    // A carriage return belongs to the line.
    check_long(&format!("{}\r\n", x(REQUEST_LINE_BYTES_MAX - 1)), Ok(()));
    check_long(&format!("{}\r\n", x(REQUEST_LINE_BYTES_MAX)), Err(Violation::LongRequestLine));
    check_long(&x(REQUEST_LINE_BYTES_MAX + 1), Err(Violation::LongRequestLine));
    let start = "GET / HTTP/1.1\r\n";
    // Lines are counted without their ends, and a line that is coming with its carriage return.
    let room = HEAD_BYTES_MAX - start.trim_end().len() as u32;
    check_long(&format!("{start}{}\r\n\r\n", x(room - 1)), Ok(()));
    check_long(&format!("{start}{}\r\n", x(room)), Err(Violation::LargeHead));
    check_long(&format!("{start}a\r\n{}", x(room)), Err(Violation::LargeHead));
    let fields = |count: usize| format!("{start}{}\r\n", "a: b\r\n".repeat(count));
    check_long(&fields(HEADERS_MAX), Ok(()));
    check_long(&fields(HEADERS_MAX + 1), Err(Violation::LargeHead));
    check_long(&fields(HEADERS_MAX).repeat(3), Ok(()));
    check_long("GET /a#b HTTP/1.1\r\n", Err(Violation::Fragment));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b':'), any::<u8>()], 0..80),
        cuts in proptest::collection::vec(0_usize..80, 0..4),
    ) {
        let start = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let all = [start.as_slice(), &bytes].concat();
        let mut whole = Framing::new();
        let want = whole.feed(&all).map_err(|b| b.violation).map(|()| whole.state);
        let mut pieces = Framing::new();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let fed = cuts.windows(2).try_for_each(|pair| pieces.feed(&all[pair[0]..pair[1]]));
        prop_assert_eq!(fed.map_err(|b| b.violation).map(|()| pieces.state), want);
    }
}

//! Strict JSON: tables of what is accepted, and a comparison with an independent parser.

use super::*;
use proptest::prelude::*;

/// Checks a document, and what the check says of it.
#[track_caller]
fn check(bytes: impl AsRef<[u8]>, want: Result<(), JsonError>) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    assert_eq!(check_document(bytes).map(|_| ()), want, "{shown}");
}

#[track_caller]
fn accepted(text: impl AsRef<[u8]>) {
    check(text, Ok(()));
}

#[track_caller]
fn malformed(text: impl AsRef<[u8]>, offset: usize, why: Malformed) {
    check(text, Err(JsonError::Malformed { offset, why }));
}

#[track_caller]
fn unacceptable(text: impl AsRef<[u8]>, offset: usize, why: Unacceptable) {
    check(text, Err(JsonError::Unacceptable { offset, why }));
}

#[test]
fn objects_are_accepted() {
    accepted("{}");
    accepted(" \r\n\t{ \"a\" : [ ] , \"b\" : { } } ");
    accepted(r#"{"a":[1,-2.5e+3,true,false,null,"x\"\\\/\b\f\n\r\té",{"a":{}}],"b":[[[]]]}"#);
    accepted(r#"{"":1,"_id":2,"$ref":3,"__proto__":4,"$where":5,"constructor":6}"#);
    accepted(r#"{"a":"\u0000","b":"\ud83d\ude00","c":"😀"}"#);
    accepted("{\"a\":\"\u{7f}\u{2028}\"}");
}

#[test]
fn what_is_no_json_is_malformed() {
    malformed("", 0, Malformed::Truncated);
    malformed("  ", 2, Malformed::Truncated);
    malformed("{", 1, Malformed::Truncated);
    malformed("{\"a", 3, Malformed::Truncated);
    malformed("{\"a\"", 4, Malformed::Truncated);
    malformed("{\"a\":", 5, Malformed::Truncated);
    malformed("{\"a\":1", 6, Malformed::Truncated);
    malformed("{\"a\":1,", 7, Malformed::Truncated);
    malformed("{\"a\":tru", 8, Malformed::Truncated);
    malformed("{\"a\":-", 6, Malformed::Truncated);
    malformed("{\"a\":\"\\", 7, Malformed::Truncated);
    malformed("{\"a\":1,}", 7, Malformed::Unexpected);
    malformed("{\"a\":[1,]}", 8, Malformed::Unexpected);
    malformed("{\"a\":[,]}", 6, Malformed::Unexpected);
    malformed("{,}", 1, Malformed::Unexpected);
    malformed("{\"a\":1]", 6, Malformed::Unexpected);
    malformed("{\"a\" 1}", 5, Malformed::Unexpected);
    malformed("{a:1}", 1, Malformed::Unexpected);
    malformed("{'a':1}", 1, Malformed::Unexpected);
    malformed("{1:1}", 1, Malformed::Unexpected);
    malformed("{/* */}", 1, Malformed::Unexpected);
    malformed("{}//", 2, Malformed::TrailingText);
    malformed("{}{}", 2, Malformed::TrailingText);
    malformed("{} x", 3, Malformed::TrailingText);
    malformed("{\"a\":\"\n\"}", 6, Malformed::ControlCharacter);
    malformed("{\"a\":\"\0\"}", 6, Malformed::ControlCharacter);
    malformed("{\"a\":nul}", 8, Malformed::Unexpected);
    malformed("{\u{a0}}", 1, Malformed::Unexpected);
}

#[test]
fn numbers_follow_the_grammar() {
    for text in ["NaN", "Infinity", "-Infinity", ".5", "+1", "-", "-a", "1.", "1.e1", "1e", "1e+"] {
        let at = text.len() + 5;
        let document = format!("{{\"a\":{text}}}");
        let error = check_document(document.as_bytes()).expect_err(text);
        let JsonError::Malformed { offset, why: Malformed::Unexpected } = error else {
            panic!("{text}: {error:?}");
        };
        assert!((5..=at).contains(&offset), "{text}: {offset}");
    }
    malformed(r#"{"a":0x10}"#, 6, Malformed::Unexpected);
    malformed(r#"{"a":01}"#, 6, Malformed::LeadingZero);
    malformed(r#"{"a":-00}"#, 7, Malformed::LeadingZero);
    unacceptable(format!("{{\"a\":{}}}", "9".repeat(1_000_000)), 5, Unacceptable::NumberTooLong);
    unacceptable("1".repeat(1_000_000), 0, Unacceptable::NumberTooLong);
    unacceptable(format!("0.{}", "0".repeat(399)), 0, Unacceptable::NumberTooLong);
}

#[test]
fn numbers_within_the_range_of_doubles_are_kept_as_they_are_written() {
    let kept = |number: &str| accepted(format!("{{\"a\":{number}}}"));
    let refused = |number: &str| {
        unacceptable(format!("{{\"a\":{number}}}"), 5, Unacceptable::NumberOutOfRange);
    };
    for number in ["0", "-0", "0.0", "-0.0", "0e5", "1", "1.0", "1.50", "1e2", "1E+2", "1e-7"] {
        kept(number);
    }
    // What `%.17g` writes, and integers beyond 64 bits.
    for number in ["35.686975000000003", "0.30000000000000001", "3.14159265358979323846"] {
        kept(number);
    }
    for number in ["18446744073709551616", "-9223372036854775809", "98765432109876543210"] {
        kept(number);
    }
    for number in ["1.7976931348623157e308", "5e-324", "4e-324", "2.2250738585072014e-308"] {
        kept(number);
    }
    kept(&format!("1{}", "0".repeat(300)));
    kept(&format!("0.{}1", "3".repeat(300)));
    kept(&"9".repeat(308));
    kept(&format!("0.{}", "0".repeat(398)));
    kept("0e99999999999999999999999");
    refused(&"9".repeat(400));
    refused(&format!("0.{}1", "0".repeat(397)));
    for number in ["1e400", "-1e400", "1e-400", "2e-324", "1.8e308"] {
        refused(number);
    }
    refused("1e99999999999999999999999");
    refused("1e-99999999999999999999999");
}

#[test]
fn bytes_must_be_utf8_without_a_mark() {
    malformed(b"\xEF\xBB\xBF{}", 0, Malformed::ByteOrderMark);
    malformed(b"{\"a\":\"\xFF\"}", 6, Malformed::InvalidUtf8);
    malformed(b"{\"a\":\"\xC0\xAF\"}", 6, Malformed::InvalidUtf8);
    malformed(b"{\"a\":\"\xED\xA0\x80\"}", 6, Malformed::InvalidUtf8);
    malformed(b"{\"a\":\"\xF0\x9F\x98", 6, Malformed::InvalidUtf8);
    malformed(b"\xFF\xFE{\0}\0", 0, Malformed::InvalidUtf8);
    malformed(b"\0{\0}", 0, Malformed::Unexpected);
}

#[test]
fn escapes_must_name_characters() {
    malformed(r#"{"a":"\x"}"#, 6, Malformed::InvalidEscape);
    malformed(r#"{"a":"\u12"}"#, 6, Malformed::InvalidEscape);
    malformed(r#"{"a":"\u12g4"}"#, 6, Malformed::InvalidEscape);
    malformed(r#"{"a":"\U0041"}"#, 6, Malformed::InvalidEscape);
    malformed(r#"{"a":"\ud800"}"#, 6, Malformed::LoneSurrogate);
    malformed(r#"{"a":"\ud800x"}"#, 6, Malformed::LoneSurrogate);
    malformed(r#"{"a":"\ud800\n"}"#, 6, Malformed::LoneSurrogate);
    malformed(r#"{"a":"\ud800\u0041"}"#, 6, Malformed::LoneSurrogate);
    malformed(r#"{"a":"\udc00"}"#, 6, Malformed::LoneSurrogate);
    malformed(r#"{"a":"\ud83d\ud83d\ude00"}"#, 6, Malformed::LoneSurrogate);
    malformed(r#"{"\udfff":1}"#, 2, Malformed::LoneSurrogate);
}

#[test]
fn a_name_stands_once_in_its_object() {
    malformed(r#"{"a":1,"a":2}"#, 8, Malformed::DuplicateName);
    malformed(r#"{"a":1,"\u0061":2}"#, 8, Malformed::DuplicateName);
    malformed(r#"{"\u0061":1,"b":0,"a":2}"#, 19, Malformed::DuplicateName);
    malformed(r#"{"x":{"é":1,"\u00e9":2}}"#, 14, Malformed::DuplicateName);
    malformed(r#"{"":1,"":2}"#, 7, Malformed::DuplicateName);
    malformed(r#"{"\ud83d\ude00":1,"😀":2}"#, 19, Malformed::DuplicateName);
    accepted(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}],"A":1,"a ":1}"#);
    // Two spellings of one letter are two names: keys and names are compared by bytes.
    accepted("{\"é\":1,\"e\u{301}\":2}");
    // Decoded names of an inner object are forgotten when it ends, those outside are kept.
    malformed(r#"{"\u0061":{"\u0062":1},"\u0062":1,"a":2}"#, 35, Malformed::DuplicateName);
    let many: Vec<_> = (0..5_000).map(|i| format!("\"n{i}\":{i}")).collect();
    accepted(format!("{{{}}}", many.join(",")));
    let twice = format!("{{{},\"n17\":0,\"n3\":0}}", many.join(","));
    let offset = twice.find("\"n17\":0").expect("it is there") + 1;
    malformed(twice, offset, Malformed::DuplicateName);
    let rest = r#""b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1"#;
    for (first, last) in [(r"\u0061", "a"), ("a", r"\u0061"), (r"\u0061", r"\u0061")] {
        let nine = format!("{{\"{first}\":1,{rest},\"{last}\":2}}");
        let offset = nine.rfind(last).expect("it is there");
        malformed(&nine, offset, Malformed::DuplicateName);
    }
}

#[test]
fn nesting_is_bounded_without_recursion() {
    let nested = |depth: usize| {
        let arrays = depth - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(arrays), "]".repeat(arrays))
    };
    accepted(nested(64));
    malformed(nested(65), 5 + 63, Malformed::TooDeep);
    malformed("[".repeat(1_000_000), 64, Malformed::TooDeep);
    malformed("{\"a\":".repeat(200_000), 5 * 64, Malformed::TooDeep);
}

#[test]
fn fields_and_names_are_bounded() {
    let object = |from: usize, fields: usize| {
        let fields: Vec<_> = (from..from + fields).map(|i| format!("\"{i}\":0")).collect();
        format!("{{{}}}", fields.join(","))
    };
    accepted(object(0, 10_000));
    let one_more = object(0, 10_001);
    let offset = one_more.find("\"10000\"").expect("it is there") + 1;
    unacceptable(one_more, offset, Unacceptable::TooManyFields);
    let halves = format!("{{\"a\":[{},{}]}}", object(0, 5_000), object(0, 5_000));
    let offset = halves.rfind("\"4999\"").expect("it is there") + 1;
    unacceptable(halves, offset, Unacceptable::TooManyFields);
    unacceptable(object(0, 90_000), one_more_offset(), Unacceptable::TooManyFields);
    accepted(format!("{{\"{}\":1}}", "n".repeat(FIELD_NAME_BYTES_MAX)));
    unacceptable(format!("{{\"{}\":1}}", "n".repeat(1_000_000)), 2, Unacceptable::NameTooLong);
    unacceptable(r#"{"a\u0000":1}"#, 2, Unacceptable::NulInName);
}

/// Where the 10,001st field of `{"0":0,"1":0,…` is named: 7, 8, 9, 10 bytes for each field of one
/// to four digits with its comma, the opening brace and the quote.
fn one_more_offset() -> usize {
    10 * 6 + 90 * 7 + 900 * 8 + 9_000 * 9 + 2
}

#[test]
fn a_document_is_an_object() {
    for text in ["[]", "[{}]", "\"a\"", "null", "true", "1", "-1.5"] {
        unacceptable(text, 0, Unacceptable::NotAnObject);
    }
}

#[test]
fn syntax_wins_over_meaning() {
    malformed(r#"{"a":1e400,}"#, 11, Malformed::Unexpected);
    malformed(r#"[1,"#, 3, Malformed::Truncated);
    unacceptable(r#"{"a":1e400,"\u0000":1}"#, 5, Unacceptable::NumberOutOfRange);
}

#[test]
fn the_size_is_counted_without_white_space() {
    let sized = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    let too_large = Err(JsonError::TooLarge { bytes_max: 1 << 20 });
    accepted(sized(1 << 20));
    check(sized((1 << 20) + 1), too_large);
    accepted(sized(1 << 20) + &" ".repeat(1_000));
    check(" ".repeat(1_000) + &sized((1 << 20) + 1), too_large);
}

#[test]
fn an_error_repeats_nothing_of_what_was_sent() {
    for text in [r#"{"secret":1,"secret":2}"#, r#"{"secret":sesame}"#, r#"{"secret\u0000":1e400}"#]
    {
        let error = check_document(text.as_bytes()).expect_err(text).to_string();
        assert!(!error.contains("se") || error.contains("unexpected"), "{error}");
        assert!(!error.contains("secret") && !error.contains("sesame"), "{error}");
    }
}

#[test]
fn white_space_is_removed_outside_strings_only() {
    let compacted = |text: &str| String::from_utf8(compact(text.as_bytes())).expect("UTF-8");
    assert_eq!(compacted(" { \"a b\" :\t[ 1 , 2 ]\r\n} "), r#"{"a b":[1,2]}"#);
    assert_eq!(
        compacted(r#"{"a":" \" , ","b":"\\" , "c":" "}"#),
        r#"{"a":" \" , ","b":"\\","c":" "}"#
    );
    assert_eq!(compacted("1"), "1");
}

#[test]
fn a_body_may_be_deeper_and_larger_than_a_document() {
    let text = format!("[{{\"value\":{}1{}}}]", "[".repeat(64), "]".repeat(64));
    assert!(parse_strict(text.as_bytes(), &JsonLimits::BODY).is_ok());
    let text = "[".repeat(69);
    let too_deep = JsonError::Malformed { offset: 68, why: Malformed::TooDeep };
    assert_eq!(parse_strict(text.as_bytes(), &JsonLimits::BODY), Err(too_deep));
    let wide = format!("[{}1]", "1,".repeat(2_000_000));
    assert!(parse_strict(wide.as_bytes(), &JsonLimits::BODY).is_ok());
}

/// A JSON value within the limits.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[^\0]{0,5}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_a_serializer_writes_is_read_back(value in any_value()) {
        let pretty = serde_json::to_string_pretty(&value).expect("it has text");
        for text in [value.to_string(), pretty] {
            let read = parse_strict(text.as_bytes(), &JsonLimits::DOCUMENT);
            prop_assert_eq!(read.as_ref(), Ok(&value));
            prop_assert_eq!(compact(text.as_bytes()), value.to_string().into_bytes());
            let checked = check_json(text.as_bytes(), &JsonLimits::DOCUMENT).expect("it is JSON");
            prop_assert_eq!(checked.whitespace_bytes, text.len() - value.to_string().len());
        }
    }

    /// Whatever is malformed for us is malformed for serde_json, but for our stricter rules; and
    /// whatever we accept, serde_json accepts.
    #[test]
    fn the_grammar_is_the_one_of_another_parser(
        text in prop_oneof![
            r#"[ {}\[\]",:0-9.eE+\-\\u00dntfalsr]{0,14}"#,
            r#"\{"a":[-+0-9.eE]{1,8}\}"#,
            r#""[\\u0-9a-fdD8"]{1,13}""#,
        ]
    ) {
        let ours = check_json(text.as_bytes(), &JsonLimits::DOCUMENT);
        let theirs = serde_json::from_str::<Value>(&text);
        match ours {
            Ok(_) => prop_assert!(theirs.is_ok(), "{}", theirs.unwrap_err()),
            Err(JsonError::Malformed { why: Malformed::DuplicateName, .. }) => {}
            Err(JsonError::Malformed { .. }) => prop_assert!(theirs.is_err()),
            Err(JsonError::Unacceptable { why: Unacceptable::NumberOutOfRange, .. }) => {}
            Err(error) => prop_assert!(theirs.is_ok(), "{}", error),
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check_document(&bytes);
        let _ = compact(&bytes);
    }

    #[test]
    fn a_number_is_kept_iff_its_double_is_finite_and_not_rounded_to_0(
        digits in "[0-9]{1,25}", shift in -420..420_i32
    ) {
        let token = format!("{}.{}e{shift}", &digits[..1], digits);
        let nearest: f64 = token.parse().expect("a number");
        let is_zero = digits.bytes().all(|b| b == b'0');
        let is_kept = nearest.is_finite() && (nearest != 0.0 || is_zero);
        prop_assert_eq!(number::is_in_range(&token), is_kept);
    }
}

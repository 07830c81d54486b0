//! Header fields are read strictly: what cannot be understood is refused, never ignored.

use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::try_from(*name).expect("a name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    map
}

/// What a getter makes of some header lines.
#[track_caller]
fn check<T: PartialEq + std::fmt::Debug>(
    lines: &[(&str, &str)],
    get: impl FnOnce(&Fields<'_>) -> Result<T, Failure>,
    want: Result<T, Code>,
) {
    let headers = headers(lines);
    let got = Fields::read(&headers).and_then(|fields| get(&fields));
    assert_eq!(got.map_err(|failure| failure.code()), want, "{lines:?}");
}

#[test]
fn consistency_is_understood_or_refused() {
    let level = |lines: &[(&str, &str)], want| check(lines, |fields| fields.consistency(), want);
    level(&[], Ok(Consistency::Strong));
    level(&[("cortado-consistency", "strong")], Ok(Consistency::Strong));
    level(&[("Cortado-Consistency", "strict")], Ok(Consistency::Strict));
    level(&[("cortado-consistency", "session")], Ok(Consistency::Session));
    level(&[("cortado-consistency", "eventual")], Ok(Consistency::Eventual));
    let bounded = ("cortado-consistency", "bounded");
    level(&[bounded, ("cortado-max-lag-ms", "50")], Ok(Consistency::Bounded { max_lag_ms: 50 }));
    level(&[bounded], Err(Code::BadHeader));
    level(&[("cortado-max-lag-ms", "50")], Err(Code::BadHeader));
    level(&[bounded, ("cortado-max-lag-ms", "-1")], Err(Code::BadHeader));
    for value in ["", "Strong", "linearizable", "strong, eventual"] {
        level(&[("cortado-consistency", value)], Err(Code::BadHeader));
    }
    level(
        &[("cortado-consistency", "strong"), ("cortado-consistency", "strong")],
        Err(Code::BadHeader),
    );
}

#[test]
fn a_deadline_is_positive_and_bounded() {
    let deadline = |value: &str, want: Result<u64, Code>| {
        let lines = [("cortado-deadline-ms", value)];
        let want = want.map(|ms| (Duration::from_millis(ms), true));
        check(&lines, |fields| fields.timeout(), want);
    };
    deadline("1", Ok(1));
    deadline("60000", Ok(60_000));
    deadline("315360000000", Ok(60_000));
    deadline("99999999999999999999999", Ok(60_000));
    for value in ["0", "-5", "+5", "1.5", "", "soon", "1e3"] {
        deadline(value, Err(Code::BadHeader));
    }
    check(&[], |fields| fields.timeout(), Ok((Duration::from_secs(10), false)));
}

#[test]
fn an_idempotency_key_is_short_and_visible() {
    let key = |value: &str, want: Result<(), Code>| {
        let get = |fields: &Fields<'_>| fields.idempotency_key().map(|key| assert!(key.is_some()));
        check(&[("idempotency-key", value)], get, want);
    };
    key("a", Ok(()));
    key(&"x".repeat(255), Ok(()));
    key("\"8e03978e-40d5\"", Ok(()));
    for value in ["", &"x".repeat(256), "a b", "schlüssel", "\t"] {
        key(value, Err(Code::BadHeader));
    }
}

#[test]
fn an_idempotency_ttl_is_seconds_of_a_day_and_needs_a_key() {
    let ttl = |fields: &Fields<'_>| fields.idempotency_ttl_ms();
    let keyed = |value: &str, want: Result<u32, Code>| {
        check(&[("idempotency-key", "k"), ("cortado-idempotency-ttl", value)], ttl, want);
    };
    keyed("1", Ok(1_000));
    keyed("86400", Ok(86_400_000));
    for value in ["0", "86401", "4294968", "99999999999999999999999", "-1", "+1", "1.5", "", "1h"] {
        keyed(value, Err(Code::BadHeader));
    }
    check(&[("idempotency-key", "k")], ttl, Ok(86_400_000));
    check(&[], ttl, Ok(86_400_000));
    check(&[("cortado-idempotency-ttl", "60")], ttl, Err(Code::BadHeader));
}

#[test]
fn headers_of_ours_are_known_or_refused() {
    let read = |name: &str, want| check(&[(name, "1")], |_| Ok(()), want);
    read("accept-language", Ok(()));
    read("x-forwarded-for", Ok(()));
    read("cookie", Ok(()));
    read("cortado-consistencyy", Err(Code::BadHeader));
    read("cortado-scn", Err(Code::BadHeader));
    read("cortado-ttl", Err(Code::NotSupported));
    read("cortado-expires", Err(Code::NotSupported));
    read("if-unmodified-since", Err(Code::NotSupported));
}

#[test]
fn conditions_may_stand_on_several_lines() {
    let etag = "\"000000000000a1b2\"";
    let tags = |fields: &Fields<'_>| {
        fields.condition().map(|condition| match condition.if_match {
            Some(Match::Tags(tags)) => tags.len(),
            Some(Match::Any) | None => 0,
        })
    };
    check(&[("if-match", etag)], tags, Ok(1));
    check(&[("if-match", etag), ("if-match", "\"x\"")], tags, Ok(2));
    check(&[("if-match", "*")], tags, Ok(0));
    check(&[("if-match", "a1b2")], tags, Err(Code::BadEtag));
    check(&[("if-none-match", "")], tags, Err(Code::BadEtag));
}

#[test]
fn an_invalid_date_is_ignored() {
    let since = |value: &str, want| {
        check(&[("if-modified-since", value)], |fields| Ok(fields.if_modified_since()), Ok(want));
    };
    since("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
    since("yesterday", None);
    since("", None);
}

#[test]
fn too_many_or_too_large_headers_are_refused() {
    let names: Vec<String> = (0..101).map(|i| format!("x-{i}")).collect();
    let lines: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    check(&lines, |_| Ok(()), Err(Code::HeadersTooLarge));
    check(&lines[..100], |_| Ok(()), Ok(()));
    let long = "x".repeat(HEADER_BYTES_MAX);
    check(&[("x-long", &long)], |_| Ok(()), Err(Code::HeadersTooLarge));
    check(&[("x-long", &long[..HEADER_BYTES_MAX - 6])], |_| Ok(()), Ok(()));
}

#[test]
fn a_session_is_understood_or_refused() {
    let token = SessionToken::new(7).encode();
    let database = |fields: &Fields<'_>| fields.session().map(|s| s.map(|s| s.database()));
    check(&[], database, Ok(None));
    check(&[("cortado-session", &token)], database, Ok(Some(7)));
    check(&[("cortado-session", "garbage")], database, Err(Code::BadSession));
}

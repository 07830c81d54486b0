//! Documents, keys and patches that cannot be stored, and those that only look so.

use super::{World, bare, with, with_type};

/// What a `PUT` of `body` must be answered with.
#[track_caller]
fn refused(world: &World, body: &str, status: u16, code: &str) {
    world.check(with("PUT /v1/bad/t/x", body), status, code);
}

#[test]
fn malformed_json_is_refused() {
    let world = World::start();
    let malformed = [
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{} {}",
        "{}x",
        "{'a':1}",
        "{a:1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":0x1}",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "/* x */{}",
        "{} // x",
        "\u{feff}{}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"a\":tru}",
        " ",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"r\":{\"x\":1,\"y\":1,\"x\":1}}",
    ];
    for body in malformed {
        refused(&world, body, 400, "malformed_json");
    }
    let raw = |body: &[u8]| {
        let head = with("PUT /v1/bad/t/x", &" ".repeat(body.len()));
        let head = head.trim_end_matches(' ').as_bytes();
        [head, body].concat()
    };
    let bytes: [&[u8]; 5] = [
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\xff\xfe{\0}\0",
        b"{\0}\0",
    ];
    for body in bytes {
        world.check(raw(body), 400, "malformed_json");
    }
    let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    world.keep("/v1/bad/t/deep", &deep(64));
    for body in [deep(65), deep(100_000), "[".repeat(1_000_000), "{\"a\":".repeat(200_000)] {
        refused(&world, &body, 400, "malformed_json");
    }
    world.end();
}

#[test]
fn json_that_means_nothing_storable_is_refused() {
    let world = World::start();
    for body in ["[]", "[{}]", "\"x\"", "null", "1", "true"] {
        refused(&world, body, 422, "not_an_object");
    }
    for number in [
        "1e400",
        "-1e400",
        "1e-400",
        "1e99999999999999999999",
        &format!("-{}", "9".repeat(399)),
        &"9".repeat(1_000_000),
    ] {
        refused(&world, &format!("{{\"a\":{number}}}"), 422, "unacceptable_json");
    }
    refused(&world, "{\"a\\u0000\":1}", 422, "unacceptable_json");
    refused(&world, &format!("{{\"{}\":1}}", "x".repeat(1_000_000)), 422, "unacceptable_json");
    for count in [10_001, 50_000] {
        let fields: Vec<String> = (0..count).map(|n| format!("\"f{n}\":1")).collect();
        refused(&world, &format!("{{{}}}", fields.join(",")), 422, "unacceptable_json");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    refused(&world, &large, 413, "document_too_large");
    world.end();
}

#[test]
fn unusual_documents_are_kept_exactly() {
    let world = World::start();
    let fields: Vec<String> = (0..10_000).map(|n| format!("\"f{n}\":1")).collect();
    let kept = [
        "{}",
        "{\"\":1}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":9007199254740993,\"b\":-9223372036854775808,\"c\":18446744073709551615}",
        "{\"a\":-0,\"b\":1.0,\"c\":1,\"d\":1e2,\"e\":1.50}",
        "{\"v\":35.686975000000003,\"w\":0.10000000000000000000000000000001}",
        "{\"a\":18446744073709551616,\"b\":-9223372036854775809,\"c\":5e-324}",
        "{\"_id\":\"other\",\"_rev\":1,\"_gen\":2,\"$ref\":\"x\"}",
        "{\"$where\":\"1\",\"$ne\":\"\",\"__proto__\":{\"admin\":true},\"constructor\":1}",
        "{\"a\":\"\u{202e}\u{200b}\u{1f3b5}\"}",
        "{\"e\u{301}\":1,\"\u{e9}\":2}",
        "{\"role\":\"admin\",\"owner\":\"me\",\"tenant\":1}",
        &format!("{{{}}}", fields.join(",")),
    ];
    for body in kept {
        world.keep("/v1/bad/t/odd", body);
    }
    world.end();
}

#[test]
fn keys_are_opaque_or_refused() {
    let world = World::start();
    let put = |key: &str, status, code| {
        world.check(with(&format!("PUT /v1/bad/t/{key}"), "{}"), status, code);
        world.check(bare(&format!("GET /v1/bad/t/{key}"), ""), status, code);
        world.check(bare(&format!("DELETE /v1/bad/t/{key}"), ""), status, code);
    };
    for key in [".", "..", "%2e", "%2E%2e", "%00", "a%00b", "a%0d%0aX:%20y", "%1b", "%7f", "%c2%85"]
    {
        put(key, 400, "bad_key");
    }
    put(&"x".repeat(513), 400, "bad_key");
    for key in ["%", "%z", "%zz", "a%2", "%c0%af", "%ff", "%ed%a0%80"] {
        put(key, 400, "bad_path");
    }
    for key in ["", "/x", "x/", "//", "x//"] {
        put(key, 400, "empty_key_part");
    }
    put("a/b", 404, "no_such_document_path");
    let long = "x".repeat(512);
    world.check(with(&format!("PUT /v1/bad/pair/{long}/{long}y"), "{}"), 400, "bad_key");
    world.keep(&format!("/v1/bad/pair/{long}/{long}"), "{\"n\":1}");
    let odd = [
        "a%2fb",
        "a%5cb",
        "%252e%252e",
        "%252F",
        "a%20b",
        "+",
        "%2B",
        "%22",
        "%3C%3E",
        "CON",
        "nul",
        "e%CC%81",
        "%C3%A9",
        "%E2%80%AE",
        "%E2%80%8B",
        "%F0%9F%8E%B5",
        "a;b=c",
        "a:b",
        "-",
        "~",
        "...",
    ];
    for key in odd {
        world.keep(&format!("/v1/bad/t/{key}"), "{\"n\":1}");
    }
    world.end();
}

#[test]
fn patches_that_do_not_fit_are_refused() {
    let world = World::start();
    let merge = "application/merge-patch+json";
    let steps = "application/json-patch+json";
    let kept = "PATCH /v1/bad/t/kept";
    let patch = |media_type: &str, body: &str, status, code| {
        world.check(with_type(kept, media_type, body), status, code);
    };
    patch("text/plain", "{}", 415, "unsupported_media_type");
    patch(merge, "{\"a\":}", 400, "malformed_json");
    patch(merge, "[]", 422, "patch_failed");
    patch(merge, "{\"a\":1e400}", 422, "unacceptable_json");
    patch(steps, "{}", 422, "patch_failed");
    patch(steps, "[{}]", 422, "patch_failed");
    patch(steps, "[{\"op\":\"increment\",\"path\":\"/n\"}]", 422, "patch_failed");
    patch(steps, "[{\"op\":\"remove\",\"path\":\"n\"}]", 422, "patch_failed");
    patch(steps, "[{\"op\":\"remove\",\"path\":\"/none\"}]", 422, "patch_failed");
    patch(steps, "[{\"op\":\"remove\",\"path\":\"/~2\"}]", 422, "patch_failed");
    patch(steps, "[{\"op\":\"test\",\"path\":\"/n\",\"value\":2}]", 409, "patch_test_failed");
    let many = vec!["{\"op\":\"test\",\"path\":\"/n\",\"value\":1}"; 100_000].join(",");
    patch(steps, &format!("[{many}]"), 413, "too_many_operations");
    let mut growing =
        vec![format!("{{\"op\":\"add\",\"path\":\"/x\",\"value\":\"{}\"}}", "y".repeat(700_000))];
    growing.push("{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/z\"}".to_owned());
    patch(steps, &format!("[{}]", growing.join(",")), 413, "document_too_large");
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    patch(merge, &large, 413, "document_too_large");
    world.check(with_type("PATCH /v1/bad/t/none", merge, "{}"), 404, "no_such_document");
    world.end();
}

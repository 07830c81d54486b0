//! Which keys documents have.

use super::*;

fn keying(froms: &[&str], fills: &[&str]) -> Keying {
    let key = ["country", "admin1"].map(str::to_owned);
    let froms: Vec<KeyFrom> = froms.iter().map(|from| from.parse().expect("a pair")).collect();
    let fills: Vec<Fill> = fills.iter().map(|fill| fill.parse().expect("a pair")).collect();
    let keys = Keys::new(&key, &froms, &fills).expect("parts of the key");
    Keying::Members { table: "place".into(), keys }
}

#[track_caller]
fn check(keying: &Keying, text: &str, want: Result<&[&str], &str>) {
    match (keying.clone().document(text.as_bytes().to_vec()), want) {
        (Ok(document), Ok(key)) => {
            assert_eq!(document.key, key);
            assert_eq!(&*document.table, "place");
        }
        (Err((reason, refused)), Err(part)) => {
            assert!(reason.contains(part), "{reason}");
            assert_eq!(refused, text.as_bytes(), "what is refused is kept");
        }
        (got, want) => panic!("{text}: {got:?} instead of {want:?}"),
    }
}

#[test]
fn keys_come_from_members() {
    let keying = keying(&[], &[]);
    check(&keying, r#"{"x":{},"admin1":"40","country":"JP"}"#, Ok(&["JP", "40"]));
    check(&keying, r#"{"admin1":40,"country":"a\/b"}"#, Ok(&["a/b", "40"]));
    check(&keying, r#"{"admin1":-7,"country":"JP"}"#, Ok(&["JP", "-7"]));
    check(&keying, r#"{"admin1":"40"}"#, Err("country is missing; --key-from country=MEMBER"));
    check(&keying, r#"{"admin1":"","country":"JP"}"#, Err("--fill admin1=VALUE"));
    check(&keying, r#"{"admin1":null,"country":"JP"}"#, Err("admin1 is null"));
    check(&keying, r#"{"admin1":1.5,"country":"JP"}"#, Err("neither"));
    check(&keying, r#"{"admin1":true,"country":"JP"}"#, Err("neither"));
    check(&keying, r#"{"admin1":"a\u0000b","country":"JP"}"#, Err("control character"));
    check(&keying, r#"{"admin1":"..","country":"JP"}"#, Err(".."));
}

#[test]
fn any_member_can_be_a_part_whatever_its_name() {
    for member in ["_id", "userId", "Name", "@id", "a=b", "東京", ""] {
        let from = format!("admin1={member}");
        if member.is_empty() {
            assert!(from.parse::<KeyFrom>().is_err());
            continue;
        }
        let keying = keying(&[&from], &[]);
        let text = format!("{{\"{member}\":\"40\",\"country\":\"JP\"}}");
        check(&keying, &text, Ok(&["JP", "40"]));
        check(&keying, r#"{"admin1":"40","country":"JP"}"#, Err("it was to be the part admin1"));
    }
    let both = keying(&["country=admin1", "admin1=country"], &[]);
    check(&both, r#"{"admin1":"40","country":"JP"}"#, Ok(&["40", "JP"]));
}

#[test]
fn documents_must_be_objects() {
    let mut keying = keying(&[], &[]);
    for text in ["", "7", "[]", "{", "{\"admin1\":}", "{} {}"] {
        check(&keying, text, Err("not a JSON object"));
    }
    let no_text = vec![b'{', 0xff, b'}'];
    let refused = keying.document(no_text.clone());
    assert_eq!(refused, Err(("not valid UTF-8".to_owned(), no_text)));
}

#[test]
fn a_fill_changes_the_key_and_not_the_document() {
    let mut keying = keying(&[], &["admin1=00"]);
    let text = r#"{"country":"JP","admin1":""}"#;
    check(&keying, text, Ok(&["JP", "00"]));
    let document = keying.document(text.as_bytes().to_vec()).expect("a document");
    assert_eq!(document.value(), text);
    check(&keying, r#"{"country":"JP"}"#, Ok(&["JP", "00"]));
    check(&keying, r#"{"country":"JP","admin1":"40"}"#, Ok(&["JP", "40"]));
}

#[test]
fn the_last_fill_of_a_part_counts() {
    let keying = keying(&[], &["admin1=00", "country=JP", "admin1=01"]);
    check(&keying, "{}", Ok(&["JP", "01"]));
}

#[test]
fn options_name_parts_of_the_key() {
    for text in ["admin1", "=x", "x="] {
        assert!(text.parse::<Fill>().is_err() && text.parse::<KeyFrom>().is_err());
    }
    let key = ["country".to_owned()];
    let fill: Fill = "other=1".parse().expect("a pair");
    assert_eq!(
        Keys::new(&key, &[], &[fill]),
        Err("--fill other: the key's parts are country".to_owned())
    );
    let from: KeyFrom = "other=_id".parse().expect("a pair");
    assert!(Keys::new(&key, &[from], &[]).is_err_and(|why| why.starts_with("--key-from other")));
}

#[test]
fn an_export_is_read_back() {
    let line = r#"{"table":"place","key":["JP","40"],"value":{"n": 1.50}}"#;
    check(&Keying::Exported, line, Ok(&["JP", "40"]));
    let document = Keying::Exported.document(line.as_bytes().to_vec()).expect("a line");
    assert_eq!(document.value(), r#"{"n": 1.50}"#);
    check(&Keying::Exported, "{}", Err("not a line of `cortado export`"));
    // Into another table: all of one.
    let mut into = Keying::ExportedInto { table: "place".into(), parts: 2, from: None };
    let other = line.replace("place", "other");
    assert_eq!(&*into.document(other.clone().into_bytes()).expect("a line").table, "place");
    check(&into, &other, Ok(&["JP", "40"]));
    check(&into, line, Err("it is of another table, place"));
}

//! What a cell becomes in a document.
//!
//! Start reading at [`append_cell`].

use serde_json::{Number, Value};

/// What a member may be besides a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CellType {
    number: bool,
    boolean: bool,
    null: bool,
}

impl CellType {
    /// What the schema says of the member `name`: only strings, where it says nothing or allows
    /// them.
    pub(super) fn in_schema(schema: Option<&Value>, name: &str) -> CellType {
        let properties = schema.and_then(|schema| schema.get("properties"));
        let of_member = properties.and_then(|all| all.get(name)?.get("type"));
        let names: Vec<&str> = match of_member {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            Some(_) | None => Vec::new(),
        };
        if names.contains(&"string") {
            return CellType::default();
        }
        CellType {
            number: names.contains(&"number") || names.contains(&"integer"),
            boolean: names.contains(&"boolean"),
            null: names.contains(&"null"),
        }
    }
}

/// Appends the value of a cell that is not empty. One that its type does not allow is a string: the
/// schema's own refusal says more than we could.
pub(super) fn append_cell(text: &mut String, cell_type: CellType, cell: &str) {
    let CellType { number, boolean, null } = cell_type;
    if number && is_number(cell) || null && cell == "null" {
        // As it is written: no digit is lost.
        text.push_str(cell);
    } else if boolean && cell.eq_ignore_ascii_case("true") {
        text.push_str("true");
    } else if boolean && cell.eq_ignore_ascii_case("false") {
        text.push_str("false");
    } else {
        text.push_str(&Value::from(cell).to_string());
    }
}

/// Whether it is a number as JSON spells them, of whatever size.
fn is_number(cell: &str) -> bool {
    let begins = cell.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    // Too large for a double is still a number; what the server takes is for it to say.
    let digits = cell.split(['e', 'E']).next().unwrap_or_default();
    begins
        && cell.ends_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<Number>(digits).is_ok()
        && exponent_of(cell).is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn exponent_of(cell: &str) -> Option<&str> {
    cell.split_once(['e', 'E']).map(|(_, exponent)| exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(types: Value, cell: &str, want: &str) {
        let schema = json!({"properties": {"m": {"type": types}}});
        let mut text = String::new();
        append_cell(&mut text, CellType::in_schema(Some(&schema), "m"), cell);
        assert_eq!(text, want);
    }

    #[test]
    fn cells_are_strings_unless_the_schema_says_otherwise() {
        check(json!("string"), "1", "\"1\"");
        check(json!(["string", "number"]), "1", "\"1\"");
        check(json!("object"), "1", "\"1\"");
        check(json!("number"), "35.686975000000003", "35.686975000000003");
        check(json!("number"), "-1E+400", "-1E+400");
        check(json!("integer"), "12345678901234567890123", "12345678901234567890123");
        for no_number in ["007", "+1", "1.", ".5", "1e", "1 ", "0x1", "NaN", "-", "1,5"] {
            check(json!("number"), no_number, &format!("\"{no_number}\""));
        }
        check(json!(["boolean", "null"]), "TRUE", "true");
        check(json!(["boolean", "null"]), "null", "null");
        check(json!("boolean"), "yes", "\"yes\"");
        assert_eq!(CellType::in_schema(None, "m"), CellType::default());
        assert_eq!(CellType::in_schema(Some(&json!(true)), "m"), CellType::default());
    }
}

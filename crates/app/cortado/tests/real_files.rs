//! Files that other people wrote, in and out again, with every byte of every value as it was.
//!
//! `CORTADO_DATASETS` names the folder that `cargo xtask data` fetches and prints. Start reading at
//! [`check`].

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

use crate::harness::Server;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A file of the folder.
fn dataset(name: &str) -> String {
    let folder = std::env::var_os("CORTADO_DATASETS");
    let folder = folder.expect("set CORTADO_DATASETS to what `cargo xtask data` prints");
    fs::read_to_string(PathBuf::from(folder).join(name)).unwrap()
}

/// A server with a database `real`.
fn server() -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.cortado(&["db", "create", "real"]).done();
    (server, folder)
}

/// `json` without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut text, mut is_in_string, mut is_escaped) = (String::new(), false, false);
    for c in json.chars() {
        if is_in_string || !matches!(c, ' ' | '\t' | '\r' | '\n') {
            text.push(c);
        }
        is_in_string ^= c == '"' && !is_escaped;
        is_escaped = is_in_string && c == '\\' && !is_escaped;
    }
    text
}

/// The members of an object, each as it is written.
fn members(json: &str) -> Vec<(String, Box<RawValue>)> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap();
    members.into_iter().collect()
}

/// Imports `text` into a table of the key `key`, each part from the member beside it, and compares
/// what is exported with the elements of `text`.
#[track_caller]
fn check(table: &str, text: &str, key: &[(&str, &str)]) {
    let (server, folder) = server();
    let place = format!("real/{table}");
    let parts: Vec<&str> = key.iter().map(|(part, _)| *part).collect();
    server.cortado(&["table", "create", &place, "--key", &parts.join(",")]).done();
    let mut import = vec!["import".to_owned(), place.clone(), "-".to_owned()];
    for (part, member) in key {
        if part != member {
            import.extend(["--key-from".to_owned(), format!("{part}={member}")]);
        }
    }
    let import: Vec<&str> = import.iter().map(String::as_str).collect();
    let said = server.cortado_with(&import, text).done();
    assert!(said.contains(" 0 refused"), "{said}");

    let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap();
    let mut want = BTreeMap::new();
    for element in elements {
        let parsed: Value = serde_json::from_str(element.get()).unwrap();
        let part = |(_, member): &(&str, &str)| parsed[*member].as_str().unwrap().to_owned();
        want.insert(key.iter().map(part).collect::<Vec<_>>(), compact(element.get()));
    }
    let file = folder.path().join("export.ndjson");
    server.cortado(&["export", &place, file.to_str().unwrap()]).done();
    let found = exported(&fs::read_to_string(&file).unwrap());
    assert_eq!(found.len(), want.len());
    for (key, value) in &want {
        assert!(found.get(key) == Some(value), "{key:?} has changed");
    }
    // And again, through what was exported.
    server.cortado(&["import", "copy", file.to_str().unwrap()]).done();
    assert!(exported(&server.cortado(&["export", "copy"]).done()) == want, "{table} has changed");
}

/// The values of an export, as they are written, by key.
fn exported(export: &str) -> BTreeMap<Vec<String>, String> {
    let document = |line: &str| {
        let mut line: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
        let value = line.remove("value")?.get().to_owned();
        Some((serde_json::from_str(line["key"].get()).unwrap(), value))
    };
    export.lines().filter_map(document).collect()
}

#[test]
fn countries_of_the_world() {
    check("country", &dataset("world-countries.json"), &[("code", "cca3")]);
}

#[test]
fn emojis_in_two_languages() {
    check("emoji", &dataset("emojibase-en.json"), &[("hexcode", "hexcode")]);
    check("emoji", &dataset("emojibase-bn.json"), &[("hexcode", "hexcode")]);
}

#[test]
fn facts_about_countries() {
    for file in ["cities", "flag", "geo-coordinates"] {
        let text = dataset(&format!("country-by-{file}.json"));
        check("fact", &text, &[("country", "country")]);
    }
}

#[test]
fn features_of_a_map() {
    let module = dataset("geojson-world-map.js");
    let json = module.trim().trim_start_matches("export default").trim_end_matches(';');
    let collection: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap();
    let features: Vec<&RawValue> = serde_json::from_str(collection["features"].get()).unwrap();
    assert!(features.len() > 200);
    let numbered = features
        .iter()
        .enumerate()
        .map(|(number, feature)| format!("{{\"number\":\"{number}\",\"feature\":{feature}}}"));
    let text = format!("[{}]", numbered.collect::<Vec<_>>().join(",\n"));
    check("feature", &text, &[("number", "number")]);
}

#[test]
fn what_browsers_can_do() {
    let mut features = Vec::new();
    for (section, all) in members(&dataset("browser-compat-data.json")) {
        let section = Value::from(section).to_string();
        collect_features(&section, "", &all, &mut features);
    }
    assert!(features.len() > 1_000);
    let text = format!("[{}]", features.join(","));
    check("feature", &text, &[("section", "section"), ("name", "name")]);
}

/// Features by their names, those of a family that is too large for a document each for itself.
fn collect_features(section: &str, family: &str, all: &RawValue, features: &mut Vec<String>) {
    for (name, feature) in members(all.get()) {
        let name = format!("{family}{name}");
        if feature.get().len() > FAMILY_BYTES {
            collect_features(section, &format!("{name}."), &feature, features);
        } else {
            let name = Value::from(name);
            features
                .push(format!("{{\"section\":{section},\"name\":{name},\"feature\":{feature}}}"));
        }
    }
}

/// Not many more would have more members than the 10,000 of a document.
const FAMILY_BYTES: usize = 128 << 10;

#[test]
fn cars_whose_names_occur_more_than_once() {
    let text = dataset("cars.json");
    check("car", &text, &[("model", "Name")]);
    check("car", &text, &[("model", "Name"), ("year", "Year")]);
}

#[test]
fn zip_codes_of_a_csv_file() {
    let (server, _folder) = server();
    server.cortado(&["table", "create", "real/zip", "--key", "zip_code"]).done();
    let whole = dataset("zipcodes.csv");
    let text: String = whole.split_inclusive('\n').take(5_001).collect();
    let said = server.cortado_with(&["import", "real/zip", "-"], &text).done();
    assert!(said.contains(": 5,000 created, 0 replaced, 0 refused"), "{said}");
    let found = exported(&server.cortado(&["export", "real/zip"]).done());
    assert_eq!(found.len(), 5_000);
    let holtsville = concat!(
        r#"{"zip_code":"00501","latitude":"40.922326","longitude":"-72.637078","#,
        r#""city":"Holtsville","state":"NY","county":"Suffolk"}"#
    );
    assert_eq!(found[&vec!["00501".to_owned()]], holtsville);
}

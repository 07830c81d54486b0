//! Any text as a schema, another schema, and a document, with line feeds between them.
//!
//! What is compiled judges the document, and is compared with the other one, in a bounded number of
//! steps: a run that takes longer than a second is a finding.

#![no_main]

use bytes::Bytes;
use cortado_document::{Document, Schema, SchemaText, ValidationBudget, compatible};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut text = || SchemaText::parse(lines.next()?).ok();
    let (Some(old), Some(new)) = (text(), text()) else { return };
    let Ok(schema) = Schema::compile(&old) else { return };
    assert_eq!(compatible(Some(&old), Some(&old)), Ok(()));
    let document = lines.next().and_then(|json| Document::parse(Bytes::copy_from_slice(json)).ok());
    let Some(document) = document else { return };
    let judged = schema.validate(&document, &mut ValidationBudget::full());
    assert_eq!(judged, schema.validate(&document, &mut ValidationBudget::full()));
    if let (Ok(newer), Ok(()), Ok(())) =
        (Schema::compile(&new), compatible(Some(&old), Some(&new)), judged)
    {
        // What is too expensive is neither valid nor invalid.
        let judged = newer.validate(&document, &mut ValidationBudget::full());
        assert!(!matches!(judged, Err(cortado_document::InvalidDocument::Violations(_))));
    }
});

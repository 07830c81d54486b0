//! Any bytes as the image of a document.

#![no_main]

use bytes::Bytes;
use cortado_model::StoredDocument;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let image = Bytes::copy_from_slice(bytes);
    if let Ok(document) = StoredDocument::from_image(image.clone()) {
        assert_eq!(*document.image(), image);
        let again = StoredDocument::new(document.head, &document.json());
        assert_eq!(again, document, "a head has one spelling");
    }
});

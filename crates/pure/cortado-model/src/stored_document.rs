//! A document as it was applied: a head of fixed size and the JSON behind it, in one buffer.
//!
//! Records, stores and feeds share that buffer, so that a value is copied once. Every byte is
//! described in docs/formats/document.md. Start reading at [`StoredDocument`].

use crate::{Etag, Scn, WallMillis};
use alloc::vec::Vec;
use bytes::{BufMut, Bytes};

/// The version of the layout.
const VERSION: u8 = 2;
/// Version, three reserved bytes, schema version, etag, SCN, log time, expiry.
pub const DOCUMENT_HEAD_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 8;

/// What is known of a document besides its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentHead {
    /// The table's schema that it was checked against; 0 for none.
    pub schema_version: u32,
    /// Names this state of the document.
    pub etag: Etag,
    /// The transaction that wrote it.
    pub scn: Scn,
    /// Log time of that transaction.
    pub time: WallMillis,
    /// Log time from which on it counts as deleted; `None` for never.
    pub expires: Option<WallMillis>,
}

/// A document as applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// What stands in front of the JSON.
    pub head: DocumentHead,
    /// Head and JSON.
    image: Bytes,
}

impl StoredDocument {
    /// Puts `json`, an object as the client wrote it, behind its head.
    pub fn new(head: DocumentHead, json: &[u8]) -> StoredDocument {
        let mut image = Vec::with_capacity(DOCUMENT_HEAD_BYTES + json.len());
        head.write(&mut image);
        image.extend_from_slice(json);
        StoredDocument { head, image: image.into() }
    }

    /// Reads an image that [`new`](Self::new) made; keeps the buffer rather than copying it.
    ///
    /// # Errors
    /// `image` was not made by this version of the layout.
    pub fn from_image(image: Bytes) -> Result<StoredDocument, ImageError> {
        Ok(StoredDocument { head: DocumentHead::read(&image)?, image })
    }

    /// Head and JSON, as records and stores keep them.
    pub fn image(&self) -> &Bytes {
        &self.image
    }

    /// The JSON object, as the client wrote it; shares the image's buffer.
    pub fn json(&self) -> Bytes {
        self.image.slice(DOCUMENT_HEAD_BYTES..)
    }
}

impl DocumentHead {
    /// Appends the head, [`DOCUMENT_HEAD_BYTES`] long, to `out`.
    pub fn write(&self, out: &mut impl BufMut) {
        out.put_u8(VERSION);
        out.put_bytes(0, 3);
        out.put_u32(self.schema_version);
        out.put_u64(self.etag.0);
        out.put_u64(self.scn.to_u64());
        out.put_u64(self.time.0);
        out.put_u64(self.expires.map_or(0, |time| time.0));
    }

    fn read(image: &[u8]) -> Result<DocumentHead, ImageError> {
        let ([version, reserved @ ..], rest) = take::<4>(image)?;
        if *version != VERSION {
            return Err(ImageError::UnknownVersion { version: *version });
        }
        let (schema_version, rest) = take::<4>(rest)?;
        let (etag, rest) = take::<8>(rest)?;
        let (scn, rest) = take::<8>(rest)?;
        let (time, rest) = take::<8>(rest)?;
        let (expires, _json) = take::<8>(rest)?;
        let scn = Scn::from_u64(u64::from_be_bytes(*scn)).ok_or(ImageError::Damaged)?;
        let expires = WallMillis(u64::from_be_bytes(*expires));
        let head = DocumentHead {
            schema_version: u32::from_be_bytes(*schema_version),
            etag: Etag(u64::from_be_bytes(*etag)),
            scn,
            time: WallMillis(u64::from_be_bytes(*time)),
            expires: (expires.0 > 0).then_some(expires),
        };
        (*reserved == [0; 3]).then_some(head).ok_or(ImageError::Damaged)
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), ImageError> {
    bytes.split_first_chunk().ok_or(ImageError::Damaged)
}

/// Why bytes are no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not what was written.
    #[error("the head of a document is damaged")]
    Damaged,
    /// Written by a newer Cortado.
    #[error("a document has format version {version}, this build reads version {VERSION}")]
    UnknownVersion {
        /// The version it names.
        version: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generation, Sequence};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn head(expires: Option<u64>) -> DocumentHead {
        DocumentHead {
            schema_version: 3,
            etag: Etag(0xfeed),
            scn: Scn::new(Generation(5), Sequence(1042)),
            time: WallMillis(1_700_000_000_000),
            expires: expires.map(WallMillis),
        }
    }

    #[test]
    fn a_document_is_read_as_it_was_written_without_a_copy() {
        for head in [head(None), head(Some(1_800_000_000_000))] {
            let document = StoredDocument::new(head, br#"{"a":1}"#);
            let read = StoredDocument::from_image(document.image().clone()).expect("just written");
            assert_eq!(read, document);
            assert_eq!((read.head, &read.json()[..]), (head, &br#"{"a":1}"#[..]));
            assert_eq!(read.json().as_ptr(), document.json().as_ptr());
        }
    }

    #[test]
    fn other_bytes_are_no_document() {
        let image = StoredDocument::new(head(None), b"").image().to_vec();
        for len in 0..image.len() {
            let cut = Bytes::copy_from_slice(&image[..len]);
            assert_eq!(StoredDocument::from_image(cut), Err(ImageError::Damaged), "{len} bytes");
        }
        let with = |at: usize, byte: u8| {
            let mut image = image.clone();
            image[at] = byte;
            StoredDocument::from_image(image.into())
        };
        assert_eq!(with(0, 3), Err(ImageError::UnknownVersion { version: 3 }));
        assert_eq!(with(2, 1), Err(ImageError::Damaged));
        // The top bit of an SCN is never set.
        assert_eq!(with(16, 0x80), Err(ImageError::Damaged));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in vec(any::<u8>(), 0..80), is_known in any::<bool>()) {
            if is_known && bytes.len() > 4 {
                bytes[..4].copy_from_slice(&[VERSION, 0, 0, 0]);
            }
            if let Ok(document) = StoredDocument::from_image(bytes.into()) {
                let again = StoredDocument::new(document.head, &document.json());
                prop_assert_eq!(again, document, "a head has one spelling");
            }
        }
    }
}

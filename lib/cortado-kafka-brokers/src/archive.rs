//! The archive of the broker's classes, with which it starts in half the time.
//!
//! It fits one Java, one class path and one set of flags; a Java that it does not fit ignores it.

use crate::jars::{Jars, fingerprint};
use crate::java::Java;
use std::path::{Path, PathBuf};

/// Where the archive for this Java and these jars is, or would be.
pub(crate) fn file_of(java: &Java, jars: &Jars) -> PathBuf {
    let fits = format!("{} {}", java.version, jars.class_path());
    jars.folder.join(format!("classes-{}.jsa", &fingerprint(fits.as_bytes())[..16]))
}

/// With which a Java uses it.
pub(crate) fn use_flags(archive: &Path) -> Vec<String> {
    vec!["-Xshare:auto".to_owned(), format!("-XX:SharedArchiveFile={}", archive.display())]
}

/// With which a Java writes it when it ends in good order.
pub(crate) fn make_flags(archive: &Path) -> Vec<String> {
    vec![format!("-XX:ArchiveClassesAtExit={}", archive.display())]
}

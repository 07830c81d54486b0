//! What becomes of the files of a store that is damaged: they are set aside, not deleted.

use cortado_model::with_causes;
use cortado_store::StoreError;
use cortado_store_fjall::OpenError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tracing::warn;

/// What their names have behind that of the store, before their number.
const ASIDE: &str = ".damaged-";

/// An error of opening, as the port tells it.
pub(crate) fn store_error(error: &OpenError) -> StoreError {
    let why = with_causes(error);
    match error {
        OpenError::Damaged { .. } | OpenError::Marked { .. } => StoreError::Damaged { why },
        OpenError::InUse { .. } | OpenError::ReadOnly { .. } | OpenError::Failed { .. } => {
            StoreError::Failed { why }
        }
    }
}

/// Gives `directory` a name that no store has, and deletes those that had been given one, but for
/// the first: it held everything, and what is damaged again and again is built anew each time.
/// Answers the name.
pub(crate) fn move_aside(directory: &Path) -> io::Result<PathBuf> {
    let parent = directory.parent().ok_or(io::ErrorKind::NotFound)?;
    let named = |number: u32| {
        let mut name = directory.file_name().unwrap_or_default().to_owned();
        name.push(format!("{ASIDE}{number}"));
        parent.join(name)
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.rsplit_once(ASIDE)?.1.parse().ok());
        numbers.extend(number.filter(|number| parent.join(&name) == named(*number)));
    }
    let next = numbers.iter().max().map_or(1, |last: &u32| last.saturating_add(1));
    fs::rename(directory, named(next))?;
    // The store has been moved, and that is what matters; so below.
    if let Err(error) = File::open(parent).and_then(|parent| parent.sync_all()) {
        warn!(path = %parent.display(), %error, "cannot sync the folder of a store set aside");
    }
    let first = numbers.iter().min().copied();
    for number in numbers.into_iter().filter(|number| Some(*number) != first) {
        let between = named(number);
        if let Err(error) = fs::remove_dir_all(&between) {
            warn!(path = %between.display(), %error, "cannot remove a store that was set aside");
        }
    }
    Ok(named(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_store_that_was_set_aside_and_the_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        for number in 1..=4 {
            fs::create_dir(&store).unwrap();
            fs::write(store.join("number"), number.to_string()).unwrap();
            let aside = move_aside(&store).unwrap();
            assert!(!store.exists());
            assert_eq!(fs::read_to_string(aside.join("number")).unwrap(), number.to_string());
        }
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["store.damaged-1", "store.damaged-4"]);
    }
}

//! Where what is fetched once is kept: outside of every checkout, shared by all.

use crate::error::{BrokersError, at};
use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The folder for what is kept between runs; made if it is not there.
///
/// `CORTADO_CACHE`, or `cortado` below `XDG_CACHE_HOME`, or `.cache/cortado` at home.
///
/// # Errors
/// It cannot be made, or there is no home.
pub fn folder() -> Result<PathBuf, BrokersError> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let found = named("CORTADO_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|home| home.join("cortado")))
        .or_else(|| named("HOME").map(|home| home.join(".cache").join("cortado")));
    let folder = found.ok_or_else(|| BrokersError::Io {
        doing: "find a folder to keep jars in: set CORTADO_CACHE".to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })?;
    fs::create_dir_all(&folder).map_err(at("make", &folder))?;
    Ok(folder)
}

//! The files of a table: one listing, hidden files left out, the format found.
//!
//! In: location and declared format. Out: the files sorted by path, their format, and what was passed over.
//! As in Spark, a file or folder whose name starts with `_` or `.` is hidden; so are the markers of empty folders.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::error::{InputError, nearest};
use super::partitions::is_date;
use super::spec::{Format, TableSpec};
use crate::store::Location;

/// What a location holds.
pub(super) struct Listing {
    pub(super) format: Format,
    /// The folder that paths and partitions are relative to.
    pub(super) root: Path,
    /// Sorted by path. Empty for Delta, whose log says which files are part of the table.
    pub(super) files: Vec<ObjectMeta>,
    /// Visible files that are not of the format, relative to the root, sorted.
    pub(super) ignored: Vec<String>,
}

/// Lists the location. One request per thousand files, plus one that looks for a Delta log.
pub(super) async fn list(
    spec: &TableSpec,
    location: &Location,
    store: &Arc<dyn ObjectStore>,
) -> Result<Listing, InputError> {
    if !location.is_directory()
        && let Some(listing) = single_file(spec, location, store).await?
    {
        return Ok(listing);
    }
    let root = location.path().clone();
    if has_delta_log(location, store).await? {
        return match spec.format {
            None | Some(Format::Delta) => {
                Ok(Listing { format: Format::Delta, root, files: Vec::new(), ignored: Vec::new() })
            }
            // Reading the files of a Delta table without its log brings deleted and replaced rows back.
            Some(other) => Err(InputError::job(format!(
                "location is a Delta table, whose files must not be read without its log; leave format out or write \
                 delta: location={location}, format={}",
                other.name()
            ))),
        };
    }
    let all = list_all(location, store).await?;
    if all.is_empty() {
        return Err(nothing_there(location));
    }
    refuse_unpublished(location, &root, &all)?;
    if spec.format == Some(Format::Delta) {
        return Err(InputError::data(format!(
            "location is not a Delta table, it has no _delta_log folder: location={location}, found=[{}]",
            summary(&all, &root)
        )));
    }
    refuse_other_table_formats(location, &root, &all)?;
    let visible: Vec<ObjectMeta> = all.iter().filter(|file| is_visible(file, &root, &all)).cloned().collect();
    let format = match spec.format {
        Some(format) => format,
        None => format_of(location, &visible, &root, &all)?,
    };
    let declared = spec.format.is_some();
    let (files, other): (Vec<_>, Vec<_>) = visible.into_iter().partition(|file| is_of(format, file, declared));
    if files.is_empty() {
        return Err(InputError::data(format!(
            "location has no {} file: location={location}, found=[{}]",
            format.name(),
            summary(&all, &root)
        )));
    }
    let ignored = other.iter().map(|file| relative(&file.location, &root)).collect();
    Ok(Listing { format, root, files, ignored })
}

/// Every object under the location, sorted by path, hidden ones included.
pub(super) async fn list_all(location: &Location, store: &Arc<dyn ObjectStore>) -> Result<Vec<ObjectMeta>, InputError> {
    let prefix = Some(location.path()).filter(|path| !path.as_ref().is_empty());
    let mut all: Vec<ObjectMeta> = match store.list(prefix).try_collect().await {
        Ok(all) => all,
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(InputError::store(location.text(), &error)),
    };
    all.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(all)
}

async fn single_file(
    spec: &TableSpec,
    location: &Location,
    store: &Arc<dyn ObjectStore>,
) -> Result<Option<Listing>, InputError> {
    let file = match store.head(location.path()).await {
        Ok(file) => file,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(InputError::store(location.text(), &error)),
    };
    let name = location.path().filename().unwrap_or_default();
    // Some stores keep an empty object for a folder.
    if file.size == 0 && !name.contains('.') {
        return Ok(None);
    }
    refuse_compressed_text(&file)?;
    let format = match (spec.format, extension_format(&file)) {
        (Some(Format::Delta), _) => {
            return Err(InputError::job(format!("a Delta table is a folder, not a file: location={location}")));
        }
        (Some(format), _) | (None, Some(format)) => format,
        (None, None) => return Err(unknown_extension(location, name)),
    };
    let mut parts: Vec<_> = location.path().parts().collect();
    parts.pop();
    Ok(Some(Listing { format, root: Path::from_iter(parts), files: vec![file], ignored: Vec::new() }))
}

async fn has_delta_log(location: &Location, store: &Arc<dyn ObjectStore>) -> Result<bool, InputError> {
    let log = location.path().clone().join("_delta_log");
    match store.list(Some(&log)).try_next().await {
        Ok(first) => Ok(first.is_some()),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(InputError::store(location.text(), &error)),
    }
}

fn nothing_there(location: &Location) -> InputError {
    match location.local_path() {
        Some(path) if path.is_dir() => InputError::data(format!("folder is empty: location={location}")),
        Some(path) => {
            let parent = path.parent().filter(|parent| parent.is_dir());
            let names = parent.and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten();
            let names: Vec<String> = names.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
            let given = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            InputError::data(format!(
                "location does not exist: location={location}{}",
                nearest(given, names.iter().map(String::as_str))
            ))
        }
        None => InputError::data(format!(
            "location does not exist, no object has this prefix; check bucket and spelling: location={location}"
        )),
    }
}

/// Files that a run has staged are rows of nobody before its commit: they may be a part, or of several attempts.
fn refuse_unpublished(location: &Location, root: &Path, all: &[ObjectMeta]) -> Result<(), InputError> {
    let ours = |path: &str| match path.strip_prefix("_lakecast/") {
        // What a check of the location left when it was killed says nothing of the files beside it.
        Some(below) => !below.starts_with("probe/"),
        None => is_staged(path),
    };
    match all.iter().any(|file| ours(&relative(&file.location, root))) {
        true => Err(InputError::data(format!(
            "the folder is an output of lakecast that was never published; run its job to the end: location={location}"
        ))),
        false => Ok(()),
    }
}

/// Whether a path is named as the sink names its files: `run_date=2026-11-22/part-00003-<32 hexadecimal digits>.parquet`.
fn is_staged(path: &str) -> bool {
    let parts = || {
        let (date, name) = path.strip_prefix("run_date=")?.split_once('/')?;
        let (partition, attempt) = name.strip_prefix("part-")?.strip_suffix(".parquet")?.split_once('-')?;
        let digits = partition.len() >= 5 && partition.bytes().all(|b| b.is_ascii_digit());
        let uuid = attempt.len() == 32 && attempt.bytes().all(|b| b.is_ascii_hexdigit());
        (is_date(date) && digits && uuid).then_some(())
    };
    parts().is_some()
}

fn refuse_other_table_formats(location: &Location, root: &Path, all: &[ObjectMeta]) -> Result<(), InputError> {
    let found = all.iter().find_map(|file| {
        let path = relative(&file.location, root);
        match path.starts_with(".hoodie/") {
            true => Some("Hudi"),
            false => (path.starts_with("metadata/") && path.ends_with(".metadata.json")).then_some("Iceberg"),
        }
    });
    match found {
        // Their files alone hold deleted and replaced rows, like those of a Delta table.
        Some(kind) => Err(InputError::job(format!(
            "{kind} tables are not supported; write the table as Parquet or Delta first: location={location}"
        ))),
        None => Ok(()),
    }
}

fn is_visible(file: &ObjectMeta, root: &Path, all: &[ObjectMeta]) -> bool {
    let path = relative(&file.location, root);
    let hidden = |part: &str| part.starts_with('.') || (part.starts_with('_') && !part.contains('='));
    if path.is_empty() || path.split('/').any(hidden) || path.ends_with("_$folder$") {
        return false;
    }
    // An empty object that has others below it is the marker of a folder; `all` is sorted.
    let below = format!("{}/", file.location);
    let next = all.partition_point(|other| other.location.as_ref() < below.as_str());
    !(file.size == 0 && all.get(next).is_some_and(|other| other.location.as_ref().starts_with(&below)))
}

fn format_of(
    location: &Location,
    visible: &[ObjectMeta],
    root: &Path,
    all: &[ObjectMeta],
) -> Result<Format, InputError> {
    let mut count: BTreeMap<Format, usize> = BTreeMap::new();
    for file in visible {
        refuse_compressed_text(file)?;
        if let Some(format) = extension_format(file) {
            *count.entry(format).or_default() += 1;
        }
    }
    let found = || summary(all, root);
    let formats: Vec<Format> = count.into_keys().collect();
    match formats.as_slice() {
        [format] => Ok(*format),
        [] => Err(InputError::data(format!(
            "location has no file of a known format; name the format if the files have no extension: \
             location={location}, found=[{}], known=[{}]",
            found(),
            known_extensions()
        ))),
        _ => Err(InputError::data(format!(
            "location mixes formats; name one with format: or give a narrower location: location={location}, found=[{}]",
            found()
        ))),
    }
}

fn is_of(format: Format, file: &ObjectMeta, declared: bool) -> bool {
    match extension_format(file) {
        Some(found) => found == format,
        // Hive and Spark jobs may write part files without any extension.
        None => declared && !file.location.filename().unwrap_or_default().contains('.'),
    }
}

fn extension_format(file: &ObjectMeta) -> Option<Format> {
    let extension = file.location.extension()?.to_ascii_lowercase();
    Format::ALL.iter().copied().find(|format| format.extensions().contains(&extension.as_str()))
}

/// Compressed text is refused because the plans that travel to executors cannot say that a file is compressed.
fn refuse_compressed_text(file: &ObjectMeta) -> Result<(), InputError> {
    let name = file.location.filename().unwrap_or_default().to_ascii_lowercase();
    let Some((stem, "gz" | "gzip" | "bz2" | "xz" | "zst")) = name.rsplit_once('.') else { return Ok(()) };
    let text = [Format::Csv, Format::Json];
    let is_text =
        text.iter().flat_map(|format| format.extensions()).any(|ending| stem.ends_with(&format!(".{ending}")));
    match is_text {
        true => Err(InputError::data(format!(
            "compressed text files are not read; decompress them or write Parquet: file={}",
            file.location
        ))),
        false => Ok(()),
    }
}

fn unknown_extension(location: &Location, name: &str) -> InputError {
    InputError::job(format!(
        "the format of the file is unknown; name it with format: location={location}, file={name}, known=[{}], \
         allowed=[{}]",
        known_extensions(),
        Format::ALL.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
    ))
}

fn known_extensions() -> String {
    let all = Format::ALL.iter().flat_map(|format| format.extensions());
    all.map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(", ")
}

/// What a location holds, by extension: `3 .csv, 1 without extension`.
fn summary(all: &[ObjectMeta], root: &Path) -> String {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for file in all {
        let path = relative(&file.location, root);
        let hidden = path.split('/').any(|part| part.starts_with(['_', '.']));
        let kind = match (hidden, file.location.extension()) {
            (true, _) => "hidden".into(),
            (false, Some(extension)) => format!(".{extension}"),
            (false, None) => "without extension".into(),
        };
        *count.entry(kind).or_default() += 1;
    }
    count.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// The path below the root.
pub(super) fn relative(path: &Path, root: &Path) -> String {
    match path.prefix_match(root) {
        Some(parts) => parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"),
        None => path.to_string(),
    }
}

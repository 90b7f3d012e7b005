//! Object stores: allow-list, credentials from the environment only, retries, one store per bucket.
//!
//! In: URLs of tables. Out: `ObjectStore`s that refuse paths outside the policy and never show a secret.
//! Every process (command line, scheduler, executor) builds the same `Stores` and hands it to DataFusion as its registry,
//! so that a plan carries URLs only.

mod fence;
mod location;
mod patience;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use url::Url;

use crate::fault::{Fault, tell};
pub use location::Location;

/// Schemes that a location may have. `s3a` is read as `s3`.
pub const SCHEMES: &[&str] = &["file", "s3", "az", "abfss", "gs"];

const REQUEST_TIMEOUT: &str = "30s";
const CONNECT_TIMEOUT: &str = "5s";

/// What went wrong with a location or a store, by what to do next.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The text is not a location: fix the job.
    #[error("{0}")]
    Location(String),
    /// The policy of this process refuses the location: move the data or widen the allow-list.
    #[error("{0}")]
    Refused(String),
    /// The environment lacks or misspells a setting of the store: fix the environment, then run again.
    #[error("{0}")]
    Settings(String),
}

/// As an executor tells it: a scheduler quotes an error of planning by its `Debug`, and the message must survive that.
impl std::fmt::Debug for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&tell(Fault::Lasting, &self.to_string()))
    }
}

impl From<StoreError> for DataFusionError {
    fn from(error: StoreError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// Which locations this process may touch.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `allow` | empty | URL prefixes by whole path segments, as `s3://lake/` or `file:///data/`; empty allows every remote bucket |
/// | `allow_local` | true | whether local paths are allowed without being listed in `allow` |
#[derive(Debug, Clone)]
pub struct StorePolicy {
    /// URL prefixes that are allowed.
    pub allow: Vec<Url>,
    /// Whether every local path is allowed.
    pub allow_local: bool,
}

impl Default for StorePolicy {
    /// Everything is allowed: the right policy for a command that runs with its user's own rights.
    fn default() -> Self {
        Self { allow: Vec::new(), allow_local: true }
    }
}

impl StorePolicy {
    /// A policy from texts as a flag or setting gives them. Errors name the text that is not a URL prefix.
    pub fn parse<S: AsRef<str>>(allow: &[S], allow_local: bool) -> Result<Self, StoreError> {
        let allow = allow
            .iter()
            .map(|text| Location::directory(text.as_ref()).map(|location| location.url().clone()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { allow, allow_local })
    }

    /// Path prefixes allowed in the store of `url`; `None` allows the whole store.
    fn prefixes(&self, url: &Url) -> Result<Option<Vec<Path>>, StoreError> {
        if self.whole_store_allowed(url) {
            return Ok(None);
        }
        let key = store_key(url);
        let prefixes: Vec<Path> = self
            .allow
            .iter()
            .filter(|prefix| store_key(prefix) == key)
            .filter_map(|prefix| Path::from_url_path(prefix.path()).ok())
            .collect();
        match prefixes.is_empty() {
            true => Err(self.refusal(url.as_str())),
            // A prefix that is the bucket itself allows all of it.
            false if prefixes.iter().any(|prefix| prefix.as_ref().is_empty()) => Ok(None),
            false => Ok(Some(prefixes)),
        }
    }

    fn whole_store_allowed(&self, url: &Url) -> bool {
        match url.scheme() {
            "file" => self.allow_local,
            _ => self.allow.is_empty(),
        }
    }

    fn refusal(&self, what: &str) -> StoreError {
        let mut allowed: Vec<String> = self.allow.iter().map(Url::to_string).collect();
        if self.allow_local {
            allowed.push("local paths".into());
        }
        StoreError::Refused(format!(
            "location is outside the allow-list of stores; add it to the list or move the table: location={what}, \
             allowed=[{}]",
            allowed.join(", ")
        ))
    }
}

/// Every object store of the process, made on first use and kept.
///
/// Implements DataFusion's [`ObjectStoreRegistry`]. Settings and credentials come from the environment alone
/// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT` or `AWS_ENDPOINT_URL`,
/// `AWS_ALLOW_HTTP`, web identity and container roles; `AZURE_*`; `GOOGLE_*`). Requests to a custom endpoint are
/// path-style unless `AWS_VIRTUAL_HOSTED_STYLE_REQUEST` says otherwise. A request is tried 10 times within 3 minutes,
/// with a timeout of 30 s (5 s to connect); `AWS_TIMEOUT` and `AWS_CONNECT_TIMEOUT` (likewise `AZURE_`, `GOOGLE_`) change that.
/// Where the client gives up though the failure may pass, as when an answer is cut in its body or a create-if-absent gets
/// none, the whole request is tried again, 5 times in all and none later than 45 s after the first. A create may therefore
/// say `AlreadyExists` of an object that it made itself.
pub struct Stores {
    policy: StorePolicy,
    retry: RetryConfig,
    patient: bool,
    made: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let made = self.made.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        f.debug_struct("Stores").field("policy", &self.policy).field("made", &made.keys().collect::<Vec<_>>()).finish()
    }
}

impl Default for Stores {
    fn default() -> Self {
        Self::new(StorePolicy::default())
    }
}

impl Stores {
    /// A registry with no store made yet.
    pub fn new(policy: StorePolicy) -> Self {
        Self { policy, retry: retry(10, Duration::from_secs(180)), patient: true, made: RwLock::default() }
    }

    /// A registry whose stores give up after seconds, for a person who waits for the answer, and repeat nothing that may
    /// have been applied.
    pub fn impatient(policy: StorePolicy) -> Self {
        Self { retry: retry(2, Duration::from_secs(10)), patient: false, ..Self::new(policy) }
    }

    /// The policy that every store of this registry enforces.
    pub fn policy(&self) -> &StorePolicy {
        &self.policy
    }

    /// The store of a location, refused when the policy does not allow the location.
    ///
    /// No request is made. Errors: the allow-list refuses the location, or the environment's settings are unusable.
    pub fn open(&self, location: &Location) -> Result<Arc<dyn ObjectStore>, StoreError> {
        self.check(location)?;
        self.store(location.url())
    }

    /// Whether the policy allows the location; the error lists what is allowed.
    pub fn check(&self, location: &Location) -> Result<(), StoreError> {
        match self.policy.prefixes(location.url()) {
            Ok(None) => Ok(()),
            Ok(Some(prefixes)) if prefixes.iter().any(|prefix| location.path().prefix_matches(prefix)) => Ok(()),
            _ => Err(self.policy.refusal(location.text())),
        }
    }

    fn store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let prefixes = self.policy.prefixes(url)?;
        let key = store_key(url);
        if let Some(store) = self.made.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(store));
        }
        let fenced: Arc<dyn ObjectStore> = Arc::new(fence::Fence::new(make(url, &self.retry)?, key.clone(), prefixes));
        // Outside of the fence, whose refusals are told as such and end the tries at once.
        let store = match self.patient && url.scheme() != "file" {
            true => Arc::new(patience::Patience::new(fenced)),
            false => fenced,
        };
        // Two threads may have made the same store: the first one in stays, so that all share its connections.
        let mut made = self.made.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Arc::clone(made.entry(key).or_insert(store)))
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let key = store_key(url);
        // A store outside the policy stays unreachable, because every look-up asks the policy first.
        let prefixes = self.policy.prefixes(url).ok()?;
        let fenced: Arc<dyn ObjectStore> = Arc::new(fence::Fence::new(store, key.clone(), prefixes));
        self.made.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key, fenced)
    }

    fn deregister_store(&self, url: &Url) -> DataFusionResult<Arc<dyn ObjectStore>> {
        let removed = self.made.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&store_key(url));
        removed.ok_or_else(|| StoreError::Location(format!("no store is registered: url={}", store_key(url))).into())
    }

    fn get_store(&self, url: &Url) -> DataFusionResult<Arc<dyn ObjectStore>> {
        Ok(self.store(url)?)
    }
}

/// `scheme://authority` of a URL, without a password. The user part stays for Azure, where it is the container.
fn store_key(url: &Url) -> String {
    let scheme = if url.scheme() == "s3a" { "s3" } else { url.scheme() };
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    match (scheme, url.username()) {
        ("abfss" | "abfs", container) if !container.is_empty() => format!("{scheme}://{container}@{authority}"),
        _ => format!("{scheme}://{authority}"),
    }
}

fn make(url: &Url, retry: &RetryConfig) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let key = store_key(url);
    let settings =
        |error: object_store::Error| StoreError::Settings(unusable_settings(&key, &error, std::env::vars_os()));
    Ok(match url.scheme() {
        "file" => Arc::new(LocalFileSystem::new()),
        "s3" | "s3a" => Arc::new(s3(&key).with_retry(retry.clone()).build().map_err(settings)?),
        "az" | "abfss" | "abfs" => Arc::new(azure(&key).with_retry(retry.clone()).build().map_err(settings)?),
        "gs" => Arc::new(google(&key).with_retry(retry.clone()).build().map_err(settings)?),
        scheme => return Err(unknown_scheme(scheme, &key)),
    })
}

fn unknown_scheme(scheme: &str, what: &str) -> StoreError {
    let hint = match scheme {
        "http" | "https" => "; copy the file into a bucket or a folder first, lakecast does not read from web servers",
        _ => "",
    };
    StoreError::Location(format!(
        "unknown scheme of a location{hint}: location={what}, scheme={scheme}, allowed=[{}]",
        SCHEMES.join(", ")
    ))
}

fn retry(max_retries: usize, retry_timeout: Duration) -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries, retry_timeout }
}

fn s3(key: &str) -> AmazonS3Builder {
    let builder = AmazonS3Builder::from_env().with_url(key);
    deadlines("AWS").fold(builder, |builder, (key, value)| builder.with_config(AmazonS3ConfigKey::Client(key), value))
}

fn azure(key: &str) -> MicrosoftAzureBuilder {
    let builder = MicrosoftAzureBuilder::from_env().with_url(key);
    deadlines("AZURE").fold(builder, |builder, (key, value)| builder.with_config(AzureConfigKey::Client(key), value))
}

fn google(key: &str) -> GoogleCloudStorageBuilder {
    let builder = GoogleCloudStorageBuilder::from_env().with_url(key);
    deadlines("GOOGLE").fold(builder, |builder, (key, value)| builder.with_config(GoogleConfigKey::Client(key), value))
}

/// The timeouts that the environment does not set itself.
fn deadlines(cloud: &str) -> impl Iterator<Item = (ClientConfigKey, &'static str)> {
    let all = [
        (format!("{cloud}_TIMEOUT"), ClientConfigKey::Timeout, REQUEST_TIMEOUT),
        (format!("{cloud}_CONNECT_TIMEOUT"), ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
    ];
    all.into_iter().filter(|(name, ..)| std::env::var_os(name).is_none()).map(|(_, key, value)| (key, value))
}

/// The builder's complaint with every value of the environment's store settings taken out: a setting that does not
/// parse is quoted by the builder, and it may be a key pasted into the wrong variable.
fn unusable_settings<K, V>(key: &str, error: &object_store::Error, environment: impl Iterator<Item = (K, V)>) -> String
where
    K: AsRef<std::ffi::OsStr>,
    V: AsRef<std::ffi::OsStr>,
{
    let mut detail = error.to_string();
    for (name, value) in environment {
        let (Some(name), Some(value)) = (name.as_ref().to_str(), value.as_ref().to_str()) else { continue };
        let of_a_store = ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|prefix| name.starts_with(prefix));
        if of_a_store && value.len() >= 4 {
            detail = detail.replace(value, &format!("<value of {name}>"));
        }
    }
    format!(
        "the settings of the object store in the environment are unusable; check AWS_*, AZURE_* or GOOGLE_* variables: \
         store={key}, detail={detail}"
    )
}

#[cfg(test)]
mod tests;

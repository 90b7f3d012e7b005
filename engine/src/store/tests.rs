//! The claims of `store`.

use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::{Location, StorePolicy, Stores};

const CANARY: &str = "canary-secret-7f3a";

fn stores(allow: &[&str], allow_local: bool) -> Stores {
    Stores::new(StorePolicy::parse(allow, allow_local).unwrap())
}

#[test]
fn a_local_path_is_made_absolute_and_keeps_its_text() {
    let location = Location::parse("data/../sales").unwrap();
    let expected = std::env::current_dir().unwrap().join("sales");
    assert_eq!(location.to_string(), "data/../sales");
    assert_eq!(location.local_path().unwrap(), expected);
    assert_eq!(location.url().scheme(), "file");
    assert!(!location.is_directory());
    assert!(Location::parse("sales/").unwrap().is_directory());
    assert!(Location::directory("sales").unwrap().is_directory());
}

#[test]
fn a_local_folder_that_exists_is_a_directory_without_the_slash() {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::parse(dir.path().to_str().unwrap()).unwrap();
    assert!(location.is_directory());
    assert!(location.url().as_str().ends_with('/'));
}

#[test]
fn a_file_url_and_a_path_with_spaces_are_the_same_place() {
    let path = Location::parse("/tmp/a b/c%d").unwrap();
    let url = Location::parse("file:///tmp/a%20b/c%25d").unwrap();
    assert_eq!(path.url(), url.url());
    assert_eq!(path.path(), url.path());
    assert_eq!(path.path().as_ref(), "tmp/a b/c%d");
}

#[test]
fn keys_of_a_bucket_are_taken_verbatim() {
    let location = Location::parse("s3://lake/k=a%3Ab/x y/").unwrap();
    assert_eq!(location.path().as_ref(), "k=a%3Ab/x y");
    assert_eq!(location.url().as_str(), "s3://lake/k=a%253Ab/x%20y/");
    assert_eq!(location.store().as_str(), "s3://lake/");
    assert_eq!(Path::from_url_path(location.url().path()).unwrap(), *location.path());
}

#[test]
fn s3a_is_read_as_s3() {
    let (a, b) = (Location::parse("s3a://lake/x/").unwrap(), Location::parse("s3://lake/x/").unwrap());
    assert_eq!(a.url(), b.url());
}

#[test]
fn an_azure_container_is_part_of_the_store() {
    let location = Location::parse("abfss://lake@account.dfs.core.windows.net/sales/").unwrap();
    assert_eq!(location.store().as_str(), "abfss://lake@account.dfs.core.windows.net/");
    assert_eq!(super::store_key(location.url()), "abfss://lake@account.dfs.core.windows.net");
}

#[test]
fn overlapping_locations_are_found_by_whole_segments() {
    let at = |text: &str| Location::parse(text).unwrap();
    assert!(at("s3://lake/sales/").overlaps(&at("s3a://lake/sales")));
    assert!(at("s3://lake/sales/").overlaps(&at("s3://lake/")));
    assert!(at("s3://lake/").overlaps(&at("s3://lake/sales/")));
    assert!(!at("s3://lake/sales/").overlaps(&at("s3://lake/sales2/")));
    assert!(!at("s3://lake/sales/").overlaps(&at("s3://other/sales/")));
    assert!(!at("s3://lake/sales/").overlaps(&at("/lake/sales/")));
    assert!(at("/lake/x/../sales").overlaps(&at("/lake/sales/part")));
}

#[cfg(unix)]
#[test]
fn a_link_to_an_input_overlaps_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("input")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("input"), dir.path().join("link")).unwrap();
    let at = |name: &str| Location::parse(dir.path().join(name).to_str().unwrap()).unwrap();
    assert!(at("link/not/there/yet").overlaps(&at("input")));
    assert!(!at("output").overlaps(&at("input")));
}

#[test]
fn bad_locations_are_refused_with_the_reason() {
    let error = |text: &str| Location::parse(text).unwrap_err().to_string();
    assert!(error("").contains("a location is empty"));
    assert!(error("https://host/x.parquet").contains("does not read from web servers"), "{}", error("https://host/x"));
    assert!(error("s4://lake/x").contains("allowed=[file, s3, az, abfss, gs]"));
    assert!(error("s3:///x").contains("the bucket is missing"));
    assert!(error("s3://lake/a//b").contains("not a usable location"));
}

#[test]
fn credentials_in_a_location_are_refused_and_never_repeated() {
    for text in [format!("s3://key:{CANARY}@lake/x"), format!("abfss://lake:{CANARY}@account/x")] {
        let error = Location::parse(&text).unwrap_err();
        assert!(error.to_string().contains("must not hold credentials"));
        assert!(!format!("{error} {error:?}").contains(CANARY));
    }
}

#[test]
fn an_empty_policy_allows_everything() {
    let stores = Stores::default();
    for text in ["/tmp/x/", "s3://lake/x/", "gs://lake/x/"] {
        stores.check(&Location::parse(text).unwrap()).unwrap();
    }
}

#[test]
fn the_allow_list_goes_by_whole_segments_and_is_named_in_the_error() {
    let stores = stores(&["s3://lake/sales", "file:///data/"], false);
    let check = |text: &str| stores.check(&Location::parse(text).unwrap());
    check("s3://lake/sales/2026/").unwrap();
    check("/data/x").unwrap();
    for outside in ["s3://lake/sales2/", "s3://lake/", "s3://other/sales/", "gs://lake/sales/", "/tmp/x"] {
        let error = check(outside).unwrap_err().to_string();
        assert!(error.contains(&format!("location={outside}")), "{error}");
        assert!(error.contains("allowed=[s3://lake/sales/, file:///data/]"), "{error}");
    }
}

#[test]
fn local_paths_can_be_switched_off_alone() {
    let stores = stores(&[], false);
    stores.check(&Location::parse("s3://lake/x/").unwrap()).unwrap();
    assert!(stores.check(&Location::parse("/tmp/x/").unwrap()).is_err());
    assert!(stores.get_store(&Url::parse("file:///").unwrap()).is_err());
}

#[tokio::test]
async fn a_store_refuses_paths_outside_the_allow_list() {
    let stores = stores(&["s3://lake/sales/"], false);
    let url = Url::parse("s3://lake/").unwrap();
    stores.register_store(&url, Arc::new(InMemory::new()));
    let store = stores.get_store(&url).unwrap();
    store.put(&Path::from("sales/a"), "x".into()).await.unwrap();
    assert_eq!(store.get(&Path::from("sales/a")).await.unwrap().bytes().await.unwrap(), "x");
    let outside = Path::from("salaries/a");
    for error in [
        store.put(&outside, "x".into()).await.unwrap_err(),
        store.get(&outside).await.unwrap_err(),
        store.delete(&outside).await.unwrap_err(),
        store.copy(&Path::from("sales/a"), &outside).await.unwrap_err(),
        store.list_with_delimiter(None).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("outside the allow-list"), "{error}");
    }
}

#[test]
fn one_store_is_made_per_bucket_and_kept() {
    let stores = Stores::default();
    let get = |text: &str| stores.open(&Location::parse(text).unwrap()).unwrap();
    assert!(Arc::ptr_eq(&get("/tmp/a"), &get("file:///var/b/")));
    assert!(Arc::ptr_eq(&get("s3://lake/a"), &get("s3a://lake/b/")));
    assert!(!Arc::ptr_eq(&get("s3://lake/a"), &get("s3://other/a")));
    assert_eq!(format!("{stores:?}").matches("s3://").count(), 2);
}

#[test]
fn the_fence_hides_what_the_store_would_print() {
    let inner = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name("lake")
        .with_access_key_id("id")
        .with_secret_access_key(CANARY)
        .with_token(CANARY)
        .build()
        .unwrap();
    let stores = Stores::default();
    let url = Url::parse("s3://lake/").unwrap();
    stores.register_store(&url, Arc::new(inner));
    let store = stores.get_store(&url).unwrap();
    let shown = format!("{stores:?} {store:?} {store}");
    assert!(shown.contains("s3://lake") && !shown.contains(CANARY), "{shown}");
}

#[test]
fn an_unusable_setting_is_named_without_its_value() {
    let error = object_store::Error::Generic { store: "S3", source: format!("cannot parse \"{CANARY}\"").into() };
    let environment = [("AWS_REQUEST_PAYER", CANARY), ("HOME", "cannot")];
    let shown = super::unusable_settings("s3://lake", &error, environment.into_iter());
    assert!(shown.contains("<value of AWS_REQUEST_PAYER>"), "{shown}");
    assert!(shown.contains("cannot parse") && !shown.contains(CANARY), "{shown}");
}

#[test]
fn buckets_are_asked_again_and_neither_local_folders_nor_where_a_person_waits() {
    let shown = |stores: Stores, text: &str| format!("{:?}", stores.open(&Location::parse(text).unwrap()).unwrap());
    let impatient = || Stores::impatient(StorePolicy::default());
    assert!(shown(Stores::default(), "s3://lake/x/").starts_with("Patience(Fence"));
    assert!(shown(impatient(), "s3://lake/x/").starts_with("Fence"));
    assert!(shown(Stores::default(), "/tmp/x/").starts_with("Fence"));
}

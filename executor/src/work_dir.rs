//! The executor's folder. In: its path. Out: a folder of this process alone, empty at the start, where old shuffle files go.

use crate::drain::{client, status};
use ballista_core::serde::protobuf::job_status::Status;
use ballista_executor::executor_process::satisfy_dir_ttl;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often files of failed jobs are looked for.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// How often old shuffle files are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// The folder, locked while this value lives.
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Takes the folder for this process and removes what an earlier executor left: its name is gone, so nobody asks for
    /// its files. Errors: say what to do.
    pub(crate) fn take(path: &Path) -> Result<Self, String> {
        let told = |e: io::Error| format!("--work-dir: {e}: folder={}", path.display());
        fs::create_dir_all(path).map_err(told)?;
        let lock = File::create(path.join("lakecast-executor.lock")).map_err(told)?;
        lock.try_lock().map_err(|_| {
            format!("--work-dir: another executor uses it, give each its own: folder={}", path.display())
        })?;
        for entry in fs::read_dir(path).map_err(told)? {
            let entry = entry.map_err(told)?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|n| crate::flight::is_job_id(n) || n == "spill");
            if ours {
                fs::remove_dir_all(entry.path()).map_err(told)?;
            }
        }
        let dir = Self { path: path.canonicalize().map_err(told)?, _lock: lock };
        fs::create_dir_all(dir.spill()).map_err(told)?;
        Ok(dir)
    }

    /// Where operators spill.
    pub(crate) fn spill(&self) -> PathBuf {
        self.path.join("spill")
    }

    /// The folder as Ballista takes it. Errors: the path is not UTF-8.
    pub(crate) fn text(&self) -> Result<String, String> {
        let text =
            self.path.to_str().ok_or_else(|| format!("--work-dir: not UTF-8: folder={}", self.path.display()))?;
        Ok(text.to_string())
    }

    /// The jobs that have files here.
    pub(crate) fn jobs(&self) -> Vec<String> {
        jobs_in(&self.path)
    }

    /// Removes files of jobs that failed or were cancelled. The scheduler asks for it once, while tasks that are being
    /// stopped still write: what they leave would hold the disk for `ttl` of [`WorkDir::keep_tidy`]. Runs for ever.
    pub(crate) async fn drop_failed(path: PathBuf, scheduler: String) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let jobs = jobs_in(&path);
            if jobs.is_empty() {
                continue;
            }
            let Some(mut client) = client(&scheduler).await else { continue };
            for job in jobs {
                if matches!(status(&mut client, job.clone()).await, Some(Status::Failed(_))) {
                    tracing::info!(job, "removed shuffle files of a failed job");
                    let _ = tokio::fs::remove_dir_all(path.join(job)).await;
                }
            }
        }
    }

    /// Removes files of jobs that nothing changed for `ttl`: a scheduler that died never asks for it. Runs for ever.
    pub(crate) async fn keep_tidy(path: PathBuf, ttl: Duration) {
        loop {
            tokio::time::sleep(LOOK_EVERY.min(ttl)).await;
            let Ok(mut entries) = tokio::fs::read_dir(&path).await else { continue };
            while let Ok(Some(entry)) = entries.next_entry().await {
                let job = entry.file_name().to_str().is_some_and(crate::flight::is_job_id);
                let dir = entry.path();
                if job && matches!(satisfy_dir_ttl(entry, ttl.as_secs()).await, Ok(false)) {
                    tracing::info!(folder = %dir.display(), "removed shuffle files that nobody asked for any more");
                    let _ = tokio::fs::remove_dir_all(dir).await;
                }
            }
        }
    }
}

fn jobs_in(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).into_iter().flatten().flatten();
    names.filter_map(|e| e.file_name().into_string().ok()).filter(|n| crate::flight::is_job_id(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_of_one_process_and_starts_empty() {
        let dir = tempfile::tempdir().unwrap();
        let job = "0123456789abcdef0123456789abcdef";
        fs::create_dir_all(dir.path().join(job).join("1")).unwrap();
        fs::write(dir.path().join("mine.txt"), "not a job").unwrap();
        let taken = WorkDir::take(dir.path()).unwrap();
        assert!(taken.jobs().is_empty() && taken.spill().is_dir() && dir.path().join("mine.txt").exists());
        let second = WorkDir::take(dir.path()).err().unwrap();
        assert!(second.contains("another executor uses it"), "{second}");
        fs::create_dir(dir.path().join(job)).unwrap();
        assert_eq!(taken.jobs(), [job]);
    }
}

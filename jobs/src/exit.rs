//! Exit codes of `lakecast`.  In: how a command ended. Out: the number that a scheduler acts on.

use std::process::ExitCode;

/// How a command ended, by what a scheduler does next. The numbers are a contract: they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Published, or found already published: nothing to do.
    Done = 0,
    /// Permanent failure: the same command fails again until somebody mends the cause.
    Failed = 1,
    /// Wrong usage or wrong job file: nothing was started.
    Usage = 2,
    /// A check of the job refused the result: nothing became visible, readers still see the last version.
    Refused = 4,
    /// It is not known whether the commit happened: run the same command again, it recognises its own commit.
    CommitUnknown = 5,
    /// Storage or network failed: run the same command again later, finished work is kept.
    Transient = 75,
    /// Stopped by Ctrl-C (SIGINT): the same command continues the run.
    Interrupted = 130,
    /// Stopped by SIGTERM: the same command continues the run.
    Terminated = 143,
}

impl Exit {
    /// Every exit code, ascending.
    pub const ALL: &[Self] = &[
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Refused,
        Self::CommitUnknown,
        Self::Transient,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the number means, for help texts.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "published, or already published",
            Self::Failed => "permanent failure, mend the cause first",
            Self::Usage => "wrong usage or job file, nothing was started",
            Self::Refused => "refused by a check of the job, nothing became visible",
            Self::CommitUnknown => "commit outcome unknown, run the same command again",
            Self::Transient => "storage or network failed, run the same command again later",
            Self::Interrupted => "stopped by Ctrl-C, the same command continues the run",
            Self::Terminated => "stopped by SIGTERM, the same command continues the run",
        }
    }

    /// Whether the same command may succeed without anybody mending anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::CommitUnknown | Self::Transient | Self::Interrupted | Self::Terminated)
    }

    /// The table of all codes as `lakecast run --help` prints it.
    pub fn table() -> String {
        let rows: Vec<_> = Self::ALL.iter().map(|e| format!("  {:>3}  {}", e.code(), e.meaning())).collect();
        rows.join("\n")
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_contract() {
        let codes: Vec<_> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(codes, [0, 1, 2, 4, 5, 75, 130, 143]);
        assert!(Exit::table().starts_with("    0  published, or already published\n    1  permanent failure"));
    }

    #[test]
    fn only_outcomes_that_may_change_by_themselves_are_retried() {
        let retried: Vec<_> = Exit::ALL.iter().filter(|e| e.is_retryable()).map(|e| e.code()).collect();
        assert_eq!(retried, [5, 75, 130, 143]);
    }
}

//! What every job of a fleet runs under, whatever its client asked for (DESIGN.md, 7).
//!
//! In: the settings of a session. Out: the same with the policy forced, or the first setting that is not as it must be.

use crate::session::fixed_config;
use ballista_core::extension::SessionConfigExt;
use datafusion::common::{Result, plan_err};
use datafusion::prelude::SessionConfig;

/// The largest message between processes, in bytes. Ballista's 16 MiB take a task list of many files for a lost executor.
pub const MESSAGE_BYTES_MAX: u32 = 128 << 20;

/// A setting, the value that it is forced to, and why.
pub struct Forced {
    /// Name in DataFusion or Ballista.
    pub key: &'static str,
    /// The only value that a fleet runs with.
    pub value: &'static str,
    /// What another value would do.
    pub why: &'static str,
}

/// The policy, printed by `lakecast plan` and asserted when a process starts.
pub const FORCED: &[Forced] = &[
    Forced {
        key: "ballista.planner.adaptive.enabled",
        value: "false",
        why: "adaptive planning does not survive a lost executor",
    },
    Forced { key: "ballista.planner.adaptive_join.enabled", value: "false", why: "part of adaptive planning" },
    Forced { key: "ballista.planner.coalesce.enabled", value: "false", why: "a partition's number is its name" },
    Forced {
        key: "ballista.scheduler.max_partitions_per_task",
        value: "1",
        why: "a failure costs one partition, and a partition has a task of its own",
    },
    Forced {
        key: "ballista.scheduler.share_file_statistics_cache",
        value: "false",
        why: "statistics of a file that was replaced would be used",
    },
    Forced { key: "ballista.testing.chaos_execution.enabled", value: "false", why: "a client could inject faults" },
    Forced { key: "ballista.client.grpc_max_message_size", value: "134217728", why: "10,000 files fit one plan" },
    Forced {
        key: "datafusion.execution.enable_file_stream_work_stealing",
        value: "false",
        why: "batches must not wander between partitions",
    },
    Forced {
        key: "datafusion.optimizer.enable_dynamic_filter_pushdown",
        value: "false",
        why: "a filter that never arrives blocks a scan",
    },
    Forced {
        key: "datafusion.optimizer.enable_round_robin_repartition",
        value: "false",
        why: "batches must not wander between partitions",
    },
    Forced { key: "datafusion.optimizer.prefer_hash_join", value: "false", why: "a hash join cannot spill" },
    Forced {
        key: "datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery",
        value: "false",
        why: "its result cannot cross processes",
    },
    Forced {
        key: "datafusion.execution.parquet.schema_force_view_types",
        value: "false",
        why: "the same key must hash to the same partition everywhere",
    },
    Forced {
        key: "datafusion.sql_parser.map_string_types_to_utf8view",
        value: "false",
        why: "the same key must hash to the same partition everywhere",
    },
];

/// `config` with the policy forced.
pub fn fleet_config(config: SessionConfig) -> SessionConfig {
    FORCED.iter().fold(fixed_config(config), |config, forced| config.set_str(forced.key, forced.value))
}

/// The settings of a new session. Clients start from the same.
pub fn new_fleet_config() -> SessionConfig {
    fleet_config(SessionConfig::new_with_ballista())
}

/// Whether `config` is as the policy wants it. Errors: the first setting that is not, or that nobody knows any more.
pub fn assert_forced(config: &SessionConfig) -> Result<()> {
    let entries = config.options().entries();
    for forced in FORCED {
        let found = entries.iter().find(|e| e.key == forced.key).and_then(|e| e.value.as_deref());
        if found != Some(forced.value) {
            return plan_err!(
                "the policy of the fleet does not hold: setting={}, must be={}, is={}; {}",
                forced.key,
                forced.value,
                found.unwrap_or("unknown"),
                forced.why
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_switches_the_policy_off() {
        for forced in FORCED {
            let other = if forced.value == "false" { "true" } else { "4096" };
            let asked = SessionConfig::new_with_ballista().set_str(forced.key, other);
            assert!(assert_forced(&asked).is_err(), "{} is not checked", forced.key);
            assert_forced(&fleet_config(asked)).unwrap();
        }
    }
}

//! From logical nodes of lakecast to its operators. In: `GroupMap` and `LakeSink` nodes. Out: their operators.

use super::{GroupMapExec, GroupMapNode};
use crate::functions::Functions;
use crate::sink::{LakeSinkExec, LakeSinkNode};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use std::sync::Arc;

/// Plans the nodes of lakecast.
#[derive(Debug, Clone)]
pub struct GroupMapPlanner {
    /// The functions of the session.
    pub functions: Functions,
}

#[async_trait]
impl ExtensionPlanner for GroupMapPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let input = || {
            physical_inputs
                .first()
                .cloned()
                .ok_or_else(|| internal_datafusion_err!("{} has no physical input", node.name()))
        };
        if let Some(map) = node.as_any().downcast_ref::<GroupMapNode>() {
            let sides = physical_inputs.iter().skip(1).cloned().collect();
            return Ok(Some(Arc::new(GroupMapExec::try_new(&self.functions, map.call.clone(), input()?, sides)?)));
        }
        if let Some(sink) = node.as_any().downcast_ref::<LakeSinkNode>() {
            return Ok(Some(Arc::new(LakeSinkExec::new(sink.spec.clone(), input()?))));
        }
        Ok(None)
    }
}

/// DataFusion's planner with lakecast's nodes.
#[derive(Debug, Clone)]
pub struct LakecastQueryPlanner {
    /// The functions of the session.
    pub functions: Functions,
}

#[async_trait]
impl QueryPlanner for LakecastQueryPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let extension = GroupMapPlanner { functions: self.functions.clone() };
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(extension)])
            .create_physical_plan(plan, session)
            .await
    }
}

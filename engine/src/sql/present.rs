//! `lakecast_present(value, 'name')`: the value, or an error where it is null. In: one column. Out: the same column.
//!
//! Baskets have no status row, so a line without basket or item ends the job instead of vanishing in a join.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Name in plans.
pub(super) const NAME: &str = "lakecast_present";

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Present {
    signature: Signature,
}

impl Default for Present {
    fn default() -> Self {
        // Volatile, because the optimizer drops a stable function whose value nobody reads, and with it the check.
        Self { signature: Signature::any(2, Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for Present {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(t) => Ok(t.clone()),
            None => exec_err!("{NAME} takes a value and a name"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, name] = <[_; 2]>::try_from(args.args)
            .map_err(|a| datafusion::common::exec_datafusion_err!("{NAME} takes two arguments, got {}", a.len()))?;
        let nulls = match &value {
            ColumnarValue::Array(a) => a.logical_null_count(),
            ColumnarValue::Scalar(s) => usize::from(s.is_null()),
        };
        if nulls > 0 {
            let name = match &name {
                ColumnarValue::Scalar(ScalarValue::Utf8(Some(s))) => s.clone(),
                other => format!("{other:?}"),
            };
            return exec_err!(
                "null {name} in basket lines: lines={nulls} of {} in this batch, filter them in a subquery, `WHERE {name} IS NOT NULL`",
                args.number_rows
            );
        }
        Ok(value)
    }
}

//! `lakecast_once(rows, 'table')`: the number of rows, or an error where it is above one. In: counts. Out: the same.
//!
//! Two tables of rules are compared rule by rule, so a rule that stands twice in one of them ends the job.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Name in plans.
pub(super) const NAME: &str = "lakecast_once";

/// The scalar function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Once {
    signature: Signature,
}

impl Default for Once {
    fn default() -> Self {
        // Volatile, because the optimizer drops a stable function whose value nobody reads, and with it the check.
        Self { signature: Signature::exact(vec![DataType::Int64, DataType::Utf8], Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for Once {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [value, table] = <[_; 2]>::try_from(args.args)
            .map_err(|a| exec_datafusion_err!("{NAME} takes two arguments, got {}", a.len()))?;
        let counts = value.into_array(rows)?;
        let most = counts.as_primitive::<Int64Type>().iter().flatten().max().unwrap_or(0);
        if most > 1 {
            let table = match &table {
                ColumnarValue::Scalar(ScalarValue::Utf8(Some(s))) => s.clone(),
                other => format!("{other:?}"),
            };
            return exec_err!(
                "rules_diff: a rule stands more than once in a table, name its segments with `by => [..]`: table={table}, times={most}"
            );
        }
        Ok(ColumnarValue::Array(counts))
    }
}

//! Amounts of memory.  In: text such as `4GiB`. Out: bytes, or what is allowed.

/// The least memory that a job or an executor may have, in bytes: below it no sort can start.
pub const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// Reads an amount of memory such as `4GiB`, `512MiB` or `2.5GB`, in bytes. Errors: says what is allowed.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let refuse = |why: String| Err(format!("bad amount of memory: {why}, given={text}"));
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let unit = unit.trim();
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        let units: Vec<_> = UNITS.iter().map(|(name, _)| *name).collect();
        return refuse(format!("write a number and a unit, units=[{}]", units.join(", ")));
    };
    let Ok(number) = number.parse::<f64>() else { return refuse("write a number and a unit, as in 4GiB".into()) };
    let total = number * *bytes as f64;
    if !(total >= MEMORY_BYTES_MIN as f64 && total <= (1_u64 << 50) as f64) {
        return refuse(format!("allowed=[{}MiB to 1024TiB]", MEMORY_BYTES_MIN >> 20));
    }
    Ok(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_needs_a_unit() {
        assert_eq!(parse_memory("4GiB"), Ok(4 << 30));
        assert_eq!(parse_memory("1.5 gib"), Ok(3 << 29));
        assert_eq!(parse_memory("512MB"), Ok(512_000_000));
        for text in ["4", "GiB", "4 cows", "-1GiB", "1KiB", "9999999TiB", "", "1.2.3GiB"] {
            assert!(parse_memory(text).is_err(), "{text:?}");
        }
    }
}

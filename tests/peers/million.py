"""One million SKUs x 365 days in one process: time and peak memory of generating them and of forecasting them all.

  python3 tests/peers/million.py [--lakecast PATH] [--skus 1000000] [--memory 4GiB]

Needs some 20 GB of free disk below the temporary folder for what the shuffle spills; removes everything at the end.
"""
import argparse, json, os, subprocess, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

JOB = """
name: million
tables:
  sales: { location: market/sales/ }
outputs:
  forecast:
    location: lake/forecast/
    sql: >
      SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 28, season_length => 7,
                             model => 'ets_ana')
"""


def measured(command):
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: status={status}, command={command}")
    return said, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakecast", default=TARGET / "release/lakecast", help="binary; default: the release build")
    parser.add_argument("--skus", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--memory", default="4GiB")
    parser.add_argument("--partitions", type=int, default=64)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as dir:
        job = Path(dir) / "million.yaml"
        job.write_text(JOB)
        generate = ["generate", "--skus", a.skus, "--days", a.days, "--baskets", 0]
        made = measured([a.lakecast, *generate, "--out", Path(dir) / "market"])
        rows = sum(int(line.split("rows=")[1].split()[0]) for line in made[0].splitlines() if line.startswith("sales/"))
        limits = ["--memory", a.memory, "--partitions", a.partitions]
        run = measured([a.lakecast, "run", job, "--run-date", "2026-11-22", "--quiet", *limits])
        table = json.loads(run[0].splitlines()[-1])["tables"][0]
        assert table["groups_in"] == a.skus and table["groups_ok"] + table["groups_refused"] == a.skus
        print(f"| {a.skus:,} SKUs, {a.days} days | rows | wall s | CPU s | SKUs per CPU s | peak MiB |\n|---|---|---|---|---|---|")
        for what, rows, (_, wall, cpu, peak) in [
            ("`lakecast generate`", f"{rows:,} of sales", made),
            (f"`lakecast run` with `{' '.join(map(str, limits))}`", f"{table['rows']:,} of forecast", run),
        ]:
            print(f"| {what} | {rows} | {wall:.0f} | {cpu:.0f} | {a.skus / cpu:,.0f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()

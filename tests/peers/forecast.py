"""Series per CPU second and peak memory of lakecast and statsforecast on M5, in one run on the same Parquet.

  python3 tests/peers/forecast.py [--lakecast PATH] [--shared PATH] [--rounds 3]

lakecast is measured as a whole process: start, Parquet read, ETS(A,N,A) of every series, sums checked, Delta commit. Of
statsforecast (installed from PyPI into a virtual environment below the target folder) the forecast call alone is measured,
after the data is in memory and two series have warmed it up. CPU seconds are user and system time of the process and its
children; the best round of each counts.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

PEER = """
import resource, sys, time, json
import pandas as pd, statsforecast
from statsforecast import StatsForecast
from statsforecast.models import AutoETS
train = pd.read_parquet(sys.argv[1], columns=["unique_id", "ds", "y"])
train["ds"], train["y"] = pd.to_datetime(train.ds), train.y.astype("float64")
train = train.sort_values(["unique_id", "ds"], kind="stable").reset_index(drop=True)
model = lambda: StatsForecast(models=[AutoETS(season_length=7, model="ANA")], freq="D", n_jobs=int(sys.argv[2]))
model().forecast(df=train[train.unique_id.isin(train.unique_id.unique()[:2])], h=28)
used = lambda: sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
peak = lambda who: resource.getrusage(who).ru_maxrss / 1024
cpu, wall = used(), time.perf_counter()
rows = len(model().forecast(df=train, h=28))
print(json.dumps({"name": "statsforecast " + statsforecast.__version__ + ", forecast call alone", "rows": rows,
                  "wall": time.perf_counter() - wall, "cpu": used() - cpu,
                  "peak_mib": peak(resource.RUSAGE_SELF) + int(sys.argv[2]) * peak(resource.RUSAGE_CHILDREN)}))
"""


def peer_python():
    venv = TARGET / "lakecast-peers"
    python = venv / "bin/python"
    packages = ["statsforecast==2.1.1", "pandas", "pyarrow"]
    if subprocess.run([python, "-c", "import statsforecast, pyarrow"], stderr=subprocess.DEVNULL).returncode if python.exists() else True:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def lakecast(binary, data):
    with tempfile.TemporaryDirectory() as out:
        job = ROOT / "jobs/examples/m5.yaml"
        command = [binary, "run", job, "--run-date", "2016-05-22", "--quiet", "--set", f"data={data}", "--set", f"out={out}/out"]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"lakecast failed: status={status}")
        table = json.loads(said.splitlines()[-1])["tables"][0]
        return {"name": "lakecast, read, forecast and publish", "rows": table["rows"], "wall": time.perf_counter() - start,
                "cpu": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}


def statsforecast(python, data, jobs):
    said = subprocess.run([python, "-c", PEER, f"{data}/m5/train.parquet", str(jobs)], check=True, capture_output=True, text=True)
    return json.loads(said.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakecast", default=TARGET / "release/lakecast", help="binary; default: the release build")
    parser.add_argument("--shared", default=os.environ.get("LAKECAST_SHARED", ROOT.parent / "shared"), help="folder with data/m5")
    parser.add_argument("--rounds", type=int, default=3, help="runs of lakecast; statsforecast runs once, it takes minutes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes of statsforecast")
    args = parser.parse_args()
    data, series = Path(args.shared).resolve() / "data", 15_240
    python = peer_python()
    ours = min((lakecast(args.lakecast, data) for _ in range(args.rounds)), key=lambda r: r["cpu"])
    theirs = statsforecast(python, data, args.jobs)
    print("| M5, 15,240 series, ETS(A,N,A), 28 days | rows | wall s | CPU s | series per CPU s | peak MiB |")
    print("|---|---|---|---|---|---|")
    for r in (theirs, ours):
        print(f"| {r['name']} | {r['rows']:,} | {r['wall']:.1f} | {r['cpu']:.1f} | {series / r['cpu']:,.0f} | {r['peak_mib']:,.0f} |")
    print(f"\n{theirs['cpu'] / ours['cpu']:.0f} times the series per CPU second, in 1/{theirs['peak_mib'] / ours['peak_mib']:.0f} of the memory")


if __name__ == "__main__":
    main()

"""Speed, memory and accuracy of lakecast and statsforecast in one run on the same Parquet: the tables that README shows.

  python3 tests/peers/forecast.py [--quick] [--rows speed,accuracy,command] [--lakecast PATH] [--shared PATH] [--profile bench]

statsforecast comes from PyPI into a virtual environment below the target folder. `shared/bench/forecast_peers.py` runs it, one
process a row, draws the samples and scores both sides; `udfs/benches/field.rs` runs lakecast's models on the very same series.

speed     series per CPU second of statsforecast's forecast call alone (data in memory, two series have warmed it up, one
          process), and of `forecast` from Arrow in memory to Arrow out; both without intervals unless the row says so. Memory is
          the peak of the process, its input included. Of lakecast the best of `--rounds` counts, of `auto` the only one.
accuracy  `auto`, given a season length by the frequency alone, against the best of the models named here. Limits of the form
          'so much below it' are taken of what this run found.
command   `lakecast run`: start, Parquet read, every forecast, sums checked, Delta commit; CPU seconds of the whole process.
"""
import argparse, functools, importlib, json, multiprocessing, os, platform, subprocess, sys, tempfile, time
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "lakecast-peers"
PACKAGES = ["statsforecast==2.1.1", "pandas", "pyarrow"]

# limit and quick: series in the sample, 0 for all; must and goal: times the series per CPU second of statsforecast
Speed = namedtuple("Speed", "job set theirs ours limit quick must goal")
SPEED = [
    Speed("ETS(A,N,A)", "m5", "ETS_ANA", "ets_ana", 0, 300, 80, 250),
    Speed("`auto_ets`", "m5", "AutoETS", "auto_ets", 300, 20, 60, 200),
    Speed("`auto_ets`", "m3_monthly", "AutoETS", "auto_ets", 0, 60, 60, 200),
    Speed("dynamic theta", "m3_monthly", "DynamicOptimizedTheta", "dynamic_optimized_theta", 0, 100, 30, 100),
    Speed("dynamic theta", "m5", "DynamicOptimizedTheta", "dynamic_optimized_theta", 1000, 60, 25, 100),
    Speed("Holt-Winters additive", "m5", "HoltWinters", "holt_winters_additive", 600, 40, 80, 300),
    Speed("`auto_arima` season 12", "m3_monthly", "AutoARIMA", "auto_arima", 60, 4, 20, 100),
    Speed("`auto_arima` season 7", "m5", "AutoARIMA", "auto_arima", 40, 2, 20, 100),
    Speed("SBA", "m5", "CrostonSBA", "sba", 0, 1000, 5, 20),
    Speed("TSB", "m5", "TSB", "tsb", 0, 1000, 5, 20),
    Speed("ADIDA", "m5", "ADIDA", "adida", 0, 1000, 5, 20),
]
AUTO_MUST, AUTO_GOAL = 300, 1_000  # series per CPU second, intervals included, m5
UPDATE_MUST, UPDATE_GOAL = 200_000, 1_000_000  # the same, one night from state
COMMAND_MUST, COMMAND_GOAL, COMMAND_MIB = 40, 100, 300

# limits as functions of statsforecast's best; digits: places at which figures and limits are printed and compared
Accuracy = namedtuple("Accuracy", "set measure must goal digits")
below = lambda percent: lambda best: (1 - percent / 100) * best
fixed = lambda value: lambda best: value
ACCURACY = [
    Accuracy("m5", "WRMSSE", below(0), None, 4),
    Accuracy("m5", "RMSSE", below(0.5), below(1.5), 4),
    Accuracy("m3_monthly", "OWA", fixed(0.815), fixed(0.795), 4),
    Accuracy("m3_yearly", "sMAPE", fixed(16.0), fixed(15.7), 2),
    Accuracy("m4_yearly", "OWA", fixed(0.800), fixed(0.785), 4),
    Accuracy("m4_weekly", "OWA", fixed(0.915), fixed(0.80), 4),
    Accuracy("tourism_quarterly", "OWA", below(2), below(5), 4),
    Accuracy("carparts", "RMSSE", below(0), fixed(0.50), 3),
    Accuracy("hospital", "MASE", below(0), fixed(0.74), 3),
]
EFFECTS_GOAL = below(8)  # WRMSSE of m5 with events, SNAP and price

# What statsforecast is asked for on each set: its good models, as far as they take seconds to minutes.
THEIRS = {
    "m5": ["ETS_ANA", "CrostonSBA", "TSB", "ADIDA", "SES"],
    "m3_monthly": ["DynamicOptimizedTheta", "AutoETS", "Theta"],
    "m3_yearly": ["DynamicOptimizedTheta", "AutoTheta", "AutoETS", "Theta", "AutoCES"],
    "m4_yearly": ["DynamicOptimizedTheta", "AutoETS", "Theta", "AutoCES"],
    "m4_weekly": ["DynamicOptimizedTheta", "AutoETS", "AutoCES"],
    "tourism_quarterly": ["DynamicOptimizedTheta", "AutoTheta", "AutoETS", "Theta", "AutoCES"],
    "carparts": ["IMAPA", "ADIDA", "TSB", "CrostonSBA", "DynamicOptimizedTheta"],
    "hospital": ["DynamicOptimizedTheta", "AutoTheta", "AutoETS", "ADIDA"],
}
QUICK = {"m5": 300, "m4_weekly": 20}  # series of accuracy rows with --quick; of other sets 60
# Sets whose intervals alone are looked at.
COVERED = ["rossmann_top100", "nn5_daily", "oj_weekly", "pbs_monthly", "online_retail_weekly"]
# Steps of these are weeks, which whole numbers and sums do not tell.
WEEKLY = {"m4_weekly": 52, "oj_weekly": 52, "online_retail_weekly": 52}
DEMAND = {"m5", "carparts"}  # statsforecast's forecasts are cut at zero, as lakecast's are by default


def peer_python():
    python = VENV / "bin/python"
    if not python.exists() or subprocess.run([python, "-c", "import statsforecast, pyarrow"], stderr=subprocess.DEVNULL).returncode:
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


@functools.cache
def bench(name, profile):
    """The binary of a bench of udfs, built."""
    command = ["cargo", "bench", "--profile", profile, "-p", "lakecast-udfs", "--bench", name, "--no-run", "--message-format", "json"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    built = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return next(b["executable"] for b in built if b.get("executable") and b["target"]["name"] == name)


def json_lines(command, env=None):
    """What a process says in its lines of JSON."""
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if ran.returncode:
        sys.exit(f"failed: status={ran.returncode}, command={command}\n{ran.stderr[-2000:]}")
    return [json.loads(line[line.index("{"):]) for line in ran.stdout.splitlines() if "{" in line]


def last_line(command, env=None):
    """The last of them."""
    return json_lines(command, env)[-1]


# Data and scores live in one process beside this one. A process starts with the peak memory of the one that it is forked from,
# so what starts those that are measured must be small.
def peers(shared):
    if str(shared / "bench") not in sys.path:
        sys.path.insert(0, str(shared / "bench"))
    return importlib.import_module("forecast_peers")


@functools.lru_cache(maxsize=4)
def load(shared, set, limit):
    return peers(shared).load([shared / "data"], set, limit)


def write_sample(shared, set, limit, path):
    path.write_text("\n".join(load(shared, set, limit)[2]))


def saved(path):
    lines = (line.split(",") for line in path.read_text().splitlines())
    return {id: [float(value) for value in values] for id, *values in lines}


def published(location):
    import pandas
    files = sorted(Path(location).glob("run_date=*/*.parquet"))
    table = pandas.concat(pandas.read_parquet(f, columns=["unique_id", "step", "yhat"]) for f in files)
    return {id: path.to_list() for id, path in table.sort_values(["unique_id", "step"]).groupby("unique_id").yhat}


def score(shared, set, limit, read, path):
    """Measures of forecasts by id, as for statsforecast: a value that is missing counts as zero."""
    import numpy
    train, actual, ids, naive2, weights = load(shared, set, limit)
    paths = read(path)
    found = numpy.nan_to_num(numpy.array([paths[id] for id in ids]), nan=0.0, posinf=0.0, neginf=0.0)
    return peers(shared).score(set, train, actual, ids, naive2, weights, found)


class Runs:
    """Measurements, each made once."""

    def __init__(self, args, folder, scorer):
        self.args, self.folder, self.shared = args, Path(folder), Path(args.shared).resolve()
        self.environment = os.environ | {"LAKECAST_SHARED": str(self.shared)}
        self.theirs, self.ours, self.command = map(functools.cache, (self.run_theirs, self.run_ours, self.best_command))
        self.beside = lambda job, *given: scorer.submit(job, self.shared, *given).result()

    def say(self, *words):
        print("#", *words, file=sys.stderr, flush=True)

    def run_theirs(self, set, model, limit):
        self.say("statsforecast", set, model, limit or "all")
        clip = ["--clip"] if set in DEMAND else []
        return last_line([sys.executable, self.shared / "bench/forecast_peers.py", "--one", "--root", self.shared / "data",
                          "--set", set, "--models", model, "--limit", limit, "--jobs", 1, *clip])

    def run_ours(self, set, model, limit, intervals):
        self.say("lakecast", set, model, limit or "all", "with intervals" if intervals else "")
        given = {"fill": "null", "level": [80, 95] if intervals else []}
        command = [bench("field", self.args.profile), "--set", set, "--model", model, "--json",
                   "--rounds", 1 if intervals else self.args.rounds, "--args", json.dumps(given), "--save", self.folder]
        if set in WEEKLY:
            command += ["--season", WEEKLY[set]]
        if limit:
            self.beside(write_sample, set, limit, self.folder / "ids")
            command += ["--ids", self.folder / "ids"]
        said = last_line(command, self.environment)
        if set in THEIRS:
            said |= self.beside(score, set, limit, saved, self.folder / f"{set}.{model}.csv")
        return said

    def best_command(self, job):
        """`lakecast run` of a job over m5: the run that took the least CPU time."""
        self.say("lakecast run", job)
        runs = [self.run_command(job, self.folder / f"{job}.{i}") for i in range(self.args.rounds)]
        return min(runs, key=lambda r: r["cpu"])

    def run_command(self, job, out):
        command = [self.args.lakecast, "run", ROOT / f"jobs/examples/{job}.yaml", "--run-date", "2016-05-22", "--quiet",
                   "--set", f"data={self.shared / 'data'}", "--set", f"out={out}"]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"lakecast failed: status={status}, command={command}")
        table = json.loads(said.splitlines()[-1])["tables"][0]
        return {"rows": table["rows"], "series": table["groups_in"], "location": table["location"],
                "wall": time.perf_counter() - start, "cpu": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}


def verdict(met_must, met_goal):
    return "goal met" if met_must and met_goal else "met" if met_must else "missed"


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def rate(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def speed_row(runs, row):
    limit = row.quick if runs.args.quick else row.limit
    theirs, ours = runs.theirs(row.set, row.theirs, limit), runs.ours(row.set, row.ours, limit, False)
    times = ours["series_per_cpu_second"] / theirs["per_core"]
    measure = "RMSSE" if row.set in DEMAND else "OWA"
    return [f"{row.job}, {row.set}", f"{ours['series']:,}", rate(theirs["per_core"]), rate(ours["series_per_cpu_second"]), rate(times),
            str(row.must), str(row.goal), verdict(times >= row.must, times >= row.goal),
            f"{theirs[measure]:.3f} / {ours[measure]:.3f} {measure}", f"{theirs['peak_mib']:,.0f} / {ours['peak_mib']:,.0f}"]


def absolute_row(job, said, must, goal):
    found = said["series_per_cpu_second"]
    memory = f"- / {said['peak_mib']:,.0f}" if "peak_mib" in said else "-"
    return [job, f"{said['series']:,}", "-", rate(found), "-", f"{must:,} series/s", f"{goal:,} series/s",
            verdict(found >= must, found >= goal), "-", memory]


def speed(runs):
    rows = [speed_row(runs, row) for row in SPEED]
    auto = runs.ours("m5", "auto", QUICK["m5"] if runs.args.quick else 0, True)
    rows.append(absolute_row("`auto` (whole pool, 3 origins, intervals), m5", auto, AUTO_MUST, AUTO_GOAL))
    if (ROOT / "udfs/benches/update.rs").exists():
        for update in json_lines([bench("update", runs.args.profile), "--json"], runs.environment):
            job = f"nightly update from state, intervals included, `{update['model']}`"
            rows.append(absolute_row(job, update, UPDATE_MUST, UPDATE_GOAL))
    else:
        runs.say("no row for the nightly update: there is no udfs/benches/update.rs")
    if runs.args.lakecast.exists():
        rows.append(command_row(runs))
    else:
        runs.say("no row for the whole command: there is no", runs.args.lakecast)
    table("Series per CPU second of one core, and peak memory:",
          ["job", "series", "statsforecast", "lakecast", "ratio", "must", "goal", "", "error, theirs / ours",
           "peak MiB, theirs / ours"], rows)


def command_pair(runs):
    limit = SPEED[0].quick if runs.args.quick else SPEED[0].limit
    return runs.theirs("m5", "ETS_ANA", limit), runs.command("m5")


def command_row(runs):
    theirs, ours = command_pair(runs)
    found = ours["series"] / ours["cpu"]
    times = found / theirs["per_core"]
    return ["whole command, Parquet to published table, ETS(A,N,A), m5", f"{ours['series']:,}", rate(theirs["per_core"]), rate(found),
            rate(times), str(COMMAND_MUST), str(COMMAND_GOAL), verdict(times >= COMMAND_MUST, times >= COMMAND_GOAL), "-",
            f"{theirs['peak_mib']:,.0f} / {ours['peak_mib']:,.0f}"]


def best_single(runs, row, limit):
    models = {model: runs.theirs(row.set, model, limit)[row.measure] for model in THEIRS[row.set]}
    return min(models.items(), key=lambda model: model[1])


def accuracy_row(runs, row, limit):
    ours = runs.ours(row.set, "auto", limit, True)[row.measure]
    return limits_row(row, f"`auto` {row.measure}", *best_single(runs, row, limit), ours)


def limits_row(row, what, name, best, ours):
    at = lambda value: round(value, row.digits)
    limits = [at(limit(best)) if limit else None for limit in (row.must, row.goal)]
    met = [limit is not None and at(ours) <= limit for limit in limits]
    show = lambda value: "-" if value is None else f"{value:.{row.digits}f}"
    return [row.set, what, f"{show(best)} ({name})", show(ours), *map(show, limits), verdict(*met)]


def effects_row(runs, limit):
    """m5 with events, SNAP and price: the published table of its job, if there is one."""
    job, row = "m5_effects", Accuracy("m5", "WRMSSE", below(0), EFFECTS_GOAL, 4)
    missing = [path for path in (ROOT / f"jobs/examples/{job}.yaml", runs.args.lakecast) if not path.exists()]
    if missing:
        runs.say("no row for events, SNAP and price: there is no", *missing)
        return []
    found = runs.beside(score, "m5", limit, published, runs.command(job)["location"])
    return [limits_row(row, "WRMSSE with events, SNAP and price", *best_single(runs, row, limit), found["WRMSSE"])]


def coverage_row(name, said):
    found = {level: said["figures"][f"coverage_{level}"] for level in (80, 95)}
    off = max(abs(round(share, 1) - level) for level, share in found.items())
    shown = " / ".join(f"{share:.1f}" for share in found.values())
    return [name, "coverage of the 80 % / 95 % interval", "-", shown, "within 2", "within 1", verdict(off <= 2, off <= 1)]


def accuracy(runs):
    limits = {set: QUICK.get(set, 60) if runs.args.quick else 0 for set in THEIRS}
    rows = []
    for row in ACCURACY:
        rows.append(accuracy_row(runs, row, limits[row.set]))
        if (row.set, row.measure) == ("m5", "WRMSSE"):
            rows += effects_row(runs, limits["m5"])
    ours = {set: runs.ours(set, "auto", limit, True) for set, limit in limits.items()}
    ours |= {set: runs.ours(set, "auto", 0, True) for set in COVERED}
    rows += [coverage_row(set, said) for set, said in ours.items()]
    without, series = (sum(said[key] for said in ours.values()) for key in ("without_forecast", "series"))
    rows.append(["every set", f"series of {series:,} without a forecast", "-", str(without), "0", "0", verdict(not without, not without)])
    title = "Errors of `auto` and of statsforecast's best single model of the set" + (" (samples):" if runs.args.quick else ":")
    table(title, ["set", "measure", "statsforecast", "lakecast", "must", "goal", ""], rows)


def command(runs):
    theirs, ours = command_pair(runs)
    rows = [("statsforecast, forecast call alone", theirs["series"], theirs["series"] * 28, theirs),
            ("lakecast, read, forecast and publish", ours["series"], ours["rows"], ours)]
    table("M5, ETS(A,N,A), 28 days, Parquet to published table:", ["", "series", "rows", "wall s", "CPU s", "series per CPU s", "peak MiB"],
          [[name, f"{series:,}", f"{count:,}", f"{r['wall']:.1f}", f"{r['cpu']:.1f}", rate(series / r["cpu"]), f"{r['peak_mib']:,.0f}"]
           for name, series, count, r in rows])
    times = ours["series"] / ours["cpu"] / theirs["per_core"]
    print(f"\n{rate(times)} times the series per CPU second (must {COMMAND_MUST}, goal {COMMAND_GOAL}: "
          f"{verdict(times >= COMMAND_MUST, times >= COMMAND_GOAL)}), in 1/{theirs['peak_mib'] / ours['peak_mib']:.0f} of the memory "
          f"(must be under {COMMAND_MIB} MiB: {'met' if ours['peak_mib'] < COMMAND_MIB else 'missed'}).")


def machine(profile):
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    versions = ", ".join(f"{name} {version(name)}" for name in ("statsforecast", "numpy", "pandas"))
    print(f"{os.cpu_count()} cores, {cpu}; Python {platform.python_version()}, {versions}; lakecast's benches in profile `{profile}`.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="speed,accuracy,command", help="tables to print")
    parser.add_argument("--quick", action="store_true", help="small samples: a proof that it works, no figures to quote")
    parser.add_argument("--lakecast", type=Path, default=TARGET / "release/lakecast", help="binary; default: the release build")
    parser.add_argument("--shared", default=os.environ.get("LAKECAST_SHARED", ROOT.parent / "shared"), help="folder with data/ and bench/")
    parser.add_argument("--profile", default="bench", help="cargo profile of the benches")
    parser.add_argument("--rounds", type=int, default=3, help="runs of lakecast; statsforecast runs once, it takes minutes")
    args = parser.parse_args()
    tables = {"speed": speed, "accuracy": accuracy, "command": command}
    chosen = args.rows.split(",")
    if unknown := set(chosen) - set(tables):
        parser.error(f"unknown rows: {sorted(unknown)}, known: {list(tables)}")
    if "command" in chosen and not args.lakecast.exists():
        parser.error(f"no such binary: {args.lakecast}; cargo build --release --bin lakecast, or --lakecast PATH")
    python = peer_python()
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(python, [str(python), __file__, *sys.argv[1:]])
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=spawn) as scorer:
        runs = Runs(args, folder, scorer)
        machine(args.profile)
        for name in chosen:
            tables[name](runs)


if __name__ == "__main__":
    main()

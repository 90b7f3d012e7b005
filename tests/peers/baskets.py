"""Borgelt's fpgrowth, Spark MLlib and lakecast on the same baskets in one run: the tables that README shows.

  python3 tests/peers/baskets.py [--rows speed,rules,spark,memory,guards] [--million] [--ten-million] [--lakecast PATH] [--json PATH]

The peers come from PyPI into a virtual environment below the target folder: pyspark (it needs Java 17) and the C sources of
pyfim, which `baskets/fpgrowth.c` runs as Borgelt's own program does. Generated sets are kept beside them. Itemsets and rules are
compared with reference.json of each shared set.

speed     CPU seconds on one core from baskets in memory to itemsets: of Borgelt to a text file, of lakecast's `mining_peer` bench
          to Arrow arrays. Of each the best of `--rounds`; wall time of two threads over one where one takes half a second.
          Borgelt's code leaves out itemsets made only of items that every basket holds (15 of connect10k, 1 of mushroom).
rules     rules with one item on the right at confidence 0.3 a CPU second, from itemsets in memory: of Borgelt what his run with
          rules takes longer than that with itemsets, text in a file; of lakecast with every measure, in Arrow arrays.
spark     `lakecast run` of a job that reads Parquet and publishes itemsets and rules (confidence 0.3), the whole process, against
          MLlib in local[2] with two partitions, its baskets in memory: JVM start, load and warm-up are not counted, nor is
          anything written. `--million` adds the million baskets, on which Spark takes minutes and 13 GB.
memory    the same command with less memory, on ten million baskets (`--ten-million`), and with one very long basket.
guards    runs that must be refused, or end well, within limits of time and memory.
"""
import argparse, functools, json, os, platform, re, subprocess, sys, tempfile, time
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent / "baskets"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "lakecast-peers-baskets"
GENERATED = TARGET / "lakecast-peers-data"
PACKAGES = ["pyspark==4.3.0", "pyarrow", "numpy"]
PYFIM = "pyfim==6.28"
CONFIDENCE = 0.3

# must and goal: CPU seconds over Borgelt's
Speed = namedtuple("Speed", "set min_count must goal")
SPEED = [
    Speed("retail", 89, 0.8, 0.45), Speed("retail", 9, 0.8, 0.45),
    Speed("t10i4d100k", 100, 0.8, 0.5), Speed("t10i4d100k", 10, 0.8, 0.5),
    Speed("onlineretail", 100, 0.8, 0.5), Speed("onlineretail", 60, 0.8, 0.5),
    Speed("completejourney", 78, 0.8, 0.4), Speed("completejourney", 16, 0.8, 0.4),
    Speed("bms1", 42, 1.2, 0.8), Speed("chess", 1918, 1.2, 0.8),
    Speed("mushroom", 813, 1.2, 0.8), Speed("connect10k", 9500, 1.2, 0.8),
    Speed("quest1m", 200, 0.8, 0.6),
]
THREADS_MUST, THREADS_GOAL, THREADS_FROM = 0.6, 0.52, 0.5  # wall of two threads over one, if one takes so many seconds

RULES = [("retail", 9), ("t10i4d100k", 10), ("chess", 1918), ("bms1", 36)]
RULES_MUST, RULES_GOAL = 3, 10  # million a second of one core

# must: times the CPU seconds that Spark may take; None: it is enough to finish
Spark = namedtuple("Spark", "set min_count must")
SPARK = [
    Spark("retail", 89, 60), Spark("t10i4d100k", 100, 100), Spark("completejourney", 78, 100), Spark("quest1m", 200, 100),
    Spark("onlineretail", 100, None), Spark("bms1", 42, None),
]
SPARK_GOAL, SPARK_MEMORY = 150, 20  # times the CPU seconds, times the memory
WRONG = "WRONG, not"
SPARK_STACK = "256m"  # what Spark needs where its default overflows

QUEST = ["--t", 10, "--i", 4, "--n", 20000, "--l", 20000, "--zipf", 0.8, "--noise", 0.3, "--seed", 7]
SIZES = {"quest1m": 1_000_000, "quest10m": 10_000_000}

# seconds, mib: limits; refused: the number that the message must state, OVER for any above max_itemsets, None if the run must end
Guard = namedtuple("Guard", "set min_count max_itemsets seconds mib refused")
OVER = "over"
GUARDS = [
    Guard("onlineretail", 40, 1_000_000, 5, 300, 12_198_487),
    Guard("onlineretail", 20, 5_000_000, 60, 300, OVER),
    Guard("connect10k", 5000, 5_000_000, 60, 300, OVER),
    Guard("long_basket", 1, 5_000_000, 60, 300, OVER),
    Guard("all_equal", 5000, 5_000_000, 60, 300, OVER),
    Guard("all_unique", 2, 5_000_000, 60, 300, None),
]
GUARD_MEMORY = "256MiB"

say = lambda *words: print("#", *words, file=sys.stderr, flush=True)


def command(*words, **given):
    """Runs what must work; its output."""
    ran = subprocess.run([str(word) for word in words], capture_output=True, text=True, **given)
    if ran.returncode:
        sys.exit(f"failed: status={ran.returncode}, command={words}\n{ran.stdout[-500:]}{ran.stderr[-2000:]}")
    return ran.stdout


@functools.cache
def python():
    """The interpreter of the environment with the peers."""
    found = VENV / "bin/python"
    if not found.exists() or subprocess.run([found, "-c", "import pyspark, pyarrow, numpy"], stderr=subprocess.DEVNULL).returncode:
        say("installs", *PACKAGES)
        command(sys.executable, "-m", "venv", VENV)
        command(found, "-m", "pip", "install", "--quiet", *PACKAGES)
    return found


def step(name, timeout=None, **given):
    """A step of baskets/peers.py in a process of its own; {"error": ..} if it fails."""
    try:
        ran = subprocess.run([python(), HERE / "peers.py", name, json.dumps(given)], capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"over {timeout} s"}
    if ran.returncode == 0:
        return json.loads(ran.stdout.splitlines()[-1])
    lines = [line.strip() for line in ran.stderr.splitlines() if line.strip()] or ["no output"]
    hints = [line for line in lines if "StackOverflow" in line or "OutOfMemory" in line] or lines[-1:]
    return {"error": hints[0][:100]}


def must_work(found):
    return sys.exit(f"failed: {found['error']}") if "error" in found else found


@functools.cache
def fpgrowth():
    """Borgelt's fpgrowth, compiled from the sources of pyfim."""
    binary, sources = GENERATED / "fpgrowth", GENERATED / PYFIM.replace("==", "-")
    ours = [HERE / "fpgrowth.c", HERE / "scanner.h"]
    if binary.exists() and binary.stat().st_mtime > max(path.stat().st_mtime for path in ours):
        return binary
    if not sources.exists():
        GENERATED.mkdir(parents=True, exist_ok=True)
        command(python(), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", GENERATED, PYFIM)
        command("tar", "xzf", f"{sources}.tar.gz", "-C", GENERATED)
    folders = [sources / name / "src" for name in ("util", "math", "tract", "apriori", "fpgrowth")]
    files = [file for folder in folders for file in folder.glob("*.c") if file.name not in ("apriori.c", "fpgpsp.c")]
    # Macros as in pyfim's setup.py, but for those that leave out names and ask Python whether to stop.
    macros = ["NDEBUG", "IDMAPFN", "TATREEFN", "TA_SURR", "ISR_PATSPEC", "ISR_CLOMAX"]
    command("cc", "-std=gnu99", "-O3", "-w", *(f"-D{macro}" for macro in macros), *(f"-I{f}" for f in [HERE, *folders]),
            "-o", binary, HERE / "fpgrowth.c", *files, "-lm")
    return binary


@functools.cache
def bench(name, profile):
    """The binary of a bench of udfs, built; None if there is no such bench."""
    if not (ROOT / f"udfs/benches/{name}.rs").exists():
        return None
    said = command("cargo", "bench", "--profile", profile, "-p", "lakecast-udfs", "--bench", name, "--no-run", "--message-format",
                   "json", cwd=ROOT)
    built = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return next(b["executable"] for b in built if b.get("executable") and b["target"]["name"] == name)


def measured(words, timeout=None):
    """A process: what it says, status, wall and CPU seconds, peak MiB."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        words = ["timeout", str(timeout), *words] if timeout else words
        process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=errors, text=True)
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        wall = time.perf_counter() - start
        errors.seek(0)
        return {"said": said, "errors": errors.read(), "status": status, "wall": wall, "cpu": used.ru_utime + used.ru_stime,
                "peak_mib": used.ru_maxrss / 1024}


class Runs:
    """Measurements, each made once."""

    def __init__(self, args, folder):
        self.args, self.folder, self.shared = args, Path(folder), Path(args.shared).resolve()
        self.directory, self.baskets, self.spark, self.borgelt, self.ours, self.lakecast = map(
            functools.cache, (self.find_directory, self.write_baskets, self.run_spark, self.run_borgelt, self.run_ours, self.best_run))
        self.tables = {}

    def find_directory(self, set):
        """The folder with the set's transactions.parquet, generated if it is not a shared one."""
        if (self.shared / "data" / set).exists():
            return self.shared / "data" / set
        folder = GENERATED / set
        if (folder / "transactions.parquet").exists():
            return folder
        say("generates", set)
        if set in SIZES:
            part = GENERATED / f"{set}.part"
            say(command(python(), self.shared / "bench/gen_quest.py", part, "--d", SIZES[set], *QUEST).strip())
            part.rename(folder)
        elif set.startswith("retail+"):
            must_work(step("with_long_basket", directory=str(self.directory("retail")), out=str(folder), items=int(set.split("+")[1])))
        else:
            must_work(step("odd", shape=set, out=str(folder)))
        return folder

    def write_baskets(self, set):
        path = self.folder / f"{set}.i32"
        must_work(step("baskets", directory=str(self.directory(set)), out=str(path)))
        return path

    def expected(self, set, min_count):
        """Itemsets and rules by reference.json, None where it says nothing."""
        path = self.directory(set) / "reference.json"
        levels = json.loads(path.read_text())["levels"] if path.exists() else []
        level = next((level for level in levels if level["min_count"] == min_count), {})
        rules = next((r for r in level.get("rules", []) if float(r["min_confidence"]) == CONFIDENCE), {})
        return level.get("itemsets"), rules.get("single_consequent", {}).get("rules")

    def run_borgelt(self, set, min_count, rules=False):
        say("Borgelt", set, min_count, "rules" if rules else "")
        asked = [100 * CONFIDENCE] if rules else []
        ran = measured([fpgrowth(), self.baskets(set), min_count, self.folder / "itemsets.txt", self.args.rounds, *asked])
        (self.folder / "itemsets.txt").unlink(missing_ok=True)
        if ran["status"]:
            sys.exit(f"failed: fpgrowth, set={set}, {ran['errors']}")
        return json.loads(ran["said"]) | {"peak_mib": ran["peak_mib"]}

    def run_ours(self, set, min_count, threads, rules=False):
        """`mining_peer` on the same file of baskets: {"itemsets", "cpu", "wall"}, and for rules {"rules", "rules_cpu"}."""
        binary = bench("mining_peer", self.args.profile)
        if not binary:
            return None
        say("lakecast", set, min_count, "threads", threads, "rules" if rules else "")
        asked = ["--confidence", CONFIDENCE] if rules else []
        ran = measured([binary, "--baskets", self.baskets(set), "--min-count", min_count, "--threads", threads,
                        "--rounds", self.args.rounds, *asked])
        if ran["status"]:
            sys.exit(f"failed: mining_peer, set={set}, {ran['errors']}")
        lines = [line for line in ran["said"].splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) | {"peak_mib": ran["peak_mib"]}

    def run_spark(self, set, min_count, stack=None):
        say("Spark", set, min_count, f"with -Xss{stack}" if stack else "")
        rounds = 1 if set in SIZES else self.args.spark_rounds
        return step("spark", timeout=3600, directory=str(self.directory(set)), min_count=min_count, confidence=CONFIDENCE, threads=2,
                    memory=self.args.spark_memory, stack=stack, rounds=rounds)

    def job(self, set, min_count, max_itemsets, outputs):
        """A job over the set; JSON is YAML."""
        sys.path.insert(0, str(HERE))
        from peers import rules_of
        kept = {"greater": lambda c, v: f"{c} > {v}", "not_starts_with": lambda c, v: f"{c} NOT LIKE '{v}%'"}
        where = " AND ".join(kept[op](column, value) for column, op, value in rules_of(self.directory(set)))
        call = f"(TABLE(sold), basket => transaction_id, item => item, min_support => {min_count}"
        call += f", max_itemsets => {max_itemsets}" if max_itemsets else ""
        sql = {"itemsets": f"SELECT * FROM frequent_itemsets{call})",
               "rules": f"SELECT * FROM association_rules{call}, min_confidence => {CONFIDENCE})"}
        return json.dumps({
            "name": "baskets",
            "tables": {"lines": {"location": str(self.directory(set) / "transactions.parquet")}},
            "views": {"sold": "SELECT transaction_id, item FROM lines" + (f" WHERE {where}" if where else "")},
            "outputs": {name: {"location": f"{name}/", "sql": sql[name]} for name in outputs},
        })

    def run_lakecast(self, set, min_count, memory=None, max_itemsets=None, outputs=("itemsets", "rules"), timeout=3600):
        """One `lakecast run` into an empty lake, with its rows by output, or the message that it ends with."""
        say("lakecast run", set, min_count, memory or "", max_itemsets or "")
        with tempfile.TemporaryDirectory(dir=self.folder) as lake:
            (Path(lake) / "job.yaml").write_text(self.job(set, min_count, max_itemsets, outputs))
            words = [self.args.lakecast, "run", f"{lake}/job.yaml", "--run-date", "2026-01-01", "--quiet"]
            ran = measured(words + (["--memory", memory] if memory else []), timeout)
        if ran["status"] == 0:
            tables = json.loads(ran["said"].splitlines()[-1])["tables"]
            return ran | {table["output"]: table["rows"] for table in tables}
        return ran | {"error": next((line for line in ran["errors"].splitlines() if line.strip()), f"status {ran['status']}")}

    def best_run(self, set, min_count, memory=None):
        """The run that took the least CPU time."""
        rounds = 1 if set == "quest10m" else self.args.rounds
        runs = [self.run_lakecast(set, min_count, memory) for _ in range(rounds)]
        good = [run for run in runs if "error" not in run]
        return min(good, key=lambda run: run["cpu"]) if len(good) == len(runs) else next(run for run in runs if "error" in run)

    def show(self, name, title, columns, rows):
        """Prints a table and keeps it for `--json`."""
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)
        self.tables[name] = {"title": title, "columns": columns, "rows": rows}


def verdict(met_must, met_goal=False):
    return "goal met" if met_must and met_goal else "met" if met_must else "missed"


def seconds(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def checked(found, expected):
    """A number of rows, marked where it is not the known one."""
    return f"{found:,}" if expected in (None, found) else f"{found:,} {WRONG} {expected:,}"


def judged(cells):
    """A row of a table; where a number of rows is wrong, nothing is met."""
    return [*cells[:-1], "wrong"] if any(WRONG in cell for cell in cells) else cells


def speed_row(runs, row):
    itemsets, _ = runs.expected(row.set, row.min_count)
    theirs, ours = runs.borgelt(row.set, row.min_count), runs.ours(row.set, row.min_count, 1)
    cells = [row.set, f"{row.min_count:,}", f"{theirs['itemsets']:,}", seconds(theirs["cpu"])]
    if not ours:
        return cells + ["-", "-", f"{theirs['peak_mib']:,.0f} / -", "-", "-", f"{row.must}", f"{row.goal}", "missed"]
    ratio = ours["cpu"] / theirs["cpu"]
    both = "-"
    if ours["wall"] >= THREADS_FROM:
        part = runs.ours(row.set, row.min_count, 2)["wall"] / ours["wall"]
        both = f"{part:.2f}, {verdict(part <= THREADS_MUST, part <= THREADS_GOAL)}"
    cells += [checked(ours["itemsets"], itemsets or theirs["itemsets"]), seconds(ours["cpu"]),
              f"{theirs['peak_mib']:,.0f} / {ours['peak_mib']:,.0f}", both, f"{ratio:.2f}", f"{row.must}", f"{row.goal}"]
    return judged(cells + [verdict(ratio <= row.must, ratio <= row.goal)])


def speed(runs):
    rows = [speed_row(runs, row) for row in SPEED]
    runs.show("speed", "CPU seconds of one core, baskets in memory to itemsets (Borgelt: text in a file; lakecast: Arrow arrays):",
              ["set", "min count", "itemsets, Borgelt", "Borgelt s", "itemsets, lakecast", "lakecast s", "peak MiB, theirs / ours",
               f"two threads over one (must {THREADS_MUST}, goal {THREADS_GOAL})", "ratio", "must", "goal", ""], rows)


def rules_row(runs, set, min_count):
    _, known = runs.expected(set, min_count)
    theirs = runs.borgelt(set, min_count, True)
    longer = theirs["cpu"] - runs.borgelt(set, min_count)["cpu"]
    cells = [set, f"{min_count:,}", checked(theirs["rules"], known), f"{theirs['rules'] / longer / 1e6:.1f}" if longer > 0 else "-"]
    ours = runs.ours(set, min_count, 1, True)
    if not ours or "rules" not in ours:
        return cells + ["-", "-", "missed"]
    millions = ours["rules"] / ours["rules_cpu"] / 1e6
    return judged(cells + [checked(ours["rules"], known), f"{millions:.1f}", verdict(millions >= RULES_MUST, millions >= RULES_GOAL)])


def rules(runs):
    runs.show("rules", f"Million rules a CPU second, one item on the right, confidence {CONFIDENCE}, without mining:",
              ["set", "min count", "rules, Borgelt", "Borgelt", "rules, lakecast", f"lakecast (must {RULES_MUST}, goal {RULES_GOAL})", ""],
              [rules_row(runs, *row) for row in RULES])


def spark_row(runs, row):
    theirs, ours = runs.spark(row.set, row.min_count), runs.lakecast(row.set, row.min_count)
    note = ""
    if "error" in theirs and row.must is None:
        note = f" ({theirs['error'].split(':')[0].split('.')[-1]} by default, so with -Xss{SPARK_STACK})"
        theirs = runs.spark(row.set, row.min_count, SPARK_STACK)
    known = runs.expected(row.set, row.min_count)
    cells = [row.set + note, f"{row.min_count:,}"]
    if "error" in ours:
        return cells + [ours["error"]] + ["-"] * 8 + ["missed"]
    # Where there is no reference, the two must agree.
    counts = [checked(ours[name], expected or theirs.get(name)) for name, expected in zip(("itemsets", "rules"), known)]
    if "error" in theirs:
        peer = [theirs["error"], "-", "-"]
        return judged(cells + counts + peer + [seconds(ours["wall"]), seconds(ours["cpu"]), f"{ours['peak_mib']:,.0f}", "-", "-", "finished"])
    cpu, memory = theirs["cpu"] / ours["cpu"], theirs["peak_mib"] / ours["peak_mib"]
    must = row.must or 0
    enough = cpu >= must and (memory >= SPARK_MEMORY or not must)
    said = verdict(enough, cpu >= SPARK_GOAL and memory >= SPARK_MEMORY) if must else "finished"
    cells += [*counts, seconds(theirs["wall"]), f"{seconds(theirs['mining_cpu'])} + {seconds(theirs['cpu'] - theirs['mining_cpu'])}",
              f"{theirs['peak_mib']:,.0f}", seconds(ours["wall"]), seconds(ours["cpu"]), f"{ours['peak_mib']:,.0f}",
              f"{cpu:.0f} ({must or '-'})", f"{memory:.0f} ({SPARK_MEMORY})"]
    return judged(cells + [said])


def spark(runs):
    rows = [spark_row(runs, row) for row in SPARK if row.set not in SIZES or runs.args.million]
    runs.show("spark", f"Itemsets and rules (confidence {CONFIDENCE}): Spark local[2], counted, against the whole of `lakecast run`, published:",
              ["set", "min count", "itemsets", "rules", "Spark wall s", "Spark CPU s, mining + rules", "Spark peak MiB", "lakecast wall s",
               "lakecast CPU s", "lakecast peak MiB", f"CPU ratio (must; goal {SPARK_GOAL})", "memory ratio (must)", ""], rows)


def memory_row(what, must, ours, base=None, mib=None, times=None):
    """`ours` against `base`, the run without what makes it hard: at most `times` the wall time, and `mib` of memory."""
    if error := next((run["error"] for run in (ours, base) if run and "error" in run), None):
        return [what, error, "-", "-", "-", "-", must, "missed"]
    wall, cpu = ((ours[kind] / base[kind]) if base else 0 for kind in ("wall", "cpu"))
    met = (mib is None or ours["peak_mib"] <= mib) and (times is None or wall <= times)
    return [what, f"{ours['itemsets']:,}", f"{ours['rules']:,}", seconds(ours["wall"]), f"{ours['peak_mib']:,.0f}",
            f"{wall:.2f} / {cpu:.2f}" if base else "-", must, verdict(met) if must != "-" else "-"]


def memory(runs):
    million, plain = runs.lakecast("quest1m", 200), runs.lakecast("retail", 89)
    rows = [memory_row("a million baskets, count 200", "-", million),
            memory_row("the same, `--memory 256MiB`", "256 MiB, 3 times the time", runs.lakecast("quest1m", 200, "256MiB"), million, 256, 3)]
    if runs.args.ten_million:
        ten = runs.lakecast("quest10m", 2000, "4GiB")
        rows.append(memory_row("ten million baskets, count 2,000, `--memory 4GiB`", "4096 MiB", ten, mib=4096))
    else:
        say("no row for ten million baskets: give --ten-million")
    long = runs.lakecast("retail+10000", 89)
    rows += [memory_row("retail, count 89", "-", plain),
             memory_row("the same and one basket of 10,000 items", "twice the time", long, plain, times=2)]
    runs.show("memory", "`lakecast run`, Parquet to published itemsets and rules, in little memory and with a long basket:",
              ["", "itemsets", "rules", "wall s", "peak MiB", "wall / CPU, times the row above", "must", ""], rows)


def guard_row(runs, row):
    ran = runs.run_lakecast(row.set, row.min_count, GUARD_MEMORY, row.max_itemsets, ("itemsets",), timeout=600)
    error = ran.get("error")
    numbers = [int(digits) for digits in re.findall(r"\d+", re.sub(r"(?<=\d)[,_](?=\d{3})", "", error or ""))]
    over = any(number > row.max_itemsets for number in numbers)
    right = {None: error is None, OVER: over}.get(row.refused, row.refused in numbers)
    met = right and ran["wall"] <= row.seconds and ran["peak_mib"] <= row.mib
    said = error.replace("|", "\\|") if error else f"{ran['itemsets']:,} itemsets"
    must = f"{'ends' if row.refused is None else 'refused'}, {row.seconds} s, {row.mib} MiB"
    return [row.set, f"{row.min_count:,}", f"{row.max_itemsets:,}", f"{ran['wall']:.2f}", f"{ran['peak_mib']:,.0f}", said, must, verdict(met)]


def guards(runs):
    runs.show("guards", f"Runs over the limit, `lakecast run --memory {GUARD_MEMORY}`:",
              ["set", "min count", "max_itemsets", "wall s", "peak MiB", "outcome", "must", ""], [guard_row(runs, row) for row in GUARDS])


def machine(args):
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    said = (f"{os.cpu_count()} cores, {cpu}, load {os.getloadavg()[0]:.1f}; {PYFIM}, {PACKAGES[0]}, heap {args.spark_memory}; "
            f"lakecast's benches in profile `{args.profile}`.")
    print(said, flush=True)
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="speed,rules,spark,memory,guards", help="tables to print")
    parser.add_argument("--sets", help="only these sets of speed and spark, as a,b")
    parser.add_argument("--million", action="store_true", help="the million baskets in spark too")
    parser.add_argument("--ten-million", action="store_true", help="ten million baskets in memory too")
    parser.add_argument("--lakecast", type=Path, default=TARGET / "release/lakecast", help="binary; default: the release build")
    parser.add_argument("--shared", default=os.environ.get("LAKECAST_SHARED", ROOT.parent / "shared"), help="folder with data/ and bench/")
    parser.add_argument("--profile", default="bench", help="cargo profile of the benches")
    parser.add_argument("--rounds", type=int, default=3, help="runs of Borgelt and of lakecast, of which the best counts")
    parser.add_argument("--spark-rounds", type=int, default=2, help="runs of Spark in one JVM, of which the best counts")
    parser.add_argument("--spark-memory", default="12g", help="heap of Spark")
    parser.add_argument("--json", type=Path, help="file for the tables as JSON")
    args = parser.parse_args()
    tables = {"speed": speed, "rules": rules, "spark": spark, "memory": memory, "guards": guards}
    chosen = args.rows.split(",")
    if unknown := set(chosen) - set(tables):
        parser.error(f"unknown rows: {sorted(unknown)}, known: {list(tables)}")
    if set(chosen) - {"speed", "rules"} and not args.lakecast.exists():
        parser.error(f"no such binary: {args.lakecast}; cargo build --release --bin lakecast, or --lakecast PATH")
    if args.sets:
        wanted = set(args.sets.split(","))
        for rows in (SPEED, SPARK):
            rows[:] = [row for row in rows if row.set in wanted]
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(args, folder)
        said = machine(args)
        for name in chosen:
            tables[name](runs)
        if args.json:
            args.json.write_text(json.dumps({"machine": said, "tables": runs.tables}, indent=1))


if __name__ == "__main__":
    main()

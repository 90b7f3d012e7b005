"""What a fleet costs on one machine: the M5 job in one process, and on fleets of 1 and 3 executors, over the same data.

  python3 tests/peers/fleet.py [--bin DIR] [--repeat 5]
  python3 tests/peers/fleet.py --skus 1000000 [--bin DIR] [--executors 1] [--partitions 64] [--memory 4GiB]

Two cores show overhead, not speed-up. Fleet and process may differ by 30 % of the time in one process plus 3 s. Times are the
best of some runs; the tables of every run are compared by rows and sum. With `--skus` one night over so many generated SKUs of
365 days is run on a fleet, and what every process took is told: figures for sizing.
"""
import argparse, json, os, re, socket, subprocess, tempfile, threading, time
from pathlib import Path

import million

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DATA = Path(os.environ.get("LAKECAST_SHARED", ROOT / "../shared")).resolve() / "data"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n".encode())
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return text


def ready(port):
    until = time.time() + 60
    while time.time() < until:
        try:
            if " 200 " in get(port, "/readyz").splitlines()[0]:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit("the fleet did not come up")


class Fleet:
    def __init__(self, bins, executors, dir, *flags):
        port, health = free_port(), free_port()
        self.url, self.processes = f"http://127.0.0.1:{port}", []
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        start = lambda *command: self.processes.append(subprocess.Popen([str(c) for c in command], **quiet))
        start(bins / "lakecast-scheduler", "--allow-local", f"--bind=127.0.0.1:{port}", f"--health=127.0.0.1:{health}")
        probes = []
        for i in range(executors):
            own = [free_port() for _ in range(3)]
            start(bins / "lakecast-executor", "--allow-local", f"--scheduler=127.0.0.1:{port}", f"--port={own[0]}",
                  f"--grpc-port={own[1]}", f"--health=127.0.0.1:{own[2]}", f"--work-dir={dir}/executor-{i}",
                  f"--vcores={max(1, (os.cpu_count() or 2) // executors)}", "--heartbeat-seconds=1", *flags)
            probes.append(own[2])
        self.probes = probes
        for probe in probes:
            ready(probe)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def used(process):
    """CPU seconds and peak MiB of a process that runs."""
    stat = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), int(peak[1]) / 1024


def disk_mib(folders):
    files = (f for folder in folders for f in Path(folder).rglob("*"))
    total = 0
    for f in files:
        try:
            total += f.stat().st_blocks * 512
        except OSError:
            pass
    return total / 2**20


def metric(port, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in get(port, "/metrics").splitlines() if re.match(name + r"[ {]", line))


def sizing(args):
    with tempfile.TemporaryDirectory() as dir:
        (Path(dir) / "million.yaml").write_text(million.JOB)
        generate = ["generate", "--skus", args.skus, "--days", 365, "--baskets", 0, "--out", f"{dir}/market"]
        subprocess.run([str(c) for c in [args.bin / "lakecast", *generate]], check=True, stdout=subprocess.DEVNULL)
        fleet = Fleet(args.bin, args.executors, f"{dir}/fleet", f"--memory={args.memory}")
        folders = [f"{dir}/fleet/executor-{i}" for i in range(args.executors)]
        peak, over = [0.0], threading.Event()

        def watch():
            while not over.wait(0.5):
                peak[0] = max(peak[0], disk_mib(folders))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            command = [args.bin / "lakecast", "run", f"{dir}/million.yaml", "--run-date", "2026-11-22", "--quiet", "--partitions", args.partitions]
            started = time.perf_counter()
            controller = subprocess.Popen([str(c) for c in [*command, "--scheduler", fleet.url]], stdout=subprocess.PIPE, text=True)
            said = controller.stdout.read()
            _, status, rusage = os.wait4(controller.pid, 0)
            wall = time.perf_counter() - started
            assert status == 0, said
            table = json.loads(said.splitlines()[-1])["tables"][0]
            assert table["groups_in"] == args.skus, table
            spilled = sum(metric(p, "lakecast_spilled_bytes_total") for p in fleet.probes)
            rest = [used(p) for p in fleet.processes]
        finally:
            over.set()
            watcher.join()
            fleet.stop()
        cpu = rusage.ru_utime + rusage.ru_stime + sum(c for c, _ in rest)
        print(f"| {args.skus:,} SKUs, 365 days, {args.executors} executor(s), {args.partitions} partitions, --memory={args.memory} | |\n|---|---|")
        for what, value in [
            ("wall s", f"{wall:.0f}"), ("CPU s of all processes", f"{cpu:.0f}"), ("SKUs per CPU s", f"{args.skus / cpu:,.0f}"),
            ("shuffle files, MiB at most", f"{peak[0]:,.0f}"), ("spilled MiB in sum", f"{spilled / 2**20:,.0f}"),
            ("peak MiB of each executor", ", ".join(f"{m:,.0f}" for _, m in rest[1:])),
            ("peak MiB of the scheduler", f"{rest[0][1]:,.0f}"), ("peak MiB of the controller", f"{rusage.ru_maxrss / 1024:,.0f}"),
        ]:
            print(f"| {what} | {value} |")


def night(bins, out, *more):
    job = ROOT / "jobs/examples/m5.yaml"
    command = [bins / "lakecast", "run", job, "--run-date", "2016-05-22", "--quiet", "--set", f"data={DATA}", "--set", f"out={out}"]
    started = time.perf_counter()
    said = subprocess.run([str(c) for c in [*command, *more]], check=True, capture_output=True, text=True).stdout
    took = time.perf_counter() - started
    table = json.loads(said.splitlines()[-1])["tables"][0]
    query = "SELECT count(*) AS n, sum(CAST(round(yhat * 1e6) AS BIGINT)) AS s FROM t"  # whole numbers: no order changes their sum
    sums = [str(bins / "lakecast"), "sql", "--format", "csv", "--table", f"t={table['location']}", "-c", query]
    return took, subprocess.run(sums, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=TARGET / "release", help="folder of the three binaries; default: release build")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--skus", type=int, help="run one night over so many SKUs instead")
    parser.add_argument("--executors", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--memory", default="4GiB", help="of each executor")
    args = parser.parse_args()
    if args.skus:
        return sizing(args)
    with tempfile.TemporaryDirectory() as dir:
        def best(name, *more):
            runs = [night(args.bin, f"{dir}/{name}-{i}", *more) for i in range(args.repeat)]
            return min(took for took, _ in runs), {sums for _, sums in runs}
        here, rows = best("here")
        print("| M5, 15,240 series | wall s | over one process | allowed |\n|---|---|---|---|")
        print(f"| in one process | {here:.2f} | | |")
        for executors in (1, 3):
            fleet = Fleet(args.bin, executors, f"{dir}/fleet-{executors}")
            try:
                there, theirs = best(f"fleet-{executors}", "--scheduler", fleet.url)
            finally:
                fleet.stop()
            assert theirs == rows, (theirs, rows)
            print(f"| {executors} executor{'s' * (executors > 1)} | {there:.2f} | {there - here:+.2f} | {0.3 * here + 3:.2f} |")


if __name__ == "__main__":
    main()

"""Steps of baskets.py that need libraries, each in a process of its own, so that what is measured starts from a small one.

  python peers.py STEP '{"argument": value, ..}'

The last line that it prints is JSON.
"""
import json, os, sys, time
from pathlib import Path


def read(directory):
    """Transaction and item of every line that counts, with the filter of the set's filter.json."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    table = pq.read_table(Path(directory) / "transactions.parquet")
    for column, op, value in rules_of(directory):
        if op == "greater":
            table = table.filter(pc.greater(table[column], value))
        else:
            table = table.filter(pc.invert(pc.starts_with(table[column], value)))
    return table.select(["transaction_id", "item"])


def rules_of(directory):
    """What a line must fulfil to count: (column, greater | not_starts_with, value)."""
    path = Path(directory) / "filter.json"
    rows = json.loads(path.read_text())["keep_rows_where"] if path.exists() else []
    return [(row["column"], row["op"], row["value"]) for row in rows]


def codes(column):
    return column.combine_chunks().dictionary_encode().indices.to_numpy().astype("int64")


def baskets(directory, out):
    """The set as 32-bit integers: for each basket its length and its items, each once."""
    import numpy as np
    table = read(directory)
    transactions, items = codes(table["transaction_id"]), codes(table["item"])
    n_items = int(items.max()) + 1
    pairs = np.unique(transactions * n_items + items)
    transactions, items = pairs // n_items, pairs % n_items
    lengths = np.bincount(transactions)
    values = np.insert(items, np.cumsum(lengths) - lengths, lengths).astype("int32")
    values.tofile(out)
    return {"baskets": len(lengths), "pairs": len(items)}


def write(out, transactions, items):
    import pyarrow as pa
    import pyarrow.parquet as pq
    Path(out).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"transaction_id": transactions, "item": items}), Path(out) / "transactions.parquet")
    return {"rows": len(items)}


def with_long_basket(directory, out, items):
    """The set and one more basket, which holds the first `items` items: known ones as long as there are any."""
    import numpy as np
    table = read(directory)
    transactions, known = (table[name].to_numpy() for name in ("transaction_id", "item"))
    long = np.unique(known)[:items]
    long = np.concatenate([long, known.max() + 1 + np.arange(items - len(long))]).astype(known.dtype)
    added = np.full(items, transactions.max() + 1, transactions.dtype)
    return write(out, np.concatenate([transactions, added]), np.concatenate([known, long]))


def odd(shape, out):
    """Sets on which miners break."""
    import numpy as np
    if shape == "long_basket":  # one basket of 100,000 items among 1,000 of 10
        lengths, items = [100_000] + [10] * 1000, [np.arange(100_000)] + [np.arange(10) + i for i in range(1000)]
    elif shape == "all_equal":  # 10,000 times the same 40 items
        lengths, items = [40] * 10_000, [np.arange(40)] * 10_000
    else:  # all_unique: 200,000 baskets of 5 items that occur once
        lengths, items = [5] * 200_000, [np.arange(1_000_000)]
    return write(out, np.repeat(np.arange(len(lengths)), lengths), np.concatenate(items).astype("int32"))


def jvm(pid, peak=False):
    """CPU seconds of a process, or its peak memory in MiB."""
    if peak:
        line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spark(directory, min_count, confidence, threads, memory, stack, rounds):
    """MLlib's FPGrowth on baskets cached in memory, counted and not written; JVM start, load and a warm-up are not timed.

    Of each round, mining is fit() and a full pass over freqItemsets, rules a full pass over associationRules. The round that
    took the least CPU time counts.
    """
    from pyspark.ml.fpm import FPGrowth
    from pyspark.sql import SparkSession, functions as F
    conf = {"spark.driver.memory": memory, "spark.ui.enabled": "false", "spark.driver.maxResultSize": "0",
            "spark.sql.shuffle.partitions": str(max(2 * threads, 8))}
    if stack:
        conf["spark.driver.extraJavaOptions"] = f"-Xss{stack}"
    session = SparkSession.builder.master(f"local[{threads}]").appName("baskets").config(map=conf).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    pid = int(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
    tiny = session.createDataFrame([(["a", "b"],), (["a"],), (["b", "a"],)], ["items"])
    warm = FPGrowth(itemsCol="items", minSupport=0.5).fit(tiny)
    warm.freqItemsets.count(), warm.associationRules.count()

    lines = session.read.parquet(str(Path(directory) / "transactions.parquet"))
    for column, op, value in rules_of(directory):
        lines = lines.where(F.col(column) > value if op == "greater" else ~F.col(column).startswith(value))
    grouped = lines.groupBy("transaction_id").agg(F.collect_set("item").alias("items"))
    data = grouped.select("items").repartition(threads).cache()
    n = data.count()

    def timed(step):
        start, cpu = time.perf_counter(), jvm(pid)
        value = step()
        return value, time.perf_counter() - start, jvm(pid) - cpu

    def one_round():
        miner = FPGrowth(itemsCol="items", minSupport=(min_count - 0.5) / n, minConfidence=confidence, numPartitions=threads)
        models = []

        def mine():
            models.append(miner.fit(data))
            return models[0].freqItemsets.cache().count()

        itemsets, wall, cpu = timed(mine)
        rules, rules_wall, rules_cpu = timed(lambda: models[0].associationRules.count())
        models[0].freqItemsets.unpersist()
        return {"itemsets": itemsets, "rules": rules, "wall": wall + rules_wall, "cpu": cpu + rules_cpu, "mining_cpu": cpu}

    found = min((one_round() for _ in range(rounds)), key=lambda r: r["cpu"])
    found |= {"baskets": n, "peak_mib": jvm(pid, peak=True)}
    session.stop()
    return found


STEPS = {step.__name__: step for step in (baskets, with_long_basket, odd, spark)}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](**json.loads(sys.argv[2]))))

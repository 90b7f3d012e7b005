"""Golden values of the rule measures.  In: mlxtend, mpmath, a list of counts. Out: udfs/src/baskets/metrics_golden.csv.

Run: python rule_measures.py > ../../udfs/src/baskets/metrics_golden.csv
mlxtend 0.25.0 has no odds ratio, phi, chi-squared, imbalance ratio, all- and max-confidence, added value and Fisher's p; these
are written from their definitions, in exact fractions, as are mlxtend's own measures again; the script says on stderr where the two
differ (once: a cancellation in mlxtend). Fisher's p is summed in 60 digits of mpmath. Certainty below 0 follows Berzal et al. 2002, not
mlxtend, which divides by the consequent's absence there too.
"""

import sys
from fractions import Fraction as F

import mlxtend
import mpmath
import pandas as pd
from mlxtend.frequent_patterns import association_rules

mpmath.mp.dps = 60
COUNTS = [  # both, antecedent, consequent, baskets
    (3, 4, 5, 10), (1, 9, 9, 17), (4, 4, 7, 12), (7, 12, 7, 12), (5, 5, 5, 5), (5, 5, 5, 9), (1, 5, 5, 9), (30, 100, 300, 1000),
    (29, 100, 300, 1000), (31, 100, 300, 1000), (88, 500, 700, 88162), (2000, 2300, 2500, 3196), (1918, 1950, 3100, 3196),
    (12, 12, 40, 10**6), (900, 30_000, 31_000, 10**6), (1200, 30_000, 31_000, 10**6), (1, 1000, 1000, 10**9),
    (2000, 1_000_000, 1_500_000, 10**9), (1_600, 1_000_000, 1_500_000, 10**9), (1_500, 1_000_000, 1_500_000, 10**9),
    (1_450, 1_000_000, 1_500_000, 10**9), (250_100_000, 500_000_000, 500_000_000, 10**9),
    (250_500_000, 500_000_000, 500_000_000, 10**9), (8, 10**9 - 5, 10, 10**9), (10, 10**9 - 5, 10, 10**9),
]


def fisher(k, x, y, n):
    """P(X >= k)."""
    low, high = max(0, x + y - n), min(x, y)
    if k <= low:
        return mpmath.mpf(1)
    log_comb = lambda a, b: mpmath.loggamma(a + 1) - mpmath.loggamma(b + 1) - mpmath.loggamma(a - b + 1)
    below = k * n < x * y  # then the other side is shorter
    k = k - 1 if below else k
    term = mpmath.exp(log_comb(y, k) + log_comb(n - y, x - k) - log_comb(n, x))
    total = mpmath.mpf(0)
    while low <= k <= high and term > 0:
        total += term
        if term < total * mpmath.mpf(10) ** -30:
            break
        if below:
            term = term * (k * (n - x - y + k)) / ((x - k + 1) * (y - k + 1))
            k -= 1
        else:
            term = term * ((x - k) * (y - k)) / ((k + 1) * (n - x - y + k + 1))
            k += 1
    return 1 - total if below else total


def over(a, b, limit):
    return F(a, b) if b else limit


def measures(k, x, y, n):
    e, inf = k * n - x * y, float("inf")
    spread = x * y * (n - x) * (n - y)
    odds = 1 if n in (x, y) else over(k * (n - x - y + k), (x - k) * (y - k), inf)
    return {
        "support": F(k, n), "confidence": F(k, x), "lift": F(k * n, x * y), "leverage": F(e, n * n),
        "conviction": over(x * (n - y), n * (x - k), inf),
        "zhang": over(e, max(k * (n - x), x * (y - k)), 0),
        "jaccard": F(k, x + y - k), "cosine": mpmath.mpf(k) / mpmath.sqrt(x * y),
        "kulczynski": (F(k, x) + F(k, y)) / 2, "imbalance_ratio": F(abs(x - y), x + y - k),
        "all_confidence": F(k, max(x, y)), "max_confidence": F(k, min(x, y)), "added_value": F(k, x) - F(y, n),
        "certainty": over(e, x * (y if e < 0 else n - y), 0), "odds_ratio": odds,
        "phi": mpmath.mpf(e) / mpmath.sqrt(spread) if spread else 0, "chi_squared": over(n * e * e, spread, 0),
        "fisher_p": fisher(k, x, y, n),
    }


def check_against_mlxtend(k, x, y, n, ours):
    sets = pd.DataFrame({"itemsets": [frozenset("x"), frozenset("y"), frozenset("xy")], "support": [x / n, y / n, k / n]})
    rules = association_rules(sets, metric="support", min_threshold=0.0)
    row = rules[rules.antecedents == frozenset("x")].iloc[0]
    for theirs, name in [("support", "support"), ("confidence", "confidence"), ("lift", "lift"), ("leverage", "leverage"),
                         ("conviction", "conviction"), ("zhangs_metric", "zhang"), ("jaccard", "jaccard"),
                         ("kulczynski", "kulczynski"), ("certainty", "certainty")]:
        if name == "certainty" and ours[name] < 0:
            continue
        if not abs(float(ours[name]) - row[theirs]) <= 1e-12 + 1e-9 * abs(row[theirs]) and float(ours[name]) != row[theirs]:
            print(f"differs: {name} of {(k, x, y, n)}: {float(ours[name])} mlxtend {row[theirs]}", file=sys.stderr)


print(f"# mlxtend {mlxtend.__version__}, mpmath {mpmath.__version__}, tests/peers/rule_measures.py")
print("n_both,n_antecedent,n_consequent,n_baskets," + ",".join(measures(3, 4, 5, 10)))
for counts in COUNTS:
    values = measures(*counts)
    check_against_mlxtend(*counts, values)
    number = lambda v: repr(float(v)) if not isinstance(v, mpmath.mpf) else mpmath.nstr(v, 20)
    print(",".join(map(str, counts)) + "," + ",".join(map(number, values.values())))

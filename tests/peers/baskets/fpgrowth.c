/* Borgelt's fpgrowth on baskets in memory, as his program runs it: the sources of PyPI's pyfim lack the reader of text that his
   own main needs.  In: a file of 32-bit integers, for each basket its length and its items.  Out: one line of JSON; the itemsets
   as text in a file.

     fpgrowth BASKETS MIN_COUNT OUTPUT ROUNDS [CONFIDENCE]

   With a confidence (percent) it is the rules with one item on the right that are written, as with its -tr -o -m2.
   The clock runs from baskets in memory to a closed file: items counted, recoded and sorted, equal baskets merged, trees built,
   itemsets written with their counts. Variant, packing of 16 items, pruning and order are his program's defaults. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "fpgrowth.h"

static void stop (const char *what) { fprintf(stderr, "fpgrowth: %s\n", what); exit(1); }

static int *load (const char *name, size_t *n)
{
  FILE *file = fopen(name, "rb");
  if (!file) stop("no such file of baskets");
  fseek(file, 0, SEEK_END);
  *n = (size_t)ftell(file) / sizeof(int);
  rewind(file);
  int *values = malloc(*n * sizeof(int) + 1);
  if (!values || fread(values, sizeof(int), *n, file) != *n) stop("cannot read the baskets");
  fclose(file);
  return values;
}

static TABAG *bag_of (ITEMBASE *base, const int *values, size_t n)
{
  TABAG *bag = tbg_create(base);
  if (!bag) stop("no memory");
  for (size_t at = 0; at < n; ) {
    int items = values[at++];
    for (ib_clear(base); items > 0; items--) {
      char name[16];
      snprintf(name, sizeof name, "%d", values[at++]);
      if (ib_add2ta(base, name) < 0) stop("no memory");
    }
    ib_finta(base, 1);
    if (tbg_addib(bag) < 0) stop("no memory");
  }
  return bag;
}

int main (int argc, char *argv[])
{
  if (argc != 5 && argc != 6) stop("usage: fpgrowth BASKETS MIN_COUNT OUTPUT ROUNDS [CONFIDENCE]");
  int rules = argc == 6;
  size_t n, found = 0;
  int *values = load(argv[1], &n);
  double best = -1;
  for (int round = atoi(argv[4]); round > 0; round--) {
    ITEMBASE *base = ib_create(0, 0);
    if (!base) stop("no memory");
    TABAG *bag = bag_of(base, values, n);
    clock_t start = clock();
    FPGROWTH *miner = fpg_create(rules ? ISR_RULES : ISR_ALL, -atof(argv[2]), 100, rules ? atof(argv[5]) : 80, rules ? 2 : 1,
                                 ITEM_MAX, RE_NONE, FPG_NONE, 10, FPG_COMPLEX,
                                 FPG_DEFAULT | FPG_PREFMT | (rules ? FPG_ORIGSUPP : 0));
    if (!miner || fpg_data(miner, bag, 0, 2)) stop("cannot prepare the baskets");
    ISREPORT *report = isr_create(base); /* which holds the names of the items that are left */
    if (!report || fpg_report(miner, report)) stop("cannot prepare the report");
    if (isr_setfmt(report, 0, "", " ", " <- ", " (%a)") || isr_open(report, NULL, argv[3]) || isr_setup(report) < 0)
      stop("cannot open the output");
    if (fpg_mine(miner, ITEM_MIN, 0)) stop("cannot mine");
    found = isr_repcnt(report);
    if (isr_close(report)) stop("cannot write the itemsets");
    double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (best < 0 || took < best) best = took;
    isr_delete(report, 0);
    fpg_delete(miner, 0);
    tbg_delete(bag, 0);
    ib_delete(base);
  }
  printf("{\"%s\": %zu, \"cpu\": %.6f}\n", rules ? "rules" : "itemsets", found, best);
  return 0;
}

/* What report.c asks of a header that PyPI's pyfim lacks: names of items are written as they are. */
#include <string.h>
static size_t scn_fmtlen (const char *name, size_t *length) { return *length = strlen(name); }
static size_t scn_format (char *buffer, const char *name, int quotes) { (void)quotes; return strlen(strcpy(buffer, name)); }

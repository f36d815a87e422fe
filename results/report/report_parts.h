/* Parts of the report (report.c) in files of their own. */
#ifndef LOCI_RESULTS_REPORT_PARTS_H
#define LOCI_RESULTS_REPORT_PARTS_H

#include "results/report/report.h"

extern const char REPORT_PAGE_STYLE[], REPORT_PAGE_SCRIPT[];

/* Text for HTML: < > & " are escaped. */
void html_text(FILE *out, const char *text);
/* <name class="class">text</name>; class "": none. */
void html_element(FILE *out, const char *name, const char *class, const char *text);

/* The pictures that were drawn, inside the page, each with what it shows and its script. */
bool report_plots(FILE *out, const plot_report *plots, err *e);

#endif

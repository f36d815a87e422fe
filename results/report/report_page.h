/* What the page looks like, and the script that sorts and copies its tables. */
#ifndef LOCI_RESULTS_REPORT_PAGE_H
#define LOCI_RESULTS_REPORT_PAGE_H

extern const char REPORT_PAGE_STYLE[], REPORT_PAGE_SCRIPT[];

#endif

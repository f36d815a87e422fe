/* What the page looks like, and the script that sorts and copies its tables. */
#pragma once

extern const char REPORT_PAGE_STYLE[], REPORT_PAGE_SCRIPT[];

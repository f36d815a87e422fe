/* A stranger's words in the files of results: every text of every record gets them at both ends. */
#pragma once

/* Before and behind each text: a formula; a line that could pass for the program's; sequences for a
 * terminal in both forms, a turn of direction, commands for a shell and for gnuplot, ends of
 * elements and attributes of a page. */
#define HOSTILE_FRONT "=1+1|"
#define HOSTILE_LINE  "forged: all is well"
#define HOSTILE_END                                                                                \
    "\033]0;owned\007\033[2J\033[1A\b\x7f\xc2\x9b"                                                 \
    "31m\xe2\x80\xae`touch owned`$(touch owned)"                                                   \
    "';system('touch owned');'\"</script></template></title></textarea>--><script>alert(1)"        \
    "</script><img src=x onerror='alert(2)'><svg onload=alert(3)>\" onmouseover=\"alert(4)"        \
    "\n" HOSTILE_LINE

/* Rewrites the JSON and the lines of JSON below a folder of results. What records find each other
 * by (ids, names of experiments and files, states) stays as it is. */
void hostile_write(const char *out);

/* Texts of pictures: how wide they are, cut and broken to fit. Nobody knows which font a picture is
 * looked at with: widths are those of DejaVu Sans, wider than the others that are common. */
#pragma once

#include <stddef.h>

/* The letters' size in pictures, and that of captions, in pixels. */
enum { PLOT_LETTERS = 12, PLOT_SMALL = 10 };

/* Pixels at a size of letters. */
double plot_text_width(const char *text, double size);

/* Copies the text, with an ellipsis in its middle if it is wider: labels differ at both ends. Whole
 * characters. bytes: of `out`, at least 64. */
void plot_text_cut(char *out, size_t bytes, const char *text, double width, double size);

/* Copies the text with line breaks for spaces so that lines fit where they can. Returns how many
 * lines. */
int plot_text_wrap(char *out, size_t bytes, const char *text, double width, double size);

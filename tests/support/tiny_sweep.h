/* A sweep of a second or so, for tests of what is done with one: two variants, `block` and `keys`,
 * two seeds. */
#pragma once

/* Writes tiny.yaml and the text that it is trained on into test_folder(). The spec's path, until
 * the next call. */
const char *tiny_sweep(void);

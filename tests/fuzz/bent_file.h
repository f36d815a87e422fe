/* Files of a tiny run for mutations to begin with. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One of tiny_run_file, or what another run's would be: a status of its life, a record of other
 * variants, an evaluation with answers. Most are without their seals (json_seal.h), which a
 * mutation would break, and nothing behind them would be tried. Writes it to data [max]; *number:
 * which file it is; 0: there is no room. */
size_t bent_file(unsigned *number, uint8_t *data, size_t max, unsigned how);

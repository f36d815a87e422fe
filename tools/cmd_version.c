/* loci version: what this program is made of. */
#include "core/base/host.h"
#include "core/train/ranks.h"
#include "tools/verbs.h"

enum { MAX_LIBRARIES = 16 };

static int print_version(const cli_call *c)
{
    (void)c;
    host_version libraries[MAX_LIBRARIES];
    int n = MIN(host_versions(libraries, MAX_LIBRARIES), (int)MAX_LIBRARIES);
    host_info host;
    host_describe(&host);
    char mpi[RANKS_LIBRARY_BYTES];
    ranks_library(mpi);
    printf("loci %s\n", LOCI_VERSION);
    /* What a report of a difference in bits has to begin with. */
    printf("%-10s %d\n", "numerics", LOCI_NUMERICS);
    printf("%-10s %s\n", "compiler", host_compiler());
    printf("%-10s %s\n", "flags", host_flags());
    bool dirty;
    const char *revision = host_revision(&dirty);
    printf("%-10s %s%s\n", "revision", revision ? revision : "unknown",
           revision && dirty ? ", with changes" : "");
    for (int i = 0; i < n; i++)
        printf("%-10s %s\n", libraries[i].library, libraries[i].version);
    printf("%-10s %s (%s)\n", "blas", host.blas, host.blas_core);
    printf("%-10s %s\n", "mpi", mpi[0] ? mpi : "none (make MPI=1)");
    return EXIT_DONE;
}

const verb VERB_VERSION = {
    .name = "version",
    .words = "",
    .help = "Prints the versions of loci, its compiler and its libraries.",
    .examples = {"version", "--version"},
    .run = print_version,
};

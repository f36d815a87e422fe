/* The schema of the database, as README.md documents it. */
#ifndef LOCI_RESULTS_SCHEMA_H
#define LOCI_RESULTS_SCHEMA_H

/* Statements that make an empty database; NULL ends them. */
extern const char *const SCHEMA[];

#endif

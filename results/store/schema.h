/* The schema of the database, as README.md documents it. */
#pragma once

/* Statements that make an empty database; NULL ends them. */
extern const char *const SCHEMA[];

/* How SQLite opens files for a database that may be a stranger's.
 *
 * A journal can name a "super-journal", the file that joins transactions over several databases;
 * when SQLite takes back what such a journal holds, it deletes the file of that name, wherever it
 * lies. This program's transactions are over one database, and so no such file is ever opened: what
 * a stranger's journal names stays, and the opening fails. So it does where a pipe or a device lies
 * in the place of the database or its journal: SQLite would wait for it without end. */
#pragma once

/* For sqlite3_open_v2; NULL, SQLite's own way, where there is no memory for another. */
const char *store_vfs(void);

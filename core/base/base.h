/* What every file of loci may rely on: the working precision, checked assertions, error messages.
 *
 * Three kinds of error, never mixed:
 *   the outside world (spec, file, data, memory at start-up): a function returns false and fills an
 *     `err` with one sentence: the place, what is wrong, what would be right; only tools/ prints
 * it; our own bugs (shapes, indices, states): CHECK prints place, expression and values, and
 * aborts; numerical events (a NaN loss): neither; they are recorded on the run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same source is built twice: in float for work, in double for gradient checks. */
#ifdef LOCI_DOUBLE
typedef double real;
#define REAL_IS_DOUBLE 1
#else
typedef float real;
#define REAL_IS_DOUBLE 0
#endif

#define LOCI_VERSION "0.1.0"

/* Raised whenever a change alters the bits that a run computes; part of a run's identity. */
#define LOCI_NUMERICS 3

enum { ERR_TEXT_BYTES = 1024 };

/* One complete sentence, "file:line:col: key: what is wrong; what would be right". */
typedef struct err {
    char text[ERR_TEXT_BYTES];
    bool outside; /* the machine's fault (a disk, no room, no descriptors), not the asker's */
} err;

/* Fills e (which may be NULL) and returns false, so that callers write `return err_set(e, ...)`. */
bool err_set(err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills e with what another says, and with whose fault that is; returns false. */
bool err_copy(err *e, const err *why);

/* Puts "place: " before the text that e already holds and returns false. */
bool err_prefix(err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "loci: bug: file:line: expression: message" and aborts; of memory: the message, status 1.
 */
_Noreturn void check_failed(const char *file, int line, const char *expression, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));

/* States what is proved: in every build. CHECK(cond, "format", values...) */
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__);               \
    } while (0)

/* The same inside inner loops, only in debug builds. */
#ifdef LOCI_DEBUG
#define DCHECK(condition, ...) CHECK(condition, __VA_ARGS__)
#else
#define DCHECK(condition, ...) ((void)0)
#endif

/* A local variable of such a type ends with the block it stands in, on whatever way that is left;
 * NULL is fine. As json_auto_t, which is jansson's, and arena_auto, store_auto; this one is of
 * text from the heap. What a function hands on is none. */
#define ENDS_BY(end) __attribute__((cleanup(end)))
#define text_auto    char ENDS_BY(base_free_text)
void base_free_text(char **text);

/* The smaller and the larger of two numbers, in their common type. Each argument is evaluated once:
 * it may be a call. */
#define MIN(a, b) OF_TWO(min, a, b)
#define MAX(a, b) OF_TWO(max, a, b)
#define OF_TWO(which, a, b)                                                                        \
    _Generic((a) + (b), int                                                                        \
             : which##_int, unsigned                                                               \
             : which##_unsigned, long                                                              \
             : which##_long, unsigned long                                                         \
             : which##_unsigned_long, long long                                                    \
             : which##_long_long, unsigned long long                                               \
             : which##_unsigned_long_long, float                                                   \
             : which##_float, double                                                               \
             : which##_double)(a, b)
#define BASE_OF_TWO(name, type)                                                                    \
    static inline type min_##name(type a, type b)                                                  \
    {                                                                                              \
        return a < b ? a : b;                                                                      \
    }                                                                                              \
    static inline type max_##name(type a, type b)                                                  \
    {                                                                                              \
        return a > b ? a : b;                                                                      \
    }
BASE_OF_TWO(int, int)
BASE_OF_TWO(unsigned, unsigned)
BASE_OF_TWO(long, long)
BASE_OF_TWO(unsigned_long, unsigned long)
BASE_OF_TWO(long_long, long long)
BASE_OF_TWO(unsigned_long_long, unsigned long long)
BASE_OF_TWO(float, float)
BASE_OF_TWO(double, double)

/* Variants that agree in all axes but some: the values of a tuned axis, the points of a line. */
#pragma once

#include "results/store/store.h"

typedef struct compare_grouping {
    const char *experiment;
    const char *otherwise; /* a group's name where no axis is left to name it by */
    /* Whether the variants of a group may differ on the axis. */
    bool (*differs)(const void *user, const char *axis);
    const void *user;
} compare_grouping;

typedef struct compare_group {
    const char *key;    /* axes and values: those of a group have equal texts */
    const char *name;   /* the label without the axes that differ */
    const char *chosen; /* "lr=1e-3": what these say of the variant */
    double number;      /* of that axis, if it is the only one and a number; else NaN */
    int first;          /* compare_group_join: the first of its group in the list */
} compare_group;

/* The group of the variant whose label the plan has so. Lives as long as the arena. */
bool compare_group_read(compare_group *x, arena *a, store *s, const compare_grouping *by,
                        const char *label, err *e);
/* Finds the groups of a list, so that nobody compares keys of each with each. */
void compare_group_join(compare_group *list, int count);

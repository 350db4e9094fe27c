/*
 * regex.h - a regular expression (PCRE2, UTF-8) that finds within bounds
 *
 * Whoever writes one is an administrator, whoever is looked at with it is anybody: a search ends after so many steps, and so much memory,
 * whatever the expression. It is found anywhere in a text unless it has anchors; '.' is every
 * character, '$' the end alone.
 *
 * Owns: what it compiled. One thread a process.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "shared/base/span.h"

struct regex;

struct regex *regex_new(struct span pattern, char why[256]); /* NULL, with the reason */
void regex_free(struct regex *re);
/* 1: found; 0: not; -1: it could not be told within the bounds. */
int regex_find(const struct regex *re, struct span text);

#endif

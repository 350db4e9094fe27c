/*
 * regex.h - regular expressions of an administrator's, on what clients show: PCRE2 with limits
 *
 * '.' is every character, '$' the end alone. A match that takes too much is given up, after some milliseconds at most.
 *
 * Runs in: any process's loop.
 */
#ifndef ACL_REGEX_H
#define ACL_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "shared/base/span.h"

/* NULL: it can't be, for err_out's reason at that place; pcre2_code_free() */
pcre2_code *acl_regex_compile(struct span pattern, int *err_out, size_t *at_out);
/* 1, 0; -1: it gave up. */
int acl_regex_match(const pcre2_code *re, struct span subject);

#endif

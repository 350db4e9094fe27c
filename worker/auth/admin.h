/*
 * admin.h - an administrator's requests about credentials
 *
 * Verbs of "credential": put {credentials: […], mode: add | replace | change}, remove {names: […]}, show {name}, list, export (with what is kept of passwords). What
 * changes is answered when it is on disk and in force.
 *
 * Runs in: auth's loop.
 */
#ifndef AUTH_ADMIN_H
#define AUTH_ADMIN_H

#include <stddef.h>

void admin_request(const char *text, size_t len, int fd);

#endif

/*
 * admin.h - requests of administrators that persist answers
 *
 *     list client          connected (true, false), prefix, filter (part of the id), worker ("mqtt/0")
 *     show, kick, clear-session client     client_id
 *     list subscription    client_id or none; of persistent sessions
 *     list, clear retained filter ("#" if none)
 *     show retained        topic
 *     … store              see admin_store.h
 *
 * Runs in: persist's loop. One page looks at a bounded number of entries, so it may be short and
 * still have a next.
 */
#ifndef PERSIST_ADMIN_H
#define PERSIST_ADMIN_H

#include <jansson.h>
#include <stddef.h>

void admin_request(const char *text, size_t len, int fd); /* fd is taken */

struct request;
/* The answer, or NULL with the reason in *why_out (constant). */
json_t *admin_answer(const struct request *r, const char **why_out);

#endif

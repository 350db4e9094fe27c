/*
 * admin_store.h - requests of administrators about the store
 *
 *     status store
 *     backup store         directory (absolute): begins a job, and answers its number
 *     verify, compact store  likewise
 *     job store            job: how far it is; when it has ended, what came of it
 *     dump store           table: its name, or all; payload: true, or without. A list, see store_dump.h
 *
 * Runs in: persist's loop. Each answers at once; what takes long is beside it, see kv.h.
 */
#ifndef PERSIST_ADMIN_STORE_H
#define PERSIST_ADMIN_STORE_H

#include "shared/child/request.h"

/* The answer, or NULL with the reason in *why (constant). */
typedef json_t *admin_fn(const struct request *r, const char **why);

admin_fn admin_store_status, admin_store_backup, admin_store_verify, admin_store_compact,
    admin_store_job, admin_store_dump;

#endif

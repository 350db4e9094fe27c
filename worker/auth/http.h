/*
 * http.h - provider: a service that is asked by HTTP
 *
 * Bounded: so many requests at a time, each with its time; who comes beyond that waits its turn, and is told to come again when auth_timeout is over. A service that
 * is slow or hostile costs those clients only that are for it.
 *
 * Runs in: auth's loop.
 */
#ifndef AUTH_HTTP_H
#define AUTH_HTTP_H

#include "shared/net/auth_files.h"
#include "worker/auth/fetch.h"
#include "worker/auth/login.h"

extern const struct provider http;

void http_init(void);
/* As of jwt.h. */
int http_prepare(const struct conf *next, const struct auth_files *files, char why[256]);
void http_commit(void);
void http_withdraw(void);
void http_fini(void);

/* What an answer means; what comes with a yes is in l->found until the next one. */
enum verdict http_verdict(struct login *l, const struct fetch_answer *a);

#endif

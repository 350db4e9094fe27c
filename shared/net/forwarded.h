/*
 * forwarded.h - who is behind a load balancer that speaks HTTP, by what it says in X-Forwarded-For
 *
 * Each who hands a request on puts whom it came from at the end of the list. Anybody can begin one, so it is read from its end, and only as far as
 * those who wrote it are among those a listener trusts.
 *
 * Runs in: workers; master and tbmqctl (checking). Pure.
 * Trusts:  not the list.
 */
#ifndef NET_FORWARDED_H
#define NET_FORWARDED_H

#include "shared/conf/conf.h"
#include "shared/net/sock.h"

/* Are all of them addresses and prefixes? 0, or -EINVAL with *err. */
int forwarded_check(const struct conf *c, struct conf_error *err);
/* peer as sock_addr_text() has it. */
bool forwarded_is_trusted(const char *trusted, const char *peer);
/* As who somebody counts that peer has handed on with this list: peer itself, if nothing is to be believed. Without a port it is 0. */
void
forwarded_client(const char *trusted, const char *peer, const char *list, char out[SOCK_TEXT_MAX]);

#endif

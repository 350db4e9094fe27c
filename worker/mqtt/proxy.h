/*
 * proxy.h - the PROXY protocol, versions 1 and 2: a load balancer says in front of a connection's bytes who the client is
 *
 * Runs in: worker's loop. Pure. Trusts: not the bytes; whether to believe them is the listener's to say.
 */
#ifndef MQTT_PROXY_H
#define MQTT_PROXY_H

#include <stdbool.h>

#include "shared/base/span.h"
#include "shared/net/sock.h"

#define PROXY_MAX 2048 /* bytes; of version 2, with what it has beside addresses */

/*
 * Bytes of the header; 0: not all of it is there; -EPROTO: there is none, or a longer one. peer_out: the client, "" if the balancer
 * speaks for itself, or doesn't know.
 */
int proxy_parse(struct span in, char peer_out[SOCK_TEXT_MAX]);

#endif

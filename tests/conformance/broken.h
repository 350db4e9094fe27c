/*
 * broken.h - between a check and a broker: a proxy that breaks one rule
 *
 * What goes through is a broker that is right in all but one thing. A check for that thing has to fail then.
 */
#ifndef CONFORMANCE_BROKEN_H
#define CONFORMANCE_BROKEN_H

#include <stdbool.h>
#include <stddef.h>

bool broken_has(const char *rule, size_t len);
/* Is it about what is below MQTT? Then the proxy passes on bytes of WebSocket, in the clear, and is reached as the broker. Else it is reached by TCP. */
bool broken_is_below(const char *rule);
/* Starts a process that ends with this one; answers its port on 127.0.0.1. Its other side is host and port. */
int broken_start(const char *rule, const char *host, int port, int version);
void broken_print(void); /* all rules and what they do */

#endif

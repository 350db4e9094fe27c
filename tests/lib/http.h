/*
 * http.h - http_service.py beside a broker
 */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include "tests/lib/scenario.h"

/* Its port. certificate: paths for TLS, or NULL. It ends with http_end(), or with the scenario. */
int http_start(const char *certificate, const char *key);
void http_end(void);
/* Lines of its log that have this text. */
int http_asked(const char *text);

#endif

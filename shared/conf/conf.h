/*
 * conf.h - the configuration: one plain struct, made from keys.def
 *
 * struct conf has no pointers, so a snapshot is its bytes in a sealed memfd. The master parses files (parse.c, with libconfig); children
 * only ever see snapshots.
 *
 * Runs in: master and tbmqctl (parsing), all children (snapshots).
 * Errors:  a refused file has changed nothing and is answered with file, line, key and reason.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/base/rate.h"

#define CONF_ABI 1
#define CONF_LISTENERS 32

#define CONF_STRING_MAX 256

/* Enumerations: enum conf_LOG_TARGET { LOG_TARGET_stderr, … }, made by conf.h's user of C(); see conf.c. */
enum conf_log_target { LOG_TARGET_stderr, LOG_TARGET_file, LOG_TARGET_syslog };
enum conf_log_level {
	LOG_LEVEL_err,
	LOG_LEVEL_warning,
	LOG_LEVEL_notice,
	LOG_LEVEL_info,
	LOG_LEVEL_debug
};
enum conf_drop { DROP_oldest, DROP_newest, DROP_reject };
enum conf_share {
	SHARE_round_robin,
	SHARE_sticky,
	SHARE_hash_client,
	SHARE_hash_topic,
	SHARE_least_loaded,
	SHARE_local
};
enum conf_transport { TRANSPORT_tcp, TRANSPORT_tls, TRANSPORT_ws, TRANSPORT_wss, TRANSPORT_unix };
enum conf_client_certificate {
	CLIENT_CERTIFICATE_none,
	CLIENT_CERTIFICATE_optional,
	CLIENT_CERTIFICATE_required
};
enum conf_certificate_user {
	CERTIFICATE_USER_none,
	CERTIFICATE_USER_common_name,
	CERTIFICATE_USER_subject,
	CERTIFICATE_USER_dns,
	CERTIFICATE_USER_email,
	CERTIFICATE_USER_uri
};
enum conf_tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum conf_durability { DURABILITY_power, DURABILITY_process, DURABILITY_memory };
enum conf_listener_durability {
	LISTENER_DURABILITY_default,
	LISTENER_DURABILITY_power,
	LISTENER_DURABILITY_process,
	LISTENER_DURABILITY_memory
};
enum conf_damage { DAMAGE_salvage, DAMAGE_stop };
enum conf_acl_format { ACL_FORMAT_tbmq, ACL_FORMAT_mosquitto };
enum conf_acl_default { ACL_DEFAULT_deny, ACL_DEFAULT_allow };
enum conf_rate_action {
	RATE_ACTION_wait,
	RATE_ACTION_refuse,
	RATE_ACTION_drop_qos0,
	RATE_ACTION_disconnect
};
enum conf_listener_rate_action {
	LISTENER_RATE_ACTION_default,
	LISTENER_RATE_ACTION_wait,
	LISTENER_RATE_ACTION_refuse,
	LISTENER_RATE_ACTION_drop_qos0,
	LISTENER_RATE_ACTION_disconnect
};
enum conf_jwt_from { JWT_FROM_password, JWT_FROM_username };
enum conf_http_method { HTTP_METHOD_POST, HTTP_METHOD_GET };
enum conf_http_body { HTTP_BODY_json, HTTP_BODY_form };
enum conf_http_denied { HTTP_DENIED_deny, HTTP_DENIED_ignore };
enum conf_http_unavailable {
	HTTP_UNAVAILABLE_busy,
	HTTP_UNAVAILABLE_deny,
	HTTP_UNAVAILABLE_ignore
};
enum conf_provider {
	PROVIDER_basic,
	PROVIDER_scram,
	PROVIDER_x509,
	PROVIDER_jwt,
	PROVIDER_http,
	CONF_PROVIDERS
}; /* of `authentication` */

#define CONF_T_BOOL bool
#define CONF_T_UINT uint32_t
#define CONF_T_SIZE uint64_t
#define CONF_T_SECONDS uint32_t
#define CONF_T_LOG_TARGET uint8_t
#define CONF_T_LOG_LEVEL uint8_t
#define CONF_T_DROP uint8_t
#define CONF_T_SHARE uint8_t
#define CONF_T_TRANSPORT uint8_t
#define CONF_T_CLIENT_CERTIFICATE uint8_t
#define CONF_T_CERTIFICATE_USER uint8_t
#define CONF_T_TLS_VERSION uint8_t
#define CONF_T_DURABILITY uint8_t
#define CONF_T_LISTENER_DURABILITY uint8_t
#define CONF_T_DAMAGE uint8_t
#define CONF_T_ACL_FORMAT uint8_t
#define CONF_T_ACL_DEFAULT uint8_t
#define CONF_T_RATE struct rate
#define CONF_T_BYTE_RATE struct rate
#define CONF_T_RATE_ACTION uint8_t
#define CONF_T_LISTENER_RATE_ACTION uint8_t
#define CONF_T_JWT_FROM uint8_t
#define CONF_T_HTTP_METHOD uint8_t
#define CONF_T_HTTP_BODY uint8_t
#define CONF_T_HTTP_DENIED uint8_t
#define CONF_T_HTTP_UNAVAILABLE uint8_t
struct conf_string {
	char s[CONF_STRING_MAX];
};
#define CONF_T_STRING struct conf_string

struct conf_listener {
#define L(name, type, def, min, max, when, help) CONF_T_##type name;
#include "shared/conf/keys.def"
};

struct conf {
	uint32_t abi, size; /* CONF_ABI, sizeof(struct conf) */
	uint64_t number;    /* of the snapshot: counts up with every one that was offered */
#define K(name, type, def, min, max, when, help) CONF_T_##type name;
#include "shared/conf/keys.def"
	uint32_t nlisteners;
	struct conf_listener listener[CONF_LISTENERS];
};

enum conf_when { CONF_NOW, CONF_NEW, CONF_RESTART };

/* What is wrong with a file, in words a person can act on: "tbmq.conf:12: inflight_max: 70000 is more than 65535". */
struct conf_error {
	char text[512];
};

void conf_listener_defaults(struct conf_listener *l);
void conf_defaults(struct conf *c); /* one listener: "default", 127.0.0.1:1883 */

/* Reads a file and what it includes. 0, or -EINVAL with *err; *out is untouched then. */
int conf_parse_string(
    const char *text, struct conf *out, struct conf_error *err); /* without @include */
int conf_parse(const char *path, struct conf *out, struct conf_error *err);
/* "name=value" from the command line or the environment, checked like a line of the file; listener keys as "listener.NAME.key=value". What several have to agree on conf_check() tells after the last. */
int conf_override(struct conf *c, const char *assignment, struct conf_error *err);
/* Is an assignment about this key, named as conf_each() does? */
bool conf_overrides(const struct conf *c, const char *assignment, const char *key);
/* What a key's bounds can't tell: names twice, two listeners on one address, what is no address, relative paths. */
int conf_check(const struct conf *c, struct conf_error *err);

/* Calls fn for each key that differs, listeners as "listeners.NAME.key", whole ones as "listeners.NAME" with "added"/"removed" in the values. */
typedef void
conf_diff_fn(void *arg, const char *key, const char *from, const char *to, enum conf_when when);
unsigned conf_diff(const struct conf *a, const struct conf *b, conf_diff_fn *fn, void *arg);

/* Calls fn for all keys with value, default and help. */
typedef void
conf_each_fn(void *arg, const char *key, const char *value, bool is_default, const char *help);
void conf_each(const struct conf *c, conf_each_fn *fn, void *arg);

/* The whole documented file with c's values: the sample file is that of the defaults. */
int conf_write(const struct conf *c, FILE *to);

/* "10m", as a key of that kind has it: 1 second to a hundred years. 0, or -EINVAL with the reason. */
int conf_seconds(const char *text, uint32_t *out, char why[256]);

int conf_snapshot(const struct conf *c); /* sealed memfd, or -errno; the caller's */
int conf_load(int fd,
    struct conf *out); /* checks seals, size, abi and bounds; -EPROTO, -errno; fd stays open */
/* The class of a listener's clients, where the broker's is `broker`; as in the file. */
enum conf_durability conf_durability_of(const struct conf_listener *l, enum conf_durability broker);
const char *conf_durability_name(enum conf_durability d);
const char *conf_transport_name(const struct conf_listener *l);
/* Likewise what is done with what comes too fast. */
enum conf_rate_action
conf_rate_action_of(const struct conf_listener *l, enum conf_rate_action broker);
bool conf_has_tls(const struct conf_listener *l);
bool conf_has_ws(const struct conf_listener *l);
/* The providers of `authentication` in their order; how many. SIZE_MAX: it names what is none, or one twice. */
size_t conf_providers(const struct conf *c, uint8_t order_out[CONF_PROVIDERS]);
bool conf_has_provider(const struct conf *c, enum conf_provider p); /* of a c that was checked */
int conf_log_level_of(uint8_t level);                               /* LOG_LEVEL_info to LOG_INFO */

#endif

#include "worker/mqtt/connect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/block.h"
#include "worker/mqtt/deliver.h"
#include "worker/mqtt/gone.h"
#include "worker/mqtt/identity.h"
#include "worker/mqtt/login.h"
#include "worker/mqtt/limit.h"
#include "worker/mqtt/quarantine.h"
#include "worker/mqtt/refused.h"
#include "worker/mqtt/subscribe.h"

#define CONNACK_ROOM (512 + METHOD_MAX + LOGIN_DATA_MAX)
#define METHOD_MAX 64 /* bytes of an authentication method's name */
#define USER_MAX 1024 /* bytes of a user name from a certificate */

static enum mqtt_reason connect_check(struct conn *c, const struct connect *p, const char **why);
static enum mqtt_reason
connect_will_check(const struct conn *c, const struct connect *p, const char **why);
static bool connect_user(const struct conn *c, const struct connect *p, struct span *out);
static enum mqtt_reason connect_names(struct conn *c, const struct connect *p, const char **why);
static bool connect_will(struct conn *c, const struct connect *p);
static void connect_ask(struct conn *c);
static void connack(struct conn *c, bool present, enum mqtt_reason reason, const char *why);
static void refuse(struct conn *c, enum counter what, enum mqtt_reason reason, const char *why);
static char *dup_text(struct span s);

/* Which counter tells of a refusal. */
static enum counter
refusal(enum mqtt_reason reason)
{
	switch (reason) {
	case MQTT_UNSUPPORTED_PROTOCOL_VERSION:
		return CNT_connects__refused_version;
	case MQTT_CLIENT_IDENTIFIER_NOT_VALID:
		return CNT_connects__refused_client_id;
	case MQTT_BAD_USER_NAME_OR_PASSWORD:
	case MQTT_NOT_AUTHORIZED:
	case MQTT_BAD_AUTHENTICATION_METHOD:
	case MQTT_BANNED:
		return CNT_connects__refused_auth;
	case MQTT_SERVER_UNAVAILABLE:
	case MQTT_SERVER_BUSY:
		return CNT_connects__refused_busy;
	case MQTT_QUOTA_EXCEEDED:
		return CNT_connects__refused_no_memory;
	default:
		return CNT_connects__refused_other;
	}
}

void
on_connect(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed CONNECT";
	enum mqtt_version version = 0;
	struct connect p;
	enum mqtt_reason reason;

	(void)flags;
	reason = connect_decode(body, &p, &version, &why);
	if (reason == MQTT_OK) {
		version = p.version;
		if (props_has(
			&p.props, PROP_MAX_PACKET_SIZE)) /* [MQTT-3.2.2-19]: of a refusal too */
			c->max_packet = p.props.max_packet_size;
	}
	c->version = (uint8_t)version;
	if (reason == MQTT_OK && c->listener == CONN_NO_LISTENER) {
		reason = MQTT_SERVER_UNAVAILABLE;
		why = "the listener was removed";
	}
	if (reason == MQTT_OK && props_users(&p.props) > c->terms->max_user_properties) {
		refuse(c, CNT_connects__refused_user_properties, MQTT_QUOTA_EXCEEDED,
		    "more user properties than max_user_properties");
		return;
	}
	if (reason == MQTT_OK)
		reason = connect_check(c, &p, &why);
	if (reason == MQTT_OK)
		reason = connect_names(c, &p, &why);
	if (reason != MQTT_OK) {
		refuse(c, refusal(reason), reason, why);
		return;
	}
	if (block_has(c)) {
		refuse(c, CNT_connects__refused_blocked, MQTT_BANNED, "blocked");
		return;
	}
	if (quarantine_has(conn_id(c), c->peer)) {
		refuse(c, CNT_connects__refused_quarantined, MQTT_BANNED, "in quarantine");
		return;
	}
	if (p.has_will && (reason = connect_will_check(c, &p, &why)) != MQTT_OK) {
		refuse(c, CNT_connects__refused_will, reason, why);
		return;
	}
	c->durability =
	    (uint8_t)conf_durability_of(&self.conf.listener[c->listener], c->terms->durability);
	c->clean_start = p.clean_start;
	c->keep_alive = p.keep_alive;
	c->window = (uint16_t)c->terms->inflight_max;
	c->expiry = p.clean_start ? 0 : c->terms->session_expiry_v3;
	if (c->version == MQTT_5) {
		c->alias_max = (uint16_t)c->terms->topic_alias_max;
		c->expiry = props_has(&p.props, PROP_SESSION_EXPIRY) ? p.props.session_expiry : 0;
		if (props_has(&p.props, PROP_RECEIVE_MAX) && p.props.receive_max < c->window)
			c->window = p.props.receive_max;
		if (props_has(&p.props, PROP_TOPIC_ALIAS_MAX))
			c->alias_out_max = p.props.topic_alias_max < c->terms->topic_alias_max_out
			    ? p.props.topic_alias_max
			    : (uint16_t)c->terms->topic_alias_max_out;
		if (props_has(&p.props, PROP_REQUEST_PROBLEM))
			c->problem_info = p.props.request_problem;
		/* A longer keep alive, or none, becomes ours, and CONNACK says so. */
		if (c->terms->max_keepalive < UINT16_MAX &&
		    (c->keep_alive == 0 || c->keep_alive > c->terms->max_keepalive))
			c->keep_alive = (uint16_t)c->terms->max_keepalive;
	}
	c->server_keep_alive = c->keep_alive != p.keep_alive;
	conn_enter(c, CONN_ASKED);
	conn_pause(c, PAUSE_ASKED);
	c->answered =
	    true; /* persist is not asked yet: nothing would come that a GHOST had to wait for */
	if (p.has_will && !connect_will(c, &p))
		refuse(c, CNT_connects__refused_no_memory, MQTT_QUOTA_EXCEEDED, "no memory");
	else if (!login_is_needed(c))
		connect_ask(c);
	else if (!login_ask(c, &p))
		refuse(c, CNT_connects__refused_busy, MQTT_SERVER_BUSY,
		    "there is no room to ask who you are");
}

/* Refused while CONNECT is answered, or disconnected if it was before. */
static void
turn_away(struct conn *c, enum mqtt_reason reason, const char *why)
{
	if (c->state != CONN_OPEN) {
		refuse(c, refusal(reason), reason, why);
		return;
	}
	if (refused_is_one(reason))
		refused_note(c, reason, why);
	conn_end(c, CNT_ends__auth, reason, why);
}

/* AUTH, 3.15. False: it can't be sent, the client has been turned away. */
static bool
auth(struct conn *c, enum mqtt_reason reason, struct span data)
{
	uint8_t packet[METHOD_MAX + LOGIN_DATA_MAX + 32], props[METHOD_MAX + LOGIN_DATA_MAX + 16];
	struct wr w = wr_of(props, sizeof(props));
	size_t len;

	wr_prop_str(&w, PROP_AUTH_METHOD, span_str(c->method)); /* [MQTT-4.12.0-5] */
	if (data.len > 0)
		wr_prop_str(&w, PROP_AUTH_DATA, data);
	len = auth_encode(reason, span_of(props, (size_t)(w.p - props)), packet, sizeof(packet));
	if (len <= c->max_packet) {
		conn_send(c, packet, len);
		return true;
	}
	turn_away(c, MQTT_PACKET_TOO_LARGE, "an AUTH packet is larger than you take");
	return false;
}

static bool
adopt_user_name(struct conn *c, struct span name)
{
	if (name.len == 0 || c->user != NULL)
		return true;
	c->user = dup_text(name);
	c->user_len = (uint16_t)(c->user != NULL ? name.len : 0);
	return c->user != NULL;
}

/* It may send one AUTH now; if it was not connected before, nothing else. */
static void
let_go_on(struct conn *c, const struct login_said *said)
{
	if (c->method == NULL || !login_wait(c, said->state))
		turn_away(c, MQTT_UNSPECIFIED_ERROR, "authentication can't go on");
	else if (auth(c, MQTT_CONTINUE_AUTHENTICATION, said->data))
		conn_resume(c, PAUSE_ASKED);
}

static void
let_in(struct conn *c, const struct login_said *said)
{
	bool fits = said->data.len == 0 || c->state == CONN_OPEN || login_keep(c, said->data);

	if (!fits || !adopt_user_name(c, said->user_name)) {
		turn_away(c, MQTT_QUOTA_EXCEEDED, "no memory");
		return;
	}
	if (said->data.len == 0 || c->state == CONN_OPEN)
		login_drop(c);
	if (c->state != CONN_OPEN && block_has(c)) /* by the name it has now, or since */
		refuse(c, CNT_connects__refused_blocked, MQTT_BANNED, "blocked");
	else if (c->state != CONN_OPEN)
		connect_ask(c);
	else if (c->method != NULL && auth(c, MQTT_SUCCESS, said->data)) {
		log_info("conn: authenticated anew id=%s peer=%s", conn_name(c), c->peer);
		access_review(c); /* it may have other groups now */
	}
}

void
connect_logged_in(const struct rec_login_done *r, const struct login_said *said)
{
	struct conn *c = login_answered(r);

	if (c == NULL)
		return;
	if (r->reason == MQTT_CONTINUE_AUTHENTICATION)
		let_go_on(c, said);
	else if (r->reason == MQTT_SERVER_BUSY && c->state == CONN_OPEN)
		login_ask_later(c); /* for that nobody is disconnected */
	else if (r->reason != MQTT_SUCCESS && c->state == CONN_OPEN)
		turn_away(c, MQTT_NOT_AUTHORIZED, "you are no longer known"); /* 4.12.1 */
	else if (r->reason != MQTT_SUCCESS)
		turn_away(c, r->reason, mqtt_reason_text(r->reason));
	else if (identity_set(c, said->groups, said->attributes, r->expires_ms))
		let_in(c, said);
	else
		turn_away(c, MQTT_NOT_AUTHORIZED, "what you have shown has expired");
}

void
connect_late(struct conn *c)
{
	if (login_is_clients_turn(c))
		turn_away(c, MQTT_NOT_AUTHORIZED, "you did not say in time who you are");
	else
		turn_away(c, MQTT_SERVER_BUSY, "nobody could tell in time who you are");
}

void
connect_out_of_turn(struct conn *c)
{
	refuse(c, CNT_connects__refused_other, MQTT_PROTOCOL_ERROR, /* [MQTT-3.1.2-30] */
	    "only AUTH and DISCONNECT may come before CONNACK");
}

static enum mqtt_reason
connect_check(struct conn *c, const struct connect *p, const char **why)
{
	const struct conf_listener *l = &self.conf.listener[c->listener];

	if ((p->version == MQTT_3_1 && !l->mqtt_31) || (p->version == MQTT_3_1_1 && !l->mqtt_311) ||
	    (p->version == MQTT_5 && !l->mqtt_5)) {
		*why = "this listener does not take this protocol version";
		return MQTT_UNSUPPORTED_PROTOCOL_VERSION;
	}
	if (props_has(&p->props, PROP_AUTH_METHOD) && /* [MQTT-4.12.0-1] */
	    (!login_has_methods() || p->props.auth_method.len == 0 ||
		p->props.auth_method.len > METHOD_MAX)) {
		*why = "no such authentication method is configured";
		return MQTT_BAD_AUTHENTICATION_METHOD;
	}
	if (!l->allow_anonymous && !props_has(&p->props, PROP_AUTH_METHOD) && !login_is_done(c) &&
	    !login_is_needed(c)) {
		*why = "anonymous clients are not allowed";
		return MQTT_NOT_AUTHORIZED;
	}
	return MQTT_OK;
}

static enum mqtt_reason
connect_will_check(const struct conn *c, const struct connect *p, const char **why)
{
	if (p->will.qos > c->terms->max_qos) { /* [MQTT-3.2.2-12] */
		*why = "will QoS above Maximum QoS";
		return MQTT_QOS_NOT_SUPPORTED;
	}
	if (p->will.retain && !c->terms->retain_available) { /* [MQTT-3.2.2-13] */
		*why = "retained messages are not available";
		return MQTT_RETAIN_NOT_SUPPORTED;
	}
	if (p->will.topic.len + c->mount_len > UINT16_MAX ||
	    p->will.topic.len > c->terms->max_topic_length ||
	    topic_levels(p->will.topic) > c->terms->max_topic_levels) {
		*why = "will topic longer or deeper than allowed";
		return MQTT_TOPIC_NAME_INVALID;
	}
	if (props_users(&p->will.props) > c->terms->max_user_properties) {
		*why = "the will has more user properties than max_user_properties";
		return MQTT_QUOTA_EXCEEDED;
	}
	return MQTT_OK;
}

/* Whose certificate or key says who it is, is that. A user name that isn't given has no place. */
static bool
connect_user(const struct conn *c, const struct connect *p, struct span *out)
{
	const struct conf_listener *l = &self.conf.listener[c->listener];
	static char name[USER_MAX];
	ssize_t n = c->tls == NULL ? 0 : tls_user(c->tls, l->certificate_user, name, sizeof(name));

	if (n == 0 && c->tls != NULL && l->psk_identity_as_username)
		n = tls_psk_identity(c->tls, name, sizeof(name));
	if (n < 0)
		return false;
	*out = n > 0           ? span_of(name, (size_t)n)
	    : p->has_user_name ? p->user_name
			       : span_of(NULL, 0);
	return true;
}

/* Client identifier, user name, mount point. */
static enum mqtt_reason
connect_names(struct conn *c, const struct connect *p, const char **why)
{
	static uint64_t assigned;
	const struct conf_listener *l = &self.conf.listener[c->listener];
	struct span id = p->client_id, user;
	char made[64];

	if (!connect_user(c, p, &user)) {
		*why = "the client certificate has no such name as certificate_user wants";
		return MQTT_NOT_AUTHORIZED;
	}
	if (l->username_as_client_id) {
		if (user.len == 0) {
			*why =
			    "this listener's clients need a user name, which is their identifier";
			return MQTT_NOT_AUTHORIZED;
		}
		id = user;
	}
	if (id.len == 0 && p->version != MQTT_5 && !p->clean_start) { /* 3.1.1 [MQTT-3.1.3-8] */
		*why = "an empty client identifier needs clean session 1";
		return MQTT_CLIENT_IDENTIFIER_NOT_VALID;
	}
	if (id.len == 0 && p->version == MQTT_3_1) {
		*why = "MQTT 3.1 needs a client identifier";
		return MQTT_CLIENT_IDENTIFIER_NOT_VALID;
	}
	if (id.len > c->terms->max_client_id) {
		*why = "client identifier longer than max_client_id";
		return MQTT_CLIENT_IDENTIFIER_NOT_VALID;
	}
	if (id.len == 0) {
		/* Unique in time and space: this instance, this process's generation, and a count. */
		snprintf(made, sizeof(made), "auto-%016" PRIx64 "-%x-%" PRIx64,
		    self.birth.broker_id, self.gen, ++assigned);
		id = span_str(made);
		c->assigned = true;
	}
	c->id = dup_text(id);
	if (c->id == NULL)
		goto no_memory;
	c->id_len = (uint16_t)id.len;
	if (user.p != NULL) {
		c->user = dup_text(user);
		if (c->user == NULL)
			goto no_memory;
		c->user_len = (uint16_t)user.len;
	}
	if (props_has(&p->props, PROP_AUTH_METHOD)) {
		c->method = dup_text(p->props.auth_method);
		if (c->method == NULL)
			goto no_memory;
	}
	if (l->mount_point.s[0] != '\0') {
		c->mount = dup_text(span_str(l->mount_point.s));
		if (c->mount == NULL)
			goto no_memory;
		c->mount_len = (uint16_t)strlen(c->mount);
	}
	return MQTT_OK;
no_memory:
	*why = "no memory";
	return MQTT_QUOTA_EXCEEDED;
}

/* CONNECT and REGISTER have the same record. */
static enum mesh_sent
connect_record(const struct conn *c, unsigned type, unsigned flags, uint64_t token)
{
	const char *listener = conn_listener_name(c);
	struct rec_connect rec = {
		.token = token,
		.last_seq = c->last_seq,
		.handle = c->handle,
		.session = c->session,
		.expiry = c->expiry,
		.window = c->window,
		.keep_alive = c->keep_alive,
		.max_packet = c->max_packet == UINT32_MAX ? 0 : c->max_packet,
		.client_id_len = c->id_len,
		.user_name_len = c->user_len,
		.peer_len = (uint8_t)strlen(c->peer),
		.listener_len = (uint8_t)strlen(listener),
		.flags = (uint8_t)(flags | (c->clean_start ? CONNECT_CLEAN : 0) |
		    (c->will != NULL ? CONNECT_WILL : 0) |
		    (c->version != MQTT_5 ? CONNECT_MQTT3 : 0) | (c->durable ? CONNECT_QUEUE : 0)),
		.version = c->version,
		.will_delay = c->will_delay,
		.connected_ms = clock_wall_ms(),
		.durability = c->durability,
	};
	struct iovec iov[9] = {
		{ &rec, sizeof(rec) },
		{ c->id, c->id_len },
		{ c->user, c->user_len },
		{ c->peer, rec.peer_len },
		{ (void *)listener, rec.listener_len },
	};
	int n = 5;

	if (c->will != NULL) {
		struct msg_view will = msg_view(c->will);

		struct span source = access_will_source(c);

		rec.will = rec_msg_of(&will, 0, true);
		rec.source_len = (uint32_t)source.len;
		iov[n++] = (struct iovec){ (void *)source.p, source.len };
		iov[n++] = (struct iovec){ (void *)will.topic.p, will.topic.len };
		iov[n++] = (struct iovec){ (void *)will.props.p, will.props.len };
		iov[n++] = (struct iovec){ (void *)will.payload.p, will.payload.len };
	}
	return mesh_send(self.mesh, SLOT_PERSIST, type, iov, n);
}

/* The will is kept here too: a persist that starts anew has to be told. */
static bool
connect_will(struct conn *c, const struct connect *p)
{
	const struct props *props = &p->will.props;
	size_t topic_len = c->mount_len + p->will.topic.len;
	uint8_t *buf = malloc(topic_len + props->raw.len + 1);
	struct msg_view v = {
		.topic = span_of(buf, topic_len),
		.payload = p->will.payload,
		.qos = p->will.qos,
		.retain = p->will.retain,
		.publish_ms = clock_wall_ms(),
	};

	if (buf == NULL)
		return false;
	if (c->mount_len > 0)
		memcpy(buf, c->mount, c->mount_len);
	memcpy(buf + c->mount_len, p->will.topic.p, p->will.topic.len);
	if (props->has != 0) {
		v.props = span_of(buf + topic_len, props_forward(props, buf + topic_len));
		v.has_expiry = props_has(props, PROP_MESSAGE_EXPIRY);
		v.expiry = v.has_expiry ? props->message_expiry : 0;
		c->will_delay = props_has(props, PROP_WILL_DELAY) ? props->will_delay : 0;
	}
	c->will = msg_new(&v);
	free(buf);
	return c->will != NULL;
}

/* persist, for the identifier. */
static void
connect_ask(struct conn *c)
{
	if (!access_will(c)) {
		refuse(c, CNT_connects__refused_will_acl, MQTT_NOT_AUTHORIZED,
		    "the will is not allowed by the access rules");
		return;
	}
	c->answered = false;
	if (connect_record(c, REC_CONNECT, 0, conn_token(c)) < MESH_FULL)
		return;
	c->answered = true;
	refuse(c, CNT_connects__refused_no_memory, MQTT_SERVER_UNAVAILABLE,
	    "the session directory is not available");
}

static struct conn *
asked_by(uint64_t token)
{
	struct conn *c = conn_find_low((uint32_t)(token >> 32), (uint32_t)token);

	return c != NULL && (c->state == CONN_ASKED || c->state == CONN_GHOST) ? c : NULL;
}

void
connect_resume(const struct rec_resume *r, struct span filter)
{
	struct conn *c = asked_by(r->token);

	if (c == NULL || c->state != CONN_ASKED)
		return;
	c->durable = true;
	if (!subscribe_resume(c, filter, r->options, r->subid))
		log_every(
		    10, LOG_ERR, "connect: no memory for a subscription of id=%s", conn_name(c));
}

void
connect_granted(const struct rec_grant *g)
{
	struct conn *c = asked_by(g->token);
	const char *why;

	if (c == NULL || c->state == CONN_GHOST) {
		if (g->reason == MQTT_SUCCESS)
			gone_unwanted(g->session, g->epoch);
		if (c != NULL)
			conn_answered(c);
		return;
	}
	c->answered = true;
	if (g->reason != MQTT_SUCCESS) {
		refuse(c, COUNTERS, g->reason, mqtt_reason_text(g->reason));
		return;
	}
	/* Only now: whom this one takes over has left its place. */
	if (!limit_open(c, &why)) {
		gone_unwanted(g->session, g->epoch);
		refuse(c, CNT_connects__refused_user_connections, MQTT_QUOTA_EXCEEDED, why);
		return;
	}
	c->epoch = g->epoch;
	c->session = g->session;
	c->durable = g->flags & GRANT_DURABLE;
	c->expiry_given = g->expiry != c->expiry;
	c->expiry = g->expiry;
	conn_enter(c, CONN_OPEN);
	count(CNT_connects);
	count_add(CNT_clients, 1);
	access_review(c);
	if (c->state != CONN_OPEN)
		return;
	if (c->keep_alive > 0)
		timer_set(
		    loop_timers(self.loop), &c->timer, clock_ms() + c->keep_alive * UINT64_C(1500));
	else
		timer_del(&c->timer);
	connack(c, g->flags & GRANT_PRESENT, MQTT_SUCCESS, NULL);
	login_drop(c);
	log_info("conn: connected id=%s peer=%s version=%u keep_alive=%u clean=%d expiry=%" PRIu32
		 " present=%d",
	    conn_name(c), c->peer, c->version, c->keep_alive, c->clean_start, c->expiry,
	    (g->flags & GRANT_PRESENT) != 0);
	conn_resume(c, PAUSE_ASKED);
}

void
connect_will_ends(struct conn *c)
{
	struct rec_will_end rec = { .epoch = c->epoch, .session = c->session };

	msg_unref(&c->will);
	if (mesh_send(self.mesh, SLOT_PERSIST, REC_WILL_END, &(struct iovec){ &rec, sizeof(rec) },
		1) == MESH_FULL)
		conn_end(c, CNT_ends__no_store, MQTT_SERVER_BUSY, "the store is not available");
}

void
connect_let_go(const struct rec_let_go *r)
{
	struct conn *c = conn_find_epoch(r->handle, r->epoch);

	if (c == NULL)
		return; /* its GONE is on the way */
	if (r->reason == MQTT_SESSION_TAKEN_OVER)
		conn_end(c, CNT_ends__takeover, r->reason,
		    "another connection uses this client identifier");
	else
		conn_end(c, CNT_ends__kicked, r->reason, "ended by an administrator");
}

struct connect_subs {
	size_t len;
	uint8_t data[]; /* struct rec_sub with its filter, one behind the other */
};

struct connect_subs *
connect_subs_new(const struct conn *c)
{
	static char text[SUBSCRIBE_TEXT_MAX];
	struct connect_subs *subs;
	struct sub *s, *tmp;
	uint8_t *p;
	size_t len = 0;

	if (!c->durable || c->nsubs == 0)
		return NULL;
	LIST_FOREACH(s, tmp, &c->subs, struct sub, link)
		len += sizeof(struct rec_sub) + subscribe_stored_text(s, text);
	subs = malloc(sizeof(*subs) + len);
	if (subs == NULL) {
		count(CNT_dropped__no_memory);
		return NULL;
	}
	subs->len = len;
	p = subs->data;
	LIST_FOREACH(s, tmp, &c->subs, struct sub, link) {
		struct rec_sub rec = {
			.epoch = c->epoch,
			.session = c->session,
			.subid = s->id,
			.options = subscribe_options(s),
		};

		rec.filter_len = (uint16_t)subscribe_stored_text(s, (char *)p + sizeof(rec));
		memcpy(p, &rec, sizeof(rec));
		p += sizeof(rec) + rec.filter_len;
	}
	return subs;
}

bool
connect_register(const struct conn *c, const struct connect_subs *subs)
{
	struct rec_sub rec;
	struct iovec iov;

	if (connect_record(c, REC_REGISTER, 0, c->epoch) >= MESH_FULL)
		return false;
	for (size_t at = 0; subs != NULL && at < subs->len; at += iov.iov_len) {
		memcpy(&rec, subs->data + at, sizeof(rec));
		iov = (struct iovec){ (void *)(subs->data + at), sizeof(rec) + rec.filter_len };
		if (mesh_send(self.mesh, SLOT_PERSIST, REC_SUB, &iov, 1) >= MESH_FULL)
			return false;
	}
	return true;
}

void
connect_register_all(void)
{
	struct rec_registered done = { .gen = mesh_gen(self.mesh, SLOT_PERSIST) };
	uint32_t handle = 0;
	struct conn *c;

	/* Whoever is here has a place: what it takes is bounded by the connections. */
	mesh_set_overflow(self.mesh, UINT64_MAX);
	while ((c = conn_next(&handle)) != NULL) {
		if (c->state == CONN_OPEN) {
			struct connect_subs *subs = connect_subs_new(c);
			bool told = connect_register(c, subs);

			free(subs);
			if (!told) /* persist would grant its identifier to another */
				conn_end(c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED,
				    "no memory to register with the store");
		} else if ((c->state == CONN_ASKED || c->state == CONN_GHOST) && !c->answered) {
			connect_record(c, REC_CONNECT, CONNECT_AGAIN, conn_token(c));
		}
	}
	gone_register();
	mesh_send(
	    self.mesh, SLOT_PERSIST, REC_REGISTERED, &(struct iovec){ &done, sizeof(done) }, 1);
	mesh_set_overflow(self.mesh, self.conf.overflow_size);
}

/* --- PINGREQ, DISCONNECT, AUTH ------------------------------------------------------------ */

void
on_pingreq(struct conn *c, struct span body, uint8_t flags)
{
	uint8_t packet[4];

	(void)flags;
	if (body.len != 0) {
		conn_end(c, CNT_ends__malformed, MQTT_MALFORMED, "PINGREQ with a body");
		return;
	}
	count(CNT_pings);
	inflights_trim(&c->tx); /* who has to ping is idle */
	inflights_trim(&c->rx);
	conn_send(c, packet, pingresp_encode(packet, sizeof(packet)));
}

void
on_disconnect(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed DISCONNECT";
	struct disconnect d;
	enum mqtt_reason reason = disconnect_decode(body, c->version, IN_DISCONNECT_C, &d, &why);
	bool will;

	(void)flags;
	if (!conn_decoded(c, reason, why))
		return;
	if (c->version == MQTT_5 && props_has(&d.props, PROP_SESSION_EXPIRY)) {
		if (!c->durable && d.props.session_expiry > 0) { /* 3.14.2.2.2 */
			conn_end(c, CNT_ends__protocol_error, MQTT_PROTOCOL_ERROR,
			    "session expiry was 0 at CONNECT");
			return;
		}
		c->expiry = d.props.session_expiry < c->terms->session_expiry_max
		    ? d.props.session_expiry
		    : c->terms->session_expiry_max;
	}
	will = d.reason != MQTT_SUCCESS; /* [MQTT-3.14.4-3] */
	log_info("conn: disconnected id=%s peer=%s reason=0x%02x", conn_name(c), c->peer, d.reason);
	conn_gone(c, will ? CNT_ends__with_will : CNT_ends__normal, d.reason, will);
}

/* Of a client that may send it: an answer in the exchange, or the beginning of another. */
static enum mqtt_reason
auth_take(struct conn *c, const struct disconnect *d, const char **why)
{
	bool is_step = d->reason == MQTT_CONTINUE_AUTHENTICATION, done;
	struct span data =
	    props_has(&d->props, PROP_AUTH_DATA) ? d->props.auth_data : span_of(NULL, 0);

	*why = NULL;
	if (c->method == NULL) /* [MQTT-4.12.0-7] */
		*why = "AUTH without an authentication method in CONNECT";
	else if (!span_eq(d->props.auth_method, span_str(c->method))) /* [MQTT-4.12.0-5] */
		*why = "AUTH with another authentication method than CONNECT";
	else if (d->reason == MQTT_SUCCESS)
		*why = "AUTH with a reason code that is the server's";
	else if (is_step ? !login_is_clients_turn(c)
			 : c->login != NULL || c->state != CONN_OPEN) /* [MQTT-4.12.0-3] */
		*why = "AUTH that nobody waits for";
	if (*why != NULL)
		return MQTT_PROTOCOL_ERROR;
	if (c->state == CONN_ASKED)
		conn_pause(c, PAUSE_ASKED);
	done = is_step ? login_go_on(c, data) : login_ask_anew(c, data);
	if (!done)
		turn_away(c, MQTT_SERVER_BUSY, "there is no room to ask who you are");
	return MQTT_OK;
}

void
on_auth(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed AUTH";
	struct disconnect d;
	enum mqtt_reason reason = auth_decode(body, &d, &why);

	(void)flags;
	if (reason == MQTT_OK && conn_users_fit(c, &d.props))
		reason = auth_take(c, &d, &why);
	if (reason == MQTT_OK)
		return;
	if (c->state == CONN_ASKED)
		refuse(c, CNT_connects__refused_other, reason, why);
	else
		conn_decoded(c, reason, why);
}

/* --- CONNACK ----------------------------------------------------------------------------- */

static void
connack_props(const struct conn *c, struct wr *w)
{
	struct span data = login_kept(c);

	if (c->assigned)
		wr_prop_str(w, PROP_ASSIGNED_CLIENT_ID, conn_id(c));
	if (c->method != NULL) /* [MQTT-4.12.0-5] */
		wr_prop_str(w, PROP_AUTH_METHOD, span_str(c->method));
	if (data.len > 0)
		wr_prop_str(w, PROP_AUTH_DATA, data);
	if (c->server_keep_alive)
		wr_prop_num(w, PROP_SERVER_KEEP_ALIVE, c->keep_alive);
	if (c->expiry_given)
		wr_prop_num(w, PROP_SESSION_EXPIRY, c->expiry);
	if (c->terms->receive_max < UINT16_MAX)
		wr_prop_num(w, PROP_RECEIVE_MAX, c->terms->receive_max);
	if (c->terms->max_qos < 2)
		wr_prop_num(w, PROP_MAX_QOS, c->terms->max_qos);
	if (!c->terms->retain_available)
		wr_prop_num(w, PROP_RETAIN_AVAILABLE, 0);
	wr_prop_num(w, PROP_MAX_PACKET_SIZE, (uint32_t)c->terms->max_packet_size);
	if (c->alias_max > 0)
		wr_prop_num(w, PROP_TOPIC_ALIAS_MAX, c->alias_max);
	if (!c->terms->wildcard_available)
		wr_prop_num(w, PROP_WILDCARD_AVAILABLE, 0);
	if (!c->terms->subscription_id_available)
		wr_prop_num(w, PROP_SUBSCRIPTION_ID_AVAILABLE, 0);
	if (!c->terms->shared_available)
		wr_prop_num(w, PROP_SHARED_AVAILABLE, 0);
	if (c->terms->announce_durability)
		wr_prop_user(
		    w, span_str("durability"), span_str(conf_durability_name(c->durability)));
}

static void
connack(struct conn *c, bool present, enum mqtt_reason reason, const char *why)
{
	uint8_t packet[CONNACK_ROOM + 16], props[CONNACK_ROOM];
	struct wr w = wr_of(props, sizeof(props));
	uint8_t code = (uint8_t)reason;
	size_t len, without;

	if (c->version != MQTT_5) {
		code = mqtt_connack_v3(reason);
		if (code == 0xff)
			return;
		len = connack_encode(c->version, present && c->version == MQTT_3_1_1, code,
		    span_of(NULL, 0), packet, sizeof(packet));
		conn_send(c, packet, len);
		return;
	}
	if (reason == MQTT_SUCCESS)
		connack_props(c, &w);
	without = (size_t)(w.p - props);
	if (why != NULL)
		wr_prop_str(&w, PROP_REASON_STRING, span_str(why));
	len = connack_encode(
	    MQTT_5, present, code, span_of(props, (size_t)(w.p - props)), packet, sizeof(packet));
	if (len > c->max_packet) /* [MQTT-3.2.2-19] */
		len = connack_encode(
		    MQTT_5, present, code, span_of(props, without), packet, sizeof(packet));
	conn_send(c, packet, len);
}

/* what: it counts as; COUNTERS: it is counted already, by persist. */
static void
refuse(struct conn *c, enum counter what, enum mqtt_reason reason, const char *why)
{
	if (what != COUNTERS)
		count(what);
	log_info("conn: refused peer=%s id=%s reason=0x%02x why=\"%s\"", c->peer, conn_name(c),
	    reason, why);
	if (refused_is_one(reason))
		refused_note(c, reason, why);
	if (c->version != 0)
		connack(c, false, reason, why);
	conn_gone(c, CNT_ends__refused, reason, false);
}

static char *
dup_text(struct span s)
{
	char *p = malloc(s.len + 1);

	if (p == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return p;
}

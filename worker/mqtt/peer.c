#include "worker/mqtt/peer.h"

#include <errno.h>

#include "worker/mqtt/ask.h"
#include "worker/mqtt/connect.h"
#include "worker/mqtt/gone.h"
#include "worker/mqtt/login.h"
#include "worker/mqtt/publish.h"
#include "worker/mqtt/subscribe.h"

typedef int record_fn(struct span body);

static int
on_fwd(struct span body)
{
	struct rec_msg m;
	struct msg_view v;
	struct span groups;

	if (!rec_take(&body, &m, sizeof(m)) || !rec_msg_parse(&m, body, &v, &groups))
		return -EPROTO;
	publish_from_peer(&m, &v, groups);
	return 0;
}

static int
on_stored(struct span body)
{
	struct rec_stored r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != 0)
		return -EPROTO;
	publish_stored(&r);
	return 0;
}

static int
on_released(struct span body)
{
	struct rec_stored r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != 0)
		return -EPROTO;
	publish_released(&r);
	return 0;
}

static int
on_resume(struct span body)
{
	struct rec_resume r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != r.filter_len || !utf8_is_valid(body))
		return -EPROTO;
	connect_resume(&r, body);
	return 0;
}

static int
on_grant(struct span body)
{
	struct rec_grant r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != 0)
		return -EPROTO;
	connect_granted(&r);
	return 0;
}

static int
on_login_done(struct span body)
{
	struct login_said said;
	struct rec_login_done r;

	if (!rec_take(&body, &r, sizeof(r)) || !rec_span(&body, r.groups_len, &said.groups) ||
	    !rec_span(&body, r.attributes_len, &said.attributes) || r.data_len > LOGIN_DATA_MAX ||
	    !rec_span(&body, r.data_len, &said.data) ||
	    !rec_span(&body, r.state_len, &said.state) ||
	    !rec_span(&body, r.user_name_len, &said.user_name) || body.len != 0 ||
	    !utf8_is_valid(said.groups) || !utf8_is_valid(said.user_name))
		return -EPROTO;
	connect_logged_in(&r, &said);
	return 0;
}

static int
on_let_go(struct span body)
{
	struct rec_let_go r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != 0)
		return -EPROTO;
	connect_let_go(&r);
	return 0;
}

static int
on_subbed(struct span body)
{
	struct rec_subbed r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != 0)
		return -EPROTO;
	subscribe_answer(&r, false);
	return 0;
}

static int
on_unsubbed(struct span body)
{
	struct rec_subbed r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != 0)
		return -EPROTO;
	subscribe_answer(&r, true);
	return 0;
}

static int
on_retained(struct span body)
{
	struct rec_retained r;
	struct msg_view v;

	if (!rec_take(&body, &r, sizeof(r)) || !rec_msg_parse(&r.m, body, &v, NULL))
		return -EPROTO;
	subscribe_retained(r.token, &v);
	return 0;
}

static int
on_retain_end(struct span body)
{
	struct rec_retain_end r;

	if (!rec_take(&body, &r, sizeof(r)) || body.len != r.cursor_len)
		return -EPROTO;
	subscribe_retained_end(r.token, body);
	return 0;
}

static int
on_deliver(struct span body)
{
	struct rec_deliver r;
	struct span ids;
	struct msg_view v;

	if (!rec_take(&body, &r, sizeof(r)))
		return -EPROTO;
	if (r.what & DELIVER_PUBREL) {
		if (r.packet_id == 0 || body.len != 0)
			return -EPROTO;
		publish_deliver_pubrel(&r);
		return 0;
	}
	if (!rec_span(&body, r.nsubids * sizeof(uint32_t), &ids) ||
	    !rec_msg_parse(&r.m, body, &v, NULL) || (v.qos > 0) != (r.packet_id > 0))
		return -EPROTO;
	publish_deliver(&r, ids, &v);
	return 0;
}

static record_fn *const on_record[REC_TYPES] = {
	[REC_FWD] = on_fwd,
	[REC_STORED] = on_stored,
	[REC_RELEASED] = on_released,
	[REC_RESUME] = on_resume,
	[REC_GRANT] = on_grant,
	[REC_LOGIN_DONE] = on_login_done,
	[REC_LET_GO] = on_let_go,
	[REC_SUBBED] = on_subbed,
	[REC_UNSUBBED] = on_unsubbed,
	[REC_RETAINED] = on_retained,
	[REC_RETAIN_END] = on_retain_end,
	[REC_DELIVER] = on_deliver,
};

int
peer_record(void *arg, unsigned from, unsigned type, struct span body)
{
	(void)arg;
	if (!rec_may(type, 1u << proc_kind_of(from), P_MQTT, body) || on_record[type] == NULL)
		return -EPROTO;
	return on_record[type](body);
}

void
peer_up(void *arg, unsigned slot)
{
	(void)arg;
	route_peer(slot, true);
	if (slot == SLOT_PERSIST)
		connect_register_all();
	else if (slot == SLOT_AUTH)
		login_ask_all();
}

void
peer_down(void *arg, unsigned slot)
{
	(void)arg;
	if (slot == SLOT_PERSIST)
		gone_persist_down(); /* what it wants is still to be sent: its successor reads it */
	else
		route_peer(slot, false);
	publish_room(slot); /* nothing waits for it any more */
}

void
peer_room(void *arg, unsigned slot)
{
	(void)arg;
	publish_room(slot);
}

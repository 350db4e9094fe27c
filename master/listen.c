#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"

uint32_t
listen_id(unsigned listener, unsigned worker)
{
	return (uint32_t)(listener * SLOT_MQTT_MAX + worker);
}

static int
refused(const struct sock_addr *a, int err, struct conf_error *out)
{
	char text[SOCK_TEXT_MAX];

	sock_addr_text(a, text);
	if (err == -EADDRINUSE)
		snprintf(out->text, sizeof(out->text),
		    "cannot listen on %s: the address is in use, by another program or another "
		    "broker; choose another with --port, or stop it",
		    text);
	else if (err == -EACCES)
		snprintf(out->text, sizeof(out->text),
		    "cannot listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE",
		    text);
	else
		snprintf(
		    out->text, sizeof(out->text), "cannot listen on %s: %s", text, strerror(-err));
	return err;
}

/* Sockets for workers that have none yet. */
static int
bind_workers(struct listener *l, unsigned workers, struct conf_error *err)
{
	for (unsigned w = 0; w < workers; w++) {
		int bad;

		if (l->fd[w] >= 0)
			continue;
		bad = sock_listen(&l->addr, (int)l->conf.backlog, &l->fd[w]);
		if (bad != 0)
			return refused(&l->addr, bad, err);
	}
	return 0;
}

static struct listener *
bound_already(const struct conf_listener *l)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		struct listener *old = &master.listener[i];

		if (old->used && strcmp(old->conf.name.s, l->name.s) == 0 &&
		    strcmp(old->conf.address.s, l->address.s) == 0 &&
		    (old->conf.port == l->port || sock_addr_port(&old->addr) == l->port))
			return old;
	}
	return NULL;
}

int
listen_bind(const struct conf *c, struct listener out[LISTENERS_MAX], struct conf_error *err)
{
	unsigned workers = workers_of(c);

	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		out[i] = (struct listener){ 0 };
		for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
			out[i].fd[w] = -1;
	}
	for (uint32_t i = 0; i < c->nlisteners; i++) {
		const struct listener *old = bound_already(&c->listener[i]);
		struct listener *l = &out[i];
		int bad;

		l->index = i;
		l->conf = c->listener[i];
		l->used = true;
		if (old != NULL) {
			l->addr = old->addr;
			for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
				l->fd[w] = old->fd[w] >= 0 ? dup(old->fd[w]) : -1;
		} else {
			if (sock_addr_parse(l->conf.address.s, (uint16_t)l->conf.port, &l->addr) !=
			    0) {
				snprintf(err->text, sizeof(err->text),
				    "listener \"%.31s\": \"%.63s\" is no address", l->conf.name.s,
				    l->conf.address.s);
				bad = -EINVAL;
				goto fail;
			}
			/* SO_REUSEPORT alone would share the port with whoever has it. */
			bad = l->conf.port != 0 ? sock_probe(&l->addr) : 0;
			if (bad != 0) {
				refused(&l->addr, bad, err);
				goto fail;
			}
		}
		bad = bind_workers(l, workers, err);
		if (bad == 0)
			continue;
	fail:
		listen_discard(out);
		return bad;
	}
	return 0;
}

void
listen_discard(struct listener next[LISTENERS_MAX])
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		for (unsigned w = 0; w < SLOT_MQTT_MAX && next[i].used; w++)
			if (next[i].fd[w] >= 0)
				close(next[i].fd[w]);
}

static const struct listener *
same_socket(const struct listener *in, const struct listener *l)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (in[i].used && strcmp(in[i].conf.name.s, l->conf.name.s) == 0 &&
		    in[i].addr.len == l->addr.len &&
		    memcmp(&in[i].addr.ss, &l->addr.ss, l->addr.len) == 0)
			return &in[i];
	return NULL;
}

static void
tell(struct slot *s, enum ipc_type type, const struct listener *l, unsigned worker, bool lent)
{
	struct msg_listener m = { .id = listen_id((unsigned)(l - master.listener), worker),
		.index = l->index,
		.lent = lent };

	memcpy(m.name, l->conf.name.s, sizeof(m.name) - 1);
	(void)slot_send(s, type, &m, sizeof(m), type == IPC_LISTENER ? &l->fd[worker] : NULL,
	    type == IPC_LISTENER);
}

/* Sockets that stay listen on, with room for as many as is said now. */
static void
set_backlogs(const struct listener *old)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		const struct listener *l = &master.listener[i];
		const struct listener *was = l->used ? same_socket(old, l) : NULL;

		for (unsigned w = 0; w < SLOT_MQTT_MAX && was != NULL; w++)
			if (l->fd[w] >= 0 && was->conf.backlog != l->conf.backlog)
				(void)listen(l->fd[w], (int)l->conf.backlog);
	}
}

/* What has gone is taken back first, under the ids of before; then what is new, under the ids of now. */
void
listen_commit(struct listener next[LISTENERS_MAX])
{
	static struct listener old[LISTENERS_MAX];
	bool again[LISTENERS_MAX] = { false };

	memcpy(old, master.listener, sizeof(old));
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];

		if (!slot_is_live(s) || s->state == SLOT_DRAINING)
			continue;
		for (unsigned i = 0; i < LISTENERS_MAX; i++) {
			const struct listener *now =
			    old[i].used ? same_socket(next, &old[i]) : NULL;

			if (!old[i].used || old[i].fd[w] < 0)
				continue;
			/* One that moved in the list is given anew: its id and index are others. */
			if (now == NULL || now - next != i) {
				tell(s, IPC_LISTENER_GONE, &master.listener[i], w, false);
				again[i] = now != NULL;
			}
		}
	}
	memcpy(master.listener, next, sizeof(master.listener));
	set_backlogs(old);
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];

		if (!slot_is_live(s) || s->state == SLOT_DRAINING)
			continue;
		for (unsigned i = 0; i < LISTENERS_MAX; i++) {
			const struct listener *was =
			    master.listener[i].used ? same_socket(old, &master.listener[i]) : NULL;

			if (!master.listener[i].used || master.listener[i].fd[w] < 0)
				continue;
			if (was == NULL || was->fd[w] < 0 || again[was - old])
				tell(s, IPC_LISTENER, &master.listener[i], w, false);
		}
	}
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		for (unsigned w = 0; w < SLOT_MQTT_MAX && old[i].used; w++)
			if (old[i].fd[w] >= 0)
				close(old[i].fd[w]);
}

void
slot_listeners(struct slot *s, const struct slot *to, bool lent)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (master.listener[i].used && master.listener[i].fd[s->n] >= 0)
			tell((struct slot *)to, IPC_LISTENER, &master.listener[i], s->n, lent);
}

void
slot_take_back(struct slot *s, struct slot *from)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (master.listener[i].used && master.listener[i].fd[s->n] >= 0)
			tell(from, IPC_LISTENER_GONE, &master.listener[i], s->n, true);
}

void
listen_close_worker(unsigned worker)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		struct listener *l = &master.listener[i];

		if (l->used && l->fd[worker] >= 0)
			close(l->fd[worker]);
		if (l->used)
			l->fd[worker] = -1;
	}
}

void
listen_tell(void)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		char at[SOCK_TEXT_MAX];

		if (!master.listener[i].used)
			continue;
		sock_addr_text(&master.listener[i].addr, at);
		log_notice("listen: serving listener=%s type=%s address=%s",
		    master.listener[i].conf.name.s, conf_transport_name(&master.listener[i].conf),
		    at);
	}
}

void
listen_close_all(void)
{
	listen_discard(master.listener);
	memset(master.listener, 0, sizeof(master.listener));
}
